"""The edges of an outage: who asks again, forks that Python does not notice, handlers of signals, loops."""

import asyncio
import contextlib
import ctypes
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from sendline import AsyncProducer, LedgerRefused, LedgerUnavailable, Producer
from sendline.ledger.connection import Ledger
from sendline.ledger.faults import AllInUse
from sendline.settings import Settings
from sendline.spool import Shelter, SpoolDirectory, files, locking
from sendline.spool.drainer import Drainer

TO, SENDER = "+13115552367", "+13115552368"


def send(producer, text="Hello", **others):
    return producer.send(TO, text, SENDER, **others)


@pytest.fixture
def hardly_believed(monkeypatch):
    """Let an outage be worth asking about at once."""
    monkeypatch.setattr("sendline.spool.shelter.BELIEVED_AWAY", 0.0)


@pytest.fixture
def drainer(spool, spooling, server):
    """A thread that delivers what waits, once it is started."""
    made = Drainer(spool, spooling, lambda: Ledger(server.url))
    yield made
    made.close(0)


def in_a_thread(do, timeout=5):
    """Do something that may hang for ever; return whether it has ended."""
    thread = threading.Thread(target=do, daemon=True)
    thread.start()
    thread.join(timeout)
    return not thread.is_alive()


def fork_in_c():
    """Fork as C code does, uWSGI for one: nothing that os.register_at_fork() was given is called."""
    return ctypes.PyDLL(None).fork()


# Who asks again


@pytest.mark.parametrize("warm", [True, False])
@pytest.mark.usefixtures("at_rest", "hardly_believed")
def test_of_many_requests_that_may_ask_again_one_does(warm, path, server, spool):
    patience = 1.5
    settings = Settings(redis_url=server.url, spool_dir=path, redis_timeout=patience)
    start = threading.Barrier(8)

    def timed(_):
        start.wait()
        begun = time.monotonic()
        send(producer)
        return time.monotonic() - begun

    with Producer(settings=settings) as producer:
        if warm:
            send(producer)
        with server.frozen():
            send(producer)
            with ThreadPoolExecutor(8) as pool:
                took = sorted(pool.map(timed, range(8)))
        assert took[-1] > patience * 0.9
        assert took[-2] < patience * 0.8, took
        assert len(spool.waiting()) == 9


@pytest.mark.usefixtures("at_rest", "hardly_believed")
def test_a_request_that_asks_and_never_comes_back_leaves_it_to_another(drainer, spool, poll):
    shelter = Shelter(spool, drainer, 0.3)
    away = shelter.note_away(LedgerUnavailable("away"))
    assert shelter.ask() is None
    assert shelter.ask() is away
    poll(lambda: shelter.ask() is None)


@pytest.mark.usefixtures("at_rest", "hardly_believed")
def test_a_ledger_that_refuses_is_believed_to_be_there(producer, server, spool):
    send(producer)
    server.kill()
    send(producer)
    server.start()
    server.fill_memory()
    for _ in range(3):
        with pytest.raises(LedgerRefused):
            send(producer)
    server.free_memory()
    assert len(spool.waiting()) == 1


def test_connections_that_are_all_in_use_are_no_outage(drainer, spool):
    shelter = Shelter(spool, drainer, 1.0)
    why = shelter.note_away(AllInUse("all are in use"))
    assert str(why) == "all are in use"
    assert shelter.ask() is None
    assert shelter.ask() is None


# Forks


def test_a_child_that_c_code_forked_delivers_by_a_thread_of_its_own(
    server, spooling, spool, poll, monkeypatch
):
    url = ["unix:///nowhere"]  # of the parent
    drainer = Drainer(spool, spooling, lambda: Ledger(url[0]))
    server.kill()
    with Producer(settings=spooling) as producer:
        send(producer)
    server.start()
    monkeypatch.setattr("sendline.spool.drainer.FIRST_WAIT", 3600)
    drainer.start()
    poll(lambda: drainer._run.woken._cond._waiters)
    poll(
        iter([False, True]).__next__, every=0.05
    )  # else the child may hang: the thread still wants the interpreter
    child = fork_in_c()
    if child == 0:
        code = 1
        signal.alarm(20)
        with contextlib.suppress(BaseException):
            url[0] = server.url
            drainer.start(at_once=True)
            poll(spool.is_empty)
            code = 0
        os._exit(code)
    try:
        assert os.waitpid(child, 0)[1] == 0
    finally:
        drainer.close(0)


def test_a_child_that_c_code_forked_lets_go_of_its_parents_lock(spool, tmp_path):
    read, write = os.pipe()
    parent = os.fork()
    if parent == 0:
        with spool.delivering():
            signal.alarm(20)
            if fork_in_c() == 0:
                signal.alarm(20)
                os.close(read)
                with locking.held(tmp_path / "other"):
                    os.write(write, os.getpid().to_bytes(4))
                signal.pause()
            signal.pause()
    os.close(write)
    child = int.from_bytes(os.read(read, 4))
    os.close(read)
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    try:
        with spool.delivering() as is_ours:
            assert is_ours
    finally:
        os.kill(child, signal.SIGKILL)


# What a handler of signals may interrupt


def test_a_send_may_interrupt_another_at_the_drainers_lock(drainer):
    def interrupted():
        with drainer._lock:
            drainer.start()

    assert in_a_thread(interrupted)


def test_a_send_may_interrupt_another_while_it_decides_whether_to_ask(drainer, spool):
    shelter = Shelter(spool, drainer, 1.0)

    def interrupted():
        shelter.note_away(LedgerUnavailable("away"))
        with shelter._lock():
            shelter.ask()

    assert in_a_thread(interrupted)


def test_who_opens_a_lock_may_be_interrupted_by_who_does_the_same(spool):
    def interrupted():
        with locking._opened.changing, spool.delivering():
            pass

    assert in_a_thread(interrupted)


# The thread


def test_a_thread_that_could_not_begin_is_followed_by_another(server, spooling, spool, poll, caplog):
    faults = iter([ValueError("secret")])

    def connect():
        for fault in faults:
            raise fault
        return Ledger(server.url)

    drainer = Drainer(spool, spooling, connect)
    with contextlib.closing(Producer(settings=spooling)) as producer:
        server.kill()
        send(producer)
    drainer.start()
    poll(lambda: not drainer.is_at_work)
    assert "a fault in Sendline: ValueError" in caplog.text
    assert "secret" not in caplog.text
    server.start()
    drainer.start(at_once=True)
    poll(spool.is_empty)
    drainer.close(1)


def test_making_a_producer_starts_no_thread_and_using_it_delivers(server, spooling, spool, poll):
    server.kill()
    with Producer(settings=spooling) as producer:
        kept = send(producer)
    server.start()
    with Producer(settings=spooling) as producer:
        assert "sendline-spool" not in [each.name for each in threading.enumerate()]
        assert producer.get(kept.id).id == kept.id
        poll(spool.is_empty)


# Event loops


@pytest.mark.usefixtures("at_rest")
def test_no_file_is_read_on_an_event_loop(server, spooling, monkeypatch):
    threads = set()

    def noted(do):
        def doing(*args):
            threads.add(threading.get_ident())
            return do(*args)

        return doing

    async def go():
        async with AsyncProducer(settings=spooling) as producer:
            first = await producer.send(TO, "Hello", SENDER, idempotency_key="k")
            again = await producer.send(TO, "Hello", SENDER, idempotency_key="k")
            assert again.id == first.id
            assert (await producer.get(first.id)).id == first.id

    server.kill()
    monkeypatch.setattr(files, "read", noted(files.read))
    monkeypatch.setattr(os, "scandir", noted(os.scandir))
    asyncio.run(go())
    assert threads
    assert threading.get_ident() not in threads


# When the ledger has last taken something


def test_making_the_lock_is_no_sign_that_the_ledger_has_taken_something(spool):
    with spool.delivering():
        assert spool.reached_at() == 0
    spool.note_reached()
    assert time.time() - 60 < spool.reached_at() <= time.time()
    with spool.delivering():
        assert spool.reached_at() > 0


def test_a_time_that_is_to_come_is_no_sign_that_the_ledger_has_taken_something(spool, path):
    with spool.delivering():
        os.utime(path / "lock", (time.time() + 3600,) * 2)
    assert spool.reached_at() == 0


# A spool that is full


def test_what_was_kept_aside_takes_no_room(server, path, at_rest):
    server.kill()
    with Producer(settings=Settings(redis_url=server.url, spool_dir=path, spool_most=2)) as producer:
        for _ in range(2):
            send(producer)
        spool = SpoolDirectory(path, 2)
        for each in spool.waiting():
            spool.set_aside(each, "stale")
        with Producer(settings=Settings(redis_url=server.url, spool_dir=path, spool_most=2)) as other:
            assert send(other)
            assert send(other)
            with pytest.raises(LedgerUnavailable, match="spool_most"):
                send(other)
