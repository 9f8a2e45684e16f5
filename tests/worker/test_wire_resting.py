"""Connections that idle: for how long they are used again is learned from real servers."""

import asyncio
import contextlib
import gc
import socket
import weakref
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import httpx
import pytest

from sendline_worker.providers.base import Answer
from sendline_worker.wire import Broken, Wire
from sendline_worker.wire.idle import ORIGINS, WATCHED

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request):
    return "asyncio", {"use_uvloop": request.param}


@dataclass
class Server:
    """A server on a free port of this machine, which answers whatever it reads."""

    port: int = 0
    allows: float | None = None
    """Seconds after which it closes an idle connection."""
    header: bytes = b""
    together: int = 1
    """So many requests are answered at the same time."""
    is_cutting: bool = False
    """It closes the connection instead of an answer."""
    is_mute: bool = False
    """It reads, and answers nothing."""
    says_before: bytes = b""
    """What it says before it closes the connection so."""
    accepted: int = 0
    closed: int = 0
    """Connections that it closed by itself."""
    open: set[asyncio.Task[None]] = field(default_factory=set)
    waiting: list[asyncio.StreamWriter] = field(default_factory=list)
    deaf: set[asyncio.Task[None]] = field(default_factory=set)
    """Connections that something on the way has dropped without a word."""

    def request(self, host: str = "127.0.0.1") -> httpx.Request:
        return httpx.Request("POST", f"http://{host}:{self.port}/", content=b"x")

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.accepted += 1
        self.open.add(task)
        try:
            await self.answer(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass  # it was aborted, or the test is over
        finally:
            self.open.discard(task)
            writer.close()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                async with asyncio.timeout(self.allows):
                    read = await reader.read(65536)
            except TimeoutError:
                read = b""
                self.closed += 1
            if not read or self.is_cutting:
                writer.write(self.says_before)
                return
            if self.is_mute or asyncio.current_task() in self.deaf:
                continue
            self.waiting.append(writer)
            if len(self.waiting) >= self.together:
                for each in self.waiting:
                    each.write(b"HTTP/1.1 200 OK\r\n" + self.header + b"Content-Length: 2\r\n\r\n{}")
                self.waiting.clear()


@contextlib.asynccontextmanager
async def calling(server: Server, **arguments) -> AsyncIterator[tuple[Wire, Callable]]:
    """Serve; yield a wire, and what calls after a pause and returns how many connections there were."""
    listening = await asyncio.start_server(server.connected, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    wire = Wire(**arguments)

    async def call(*, after: float = 0) -> int:
        await asyncio.sleep(after)
        assert isinstance(await wire.call(server.request()), Answer)
        return server.accepted

    try:
        yield wire, call
    finally:
        await wire.aclose()
        listening.close()
        tasks = list(server.open)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - what it waits for has no event
            await asyncio.sleep(0.002)


async def test_a_connection_is_not_used_again_beyond_what_is_known():
    async with calling(Server(), idle=0.1, longest=30.0) as (_, call):
        assert await call() == 1
        assert await call() == 1
        assert await call(after=0.3) == 2


async def test_a_connection_that_lasted_lets_the_next_ones_idle_for_nearly_as_long():
    server = Server()
    async with calling(server, idle=0.1, longest=1.5) as (_, call):
        assert await call() == 1
        await until(lambda: not server.open)
        assert await call() == 2
        assert await call(after=0.6) == 2
        assert await call(after=1.35) == 3, "four fifths of it, not all"


async def test_a_connection_proves_something_while_it_still_idles():
    server = Server()
    async with calling(server, idle=0.1, longest=30.0) as (_, call):
        assert await call() == 1
        assert await call(after=1.5) == 2
        assert await call(after=0.5) == 2
        assert len(server.open) == 2, "the first is watched still"


async def test_a_server_that_closes_sooner_is_not_raced():
    server = Server(allows=1.0)
    async with calling(server, idle=5.0) as (_, call):
        assert await call() == 1
        await until(lambda: server.closed)
        assert await call() == 2
        assert await call() == 2
        assert await call(after=0.7) == 3
        assert await call() == 3


async def test_a_server_that_closes_later_is_learned_from_up_to_its_limit():
    server = Server(allows=1.6)
    async with calling(server, idle=0.1) as (_, call):
        assert await call() == 1
        await until(lambda: server.closed)
        assert await call() == 2
        assert await call(after=0.3) == 2
        assert await call(after=1.2) == 3


async def test_what_the_server_says_is_believed_at_once():
    server = Server(header=b"Keep-Alive: timeout=2, max=100\r\n")
    async with calling(server, idle=0.1) as (_, call):
        assert await call() == 1
        assert await call(after=0.4) == 1
        await until(lambda: not server.open)  # nothing is to be learned beyond it
        assert server.closed == 0
        assert await call() == 2


async def test_what_the_server_says_bounds():
    server = Server(header=b"keep-alive: timeout=1\r\n")
    async with calling(server, idle=5.0) as (_, call):
        assert await call() == 1
        assert await call(after=0.7) == 2


async def test_a_connection_that_was_cut_when_it_was_used_again_lowers_the_limit():
    server = Server()
    async with calling(server, idle=5.0) as (wire, call):
        assert await call() == 1
        await asyncio.sleep(0.6)
        server.is_cutting = True
        broken = await wire.call(server.request())
        assert broken == Broken(True, "the server closed the connection without an answer")
        server.is_cutting = False
        assert await call() == 2
        assert await call() == 2
        assert await call(after=0.45) == 3


@pytest.mark.parametrize("idle", [0.1, 5.0])
async def test_one_that_was_mute_when_it_was_used_again_lowers_a_limit_that_was_learned(idle):
    server = Server(header=b"Keep-Alive: timeout=100\r\n")
    async with calling(server, idle=idle, total=0.5) as (wire, call):
        assert await call() == 1
        await asyncio.sleep(0.6)
        server.is_mute = True
        assert await wire.call(server.request()) == Broken(True, "no complete answer within 0.5 s")
        server.is_mute = False
        assert await call() == 2
        assert await call(after=0.45) == (3 if idle < 0.6 else 2), "within the first limit it is the provider"


async def test_of_connections_that_rested_for_long_one_is_tried_before_the_others_are_used():
    server = Server(header=b"Keep-Alive: timeout=100\r\n", together=3)
    async with calling(server, idle=0.1, total=2.0) as (wire, _):

        async def burst() -> list[Answer | Broken]:
            return await asyncio.gather(*[wire.call(server.request()) for _ in range(3)])

        assert all(isinstance(each, Answer) for each in await burst())
        await asyncio.sleep(1.0)
        assert all(isinstance(each, Answer) for each in await burst())
        assert server.accepted == 5, "one of three was on trial; two others were made"
        await asyncio.sleep(0.3)
        assert all(isinstance(each, Answer) for each in await burst())
        assert server.accepted == 5, "so long a rest is known to be harmless now"
        await asyncio.sleep(1.5)
        server.deaf = set(server.open)
        server.together = 2
        assert sorted(isinstance(each, Answer) for each in await burst()) == [False, True, True]
        assert server.accepted == 7


async def test_one_on_trial_that_is_given_up_lets_the_next_one_be_tried():
    server = Server(header=b"Keep-Alive: timeout=100\r\n", together=2)
    async with calling(server, idle=0.1) as (wire, _):
        await asyncio.gather(wire.call(server.request()), wire.call(server.request()))
        await asyncio.sleep(0.3)
        given_up = asyncio.create_task(wire.call(server.request()))
        await until(lambda: server.waiting)
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        server.together = 1
        server.waiting.clear()
        assert isinstance(await wire.call(server.request()), Answer)
        assert server.accepted == 2


async def test_a_new_connection_that_was_cut_says_nothing_of_idling():
    server = Server(is_cutting=True)
    async with calling(server, idle=5.0) as (wire, call):
        for _ in range(3):
            broken = await wire.call(server.request())
            assert broken == Broken(True, "the server closed the connection without an answer")
        server.is_cutting = False
        assert await call() == 4
        assert await call(after=0.5) == 4


async def test_an_answer_that_broke_off_says_nothing_of_idling():
    server = Server(says_before=b"HTTP/1.1 200 OK\r\nContent-")
    async with calling(server, idle=5.0) as (wire, call):
        assert await call() == 1
        await asyncio.sleep(0.2)
        server.is_cutting = True
        assert isinstance(await wire.call(server.request()), Broken)
        server.is_cutting = False
        assert await call() == 2
        assert await call(after=0.4) == 2


async def test_few_connections_are_watched_and_closing_the_wire_closes_them():
    server = Server(together=6)
    async with calling(server, idle=0.1, longest=30.0) as (wire, _):
        await asyncio.gather(*[wire.call(server.request()) for _ in range(6)])
        assert server.accepted == len(server.open) == 6
        await until(lambda: len(server.open) <= WATCHED)
        await asyncio.sleep(0.3)
        assert len(server.open) == WATCHED
        await wire.aclose()
        await until(lambda: not server.open)


async def test_closing_the_wire_leaves_no_timer_that_holds_what_it_knew():
    server = Server()
    async with calling(server):
        wire = Wire(idle=20.0, longest=30.0)
        assert isinstance(await wire.call(server.request()), Answer)
        known = weakref.ref(wire._pool._idle)
        await wire.aclose()
        del wire

        def is_gone() -> bool:
            gc.collect()
            return known() is None

        await until(is_gone)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # uvloop has a resolver of its own
async def test_a_bounded_number_of_origins_is_remembered(monkeypatch):
    def here(_host, port, *_args, **_named):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", here)
    server = Server()
    async with calling(server, idle=30.0) as (wire, _):
        for number in range(ORIGINS + 20):
            assert isinstance(await wire.call(server.request(f"a{number}.example.com")), Answer)
        await until(lambda: len(server.open) <= ORIGINS)
        await wire.call(server.request(f"a{ORIGINS + 19}.example.com"))
        assert server.accepted == ORIGINS + 20
        assert len(server.open) == ORIGINS
