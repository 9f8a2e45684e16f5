"""One webhook against real sockets: whatever an endpoint does, it comes back as data and within bounds."""

import asyncio
import base64
import json
import socket
import ssl
import struct
import time
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook

from certificates import make_certificate
from sendline_worker.webhooks.addresses import Allowed
from sendline_worker.webhooks.sending import BODY_LIMIT, Failed, Refused, Sender, Taken
from servers import free_port
from worker.webhooks.endpoint import answering, never_answer, serving, then_closing

pytestmark = pytest.mark.anyio

HERE = Allowed.of(["127.0.0.1/32"])
NEW, OLD = ("whsec_" + base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))
BODY = json.dumps({"type": "message.delivered"}).encode()


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def send(endpoint, *, secrets=(), url=None, **arguments):
    async with Sender(HERE, [SecretStr(each) for each in secrets], **arguments) as sender:
        return await sender.send(url or endpoint.url, "evt_7_42", BODY)


def assert_discreet(told, endpoint):
    for kept in ("hidden", "/hook", str(endpoint.port), "127.0.0.1", "delivered"):
        assert kept not in repr(told)
    assert len(told.reason) < 100


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "202 Accepted", "204 No Content", "299 Odd"])
async def test_an_endpoint_that_answers_2xx_has_taken_it(status):
    async with serving(answering(status)) as endpoint:
        assert await send(endpoint) == Taken()


async def test_the_public_library_verifies_what_arrives_by_either_secret():
    async with serving(answering()) as endpoint:
        assert await send(endpoint, secrets=(NEW, OLD)) == Taken()
    (request,) = endpoint.requests
    assert request.line == "POST /hook?key=hidden HTTP/1.1"
    for secret in (NEW, OLD):
        assert Webhook(secret).verify(request.body, request.headers) == json.loads(BODY)
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"].startswith("Sendline/")
    assert request.headers["accept-encoding"] == "identity"


async def test_a_later_try_has_the_same_id_and_a_time_of_its_own():
    times = iter([datetime(2031, 1, 1, tzinfo=UTC), datetime(2031, 1, 2, tzinfo=UTC)])
    async with serving(answering("500 No")) as endpoint, Sender(HERE, now=lambda: next(times)) as sender:
        for _ in range(2):
            await sender.send(endpoint.url, "evt_7_42", BODY)
    first, second = (request.headers for request in endpoint.requests)
    assert first["webhook-id"] == second["webhook-id"] == "evt_7_42"
    assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 86_400
    assert "webhook-signature" not in first


async def test_a_connection_is_used_again():
    async with serving(answering(body=b"x" * BODY_LIMIT)) as endpoint, Sender(HERE) as sender:
        for _ in range(3):
            assert await sender.send(endpoint.url, "evt_1", BODY) == Taken()
    assert (endpoint.connections, len(endpoint.requests)) == (1, 3)


async def test_410_refuses_for_good():
    async with serving(answering("410 Gone")) as endpoint:
        assert await send(endpoint) == Refused("answered 410: it is gone for good")


@pytest.mark.parametrize("status", [400, 401, 404, 408, 429, 500, 503, 599])
async def test_any_other_status_fails(status):
    async with serving(answering(f"{status} No", body=b"a long explanation, hidden")) as endpoint:
        assert await send(endpoint) == Failed(f"answered {status}")


@pytest.mark.parametrize(
    ("status", "said", "seconds"),
    [
        ("429 Slow", "120", 120),
        ("503 Later", "7", 7),
        ("429 Slow", "Wed, 01 Jan 2031 00:02:00 GMT", 120),
        ("429 Slow", "999999999", 3600),
        ("429 Slow", "-5", None),
        ("429 Slow", "nan", None),
        ("429 Slow", "soon", None),
    ],
)
async def test_the_time_that_an_endpoint_asks_for_is_told(status, said, seconds):
    behave = answering(status, f"Retry-After: {said}", "Date: Wed, 01 Jan 2031 00:00:00 GMT")
    async with serving(behave) as endpoint:
        assert await send(endpoint) == Failed(f"answered {status[:3]}", seconds)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(status):
    async with serving(answering()) as secret:
        async with serving(answering(f"{status} Away", f"Location: {secret.url}")) as endpoint:
            assert await send(endpoint) == Failed(f"answered {status}: redirects are not followed")
            assert len(endpoint.requests) == 1
        assert secret.connections == 0


async def test_cookies_are_not_kept():
    async with serving(answering("200 OK", "Set-Cookie: a=b; Path=/")) as endpoint, Sender(HERE) as sender:
        for _ in range(2):
            await sender.send(endpoint.url, "evt_1", BODY)
    assert len(endpoint.requests) == 2
    assert all("cookie" not in request.headers for request in endpoint.requests)


async def test_proxy_variables_and_netrc_are_ignored(monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password hidden\n")
    (tmp_path / "netrc").chmod(0o600)
    async with serving(answering("500 Proxied")) as proxy, serving(answering()) as endpoint:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
            monkeypatch.setenv(name.lower(), proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        assert await send(endpoint) == Taken()
    assert proxy.connections == 0
    assert "authorization" not in endpoint.requests[0].headers


async def reset(endpoint, reader, writer):
    await endpoint.read(reader)
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


async def trickle_head(endpoint, reader, writer):
    await endpoint.read(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nX: ")
    await trickle(writer)


async def trickle(writer, beginning=b""):
    writer.write(beginning)
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.01)  # the pace of the trickle; nothing waits for it


async def interim_for_ever(endpoint, reader, writer):
    await endpoint.read(reader)
    while True:
        writer.write(b"HTTP/1.1 102 Processing\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


BROKEN = {
    "closes without an answer": (then_closing(), "the connection was closed without an answer"),
    "resets": (reset, "connection failed: Connection reset by peer"),
    "never answers": (never_answer, "no answer within 0.3 s"),
    "trickles its head": (trickle_head, "no answer within 0.3 s"),
    "is always about to answer": (interim_for_ever, "no answer within 0.3 s"),
    "says nonsense": (then_closing(b"\x00\xff nonsense\r\n\r\n"), "the answer is not HTTP"),
    "has an endless header": (
        then_closing(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000),
        "the answer is not HTTP",
    ),
    "has headers without end": (
        then_closing(b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(5000))),
        "the answer is not HTTP",
    ),
}


@pytest.mark.parametrize("behaviour", BROKEN)
async def test_an_endpoint_without_an_answer_fails_within_the_bound_and_is_asked_once(behaviour):
    behave, reason = BROKEN[behaviour]
    began = time.monotonic()
    async with serving(behave) as endpoint:
        told = await send(endpoint, secrets=(NEW,), total=0.3)
        assert told == Failed(reason)
        assert_discreet(told, endpoint)
        assert len(endpoint.requests) == 1
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(("status", "expected"), [("200 OK", Taken()), ("500 No", Failed("answered 500"))])
async def test_a_body_that_trickles_for_ever_is_cut_off_at_the_bound(status, expected):
    async def behave(endpoint, reader, writer):
        await endpoint.read(reader)
        await trickle(writer, f"HTTP/1.1 {status}\r\nContent-Length: 100000\r\n\r\n".encode())

    async with serving(behave) as endpoint:
        assert await send(endpoint, total=0.3) == expected
        await asyncio.wait_for(endpoint.hung_up.wait(), 10)


async def test_a_body_that_breaks_off_changes_nothing():
    async with serving(then_closing(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{")) as endpoint:
        assert await send(endpoint) == Taken()


async def test_of_a_huge_body_little_is_read_and_the_connection_is_dropped():
    written = 0

    async def behave(endpoint, reader, writer):
        nonlocal written
        await endpoint.read(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            await writer.drain()
            written += 65536

    async with serving(behave) as endpoint, Sender(HERE) as sender:
        assert await sender.send(endpoint.url, "evt_1", BODY) == Taken()
        await asyncio.wait_for(endpoint.hung_up.wait(), 10)
    assert written < 64 * 1024 * 1024


async def test_a_port_where_nobody_listens_fails():
    async with Sender(HERE) as sender:
        told = await sender.send(f"http://127.0.0.1:{free_port()}/", "evt_1", BODY)
    assert told == Failed("connection failed: Connection refused")


async def test_a_server_that_accepts_no_connection_fails_within_its_bound():
    with socket.create_server(("127.0.0.1", 0)) as listening:  # it listens, and never shakes hands for TLS
        async with Sender(HERE, connect=0.2) as sender:
            told = await sender.send(f"https://127.0.0.1:{listening.getsockname()[1]}/", "evt_1", BODY)
    assert told == Failed("no connection within 0.2 s")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.2:1/x", "ftp://127.0.0.1/", "http://u:hidden@127.0.0.1/", "http://0/"]
)
async def test_a_forbidden_address_is_not_called(url):
    async with serving(answering()) as endpoint:
        told = await send(endpoint, url=url)
        assert isinstance(told, Failed)
        assert told.reason.startswith("not called: ")
        assert_discreet(told, endpoint)


async def test_a_certificate_is_verified(tmp_path):
    path = make_certificate(tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    async with serving(answering(), tls=server) as endpoint:
        assert await send(endpoint) == Failed("the TLS certificate does not verify")
        assert endpoint.requests == []
        assert await send(endpoint, ssl_context=ssl.create_default_context(cafile=path)) == Taken()


async def test_a_call_that_is_cancelled_hangs_up():
    async with serving(never_answer) as endpoint, Sender(HERE) as sender:
        call = asyncio.create_task(sender.send(endpoint.url, "evt_1", BODY))
        await asyncio.wait_for(endpoint.asked.wait(), 10)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.wait_for(endpoint.hung_up.wait(), 10)


async def test_a_sender_that_is_closed_ends_its_calls():
    async with serving(never_answer) as endpoint:
        async with Sender(HERE) as sender:
            call = asyncio.create_task(sender.send(endpoint.url, "evt_1", BODY))
            await asyncio.wait_for(endpoint.asked.wait(), 10)
        assert isinstance(await asyncio.wait_for(call, 10), Failed)


async def test_a_slow_endpoint_holds_up_no_other():
    async with serving(never_answer) as slow, serving(answering()) as quick, Sender(HERE) as sender:
        hanging = [asyncio.create_task(sender.send(slow.url, "evt_1", BODY)) for _ in range(20)]
        await asyncio.wait_for(slow.asked.wait(), 10)
        assert await asyncio.wait_for(sender.send(quick.url, "evt_2", BODY), 5) == Taken()
        for each in hanging:
            each.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)


async def test_a_server_that_spoke_unasked_is_not_believed():
    spoken = asyncio.Event()

    async def behave(endpoint, reader, writer):
        await endpoint.read(reader)
        writer.write(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
        await spoken.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await reader.read()

    async with serving(behave) as endpoint, Sender(HERE) as sender:
        assert await sender.send(endpoint.url, "evt_1", BODY) == Failed("answered 500")
        connector = sender._session.connector
        assert connector is not None
        [[[protocol, _]]] = connector._conns.values()
        spoken.set()
        async with asyncio.timeout(1):  # an unused connection is kept for longer
            while not protocol.should_close:  # noqa: ASYNC110 - aiohttp tells nobody
                await asyncio.sleep(0)
        assert await sender.send(endpoint.url, "evt_2", BODY) == Failed("answered 500")
    assert (endpoint.connections, len(endpoint.requests)) == (2, 2)
