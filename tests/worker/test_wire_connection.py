"""Connections: the kernel is asked before one is used again, and an answer is read however it arrives."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sendline_worker.providers.base import Answer
from sendline_worker.wire import Broken, Wire
from sendline_worker.wire.connection import Connection, Reply
from sendline_worker.wire.faults import NoConnection, Unreadable
from sendline_worker.wire.lookup import Lookup
from sendline_worker.wire.pool import Origin

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@contextlib.contextmanager
def answering_once(
    then: bytes, go: threading.Event, done: threading.Event
) -> Iterator[tuple[str, list[int]]]:
    """Serve in a thread: each connection is answered once; at `go` it says `then`, and is closed."""
    accepted: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    accepted.append(1)
                    connection.recv(65536)
                    connection.sendall(OK)
                    go.wait(10)
                    go.clear()
                    connection.sendall(then)
                done.set()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/", accepted
        finally:
            go.set()
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize("then", [b"", b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"])
@pytest.mark.parametrize("uvloop", [False, True])
def test_what_the_server_did_before_our_loop_turned_keeps_a_connection_from_being_used(then, uvloop):
    go, done = threading.Event(), threading.Event()

    async def calls(url: str) -> None:
        wire = Wire()
        first = httpx.Request("POST", url, content=b"1")
        assert isinstance(await wire.call(first), Answer)
        go.set()
        assert done.wait(10)  # and our loop stands still meanwhile
        second = await wire.call(httpx.Request("POST", url, content=b"2"))
        assert isinstance(second, Answer)
        assert second.status == 200
        await wire.aclose()

    with answering_once(then, go, done) as (url, accepted):
        running(calls(url), uvloop=uvloop)
        assert len(accepted) == 2


@pytest.mark.parametrize("uvloop", [False, True])
def test_a_connection_that_was_closed_while_our_loop_stood_still_proves_nothing(uvloop):
    go, done = threading.Event(), threading.Event()

    async def calls(url: str) -> None:
        wire = Wire(idle=0.1, longest=0.3)
        assert isinstance(await wire.call(httpx.Request("POST", url, content=b"1")), Answer)
        go.set()
        assert done.wait(10)
        time.sleep(0.4)  # noqa: ASYNC251 - the longest is over before the loop turns
        if not uvloop:  # which tells the time as of its last turn
            wire._pool._idle._sweep()
        await asyncio.sleep(0.05)
        [place] = wire._pool._idle._places.values()
        assert not place.idle
        assert place.resting.limit() <= 0.1
        await wire.aclose()

    with answering_once(b"", go, done) as (url, _):
        running(calls(url), uvloop=uvloop)


def running(coroutine, *, uvloop: bool):
    import uvloop as fast

    with asyncio.Runner(loop_factory=fast.new_event_loop if uvloop else None) as runner:
        return runner.run(coroutine)


def served(*answers: bytes, requests: list[httpx.Request]) -> tuple[list[Answer | Broken], int, bytes]:
    """Send `requests` in turn; return what came of them, over how many connections, and what was read."""
    connections = 0
    seen = bytearray()
    ended = asyncio.Semaphore(0)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        try:
            for answer in answers:
                read = await reader.read(65536)
                if not read:
                    break
                seen.extend(read)
                writer.write(answer)
            await reader.read()
        except ConnectionError:
            pass  # it was aborted
        finally:
            writer.close()
            ended.release()

    async def calls() -> list[Answer | Broken]:
        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        wire = Wire(total=5)
        try:
            port = server.sockets[0].getsockname()[1]
            told = []
            for request in requests:
                request.url = request.url.copy_with(port=port)
                told.append(await wire.call(request))
            return told
        finally:
            await wire.aclose()
            server.close()
            for _ in range(connections):
                await ended.acquire()

    return running(calls(), uvloop=False), connections, bytes(seen)


def posts(number: int) -> list[httpx.Request]:
    return [httpx.Request("POST", "http://127.0.0.1/", content=b"x") for _ in range(number)]


def test_an_answer_to_head_ends_with_its_headers():
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"
    [answer], _, _ = served(head, requests=[httpx.Request("HEAD", "http://127.0.0.1/")])
    assert isinstance(answer, Answer)
    assert (answer.status, answer.body) == (200, b"")


def test_a_second_answer_in_one_breath_is_not_taken_for_that_to_the_next_request():
    unasked = OK + b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"
    answers, connections, _ = served(unasked, requests=posts(2))
    assert [each.status for each in answers] == [200, 200]
    assert connections == 2


def test_an_answer_that_asks_to_close_is_heeded():
    closing = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    _, connections, _ = served(closing, OK, requests=posts(2))
    assert connections == 2


def test_an_upgrade_is_no_answer():
    upgrade = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\nhello"
    [broken], _, _ = served(upgrade, requests=posts(1))
    assert broken == Broken(True, "the answer is not HTTP")


@pytest.mark.parametrize("value", ["a\r\nX-Other: b", "a\nb", "a\rb", "a\0b"])
def test_a_header_that_would_begin_another_line_is_never_written(value):
    request = httpx.Request("POST", "http://127.0.0.1/", headers={"X-Key": value})
    [broken], connections, _ = served(OK, requests=[request])
    assert broken == Broken(False, "the request can't be written as HTTP")
    assert connections == 0


def test_an_address_that_is_not_http_is_never_called():
    async def call() -> Answer | Broken:
        wire = Wire()
        try:
            return await wire.call(httpx.Request("POST", "ftp://127.0.0.1/"))
        finally:
            await wire.aclose()

    assert running(call(), uvloop=True) == Broken(False, "the address is not an HTTP address")


def test_what_httpx_streams_is_sent_whole_with_its_length():
    async def post(port: int) -> httpx.Response:
        async def parts():
            yield b"one "
            yield b"two"

        async with httpx.AsyncClient(transport=Wire()) as client:
            return await client.post(f"http://127.0.0.1:{port}/", content=parts())

    async def served_once() -> bytes:
        seen = asyncio.get_running_loop().create_future()

        async def connected(reader, writer):
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(7)
            writer.write(OK)
            await reader.read()
            writer.close()
            seen.set_result(head.lower() + body)

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        response = await post(server.sockets[0].getsockname()[1])
        assert response.status_code == 200
        server.close()
        return await asyncio.wait_for(seen, 5)

    raw = running(served_once(), uvloop=False)
    assert b"content-length: 7\r\n" in raw
    assert b"transfer-encoding" not in raw
    assert raw.endswith(b"one two")


def test_calls_that_begin_together_look_a_name_up_once(monkeypatch):
    asked = []

    def slow(host, port, *args, **kwargs):
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    async def look_up() -> None:
        lookup = Lookup(asyncio.get_running_loop())
        found = await asyncio.gather(*[lookup.addresses("sms.example.com", 443) for _ in range(20)])
        assert {infos[0][4] for infos in found} == {("127.0.0.1", 443)}
        await lookup.addresses("sms.example.com", 443)
        await lookup.addresses("127.0.0.1", 443)
        await lookup.addresses("::1", 443)
        lookup.close()

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    running(look_up(), uvloop=False)
    assert asked == ["sms.example.com"]


def test_a_look_up_that_failed_is_not_remembered(monkeypatch):
    async def look_up() -> None:
        lookup = Lookup(asyncio.get_running_loop())
        for _ in range(2):
            with pytest.raises(socket.gaierror):
                await lookup.addresses("sms.example.com", 443)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        lookup.close()

    asked = []

    def failing(host, *args, **kwargs):
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", failing)
    running(look_up(), uvloop=False)
    assert len(asked) == 2


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
WHOLE = {
    "a length": (b"HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 11\r\n\r\nhello world", b"hello world"),
    "chunks": (
        CHUNKED + b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nX-T: u\r\n\r\n",
        b"hello world",
    ),
    "interim answers first": (
        b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Hints\r\nLink: a\r\n\r\n" + OK,
        b"{}",
    ),
    "no body": (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
}


class _Held(asyncio.Transport):
    """A transport that goes nowhere."""

    def __init__(self) -> None:
        super().__init__({"socket": socket.socket()})
        self.is_closed = False

    def write(self, data):
        """Drop `data`."""

    def is_closing(self):
        return self.is_closed

    def get_write_buffer_size(self):
        return 0

    def abort(self):
        self.is_closed = True

    close = abort

    def end(self):
        self.get_extra_info("socket").close()


async def read_in(pieces: list[bytes], *, limit: int = 1000) -> Reply:
    transport = _Held()
    connection = Connection(Origin("a", 80, is_tls=False), asyncio.get_running_loop())
    connection.connection_made(transport)
    try:
        exchange = asyncio.ensure_future(
            connection.exchange(b"", until=asyncio.get_running_loop().time() + 60, limit=limit)
        )
        await asyncio.sleep(0)
        for piece in pieces:
            connection.data_received(piece)
        if not exchange.done():
            connection.connection_lost(None)
        return await exchange
    finally:
        transport.end()


@settings(max_examples=150, deadline=None)
@given(kind=st.sampled_from(sorted(WHOLE)), data=st.data())
def test_an_answer_is_the_same_however_it_is_cut(kind, data):
    raw, body = WHOLE[kind]
    cuts = sorted(data.draw(st.sets(st.integers(1, len(raw) - 1))))
    pieces = [raw[start:end] for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    reply = running(read_in(pieces), uvloop=False)
    assert (reply.body, reply.truncated) == (body, False)


@settings(max_examples=80, deadline=None)
@given(kind=st.sampled_from(sorted(WHOLE)), data=st.data())
def test_an_answer_that_ends_early_is_never_taken_for_whole(kind, data):
    raw, _ = WHOLE[kind]
    with pytest.raises(Unreadable):
        running(read_in([raw[: data.draw(st.integers(0, len(raw) - 1))]]), uvloop=False)


@settings(max_examples=150, deadline=None)
@given(noise=st.binary(max_size=300), after=st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n", OK[:-1], OK]))
def test_whatever_comes_it_is_a_reply_or_unreadable(noise, after):
    with contextlib.suppress(Unreadable):
        assert isinstance(running(read_in([after, noise]), uvloop=False), Reply)


def test_headers_that_follow_are_not_those_of_the_answer():
    trailers = CHUNKED + b"1\r\na\r\n0\r\nRetry-After: 3600\r\n\r\n"
    second = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nRetry-After: 3600\r\n\r\n"
    for raw in (trailers, second):
        reply = running(read_in([raw]), uvloop=False)
        assert b"Retry-After" not in dict(reply.headers)


@pytest.mark.parametrize("coding", [b"identity", b"gzip"])
def test_a_body_whose_coding_tells_no_end_ends_with_the_connection(coding):
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: " + coding + b"\r\n\r\nhello"
    assert running(read_in([raw]), uvloop=False).body == b"hello"


def test_trailers_without_end_break_the_answer_off():
    endless = CHUNKED + b"1\r\na\r\n0\r\n"
    with pytest.raises(Unreadable, match="broke off"):
        running(read_in([endless, *[b"X: " + b"y" * 60_000 + b"\r\n"] * 40]), uvloop=False)


def test_closing_the_wire_while_it_connects_sends_nothing():
    async def call() -> tuple[Answer | Broken, list[bytes]]:
        seen: list[bytes] = []

        async def connected(reader, writer):
            seen.append(await reader.read(100))
            writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        wire = Wire()
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        calling = asyncio.ensure_future(wire.call(httpx.Request("POST", url, content=b"x")))
        await asyncio.sleep(0)
        await wire.aclose()
        told = await calling
        for _ in range(20):
            await asyncio.sleep(0.005)
        server.close()
        return told, seen

    told, seen = running(call(), uvloop=False)
    assert isinstance(told, Broken)
    assert not told.on_wire
    assert b"".join(seen) == b""


def test_closing_a_look_up_is_no_cancellation_of_who_waits(monkeypatch):
    async def look_up() -> None:
        lookup = Lookup(asyncio.get_running_loop())
        asking = asyncio.ensure_future(lookup.addresses("sms.example.com", 443))
        await asyncio.sleep(0)
        lookup.close()
        with pytest.raises(NoConnection):
            await asking

    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_named: [])
    running(look_up(), uvloop=False)
