"""The shorter way that a receipt takes where it comes whole: what is answered is the same either way."""

import json
import re

import pytest

from worker.receiver.house import data, head, housed


@pytest.fixture
def house(tmp_path):
    with housed(tmp_path) as house:
        house.sent("abc")
        yield house


def answer_on(connection):
    """Read an answer, without its date."""
    received = b""
    while not received.endswith(b"}"):
        part = connection.recv(65536)
        assert part
        received += part
    return re.sub(rb"date: [^\r]+\r\n", b"date: now\r\n", received)


def test_a_receipt_whose_body_comes_behind_its_head_is_answered_as_a_whole_one_is(house):
    body = json.dumps(data("abc", "delivered")).encode()
    length = f"Content-Length: {len(body)}"
    with house.connected() as connection:
        connection.sendall(head(house.account_url(), length) + body)
        whole = answer_on(connection)
        connection.sendall(head(house.account_url(), length, "Expect: 100-continue"))
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"  # it waits for the body now
        connection.sendall(body)
        in_parts = answer_on(connection)
    assert whole == in_parts
    assert whole.startswith(b"HTTP/1.1 200 OK\r\ndate: now\r\ncontent-type: application/json\r\n")
    assert house.app.state.counts == {"applied": 1, "unchanged": 1}


@pytest.mark.parametrize("line", ["Connection: close", "Connection: keep-alive, close"])
def test_whoever_asks_for_the_end_of_the_connection_gets_it(house, line):
    body = json.dumps(data("abc", "delivered")).encode()
    answer = house.raw(head(house.account_url(), line, f"Content-Length: {len(body)}") + body)
    assert answer.endswith(b'\r\n\r\n{"status":"ok"}')
    assert b"\r\nconnection: close\r\n" in answer


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(data("abc", "delivered")).encode("utf-16"),
        json.dumps(data("abc", "delivered") | {"of": "\ud800"}).encode(),
        json.dumps(data("abc", "delivered") | {"of": float("nan")}).encode(),
    ],
    ids=["UTF-16", "a lone surrogate", "not a number"],
)
def test_whatever_python_reads_as_json_is_read(house, body):
    assert house.post(house.account_url(), body).status_code == 200
    assert house.app.state.counts == {"applied": 1}


def test_an_offer_to_speak_another_protocol_is_passed_over(house):
    body = json.dumps(data("abc", "delivered")).encode()
    offer = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")
    with house.connected() as connection:
        connection.sendall(head(house.account_url(), *offer, f"Content-Length: {len(body)}") + body)
        assert answer_on(connection).startswith(b"HTTP/1.1 200 OK\r\n")
    assert house.app.state.counts == {"applied": 1}


def test_trailers_are_no_headers(house):
    body = json.dumps(data("abc", "delivered")).encode()
    chunked = b"%x\r\n%b\r\n0\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n" % (len(body), body)
    with house.connected() as connection:
        connection.sendall(head(house.account_url(), "Transfer-Encoding: chunked") + chunked)
        assert answer_on(connection).startswith(b"HTTP/1.1 200 OK\r\n")
    assert house.app.state.counts == {"applied": 1}


def test_requests_that_are_sent_at_once_are_answered_in_their_order(house):
    house.sent("def")
    bodies = [json.dumps(data(each, "delivered")).encode() for each in ("abc", "def", "abc")]
    url = house.account_url()
    requests = [head(url, f"Content-Length: {len(each)}") + each for each in bodies]
    with house.connected() as connection:
        connection.sendall(requests[0] + requests[1] + head(f"{url}x", "Content-Length: 0") + requests[2])
        received = b""
        while received.count(b"HTTP/1.1 ") < 4 or not received.endswith(b"}"):
            part = connection.recv(65536)
            if not part:
                break
            received += part
    assert [int(each) for each in re.findall(rb"HTTP/1.1 (\d+)", received)][:3] == [200, 200, 404]
    assert house.app.state.counts["applied"] == 2


def test_a_fault_of_ours_fails_its_own_request_and_none_that_came_with_it(house, monkeypatch):
    house.sent("def", account="other")
    find = house.app.receipts.find

    def faulty(name, token, method):
        if name == "main":
            raise ZeroDivisionError
        return find(name, token, method)

    monkeypatch.setattr(house.app.receipts, "find", faulty)
    body = json.dumps(data("def", "delivered")).encode()
    length = f"Content-Length: {len(body)}"
    with house.connected() as one, house.connected() as other:
        one.sendall(head(house.account_url(), length) + body)
        other.sendall(head(house.account_url("other"), length) + body)
        assert one.recv(65536).startswith(b"HTTP/1.1 500 ")
        assert answer_on(other).startswith(b"HTTP/1.1 200 ")
    assert house.app.state.counts == {"applied": 1}
