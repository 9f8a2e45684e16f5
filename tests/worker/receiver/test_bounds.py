"""What a client may cost: size and time have bounds, and whoever breaks them changes nothing."""

import contextlib
import json
import socket
import time

import pytest

from sendline_worker.receiver.exchange import BODY_MOST
from worker.receiver.house import data, head, housed, read_all

PATIENCE = 1.0


@pytest.fixture
def house(tmp_path):
    with housed(tmp_path, request_seconds=PATIENCE) as house:
        house.sent("abc")
        yield house


def padded(size):
    """A receipt of exactly so many bytes."""
    body = json.dumps(data("abc", "delivered")).encode()
    return body + b" " * (size - len(body))


def chunks(body, size):
    return b"".join(
        b"%x\r\n%s\r\n" % (len(body[at : at + size]), body[at : at + size])
        for at in range(0, len(body), size)
    )


def cut_off(connection, part):
    """Send `part` again and again; return whether the other side closes the connection before 100 MB."""
    try:
        for _ in range(100_000_000 // len(part)):
            connection.sendall(part)
    except (ConnectionResetError, BrokenPipeError):
        return True
    return False


def status_of(answer):
    return int(answer.split(b" ", 2)[1])


def test_the_largest_body_is_taken(house):
    assert house.post(house.account_url(), padded(BODY_MOST)).status_code == 200
    assert house.app.state.counts == {"applied": 1}


@pytest.mark.parametrize("size", [BODY_MOST + 1, 1_000_000])
def test_a_larger_body_is_refused_and_its_sender_can_read_that(house, size):
    with house.unmoved():
        answer = house.post(house.account_url(), padded(size))
    assert (answer.status_code, answer.json()) == (413, {"error": "too large"})
    assert house.app.state.counts == {"too_large": 1}


@pytest.mark.parametrize("size", [BODY_MOST + 1, 1_000_000])
def test_a_larger_body_without_a_length_is_refused_too(house, size):
    body = padded(size)
    with house.unmoved():
        answer = house.client.post(house.account_url(), content=iter([body[:1000], body[1000:]]))
    assert answer.status_code == 413


def test_a_body_in_the_smallest_chunks_is_taken(house):
    request = head(house.account_url(), "Transfer-Encoding: chunked", "Connection: close")
    answer = house.raw(request + chunks(padded(20_000), 1) + b"0\r\n\r\n")
    assert status_of(answer) == 200
    assert house.app.state.counts == {"applied": 1}


def test_an_announced_length_is_enough_to_be_refused(house):
    with house.unmoved(), house.connected() as connection:
        connection.sendall(head(house.account_url(), "Content-Length: 99999999999"))
        assert status_of(connection.recv(65536)) == 413


def test_a_body_without_end_is_cut_off(house):
    part = chunks(b"x" * 65536, 65536)
    with house.unmoved(), house.connected() as connection:
        connection.sendall(head(house.account_url(), "Transfer-Encoding: chunked"))
        assert cut_off(connection, part)
    assert house.app.state.counts == {"too_large": 1}


def test_a_trailer_without_end_is_cut_off(house):
    with house.unmoved(), house.connected() as connection:
        connection.sendall(head(house.account_url(), "Transfer-Encoding: chunked") + b"0\r\nx: ")
        assert cut_off(connection, b"x" * 65536)


def test_a_slow_body_is_given_up(house):
    begun = time.monotonic()
    with house.unmoved(), house.connected() as connection:
        connection.sendall(head(house.account_url(), "Content-Length: 1000") + b'{"data"')
        answer = read_all(connection)
    assert status_of(answer) == 408
    assert b"connection: close" in answer
    assert PATIENCE * 0.9 < time.monotonic() - begun < PATIENCE + 3
    assert house.app.state.counts == {"too_slow": 1}


def test_a_body_that_trickles_is_given_up(house):
    with house.unmoved(), house.connected() as connection:
        connection.sendall(head(house.account_url(), "Transfer-Encoding: chunked"))
        connection.settimeout(0.1)
        begun, answer = time.monotonic(), b""
        while not answer and time.monotonic() < begun + 10:
            connection.sendall(b"1\r\n \r\n")
            with contextlib.suppress(TimeoutError):
                answer = connection.recv(65536)
    assert status_of(answer) == 408


def test_a_stranger_is_answered_before_his_body_comes(house):
    with house.unmoved(), house.connected() as connection:
        connection.sendall(head(house.account_url() + "x", "Content-Length: 1000") + b"{")
        assert status_of(connection.recv(65536)) == 404
        assert connection.recv(65536) in {b"", b'{"error":"not found"}'}


def test_a_sender_that_goes_away_leaves_nothing_behind(house):
    with house.unmoved():
        with house.connected() as connection:
            connection.sendall(head(house.account_url(), "Content-Length: 1000") + b'{"data"')
            connection.shutdown(socket.SHUT_WR)
            read_all(connection)
        deadline = time.monotonic() + 5
        while not house.app.state.counts:
            assert time.monotonic() < deadline
    assert house.app.state.counts in ({"broken_off": 1}, {"too_slow": 1})


@pytest.mark.parametrize("begun", [b"", b"POST /rec", b"POST / HTTP/1.1\r\nx: y\r\n", b"\r\n\r\n"])
def test_a_head_that_does_not_come_in_time_ends_the_connection(house, begun):
    assert house.raw(begun) == b""


def test_a_head_that_follows_a_request_has_to_come_in_time_as_well(house):
    whole = b"GET /health HTTP/1.1\r\nHost: test\r\n\r\n"
    with house.connected() as connection:
        connection.sendall(whole)
        assert status_of(connection.recv(65536)) == 200
        connection.sendall(b"GET /hea")
        assert read_all(connection) == b""


def test_an_idle_connection_is_kept_for_longer_than_a_head_may_take(house):
    whole = b"GET /health HTTP/1.1\r\nHost: test\r\n\r\n"
    with house.connected() as connection:
        connection.sendall(whole)
        assert status_of(connection.recv(65536)) == 200
        connection.settimeout(1.0)
        with pytest.raises(TimeoutError):
            connection.recv(65536)
        connection.sendall(whole)
        assert status_of(connection.recv(65536)) == 200


@pytest.mark.parametrize("line", [f"x: {'y' * 40_000}", "\r\n".join(f"x{n}: y" for n in range(200))])
def test_too_much_of_a_head_ends_the_connection(house, line):
    with house.unmoved():
        answer = house.raw(head(house.account_url(), line, "Content-Length: 5000000"))
    assert answer == b"" or status_of(answer) in {400, 413}
    assert house.app.state.counts in ({}, {"too_large": 1})


def test_a_head_without_end_is_cut_off(house):
    with house.connected() as connection:
        connection.sendall(b"POST /health HTTP/1.1\r\nx: ")
        assert cut_off(connection, b"x" * 65536)


def test_requests_one_after_the_other_on_one_connection_are_all_answered(house):
    body = json.dumps(data("abc", "delivered")).encode()
    request = head(house.account_url(), f"Content-Length: {len(body)}") + body
    last = head(house.account_url(), f"Content-Length: {len(body)}", "Connection: close") + body
    assert house.raw(request * 20 + last).count(b"HTTP/1.1 200 OK") == 21
    assert house.app.state.counts == {"applied": 1, "unchanged": 20}


def test_the_server_does_not_tell_what_it_is(house):
    answer = house.client.get(f"{house.url}/health")
    assert "server" not in answer.headers
