"""What a client may cost: size and time have bounds, whoever breaks them is told so, and changes nothing."""

import contextlib
import json
import socket

import httpx
import pytest

from sendline.ledger import verbs
from sendline_worker.api import bounds
from sendline_worker.serving import BoundedProtocol

PATH = "/v1/messages"


@pytest.fixture
def head(api):
    """The head of a request with a good key: `head("Content-Length: 5")`."""
    _, token = api.key("send")

    def head(*lines, method="POST", path=PATH):
        given = [f"{method} {path} HTTP/1.1", "Host: test", f"Authorization: Bearer {token}", *lines, "", ""]
        return "\r\n".join(given).encode()

    return head


@pytest.fixture
def ask(api):
    """Send bytes and return status, headers and body of the answer, once the connection is closed."""

    def ask(*parts):
        with connected(api) as connection:
            for part in parts:
                with contextlib.suppress(ConnectionError):
                    connection.sendall(part)
            return read_answer(connection)

    return ask


@contextlib.contextmanager
def connected(api):
    host, port = api.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        yield connection


def read_answer(connection):
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            received += part
    top, _, body = received.partition(b"\r\n\r\n")
    first, *lines = top.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(first.split()[1]), headers, body


def told(answer, status, slug):
    """Hold that the answer is a problem, and that the connection ends with it."""
    found, headers, body = answer
    assert found == status
    assert headers["content-type"] == "application/problem+json"
    assert headers["connection"] == "close"
    if headers.get("transfer-encoding") == "chunked":
        body = body.split(b"\r\n")[1]
    assert json.loads(body)["type"] == f"urn:sendline:problem:{slug}"
    return json.loads(body)


def chunked(body, size):
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def accepted(api):
    return api.ledger.run(verbs.counts())["accepted"]


JSON = "Content-Type: application/json"


def test_the_largest_body_is_read_and_one_byte_more_is_refused(api, new):
    client = api.client("send")
    body = json.dumps(new).encode()
    for size, status in ((bounds.BODY_MOST, 202), (bounds.BODY_MOST + 1, 413)):
        padded = body + b" " * (size - len(body))
        answer = client.post(PATH, content=padded, headers={"Content-Type": "application/json"})
        assert answer.status_code == status
    assert answer.json()["detail"] == f"a body has at most {bounds.BODY_MOST} bytes here"
    assert accepted(api) == 1


def test_an_announced_length_is_enough_to_be_refused(api, head, ask):
    told(ask(head(JSON, "Content-Length: 99999999999")), 413, "body-too-large")


def test_a_body_without_a_length_is_counted_as_it_comes(api, head, ask):
    request = head(JSON, "Transfer-Encoding: chunked") + chunked(b" " * (4 * bounds.BODY_MOST), 60_000)
    told(ask(request), 413, "body-too-large")


def test_a_body_in_the_smallest_chunks_with_trailers_is_read(api, head, ask, new):
    body = chunked(json.dumps(new).encode(), 1)[:-2] + b"X-Trailer: 1\r\n\r\n"
    status, _, _ = ask(head(JSON, "Transfer-Encoding: chunked", "Connection: close") + body)
    assert status == 202
    assert accepted(api) == 1


def test_a_trailer_is_no_header(api, head, ask, new):
    body = chunked(json.dumps(new).encode(), 9)[:-2] + b"Idempotency-Key: a\r\nX-API-Key: b\r\n\r\n"
    status, headers, _ = ask(head(JSON, "Transfer-Encoding: chunked", "Connection: close") + body)
    assert status == 202
    assert "idempotency-replayed" not in headers


def test_a_body_that_does_not_come_is_not_waited_for(api, head, monkeypatch):
    monkeypatch.setattr(bounds, "BODY_SECONDS", 0.2)
    monkeypatch.setattr("sendline_worker.api.routing.ApiRoute.body_seconds", 0.2)
    with connected(api) as connection:
        connection.sendall(head(JSON, "Content-Length: 100") + b'{"to":')
        told(read_answer(connection), 408, "request-too-slow")
    assert accepted(api) == 0


def test_a_head_that_does_not_come_is_not_waited_for(api):
    with connected(api) as connection:
        connection.sendall(b"POST /v1/messages HTTP/1.1\r\nHost:")
        assert connection.recv(100) == b""


def test_too_many_headers_are_told(api, head, ask):
    many = [f"X-{number}: 1" for number in range(200)]
    told(ask(head(*many, "Content-Length: 0")), 431, "head-too-large")


def test_a_head_that_is_too_long_is_told(api, head, ask):
    told(ask(head("X-Long: " + "x" * 200_000)), 431, "head-too-large")


@pytest.mark.parametrize(
    "written",
    [
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST /v1/messages HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_what_is_not_http_is_told(api, ask, written):
    told(ask(written), 400, "malformed-request")


@pytest.mark.parametrize("hosts", [[], ["Host: a", "Host: b"]], ids=["none", "two"])
def test_a_request_says_once_for_which_host_it_is(api, ask, hosts):
    told(ask("\r\n".join(["GET /healthz HTTP/1.1", *hosts, "", ""]).encode()), 400, "malformed-request")
    assert ask(b"GET /healthz HTTP/1.0\r\n\r\n")[0] == 200


@pytest.mark.parametrize("body", [b"zz\r\n", b"5\nhello\n0\n\n", b"5\r\nhello0\r\n\r\n"])
@pytest.mark.parametrize("together", [True, False])
def test_a_body_in_wrong_chunks_is_told(api, head, ask, body, together):
    start = head(JSON, "Transfer-Encoding: chunked")
    told(ask(start + body) if together else ask(start, body), 400, "malformed-request")
    assert accepted(api) == 0


def test_an_encoding_that_nobody_knows_is_told(api, head, ask):
    told(ask(head(JSON, "Transfer-Encoding: xchunked") + b"{}"), 400, "malformed-request")


def test_what_follows_a_request_and_is_not_http_is_no_answer_to_it(api, head, ask, new):
    body = json.dumps(new).encode()
    with connected(api) as connection:
        connection.sendall(head(JSON, f"Content-Length: {len(body)}") + body + b"hello\r\n\r\n")
        received = connection.recv(65536)
    assert not received.startswith(b"HTTP/1.1 400 ")


GET = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"


def test_requests_that_wait_for_the_answer_before_theirs_are_bounded(api):
    def answers_to(number):
        with connected(api) as connection:
            connection.sendall(GET * number + GET.replace(b"a\r\n", b"a\r\nConnection: close\r\n"))
            received = b""
            with contextlib.suppress(ConnectionResetError):
                while part := connection.recv(65536):
                    received += part
            return received.count(b"HTTP/1.1 200 ")

    assert answers_to(32) == 33
    assert answers_to(1000) <= 33


def test_who_leaves_answers_unread_is_cut_off(api, monkeypatch, poll):
    monkeypatch.setattr(BoundedProtocol, "unread_seconds", 0.5)
    monkeypatch.setattr("sendline_worker.api.protocol.CONNECTIONS", 1)

    def status():
        answer = httpx.get(f"{api.url}/healthz", trust_env=False, headers={"Connection": "close"})
        return answer.status_code

    host, port = api.url.removeprefix("http://").split(":")
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect((host, int(port)))
        slow.sendall(GET.replace(b"healthz", b"openapi.json") * 16)
        assert status() == 503
        poll(lambda: status() == 200)


def offering(request):
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    return request.replace(b"\r\nHost", b"\r\n" + offer + b"Host", 1)


@pytest.mark.parametrize("cut", [b"Connection: U", b"Upgr", b"Upgrade: h", b"Host: te", b"\r\n\r\n"])
def test_an_offer_to_speak_another_protocol_is_passed_over_wherever_it_is_cut(api, head, new, cut):
    body = json.dumps(new).encode()
    plain = head(JSON, f"Content-Length: {len(body)}") + body
    request = plain + offering(plain) + offering(plain)
    at = request.index(b"Upgrade, HTTP2", len(plain)) - len(b"Connection: ")
    at = request.index(cut, at) + len(cut)
    with connected(api) as connection:
        connection.sendall(request[:at])
        received = connection.recv(65536)  # the answer to the first: what was sent until now has come
        connection.sendall(request[at:])
        while received.count(b"HTTP/1.1 202 ") < 3 and (part := connection.recv(65536)):
            received += part
    assert received.count(b"HTTP/1.1 202 ") == 3
    assert accepted(api) == 3


def test_a_tunnel_is_not_made(api, ask):
    told(ask(b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"), 400, "malformed-request")


def test_a_refused_request_whose_body_has_come_leaves_the_connection_open(api):
    with connected(api) as connection:
        for _ in range(3):
            connection.sendall(b"POST /v1/messages HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
            top = connection.recv(65536)
            assert top.startswith(b"HTTP/1.1 401 ")
            assert b"connection: close" not in top


def test_a_client_that_goes_away_harms_nobody(api, head, new):
    body = json.dumps(new).encode()
    for cut in (1, len(body) // 2, len(body)):
        with connected(api) as connection:
            connection.sendall(head(JSON, f"Content-Length: {len(body)}") + body[:cut])
    assert api.client("send").post(PATH, json=new).status_code == 202


def test_too_many_connections_are_told(api, ask, monkeypatch):
    monkeypatch.setattr("sendline_worker.api.protocol.CONNECTIONS", 2)
    request = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    with connected(api) as first, connected(api) as second:
        for idle in (first, second):
            idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            assert idle.recv(65536).startswith(b"HTTP/1.1 200 ")
        found = ask(request)
        told(found, 503, "busy")
        assert found[1]["retry-after"] == "1"


@pytest.mark.parametrize("path", ["/nothing", "/v1", "/v1/messages/", "/v1/messages/a/b/c", "//", "/docs/"])
def test_there_is_nothing_elsewhere(api, path):
    answer = api.client("admin").get(path)
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:sendline:problem:not-found")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"])
def test_a_method_that_is_not_supported_is_told_with_those_that_are(api, method):
    answer = api.client("admin").request(method, PATH)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, POST"
    if method != "HEAD":
        assert answer.json()["type"] == "urn:sendline:problem:method-not-allowed"
