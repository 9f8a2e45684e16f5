"""What befalls connections: forks that nobody tells of, exceptions out of nowhere, servers that change."""

import asyncio
import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
import weakref

import pytest

from forking import forked_in_c
from ledger_world import SENDER, TO
from odd_servers import deaf, odd_server
from proxy import Proxy
from sendline import AsyncProducer, ConfigurationError, LedgerRefused, LedgerUnavailable, Producer, Status
from sendline.contract import ids
from sendline.ledger import resolving
from sendline.ledger import turns as turns_module
from sendline.ledger.address import Address
from sendline.ledger.call import Call
from sendline.ledger.connection import AsyncLedger, Ledger
from sendline.ledger.durability import ping
from sendline.ledger.faults import AllInUse, explain, place
from sendline.ledger.work import bell
from sendline.settings import Settings
from servers import DURABLE, ValkeyServer, free_port

FIELDS = {"to": TO, "text": "Hello", "sender": SENDER}


@pytest.fixture(params=["sync", "async"])
def ask(request):
    """Return, for a URL, a ledger of either kind and the way to have it run one call after the other."""
    ends = []

    def ask(url, **options):
        if request.param == "sync":
            ledger = Ledger(url, **options)
            ends.append(ledger.close)
            return ledger, ledger.run
        ledger = AsyncLedger(url, **options)
        runner = asyncio.Runner()
        ends.extend((lambda: runner.run(ledger.aclose()), runner.close))
        return ledger, lambda call: runner.run(ledger.run(call))

    yield ask
    for end in ends:
        end()


# Forks


def test_a_fork_that_python_is_not_told_of_shares_no_connection(ask, redis_url):
    _, run = ask(redis_url)
    run(ping())
    mine = run(client_id())
    assert forked_in_c(lambda: [run(client_id()) for _ in range(2)]) != [mine, mine]
    assert run(client_id()) == mine


def client_id():
    return Call("CLIENT", ["ID"], int)


def test_a_name_that_is_looked_up_during_a_fork_is_looked_up_anew_by_the_child(monkeypatch):
    over = threading.Event()
    found = socket.getaddrinfo("127.0.0.1", 1, type=socket.SOCK_STREAM)
    mine = os.getpid()

    def look_up(*_, **__):
        if os.getpid() == mine:
            over.wait(20)
        return found

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(TimeoutError):
        resolving.resolve("redis.example", 1, 0.05)
    try:
        assert forked_in_c(lambda: len(resolving.resolve("redis.example", 1, 5))) == len(found)
    finally:
        over.set()


# A server that is not the primary any longer, or is away


def test_connections_to_what_became_a_replica_are_given_up_for_the_new_primary(ask):
    ports = free_port(), free_port()
    old, new = (ValkeyServer(*DURABLE, "--port", str(port), "--bind", "127.0.0.1") for port in ports)
    with old, new, old.client() as on_old, Proxy(("127.0.0.1", ports[0])) as name:
        _, run = ask(name.redis_url)
        run(wish("before"))
        on_old.replicaof("127.0.0.1", free_port())
        with pytest.raises(LedgerRefused, match="is a replica"):
            run(wish("meanwhile"))
        name._target = ("127.0.0.1", ports[1])
        run(wish("after"))
        with new.client() as on_new:
            assert on_new.get("wish") == b"after"


def wish(value):
    return Call("SET", ["wish", value], lambda _: None)


def test_connections_that_died_unseen_cost_one_time_out_and_not_one_each(redis_url):
    with Proxy(place(redis_url)) as proxy:
        ledger = Ledger(proxy.redis_url, timeout=0.4)
        together = threading.Barrier(5)

        def use():
            together.wait(10)
            ledger.run(bell(0.1))

        threads = [threading.Thread(target=use) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(ledger._idle) == 5
        proxy.freeze()
        with pytest.raises(LedgerUnavailable, match="in time"):
            ledger.run(ping())
        ledger.run(ping())
        ledger.close()


def test_awaited_connections_that_died_unseen_cost_one_time_out_and_not_one_each(redis_url):
    async def main(url, freeze):
        ledger = AsyncLedger(url, timeout=0.4)
        await asyncio.gather(*(ledger.run(bell(0.1)) for _ in range(5)))
        freeze()
        with pytest.raises(LedgerUnavailable, match="in time"):
            await ledger.run(ping())
        await ledger.run(ping())
        await ledger.aclose()

    with Proxy(place(redis_url)) as proxy:
        asyncio.run(main(proxy.redis_url, proxy.freeze))


def test_that_all_connections_are_in_use_is_not_told_as_an_outage(poll):
    def use():
        with pytest.raises(LedgerUnavailable):
            ledger.run(ping(), time.monotonic() + 2)

    with odd_server(deaf) as url:
        ledger = Ledger(url, timeout=0.3, max_connections=1)
        thread = threading.Thread(target=use)
        thread.start()
        poll(lambda: not ledger._turns._free.qsize())
        with pytest.raises(AllInUse, match="was not asked: all 1 connections of this process were in use"):
            ledger.run(ping())
        thread.join()


def test_that_all_awaited_connections_are_in_use_is_not_told_as_an_outage():
    async def main(url):
        ledger = AsyncLedger(url, timeout=0.3, max_connections=1)
        first = asyncio.create_task(ledger.run(ping(), time.monotonic() + 1))
        await asyncio.sleep(0)
        with pytest.raises(AllInUse, match="was not asked: all 1 connections of this process were in use"):
            await ledger.run(ping())
        with pytest.raises(LedgerUnavailable) as caught:
            await first
        assert not isinstance(caught.value, AllInUse)

    with odd_server(deaf) as url:
        asyncio.run(main(url))


# Exceptions out of nowhere


class OutOfTime(BaseException):
    """What a task's time limit throws."""


def test_what_is_thrown_into_threads_costs_no_turn_and_no_connection_for_good(redis_url, raw, monkeypatch):
    monkeypatch.setattr(turns_module, "LATE", -10.0)
    ledger = Ledger(redis_url, max_connections=3)
    ledger.run(ping())

    def throw(frame, event, _):
        """Throw at the first line after a turn was taken, where nothing guards it yet."""
        if event == "return" and frame.f_code.co_name == "take" and "turns" in frame.f_code.co_filename:
            raise OutOfTime
        return throw

    for _ in range(3):
        sys.settrace(throw)
        try:
            with pytest.raises(OutOfTime):
                ledger.run(ping())
        finally:
            sys.settrace(None)
    for _ in range(5):
        ledger.run(ping())
    assert len(raw.client_list()) == 2
    ledger.close()


def test_a_turn_that_was_taken_for_lost_is_not_given_back_too(monkeypatch):
    monkeypatch.setattr(turns_module, "LATE", -10.0)
    turns = turns_module.Turns(1)
    late = turns.take(time.monotonic() + 1)
    again = turns.take(time.monotonic() + 1)
    turns.give_back(late)
    turns.give_back(again)
    turns.take(time.monotonic() + 20)
    with pytest.raises(turns_module.NoTurn):
        turns.take(time.monotonic() + 0.01)


def test_a_connection_that_nobody_holds_is_closed(redis_url, raw):
    ledger = Ledger(redis_url)
    ledger.run(ping())
    ledger._idle.clear()  # as where something is thrown in just after it was taken
    gc.collect()
    assert len(raw.client_list()) == 1


def test_numbers_are_written_by_python_where_a_signal_may_raise():
    code = """
from sendline.ledger.replies import packed

class Interrupted(int):
    def __repr__(self): raise KeyboardInterrupt
    __str__ = __repr__

try:
    packed(("GET", Interrupted(1)))
except KeyboardInterrupt:
    print("told")
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "told\n"), signal.Signals(-ended.returncode)


def test_a_thread_that_cannot_start_is_told_and_hinders_no_later_call(ask, monkeypatch, redis_url):
    _, run = ask("redis://localhost:1/0")
    start = threading.Thread.start

    def refuse(thread):
        if thread.name == "sendline-dns":
            raise RuntimeError("can't start new thread")
        start(thread)

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(LedgerUnavailable, match="no thread can be started"):
            run(ping())
    with pytest.raises(LedgerUnavailable, match="can't be reached: is it running"):
        run(ping())


# Event loops


def test_loops_that_are_let_go_take_their_connections_with_them(redis_url, raw):
    ledger = AsyncLedger(redis_url)
    for _ in range(3):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(ledger.run(ping()))
        seen = weakref.ref(loop)
        loop.close = lambda: None
        del loop
        with pytest.warns(ResourceWarning):
            gc.collect()
        assert seen() is None
    asyncio.run(ledger.run(ping()))
    assert len(raw.client_list()) <= 3
    asyncio.run(ledger.aclose())


def test_a_connection_whose_call_ends_while_another_thread_closes_is_closed(redis_url, raw):
    class Swapping(list):
        """An idle list that another thread's close() takes away just before it is given a connection."""

        def append(self, link):
            ledger.close()
            super().append(link)

    ledger = Ledger(redis_url)
    ledger._idle = Swapping()
    ledger.run(ping())
    assert len(raw.client_list()) == 1


# What is told


def test_what_the_server_quotes_of_a_command_is_told_to_nobody(ask):
    with ValkeyServer(*DURABLE, "--rename-command", "AUTH", "''") as server:
        _, run = ask(server.url.replace("unix://", "unix://shop:hunter2@"))
        with pytest.raises(LedgerRefused, match="unknown command") as caught:
            run(ping())
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("host", ["redis..svc", "a" * 64 + ".svc"])
def test_a_name_that_is_none_is_told_as_a_server_that_cannot_be_reached(ask, host):
    _, run = ask(f"redis://{host}:6379/0")
    with pytest.raises(LedgerUnavailable, match=r"can't be reached \(not the name of a host\)"):
        run(ping())


def test_a_missing_file_of_certificates_is_told_by_what_the_system_says(ask):
    with odd_server(deaf) as url:
        _, run = ask(url.replace("redis:", "rediss:") + "?ssl_ca_certs=/nowhere/ca.crt")
        with pytest.raises(LedgerUnavailable, match=r"can't be reached \(No such file or directory\)"):
            run(ping())


def test_an_address_of_ip_version_6_is_told_in_brackets():
    assert place("redis://:secret@[::1]:6380/0") == "[::1]:6380"
    assert "[::1]:6379 can't be reached" in str(explain(ConnectionRefusedError(), "redis://[::1]/0"))


def test_only_who_asks_for_no_certificate_gives_up_the_check_of_the_name():
    def context(options):
        return Address.parse(f"rediss://h/0?{options}").context

    assert context("ssl_cert_reqs=optional").check_hostname
    assert context("").check_hostname
    assert not context("ssl_cert_reqs=none").check_hostname
    assert not context("ssl_check_hostname=false").check_hostname


@pytest.mark.parametrize("make", [Producer, AsyncProducer])
@pytest.mark.parametrize(
    "url", ["redis://h/0?db=abc", "redis://a..b/0", "http://h", "rediss://h?ssl_ca_cert=x"]
)
def test_a_url_beside_settings_is_checked_too(make, url):
    with pytest.raises(ConfigurationError, match=r"^redis_url: "):
        make(url, settings=Settings(redis_url="redis://localhost/0"))


def test_an_id_tells_when_it_was_made():
    before = time.time_ns() // 1_000_000
    made = ids.time_of(ids.new_id())
    assert before <= made <= time.time_ns() // 1_000_000


def test_a_url_beside_settings_takes_their_place(redis_url):
    with Producer(redis_url, settings=Settings(redis_url="redis://127.0.0.1:1/0")) as producer:
        assert producer.send(**FIELDS).status is Status.CREATED
