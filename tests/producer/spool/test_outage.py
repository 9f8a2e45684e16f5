"""Apps through an outage of Redis: what send() returns is kept, and delivered once, when it is back."""

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from proxy import Proxy
from sendline import (
    AsyncProducer,
    ConfigurationError,
    IdempotencyConflict,
    InvalidMessage,
    LedgerRefused,
    LedgerUnavailable,
    PartlyAccepted,
    Producer,
    Status,
    UnknownMessage,
)
from sendline.contract import ids
from sendline.settings import Settings
from sendline.spool import SpoolDirectory
from sendline.spool.drainer import OTHERS_LOOK

TO, SENDER = "+13115552367", "+13115552368"
HANGS = 5.0
"""Seconds: ten times the timeout of these producers, and much more than a busy machine adds."""


def fields(text="Hello", **others):
    return {"to": TO, "text": text, "sender": SENDER} | others


def send(producer, text="Hello", **others):
    return producer.send(**fields(text, **others))


def texts(server):
    """The texts of all messages in the ledger, in the order in which they were accepted."""
    with Producer(settings=Settings(redis_url=server.url)) as there:
        created = [event.message_id for event in there.events(after=0, timeout=0.2)]
        found = [there.get(each).text for each in created]
        assert there.counts()["accepted"] == len(found)
        return found


@pytest.fixture
def emptied(spool, poll):
    """Wait until nothing waits any more."""
    return lambda: poll(spool.is_empty, 15)


# Outages of every kind


def stop(server):
    server.kill()
    return server.start


def freeze(server):
    os.kill(server.pid, signal.SIGSTOP)
    return lambda: os.kill(server.pid, signal.SIGCONT)


@pytest.mark.parametrize("fault", [stop, freeze])
def test_what_was_sent_during_an_outage_is_delivered_once_after_it(fault, producer, server, spool, emptied):
    before = send(producer, "before")
    end = fault(server)
    begun = time.monotonic()
    try:
        kept = send(producer, "single")
        assert time.monotonic() - begun < HANGS
        many = producer.send_many([fields(str(number)) for number in range(300)])
        assert [each.status for each in (kept, *many)] == [Status.CREATED] * 301
        assert spool.waiting() == [ids.to_bytes(each.id) for each in (kept, *many)]
    finally:
        end()
    emptied()
    assert texts(server) == ["before", "single", *map(str, range(300))]
    assert producer.get(kept.id).text == "single"
    assert producer.get(before.id).text == "before"


def test_a_late_message_is_not_kept_where_nobody_can_tell_whether_it_repeats_one(producer, server, spool):
    send(producer, "before", idempotency_key="k")
    late = {"not_before": datetime.now(UTC) - timedelta(hours=1)}
    server.kill()
    kept = send(producer, "kept", idempotency_key="waits")
    with pytest.raises(LedgerUnavailable):
        send(producer, "before", idempotency_key="k", **late)
    assert send(producer, "kept", idempotency_key="waits", **late).id == kept.id
    assert spool.waiting() == [ids.to_bytes(kept.id)]
    server.start()


def test_answers_that_come_too_late_are_an_outage_too(server, path, spool, emptied):
    with Proxy(server.socket) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}/0"
        with Producer(settings=Settings(redis_url=url, spool_dir=path, redis_timeout=0.5)) as producer:
            send(producer, "before")
            proxy.delay(HANGS)
            begun = time.monotonic()
            send(producer, "during")
            assert time.monotonic() - begun < HANGS
            assert len(spool.waiting()) == 1
            proxy.delay(0)
            emptied()
            assert texts(server) == ["before", "during"]


def test_a_black_hole_is_an_outage_too(path, spool):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as hole, contextlib.ExitStack() as stack:
        for _ in range(4):
            filling = stack.enter_context(socket.socket())
            filling.setblocking(False)
            filling.connect_ex(hole.getsockname())
        url = f"redis://127.0.0.1:{hole.getsockname()[1]}/0"
        with Producer(settings=Settings(redis_url=url, spool_dir=path, redis_timeout=0.5)) as producer:
            begun = time.monotonic()
            send(producer)
            assert 0.4 < time.monotonic() - begun < HANGS
    assert len(spool.waiting()) == 1


def test_an_app_that_starts_during_an_outage_checks_by_its_own_settings(server, path, spool, emptied):
    server.kill()
    settings = Settings(redis_url=server.url, spool_dir=path, default_region="US", redis_timeout=0.5)
    with Producer(settings=settings) as producer:
        message = producer.send("311-555-2367", "Hello", SENDER)
        assert message.to == TO
        with pytest.raises(InvalidMessage, match=r"^text"):
            producer.send(TO, "", SENDER)
        server.start()
        emptied()
        assert producer.get(message.id).to == TO


def test_what_an_ended_app_left_is_delivered_by_the_next_one_when_it_first_uses_its_producer(
    server, spooling, spool, emptied
):
    server.kill()
    with Producer(settings=spooling) as producer:
        kept = send(producer)
    server.start()
    assert len(spool.waiting()) == 1
    with Producer(settings=spooling) as producer:
        assert spool.waiting() == [ids.to_bytes(kept.id)]
        assert producer.get(kept.id).id == kept.id
        emptied()
        assert producer.get(kept.id).text == "Hello"


def test_without_a_spool_it_raises_as_ever(server):
    server.kill()
    with Producer(settings=Settings(redis_url=server.url)) as producer, pytest.raises(LedgerUnavailable):
        send(producer)


def test_a_ledger_that_refuses_is_no_outage(producer, server, spool):
    send(producer)
    server.fill_memory()
    with pytest.raises(LedgerRefused, match="out of memory"):
        send(producer)
    server.free_memory()
    assert spool.is_empty()


def test_a_ledger_that_is_known_to_be_away_is_not_asked_by_every_request(producer, server, spool):
    send(producer)
    with server.frozen():
        begun = time.monotonic()
        for _ in range(20):
            send(producer)
        assert time.monotonic() - begun < HANGS, "half a second each"
        assert len(spool.waiting()) == 20


# Where the answer was lost


def test_a_message_whose_answer_was_lost_is_accepted_once(server, path, spool, emptied):
    with Proxy(server.socket) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}/0"
        with Producer(settings=Settings(redis_url=url, spool_dir=path, redis_timeout=0.5)) as producer:
            send(producer, "before")
            proxy.drop_replies(10, after=b"during")
            message = send(producer, "during")
            assert spool.waiting() == [ids.to_bytes(message.id)]
            assert texts(server) == ["before", "during"]
            proxy.drop_none()
            emptied()
            assert texts(server) == ["before", "during"]


# Keys


def test_the_same_key_and_content_during_an_outage_is_one_message(server, spooling, emptied):
    server.kill()
    with Producer(settings=spooling) as one, Producer(settings=spooling) as other:
        first = send(one, idempotency_key="k")
        assert send(one, idempotency_key="k").id == first.id
        assert send(other, idempotency_key="k").id == first.id
        many = other.send_many([fields(idempotency_key="k"), fields("Other", idempotency_key="l")])
        assert many[0].id == first.id
        server.start()
        emptied()
        assert send(one, idempotency_key="k").id == first.id
    assert sorted(texts(server)) == ["Hello", "Other"]


def test_a_key_that_waits_is_known_after_the_outage_and_before_the_delivery(at_rest, producer, server, spool):
    server.kill()
    first = send(producer, idempotency_key="k")
    server.start()
    time.sleep(1)  # until the ledger is asked again
    again = send(producer, idempotency_key="k")
    assert again.id == first.id
    with pytest.raises(IdempotencyConflict) as conflict:
        send(producer, "Other", idempotency_key="k")
    assert conflict.value.message_id == first.id
    assert texts(server) == ["Hello"]
    assert len(spool.waiting()) == 1


def test_the_same_key_with_other_content_is_refused_during_an_outage(producer, server):
    server.kill()
    first = send(producer, idempotency_key="k")
    with pytest.raises(IdempotencyConflict) as conflict:
        send(producer, "Other", idempotency_key="k")
    assert conflict.value.message_id == first.id
    with pytest.raises(PartlyAccepted) as partly:
        producer.send_many([fields("Third"), fields("Other", idempotency_key="k")])
    assert [each.text for each in partly.value.accepted] == ["Third"]


# get() and cancel()


def test_a_message_that_waits_is_found_during_the_outage_and_behind_it(at_rest, producer, server):
    other = send(producer)
    server.kill()
    kept = send(
        producer, valid_for=60, metadata={"a": "b"}, not_before=datetime.now(UTC) + timedelta(hours=1)
    )
    assert producer.get(kept.id) == kept
    with pytest.raises(LedgerUnavailable):
        producer.get(other.id)
    server.start()
    assert producer.get(kept.id) == kept
    with pytest.raises(UnknownMessage):
        producer.get(ids.to_text(ids.new_id()))


def test_a_message_that_waits_can_be_canceled_as_soon_as_redis_is_back(at_rest, producer, server):
    server.kill()
    kept = send(producer)
    with pytest.raises(LedgerUnavailable):
        producer.cancel(kept.id)
    server.start()
    assert producer.cancel(kept.id).status is Status.CANCELED
    assert producer.get(kept.id).status is Status.CANCELED


# A disk that can't


def test_a_spool_that_is_full_says_so_beside_why_redis_is_away(server, path):
    server.kill()
    with Producer(settings=Settings(redis_url=server.url, spool_dir=path, spool_most=2)) as producer:
        with pytest.raises(PartlyAccepted, match="spool_most") as partly:
            producer.send_many([fields()] * 3)
        assert len(partly.value.accepted) == 2
        with pytest.raises(LedgerUnavailable, match=r"can't be reached.*spool_dir.*spool_most"):
            send(producer)


def test_a_disk_that_is_full_says_so_beside_why_redis_is_away(producer, server, path, monkeypatch):
    server.kill()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LedgerUnavailable, match=r"can't be reached.*spool_dir.*No space left on device"):
        send(producer, idempotency_key="k")
    assert [each.name for each in path.iterdir() if each.name != "lock"] == []


def test_a_directory_that_went_away_says_so_beside_why_redis_is_away(producer, server, path):
    server.kill()
    path.rmdir()
    with pytest.raises(LedgerUnavailable, match=r"can't be reached.*spool_dir.*No such file"):
        send(producer)


@pytest.mark.parametrize("face", [Producer, AsyncProducer])
def test_a_directory_that_others_may_write_to_is_refused_at_once(face, spooling, path):
    path.mkdir()
    path.chmod(0o777)
    with pytest.raises(ConfigurationError, match=r"^spool_dir: "):
        face(settings=spooling)


# Loops, threads, forks, ends


def test_an_event_loop_goes_on_while_the_disk_is_slow(server, spooling, monkeypatch, emptied, poll):
    server.kill()
    syncing = os.fsync
    threads, beats = set(), []

    def slow(descriptor):
        threads.add(threading.get_ident())
        begun = len(beats)
        poll(lambda: len(beats) > begun + 10)
        syncing(descriptor)

    monkeypatch.setattr(os, "fsync", slow)

    async def beat():
        while True:
            beats.append(await asyncio.sleep(0.001))

    async def go():
        async with AsyncProducer(settings=spooling) as producer:
            heart = asyncio.create_task(beat())
            message = await producer.send(**fields("async", idempotency_key="k"))
            assert (await producer.get(message.id)) == message
            assert (await producer.send(**fields("async", idempotency_key="k"))).id == message.id
            heart.cancel()
            assert threads
            assert threading.get_ident() not in threads
            monkeypatch.setattr(os, "fsync", syncing)
            server.start()
            await asyncio.to_thread(emptied)
            assert (await producer.get(message.id)).text == "async"

    asyncio.run(go())
    assert texts(server) == ["async"]


def test_many_threads_keep_each_message_once(producer, server, spool, emptied):
    server.kill()
    with ThreadPoolExecutor(8) as pool:
        kept = list(pool.map(lambda number: send(producer, str(number)).id, range(80)))
    assert len(set(kept)) == len(spool.waiting()) == 80
    server.start()
    emptied()
    assert sorted(map(int, texts(server))) == list(range(80))


def test_a_child_that_was_forked_while_its_parent_delivers_has_a_spool_of_its_own(
    producer, server, spool, emptied
):
    server.kill()
    send(producer, "parent")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            send(producer, "child")
            assert [each.name for each in threading.enumerate()].count("sendline-spool") == 1
            server.start()
            deadline = time.monotonic() + 15
            while not spool.is_empty() and time.monotonic() < deadline:
                time.sleep(0.01)
            code = 0
        finally:
            os.kill(server.pid, signal.SIGKILL) if server.is_running() else None
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    server.start()
    emptied()
    assert sorted(texts(server)) == ["child", "parent"]


def test_of_several_producers_one_delivers_at_a_time(server, spooling, spool, emptied):
    server.kill()
    producers = [Producer(settings=spooling) for _ in range(3)]
    for number, each in enumerate(producers):
        each.send_many([fields(f"{number}.{place}") for place in range(100)])
    server.start()
    emptied()
    for each in producers:
        each.close()
    assert len(set(texts(server))) == 300


def test_what_another_process_is_delivering_is_left_to_it(producer, server, path, spool, poll):
    server.kill()
    with SpoolDirectory(path, 1).delivering():
        send(producer)
        server.start()
        time.sleep(2 * OTHERS_LOOK)
        assert len(spool.waiting()) == 1
    poll(spool.is_empty)


def test_closing_tries_once_more(server, spooling, spool):
    server.kill()
    with Producer(settings=spooling) as producer:
        send(producer)
        server.start()
    assert spool.is_empty()
    assert texts(server) == ["Hello"]


def test_closing_hangs_for_no_longer_than_the_timeout(server, spooling, spool):
    with server.frozen():
        producer = Producer(settings=spooling)
        send(producer)
        begun = time.monotonic()
        producer.close()
        assert time.monotonic() - begun < HANGS
    assert len(spool.waiting()) == 1


def test_a_producer_that_was_closed_may_be_used_again(server, spooling, emptied):
    server.kill()
    producer = Producer(settings=spooling)
    send(producer, "one")
    producer.close()
    send(producer, "two")
    server.start()
    emptied()
    producer.close()
    assert sorted(texts(server)) == ["one", "two"]


def test_an_app_that_ends_without_closing_does_not_hang(server, spooling, spool):
    program = f"from sendline import Producer; Producer().send({TO!r}, 'Hello')"
    told = {"SENDLINE_REDIS_URL": server.url, "SENDLINE_SPOOL_DIR": str(spool.path)}
    with server.frozen():
        begun = time.monotonic()
        ended = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, **told, "SENDLINE_REDIS_TIMEOUT": "0.5"},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert time.monotonic() - begun < 10
    assert ended.returncode == 0
    assert "messages are kept in" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert TO not in ended.stderr
    assert len(spool.waiting()) == 1


def test_a_redis_that_is_away_is_not_hammered(server, spooling, path, monkeypatch):
    tries = []
    monkeypatch.setattr(
        "sendline.spool.delivery.Delivery.run",
        lambda *_: tries.append(time.monotonic()) or (_ for _ in ()).throw(LedgerUnavailable("away")),
    )
    server.kill()
    with Producer(settings=spooling) as producer:
        for _ in range(60):
            send(producer)
            time.sleep(0.05)
        gaps = [later - earlier for earlier, later in itertools.pairwise(tries)]
        assert 2 <= len(tries) <= 5
        assert min(gaps) >= 0.25


def test_nothing_of_a_message_is_logged(producer, server, emptied, caplog):
    caplog.set_level("DEBUG")
    server.kill()
    send(producer, "secret", idempotency_key="hidden")
    server.start()
    emptied()
    producer.close()
    assert "messages of the spool were delivered" in caplog.text
    assert not any(word in caplog.text for word in ("secret", "hidden", TO[2:], SENDER[2:]))


def test_a_fault_of_ours_does_not_end_the_delivery(producer, server, spool, monkeypatch, emptied, caplog):
    from sendline.spool import delivery

    ordinary, faults = delivery.Delivery.run, iter([ValueError("secret")])

    def run(self, after_batch):
        for fault in faults:
            raise fault
        return ordinary(self, after_batch)

    monkeypatch.setattr(delivery.Delivery, "run", run)
    server.kill()
    send(producer)
    server.start()
    emptied()
    assert "the spool waits: a fault in Sendline: ValueError" in caplog.text
    assert "secret" not in caplog.text
    assert texts(server) == ["Hello"]
