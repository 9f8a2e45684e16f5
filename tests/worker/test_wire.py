"""The transport against real sockets: the flag is right whatever a server does, and nothing goes twice."""

import asyncio
import contextlib
import gzip
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from certificates import make_certificate
from proxy import Proxy
from sendline_worker import elapsed
from sendline_worker.providers.base import Answer
from sendline_worker.wire import ANSWER_LIMIT, Broken, Wire

pytestmark = pytest.mark.anyio

SECRET = "sk-live-0123456789"
NUMBER = "13115552367"


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request):
    return "asyncio", {"use_uvloop": request.param}


@dataclass
class Server:
    """A server on a free port of this machine, and what it saw."""

    port: int = 0
    scheme: str = "http"
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    """The client closed a connection."""

    def request(self, method: str = "POST") -> httpx.Request:
        return httpx.Request(
            method,
            f"{self.scheme}://127.0.0.1:{self.port}/sms?key={SECRET}",
            headers={"Authorization": f"Bearer {SECRET}"},
            json={"to": NUMBER} if method == "POST" else None,
        )

    async def read(self, reader: asyncio.StreamReader) -> bytes:
        """Read one request, whole, and keep it."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (
                int(line.split(b":")[1])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length:")
            ),
            0,
        )
        request = head + await reader.readexactly(length)
        self.requests.append(request)
        return request


Behaviour = Callable[[Server, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(behave: Behaviour, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    server = Server(scheme="https" if tls else "http")
    tasks = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        tasks.add(asyncio.current_task())
        try:
            await behave(server, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            server.hung_up.set()
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            writer.close()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def wiring(**arguments) -> AsyncIterator[Wire]:
    wire = Wire(**arguments)
    try:
        yield wire
    finally:
        await wire.aclose()


def answering(*answers: bytes) -> Behaviour:
    """Answer each request of a connection with the next of `answers`, then wait until it is closed."""

    async def behave(server, reader, writer):
        for answer in answers:
            await server.read(reader)
            writer.write(answer)
            await writer.drain()
        await reader.read()
        server.hung_up.set()

    return behave


def then_closing(*parts: bytes) -> Behaviour:
    async def behave(server, reader, writer):
        await server.read(reader)
        writer.writelines(parts)
        await writer.drain()

    return behave


async def close_before_reading(server, reader, writer):
    writer.close()


async def reset(server, reader, writer):
    await server.read(reader)
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def dribble_headers(server, reader, writer):
    await server.read(reader)
    writer.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(1_000_000):
        writer.write(b"X-%d: slow\r\n" % number)
        await writer.drain()
        await asyncio.sleep(0.02)


async def dribble_body(server, reader, writer):
    await server.read(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

BEGUN = {
    "closes before reading": (close_before_reading, "connection"),
    "reads, then closes": (then_closing(), "closed the connection"),
    "reads, then resets": (reset, "connection failed"),
    "never answers": (answering(b""), "no complete answer within 0.5 s"),
    "sends garbage": (then_closing(b"\x00\xff\xfe nonsense\r\n\r\n"), "not HTTP"),
    "speaks another protocol": (then_closing(b"220 mail.example.com ESMTP\r\n"), "not HTTP"),
    "sends an endless header": (then_closing(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000), "not HTTP"),
    "sends a header with no colon": (then_closing(b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n"), "not HTTP"),
    "sends half a header": (then_closing(b"HTTP/1.1 200 OK\r\nContent-Le"), "closed the connection"),
    "sends half a body": (then_closing(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"), "broke off"),
    "sends half a chunk": (
        then_closing(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{"),
        "broke off",
    ),
    "dribbles headers": (dribble_headers, "no complete answer within 0.5 s"),
    "dribbles its body": (dribble_body, "no complete answer within 0.5 s"),
}


def bound_of(reason: str) -> float:
    """The seconds of a whole call: short where they pass, long where a busy machine may need them."""
    return 0.5 if "within" in reason else 20.0


@pytest.mark.parametrize("behaviour", BEGUN)
async def test_a_request_that_was_begun_is_broken_on_the_wire_and_sent_once(behaviour):
    behave, reason = BEGUN[behaviour]
    async with serving(behave) as server, wiring(total=bound_of(reason)) as wire:
        request = server.request()
        broken = await wire.call(request)
        assert isinstance(broken, Broken)
        assert broken.on_wire
        assert request.extensions["on_wire"]
        assert reason in broken.reason
        assert_discreet(broken.reason, server)
        assert server.connections == 1
        assert len(server.requests) == (0 if behave is close_before_reading else 1)


@pytest.mark.parametrize("behaviour", BEGUN)
async def test_an_idempotent_request_is_not_sent_again_either(behaviour):
    behave, reason = BEGUN[behaviour]
    async with serving(behave) as server, wiring(total=bound_of(reason)) as wire:
        broken = await wire.call(server.request("GET"))
        assert isinstance(broken, Broken)
        assert broken.on_wire
        assert len(server.requests) == (0 if behave is close_before_reading else 1)


def assert_discreet(reason: str, server: Server) -> None:
    for private in (SECRET, NUMBER, str(server.port), "\n"):
        assert private not in reason
    assert len(reason) <= 80


HTML = b"<!doctype html><title>502</title>"
BOMB = gzip.compress(b"x" * 50_000_000)

ANSWERS = {
    "HTML": (b"HTTP/1.1 200 OK\r\nContent-Length: 33\r\n\r\n" + HTML, 200, HTML, False),
    "nothing": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", False),
    "an empty body": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, b"", False),
    "a body up to the end": (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil", 200, b"until", False),
    "a whole bound": (
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % ANSWER_LIMIT + b"x" * ANSWER_LIMIT,
        200,
        b"x" * ANSWER_LIMIT,
        False,
    ),
    "10 MB": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n" + b"x" * 10_000_000,
        200,
        b"x" * ANSWER_LIMIT,
        True,
    ),
    "invalid UTF-8": (
        b"HTTP/1.1 500 \xff\xfe\r\nX-Why: \xff\xfe\xc3\r\nContent-Length: 2\r\n\r\n\xff\xfe",
        500,
        b"\xff\xfe",
        False,
    ),
    "an interim answer first": (b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + OK, 200, b"{}", False),
    "a compressed body": (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB,
        200,
        BOMB,
        False,
    ),
    "a redirect": (
        b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
        307,
        b"",
        False,
    ),
}


@pytest.mark.parametrize("kind", ANSWERS)
async def test_an_answer_is_data_whatever_is_in_it(kind):
    raw, status, body, truncated = ANSWERS[kind]
    behave = then_closing(raw) if b"Connection: close" in raw else answering(raw, OK)
    async with serving(behave) as server, wiring() as wire:
        request = server.request()
        answer = await wire.call(request)
        assert isinstance(answer, Answer)
        assert (answer.status, answer.truncated) == (status, truncated)
        assert answer.body == body[:ANSWER_LIMIT]
        assert request.extensions["on_wire"]
        assert (server.connections, len(server.requests)) == (1, 1)


async def test_header_names_are_lower_case_and_invalid_bytes_stay_readable():
    raw = b"HTTP/1.1 200 OK\r\nRETRY-After: 7\r\nX-Why: \xff\r\nX-Twice: a\r\nX-Twice: b\r\n\r\n"
    async with serving(then_closing(raw)) as server, wiring() as wire:
        answer = await wire.call(server.request())
        assert isinstance(answer, Answer)
        assert dict(answer.headers) == {"retry-after": "7", "x-why": "\xff", "x-twice": "a"}


async def test_the_server_sees_what_was_composed_and_little_more():
    async with serving(answering(OK)) as server, wiring() as wire:
        request = server.request()
        await wire.call(request)
        [seen] = server.requests
        head, _, body = seen.partition(b"\r\n\r\n")
        assert body == request.content
        line, *headers = head.split(b"\r\n")
        assert line == f"POST /sms?key={SECRET} HTTP/1.1".encode()
        assert sorted(header.split(b":")[0].lower() for header in headers) == [
            b"accept-encoding",
            b"authorization",
            b"content-length",
            b"content-type",
            b"host",
        ]


# Before the first byte


def free_port() -> int:
    with socket.socket() as unbound:
        unbound.bind(("127.0.0.1", 0))
        return int(unbound.getsockname()[1])


async def test_a_refused_connection_is_not_on_the_wire():
    async with wiring() as wire:
        request = Server(port=free_port()).request()
        assert await wire.call(request) == Broken(False, "connection failed: Connection refused")
        assert request.extensions["on_wire"] is False


async def test_a_name_that_does_not_resolve_is_not_on_the_wire(monkeypatch):
    def fail(*_args, **_kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    async with wiring() as wire:
        broken = await wire.call(httpx.Request("POST", "http://sms.example.com/", json={}))
        assert broken == Broken(False, "the host name can't be resolved")


async def test_plain_text_on_a_tls_port_is_not_on_the_wire():
    async def plain(server, reader, writer):
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()

    async with serving(plain) as server, wiring() as wire:
        server.scheme = "https"
        broken = await wire.call(server.request())
        assert broken == Broken(False, "the TLS handshake failed")
        assert server.connections == 1


async def test_a_server_that_closes_within_the_handshake_is_not_on_the_wire():
    async with serving(close_before_reading) as server, wiring() as wire:
        server.scheme = "https"
        broken = await wire.call(server.request())
        assert isinstance(broken, Broken)
        assert not broken.on_wire
        assert_discreet(broken.reason, server)


async def test_a_server_that_hangs_within_the_handshake_is_not_on_the_wire():
    async def hang(server, reader, writer):
        while await reader.read(1000):
            pass
        server.hung_up.set()

    async with serving(hang) as server, wiring(connect=0.2) as wire:
        server.scheme = "https"
        broken = await wire.call(server.request())
        assert broken == Broken(False, "no connection within 0.2 s")
        await asyncio.wait_for(server.hung_up.wait(), 5)


async def test_a_handshake_that_the_server_rejects_is_not_on_the_wire():
    without_certificate = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    async with serving(answering(OK), tls=without_certificate) as server, wiring() as wire:
        broken = await wire.call(server.request())
        assert broken == Broken(False, "connection failed: cut off")
        assert server.requests == []


async def test_plain_text_to_a_tls_port_is_on_the_wire():
    without_certificate = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    async with serving(answering(OK), tls=without_certificate) as server, wiring() as wire:
        server.scheme = "http"
        broken = await wire.call(server.request())
        assert isinstance(broken, Broken)
        assert broken.on_wire


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    """A certificate for 127.0.0.1 with its key, in one file."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


async def test_a_certificate_that_does_not_verify_is_not_on_the_wire(certificate):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    async with serving(answering(OK), tls=tls) as server, wiring() as wire:
        assert await wire.call(server.request()) == Broken(False, "the TLS certificate does not verify")
        assert server.requests == []


async def test_tls_works(certificate):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=str(certificate))
    async with serving(answering(OK), tls=tls) as server, wiring(ssl_context=trusting) as wire:
        answer = await wire.call(server.request())
        assert isinstance(answer, Answer)
        assert len(server.requests) == 1


async def test_waiting_for_a_free_connection_is_not_on_the_wire():
    async with serving(answering(b"")) as server, wiring(connections=1, connect=0.2, total=5) as wire:
        first = asyncio.create_task(wire.call(server.request()))
        await until(lambda: server.requests)
        assert await wire.call(server.request()) == Broken(False, "no connection within 0.2 s")
        assert len(server.requests) == 1
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 - what it waits for has no event
            await asyncio.sleep(0.001)


async def test_a_request_that_may_not_begin_any_more_never_reaches_the_server():
    async with serving(answering(OK, OK)) as server, wiring() as wire:
        for late in (0.001, 3600):
            request = server.request()
            broken = await wire.call(request, begin_by=elapsed.now() - late)
            assert broken == Broken(False, "it could not be begun in time", too_late=True)
            assert request.extensions["on_wire"] is False
        assert isinstance(await wire.call(server.request(), begin_by=elapsed.now() + 5), Answer)
        assert len(server.requests) == 1


async def test_a_request_that_waited_too_long_for_a_connection_is_not_begun():
    async with serving(answering(b"")) as server, wiring(connections=1, total=2.0) as wire:
        first = asyncio.create_task(wire.call(server.request()))
        await until(lambda: server.requests)
        await asyncio.sleep(1.0)  # the second gets the connection well before its own end
        broken = await wire.call(server.request(), begin_by=elapsed.now() + 0.1)
        assert broken == Broken(False, "it could not be begun in time", too_late=True)
        assert len(server.requests) == 1
        assert isinstance(await first, Broken)


async def test_a_connection_that_is_there_too_late_is_kept_for_the_next_request(certificate):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=str(certificate))
    async with serving(answering(OK, OK), tls=tls) as server, wiring(ssl_context=trusting) as wire:
        with Proxy(("127.0.0.1", server.port)) as proxy:
            server.port = proxy.port
            proxy.delay(0.4)
            began = elapsed.now()
            request = server.request()
            broken = await wire.call(request, begin_by=began + 0.2)
            assert broken == Broken(False, "it could not be begun in time", too_late=True)
            assert request.extensions["on_wire"] is False
            assert elapsed.now() - began >= 0.4, "the handshake was not given up"
            assert server.requests == []
            proxy.delay(0)
            for _ in range(2):
                assert isinstance(await wire.call(server.request(), begin_by=elapsed.now() + 0.2), Answer)
            assert (proxy.accepted, len(server.requests)) == (1, 2)


@pytest.mark.parametrize("moment", ["before it began", "while it connected"])
async def test_a_process_that_stood_still_sends_nothing_afterwards_that_is_too_late(moment):
    async with serving(answering(OK, OK)) as server, wiring() as wire:
        request = server.request()
        call = asyncio.create_task(wire.call(request, begin_by=elapsed.now() + 0.1))
        if moment == "while it connected":
            await asyncio.sleep(0)
        time.sleep(0.2)  # noqa: ASYNC251 - nothing goes on
        assert await call == Broken(False, "it could not be begun in time", too_late=True)
        assert request.extensions["on_wire"] is False
        assert isinstance(await wire.call(server.request(), begin_by=elapsed.now() + 0.1), Answer)
        assert (server.connections, len(server.requests)) == (1, 1)


async def test_what_one_request_was_given_is_not_held_against_the_next():
    async with serving(answering(OK)) as server, wiring() as wire:
        assert isinstance(await wire.call(server.request(), begin_by=elapsed.now() - 1), Broken)
        async with httpx.AsyncClient(transport=wire) as client:
            answer = await client.post(f"http://127.0.0.1:{server.port}/")
        assert answer.status_code == 200


# Connections that are used again


async def test_a_connection_is_used_again():
    async with serving(answering(OK, OK, OK)) as server, wiring() as wire:
        for _ in range(3):
            assert isinstance(await wire.call(server.request()), Answer)
        assert (server.connections, len(server.requests)) == (1, 3)


async def test_a_connection_that_the_server_closed_is_not_used_again():
    closed = asyncio.Event()

    async def once(server, reader, writer):
        await server.read(reader)
        writer.write(OK)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        closed.set()

    async with serving(once) as server, wiring() as wire:
        for number in range(1, 4):
            closed.clear()
            assert isinstance(await wire.call(server.request()), Answer)
            await closed.wait()
            assert (server.connections, len(server.requests)) == (number, number)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
async def test_a_connection_closed_on_its_second_request_is_not_retried(method):
    async def drop_the_second(server, reader, writer):
        await server.read(reader)
        writer.write(OK)
        await server.read(reader)

    async with serving(drop_the_second) as server, wiring() as wire:
        assert isinstance(await wire.call(server.request(method)), Answer)
        broken = await wire.call(server.request(method))
        assert isinstance(broken, Broken)
        assert broken.on_wire
        assert len(server.requests) == 2


async def test_what_a_server_says_on_an_idle_connection_is_no_answer():
    asked, said = asyncio.Event(), asyncio.Event()

    async def impatient(server, reader, writer):
        await server.read(reader)
        writer.write(OK)
        await writer.drain()
        await asked.wait()
        writer.write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        said.set()
        await reader.read()

    async with serving(impatient) as server, wiring() as wire:
        assert isinstance(await wire.call(server.request()), Answer)
        asked.set()
        await said.wait()
        answer = await wire.call(server.request())
        assert isinstance(answer, Answer)
        assert answer.status == 200
        assert (server.connections, len(server.requests)) == (2, 2)


async def test_an_idle_connection_is_dropped():
    async with serving(answering(OK, OK)) as server, wiring(idle=0.1, longest=0.2) as wire:
        await wire.call(server.request())
        assert not server.hung_up.is_set()
        await asyncio.wait_for(server.hung_up.wait(), 5)
        assert isinstance(await wire.call(server.request()), Answer)
        assert server.connections == 2


async def test_a_truncated_answer_closes_its_connection():
    long = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"3e8\r\n" + b"x" * 1000 + b"\r\n"

    async def endless(server, reader, writer):
        await server.read(reader)
        writer.write(long)
        while True:
            writer.write(b"3e8\r\n" + b"x" * 1000 + b"\r\n")
            await writer.drain()

    async with serving(endless) as server, wiring() as wire:
        answer = await wire.call(server.request())
        assert isinstance(answer, Answer)
        assert answer.truncated
        await asyncio.wait_for(server.hung_up.wait(), 5)


# Cancelled, closed, configured from outside


async def test_a_cancelled_call_leaves_its_connection_closed_and_its_flag_readable():
    async with serving(answering(b"")) as server, wiring() as wire:
        request = server.request()
        call = asyncio.create_task(wire.call(request))
        await until(lambda: server.requests)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.wait_for(server.hung_up.wait(), 5)
        assert request.extensions["on_wire"] is True


async def test_a_call_cancelled_before_it_began_says_so():
    async def hang(server, reader, writer):
        await reader.read(1000)
        await reader.read()

    async with serving(hang) as server, wiring() as wire:
        server.scheme = "https"
        request = server.request()
        call = asyncio.create_task(wire.call(request))
        await until(lambda: server.connections)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert request.extensions["on_wire"] is False


async def test_closing_the_wire_ends_a_call_that_hangs():
    async with serving(answering(b"")) as server, wiring() as wire:
        call = asyncio.create_task(wire.call(server.request()))
        await until(lambda: server.requests)
        await wire.aclose()
        broken = await asyncio.wait_for(call, 5)
        assert isinstance(broken, Broken)
        assert broken.on_wire
        after = await wire.call(server.request())
        assert isinstance(after, Broken)
        assert not after.on_wire


async def test_proxy_variables_are_ignored(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    async with serving(answering(OK)) as server, wiring() as wire:
        assert isinstance(await wire.call(server.request()), Answer)


async def test_no_cookie_is_kept():
    cookie = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
    async with serving(answering(cookie, OK)) as server, wiring() as wire:
        for _ in range(2):
            await wire.call(httpx.Request("GET", f"http://localhost:{server.port}/"))
        assert b"cookie" not in server.requests[1].lower()


# As an httpx transport


async def test_httpx_can_use_it():
    raw = b"HTTP/1.1 201 Created\r\nX-A: b\r\nContent-Length: 8\r\n\r\n" + b'{"a": 1}'
    async with serving(answering(raw)) as server, httpx.AsyncClient(transport=Wire()) as client:
        answer = await client.post(f"http://127.0.0.1:{server.port}/", json={"b": 2})
        assert (answer.status_code, answer.json(), answer.headers["x-a"]) == (201, {"a": 1}, "b")
        assert server.requests[0].endswith(b'{"b":2}')


async def test_httpx_gets_its_own_errors_and_the_flag():
    async with serving(then_closing()) as server, httpx.AsyncClient(transport=Wire(total=0.3)) as client:
        with pytest.raises(httpx.RemoteProtocolError) as dropped:
            await client.post(f"http://127.0.0.1:{server.port}/")
        assert dropped.value.request.extensions["on_wire"] is True
        with pytest.raises(httpx.ConnectError) as refused:
            await client.post(f"http://127.0.0.1:{free_port()}/")
        assert refused.value.request.extensions["on_wire"] is False
    async with serving(answering(b"")) as server, httpx.AsyncClient(transport=Wire(total=0.3)) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.post(f"http://127.0.0.1:{server.port}/")
    async with serving(reset) as server, httpx.AsyncClient(transport=Wire(total=0.3)) as client:
        with pytest.raises(httpx.ReadError):
            await client.post(f"http://127.0.0.1:{server.port}/")
