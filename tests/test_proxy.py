"""The faults that tests make with the proxy are what they are called."""

import asyncio
import contextlib
import errno
import socket
import threading
import time

import httpx
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from proxy import Proxy
from sendline.ledger.connection import Ledger
from sendline.ledger.durability import ping
from sendline_worker.simulator.options import SimulatorOptions
from sendline_worker.simulator.server import running
from waiting import poll


@pytest.fixture
def proxy(redis_url):
    with Proxy(redis_url.removeprefix("unix://").partition("?")[0]) as made:
        yield made


@pytest.fixture
def client(proxy):
    with contextlib.closing(plain_client(proxy)) as made:
        made.ping()
        yield made


def plain_client(proxy, timeout=5.0):
    return redis.Redis(
        port=proxy.port, retry=Retry(NoBackoff(), 0), socket_timeout=timeout, single_connection_client=True
    )


def test_it_passes_everything_on(proxy, client):
    client.set("big", b"x" * 3_000_000)
    assert len(client.get("big")) == 3_000_000
    with contextlib.closing(Ledger(proxy.redis_url)) as ledger:
        ledger.run(ping())
    assert proxy.accepted == 2


def test_a_cut_resets_every_connection_and_new_ones_work(proxy, client):
    with socket.create_connection(("127.0.0.1", proxy.port)) as other:
        poll(lambda: proxy.open == 2)
        assert proxy.cut() == 2
        with pytest.raises(ConnectionResetError):
            other.recv(1)
    with pytest.raises(redis.ConnectionError):
        client.ping()
    with contextlib.closing(plain_client(proxy)) as another:
        assert another.ping()


def test_frozen_connections_pass_nothing_and_stay_open_on_both_sides(proxy, client, raw):
    before = {each["id"] for each in raw.client_list()}
    assert proxy.freeze() == 1
    with contextlib.closing(plain_client(proxy, timeout=0.2)) as another:
        assert another.ping()
    client.connection.socket_timeout = 0.2
    client.connection._sock.settimeout(0.2)
    with pytest.raises(redis.TimeoutError):
        client.set("never", "x")
    client.close()
    assert raw.get("never") is None
    assert {each["id"] for each in raw.client_list()} >= before, "the server knows nothing of it"
    assert proxy.cut() >= 1
    poll(lambda: proxy.open == 0)


def test_it_refuses_new_connections_on_the_same_port_and_takes_them_again(proxy, client):
    proxy.refuse()
    with pytest.raises(OSError) as refused:  # noqa: PT011 - its number is looked at
        socket.create_connection(("127.0.0.1", proxy.port))
    assert refused.value.errno == errno.ECONNREFUSED
    assert client.ping(), "old ones are as they were"
    proxy.refuse(False)
    with contextlib.closing(plain_client(proxy)) as another:
        assert another.ping()


def test_a_connection_that_is_taken_in_while_the_listener_closes_is_served(proxy):
    begun, over = threading.Event(), threading.Event()

    def hold():
        begun.set()
        over.wait()

    with socket.socket() as taken, contextlib.ExitStack() as exits:
        exits.callback(over.set)
        proxy._loop.call_soon_threadsafe(hold)
        begun.wait()
        taken.connect(("127.0.0.1", proxy.port))
        taken.settimeout(5)
        closing = asyncio.run_coroutine_threadsafe(proxy._close_listener(), proxy._loop)
        over.set()
        closing.result(5)
        taken.sendall(b"PING\r\n")
        assert taken.recv(100) == b"+PONG\r\n"


def test_a_lost_reply_is_one_whose_request_was_executed(proxy, client, raw):
    proxy.drop_replies(1, after=b"the-one")
    client.set("another", "x")
    with pytest.raises(redis.ConnectionError):
        client.set("the-one", "x")
    assert raw.get("the-one") == b"x"
    assert client.incr("the-one-again") == 1, "only so many are lost"
    assert proxy.dropped == 1


def test_a_pattern_is_found_over_the_border_of_two_pieces(proxy, raw):
    proxy.drop_replies(1, after=b"abcdef")
    with socket.create_connection(("127.0.0.1", proxy.port)) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.settimeout(5)
        plain.sendall(b"*2\r\n$4\r\nINCR\r\n$6\r\nabc")
        plain.sendall(b"def\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert plain.recv(10) == b""
    poll(lambda: raw.get("abcdef") == b"1")


def test_the_delay_holds_replies_back(proxy, client):
    proxy.delay(0.1)
    began = time.monotonic()
    client.ping()
    assert time.monotonic() - began >= 0.1


@pytest.mark.parametrize("under_request", [False, True])
def test_idle_connections_are_closed_by_chance_and_the_same_seed_gives_the_same(under_request):
    with running(SimulatorOptions(port=0)) as url:
        port = int(url.rpartition(":")[2])
        broken = []
        for _ in range(2):
            with Proxy(("127.0.0.1", port)) as proxy, httpx.Client(base_url=proxy.http_url) as web:
                proxy.close_idle(0.5, seed=3, under_request=under_request)
                broken.append([not _answers(web, proxy) for _ in range(20)])
                assert proxy.closed_idle > 0
        assert broken[0] == broken[1]
        assert any(broken[0]) is under_request


def _answers(web, proxy):
    """Whether a request is answered; then the connection's fate is waited for."""
    try:
        web.get("/_simulator/health")
    except httpx.RemoteProtocolError:
        return False
    except httpx.ReadError:
        return False
    poll(lambda: proxy.undecided == 0)
    return True
