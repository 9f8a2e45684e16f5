"""A TCP proxy that tests put before a server, to do to its connections what networks do to them."""

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

T = TypeVar("T")

Target = Path | str | tuple[str, int]

CHUNK = 64 * 1024
QUIET = 0.02
"""Seconds without a byte after which a connection counts as idle."""
_TAIL = 256
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)


TURNS = 10
"""Turns of the loop in which what was begun before has surely come to its task."""


@dataclass(slots=True)
class _Drop:
    """Replies that shall be lost: the next `left` to requests with `after` in them."""

    left: int
    after: bytes

    def wants(self, tail: bytes, data: bytes) -> bool:
        reach = len(self.after) - 1
        return self.left > 0 and self.after in (tail[-reach:] if reach > 0 else b"") + data


@dataclass(slots=True)
class _Weather:
    """What happens to all connections."""

    delay: float = 0.0
    idle_chance: float = 0.0
    under_request: bool = False
    chance: random.Random = field(default_factory=random.Random)


class Proxy:
    """Listens on 127.0.0.1 and passes everything on to `target`, but for the faults it is told to make.

    A context manager; `target` is a unix socket's path or (host, port). Every method may be called from any
    thread and returns once the fault is in force.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._drops: list[_Drop] = []
        self._listener: asyncio.Server | None = None
        self._place = _bound(0)
        """Keeps the port while nobody listens on it."""
        self.weather = _Weather()
        self.accepted = 0
        """Connections that were opened since the start."""
        self.dropped = 0
        """Replies that were thrown away."""
        self.closed_idle = 0
        """Connections that `close_idle` has closed."""
        self.undecided = 0
        """Connections that it closes if they stay idle."""

    @property
    def port(self) -> int:
        """The port on 127.0.0.1."""
        return int(self._place.getsockname()[1])

    @property
    def redis_url(self) -> str:
        """The URL of a Redis behind it."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def http_url(self) -> str:
        """The URL of an HTTP server behind it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def open(self) -> int:
        """How many connections are open, frozen ones included."""
        return len(self._links)

    def cut(self) -> int:
        """Reset (RST) every connection; return how many there were."""
        return self._each(_Link.reset)

    def freeze(self) -> int:
        """Let connections that exist now pass nothing more, but stay open; return how many there are."""
        return self._each(_Link.freeze)

    def refuse(self, on: bool = True) -> None:  # noqa: FBT001, FBT002 - reads well: refuse(), refuse(False)
        """Refuse new connections as a port does on which nobody listens; or take them again."""
        self._wait(self._close_listener() if on else self._listen())

    def drop_replies(self, number: int, after: bytes = b"") -> None:
        """Lose the replies to the next `number` requests that hold `after`, and cut their connections.

        The server has executed the request by then.
        """
        self._do(lambda: self._drops.append(_Drop(number, after)))

    def drop_none(self) -> None:
        """Let every reply pass again."""
        self._do(self._drops.clear)

    def delay(self, seconds: float) -> None:
        """Hold back each piece of every reply for so long."""
        self._do(lambda: setattr(self.weather, "delay", seconds))

    def close_idle(self, chance: float, seed: int = 0, *, under_request: bool = False) -> None:
        """After each reply let its connection be closed with `chance`, once it is idle.

        `under_request`: not before the next request comes, which is lost with it, as when a server closes
        a kept-alive connection in that moment.
        """

        def begin() -> None:
            self.weather.idle_chance = chance
            self.weather.under_request = under_request
            self.weather.chance = random.Random(seed)

        self._do(begin)

    def __enter__(self) -> Self:
        self._thread.start()
        self._wait(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._wait(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()
        self._place.close()

    # What follows runs in the thread of the loop

    def lost_reply_to(self, tail: bytes, data: bytes) -> bool:
        """Return whether the reply to this request shall be lost, and count it."""
        for drop in self._drops:
            if drop.wants(tail, data):
                drop.left -= 1
                return True
        return False

    async def _listen(self) -> None:
        if self._listener is None:
            listener = _bound(self.port)
            self._listener = await asyncio.start_server(self._accept, sock=listener, backlog=512)

    async def _close_listener(self) -> None:
        if self._listener is not None:
            listener, self._listener = self._listener, None
            for each in listener.sockets:
                self._loop.remove_reader(each.fileno())  # from now on none is taken in
            await _some_turns()  # else a connection taken in just now finds its server closed, and leaks
            listener.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        link = _Link(self, reader, writer)
        self._links.add(link)
        self.accepted += 1
        try:
            await link.run(self._target)
        except asyncio.CancelledError:
            pass  # the proxy ends
        finally:
            link.reset()
            self._links.discard(link)
            self._tasks.discard(task)

    async def _close(self) -> None:
        await self._close_listener()
        await _some_turns()  # a connection that was just taken in has its task some turns later
        for task in self._tasks:
            task.cancel()
        while self._tasks:
            await asyncio.wait(set(self._tasks))
        await _some_turns()  # transports close their sockets in the next turns

    def _do(self, function: Callable[[], T]) -> T:
        async def run() -> T:
            return function()

        return self._wait(run())

    def _each(self, function: "Callable[[_Link], None]") -> int:
        def run() -> int:
            for link in self._links:
                function(link)
            return len(self._links)

        return self._do(run)

    def _wait(self, coroutine: "Coroutine[Any, Any, T]") -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)


class _Link:
    """One client's connection and the one that goes on to the server."""

    def __init__(self, proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._from_client, self._to_client = reader, writer
        self._to_server: asyncio.StreamWriter | None = None
        self._frozen = False
        self._losing = False
        self._doomed = False
        self._over = asyncio.Event()
        self._closing: asyncio.TimerHandle | None = None

    async def run(self, target: Target) -> None:
        """Pass on until one of both ends it."""
        try:
            from_server, self._to_server = await _connect(target)
        except OSError:
            return
        if self._over.is_set():
            return
        pumps = [asyncio.create_task(self._requests()), asyncio.create_task(self._replies(from_server))]
        over = asyncio.create_task(self._over.wait())
        try:
            await asyncio.wait({*pumps, over}, return_when=asyncio.FIRST_COMPLETED)
            if self._frozen:
                await over  # the other side does not learn that this one is gone
        finally:
            tasks = {*pumps, over}
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def freeze(self) -> None:
        """Pass nothing more."""
        self._frozen = True

    def reset(self) -> None:
        """End both connections at once."""
        self._over.set()
        if self._closing is not None:
            self._closing.cancel()
        for writer in (self._to_client, self._to_server):
            if writer is None or writer.transport.is_closing():
                continue
            connection: socket.socket = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
            writer.transport.abort()

    async def _requests(self) -> None:
        tail = b""
        with contextlib.suppress(ConnectionError):
            while data := await self._from_client.read(CHUNK):
                if self._frozen:
                    continue
                if self._doomed:
                    return self._count_closed()
                self._stay()
                self._losing = self._proxy.lost_reply_to(tail, data) or self._losing
                tail = (tail + data)[-_TAIL:]
                assert self._to_server is not None
                self._to_server.write(data)
                await self._to_server.drain()
        return None

    async def _replies(self, from_server: asyncio.StreamReader) -> None:
        weather = self._proxy.weather
        with contextlib.suppress(ConnectionError):
            while data := await from_server.read(CHUNK):
                if self._losing and not self._frozen:
                    self._proxy.dropped += 1
                    return
                if weather.delay:
                    await asyncio.sleep(weather.delay)
                if self._frozen:
                    continue
                if weather.chance.random() < weather.idle_chance:
                    self._close_soon()  # whoever has the reply finds it undecided
                self._to_client.write(data)
                await self._to_client.drain()

    def _close_soon(self) -> None:
        self._stay()
        self._proxy.undecided += 1
        self._closing = asyncio.get_running_loop().call_later(QUIET, self._close_idle)

    def _stay(self) -> None:
        if self._closing is not None:
            self._closing.cancel()
        self._decided()

    def _decided(self) -> None:
        if self._closing is not None:
            self._closing = None
            self._proxy.undecided -= 1

    def _close_idle(self) -> None:
        if self._proxy.weather.under_request:
            self._doomed = True
        elif not self._has_more():  # else a request came meanwhile: not idle
            self._count_closed()
            self._to_client.close()  # an orderly end: FIN
            self._over.set()
        asyncio.get_running_loop().call_soon(self._decided)  # behind the FIN

    def _has_more(self) -> bool:
        if self._from_client._buffer:  # type: ignore[attr-defined]
            return True
        connection: socket.socket = self._to_client.get_extra_info("socket")
        with contextlib.suppress(BlockingIOError), connection.dup() as twin:
            return bool(twin.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        return False

    def _count_closed(self) -> None:
        self._proxy.closed_idle += 1


async def _some_turns() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)


async def _connect(target: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if isinstance(target, tuple):
        return await asyncio.open_connection(*target)
    return await asyncio.open_unix_connection(str(target))


def _bound(port: int) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(("127.0.0.1", port))
    return made
