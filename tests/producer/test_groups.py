"""Groups of readers: each event to one of them, nothing lost with a reader that dies, honest about gaps."""

import asyncio
import contextlib
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger_world import publish_accounts
from sendline import AsyncProducer, EventsLost, InvalidMessage, LedgerUnavailable, Producer
from sendline.ledger import groups
from sendline.ledger.connection import Ledger
from sendline.producer import sharing
from sendline.settings import Settings
from servers import ValkeyServer

QUIET = 0.1


@pytest.fixture
def producer(settings):
    with Producer(settings=settings) as made:
        yield made


@pytest.fixture
def other(settings):
    """The producer of another process, as far as names go."""
    with Producer(settings=settings) as made:
        yield made


def numbers(producer, group="g", *, timeout=QUIET, **named):
    return [event.seq for event in producer.group_events(group, timeout=timeout, **named)]


def span(first, last):
    return list(range(first, last + 1))


def pending(raw, group="g"):
    return raw.xpending("sl:e", group)["pending"]


def lost(producer, **named):
    """What a reader is told to be lost: behind which event, and the first that is left."""
    with pytest.raises(EventsLost) as told:
        numbers(producer, **named)
    return told.value.after, told.value.first


# Sharing


def test_readers_of_one_group_share_the_events_each_exactly_once(world, producer, other, raw):
    for _ in range(50):
        world.accept_many(100)
    both_read = threading.Barrier(2, timeout=20)

    def read(producer):
        events = producer.group_events("g", after=0, timeout=0.5)
        first = next(events).seq
        both_read.wait()
        return [first, *(event.seq for event in events)]

    with ThreadPoolExecutor(2) as pool:
        shares = list(pool.map(read, (producer, other)))
    assert sorted(shares[0] + shares[1]) == span(1, 5000)
    assert pending(raw) == 0


def test_threads_of_one_producer_are_readers_of_their_own(world, producer):
    for _ in range(20):
        world.accept_many(10)
    first = producer.group_events("g", after=0, timeout=QUIET)
    second = producer.group_events("g", timeout=QUIET)
    assert (next(first).seq, next(second).seq) == (1, 101)
    assert [event.seq for event in second] == span(102, 200)
    assert [event.seq for event in first] == span(2, 100)


def test_every_group_is_told_every_event(world, producer):
    world.accept_many(3)
    assert numbers(producer, "billing", after=0) == [1, 2, 3]
    assert numbers(producer, "crm", after=0) == [1, 2, 3]


def test_a_group_begins_with_what_happens_from_then_on_and_goes_on_where_it_stopped(world, producer):
    world.accept_many(3)
    assert numbers(producer) == []
    world.accept_many(2)
    assert numbers(producer) == [4, 5]
    world.accept_many(2)
    assert numbers(producer, after=0) == [6, 7], "`after` counts only where the group is made"


def test_a_group_may_begin_before_the_first_event_ever(world, producer):
    events = producer.group_events("g", timeout=5)
    world.accept_many(2)
    assert [next(events).seq, next(events).seq] == [1, 2]


def test_a_group_begins_in_the_middle_of_what_one_call_wrote(world, producer):
    world.accept_many(250)
    assert numbers(producer, after=120) == span(121, 250)


def test_a_group_does_not_begin_behind_what_is_not_kept(world, producer, raw):
    for _ in range(5):
        world.accept()
    raw.xtrim("sl:e", minid="4-0", approximate=False)
    assert lost(producer, after=1) == (1, 4)
    assert lost(producer, after=9) == (9, 4)
    assert numbers(producer, after=3) == [4, 5]


def test_reading_ends_when_it_was_quiet_for_the_timeout_and_not_before(world, producer):
    events = producer.group_events("g", timeout=0.3)
    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(lambda: [event.seq for event in events])
        world.accept_many(2)
        assert told.result(10) == [1, 2]


def test_a_short_timeout_of_redis_is_long_enough(world, redis_url):
    with Producer(settings=Settings(redis_url=redis_url, redis_timeout=0.3)) as producer:
        world.accept()
        assert numbers(producer, after=0, timeout=0.6) == [1]


@pytest.mark.parametrize(
    ("named", "field"),
    [
        ({"group": ""}, "group"),
        ({"group": "a" * 65}, "group"),
        ({"group": "a b"}, "group"),
        ({"group": "a\n"}, "group"),
        ({"group": "é"}, "group"),
        ({"group": "a:b"}, "group"),
        ({"group": "g", "consumer": ""}, "consumer"),
        ({"group": "g", "consumer": "a b"}, "consumer"),
        ({"group": "g", "idle": 0}, "idle"),
        ({"group": "g", "idle": 1e9}, "idle"),
    ],
)
def test_a_wrong_argument_is_named_before_anything_is_read(producer, raw, named, field):
    with pytest.raises(InvalidMessage) as wrong:
        producer.group_events(**named)
    assert wrong.value.field == field
    assert not raw.exists("sl:e")


def test_all_letters_that_a_name_may_have(world, producer):
    world.accept()
    assert numbers(producer, "Aa0._-" + "z" * 58, consumer="host:1.a_b-2", after=0) == [1]


# What a reader leaves


def test_what_a_reader_left_unfinished_is_told_to_another_at_once(world, producer, other, raw):
    for _ in range(3):
        world.accept_many(10)
    events = producer.group_events("g", after=0, timeout=QUIET)
    assert [next(events).seq for _ in range(12)] == span(1, 12)
    events.close()
    assert pending(raw) == 2
    assert sorted(numbers(other)) == span(11, 30)
    assert pending(raw) == 0


def test_an_event_whose_handling_raised_is_told_again(world, producer):
    world.accept_many(3)

    def handle():
        with contextlib.closing(producer.group_events("g", after=0, timeout=QUIET)) as events:
            for event in events:
                if event.seq == 2:
                    raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        handle()
    assert numbers(producer) == [1, 2, 3]
    assert numbers(producer) == []


def test_an_entry_is_finished_when_the_event_behind_it_is_asked_for(world, producer, raw):
    world.accept_many(2)
    world.accept()
    events = producer.group_events("g", after=0, timeout=QUIET)
    assert [next(events).seq, next(events).seq] == [1, 2]
    assert pending(raw) == 2
    assert next(events).seq == 3
    events.close()
    assert pending(raw) == 1, "the first entry is finished, the second one was not"
    assert numbers(producer) == [3]
    assert pending(raw) == 0


def test_quick_readers_acknowledge_several_entries_together(world, producer, raw):
    for _ in range(40):
        world.accept()
    raw.config_resetstat()
    assert numbers(producer, after=0) == list(range(1, 41))
    assert raw.info("commandstats")["cmdstat_xack"]["calls"] < 20
    assert pending(raw) == 0


def test_what_a_dead_reader_was_given_is_told_to_another_after_the_idle_time(world, producer, ledger):
    world.accept_many(5)
    ledger.run(groups.create("g", 0))
    assert ledger.run(groups.give("g", "dead", count=10, block_ms=1))
    assert numbers(producer, idle=60) == []
    assert numbers(producer, idle=0.05, timeout=2) == span(1, 5)


def test_what_many_dead_readers_were_given_is_all_told(world, producer, ledger):
    for _ in range(150):
        world.accept()
    ledger.run(groups.create("g", 0))
    for name in ("a", "b", "c"):
        assert len(ledger.run(groups.give("g", name, count=50, block_ms=1))) == 50
    assert sorted(numbers(producer, idle=0.05, timeout=1)) == span(1, 150)


def test_a_reader_that_takes_up_its_name_again_is_told_at_once_what_it_was_given(world, producer, ledger):
    world.accept_many(5)
    ledger.run(groups.create("g", 0))
    ledger.run(groups.give("g", "me", count=10, block_ms=1))  # and the answer was lost
    world.accept_many(2)
    assert numbers(producer, consumer="me") == span(1, 7)


def test_a_reader_that_was_too_slow_drops_what_others_took_over(world, producer, other):
    for _ in range(2):
        world.accept_many(3)
    slow = producer.group_events("g", after=0, timeout=QUIET, idle=0.1)
    assert next(slow).seq == 1
    assert numbers(other, idle=0.1, timeout=1) == span(1, 6)
    assert list(slow) == []


def test_a_reader_that_was_too_slow_hands_back_only_what_is_still_its_own(world, producer, other, raw):
    world.accept_many(3)
    slow = producer.group_events("g", after=0, timeout=QUIET, idle=0.1)
    assert next(slow).seq == 1
    quicker = other.group_events("g", timeout=2, idle=0.1)
    assert next(quicker).seq == 1
    slow.close()
    assert numbers(producer) == [], "the other is at work on it"
    assert [event.seq for event in quicker] == [2, 3]
    assert pending(raw) == 0


def test_what_a_process_that_was_killed_had_been_given_is_told_to_another(world, producer, redis_url):
    world.accept_many(3)
    code = (
        "import sys, sendline\n"
        "events = sendline.Producer(sys.argv[1]).group_events('g', after=0)\n"
        "print(next(events).seq, next(events).seq, flush=True)\n"
        "sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, redis_url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        assert reader.stdout.readline() == b"1 2\n"
        reader.kill()
    assert numbers(producer) == []
    assert numbers(producer, idle=0.1, timeout=1) == [1, 2, 3]


def test_a_slow_reader_that_is_alive_keeps_what_it_was_given(world, producer, other):
    world.accept_many(20)
    slow = producer.group_events("g", after=0, timeout=QUIET, idle=0.8)
    for expected in span(1, 20):
        assert next(slow).seq == expected
        assert numbers(other, idle=0.8, timeout=0.06) == []
    assert list(slow) == []


def test_a_reader_finishes_what_was_trimmed_while_it_had_it(world, producer, raw):
    world.accept_many(3)
    events = producer.group_events("g", after=0, timeout=QUIET, idle=0.001)
    assert next(events).seq == 1
    raw.xtrim("sl:e", maxlen=0, approximate=False)
    assert [event.seq for event in events] == [2, 3]


def test_a_reader_finishes_what_was_trimmed_though_another_was_told_that_it_is_lost(
    world, producer, other, raw
):
    world.accept_many(3)
    events = producer.group_events("g", after=0, timeout=QUIET, idle=0.001)
    assert next(events).seq == 1
    raw.xtrim("sl:e", maxlen=0, approximate=False)
    assert lost(other) == (0, 4)
    assert [event.seq for event in events] == [2, 3]


def test_reading_goes_on_after_redis_was_away():
    with ValkeyServer() as server, contextlib.closing(Ledger(server.url)) as ledger:
        publish_accounts(ledger, "main")
        with Producer(settings=Settings(redis_url=server.url, redis_timeout=0.3)) as producer:
            events = producer.group_events("g", timeout=5)
            message = producer.send(to="+13115552367", text="Hello", sender="+13115552368")
            assert next(events).message_id == message.id
            with server.frozen(), pytest.raises(LedgerUnavailable):
                next(events)
            again = producer.group_events("g", timeout=0.5)
            assert [event.message_id for event in again] in ([message.id], []), "the XACK may have arrived"
            newer = producer.send(to="+13115552367", text="Hello", sender="+13115552368")
            assert [event.message_id for event in producer.group_events("g", timeout=0.5)] == [newer.id]


def test_readers_long_gone_are_forgotten_unless_something_is_pending(world, producer, raw, poll, monkeypatch):
    world.accept()
    assert numbers(producer, consumer="gone", after=0) == [1]
    world.accept()
    producer_left = producer.group_events("g", consumer="left", timeout=QUIET)
    next(producer_left)
    assert numbers(producer, consumer="new") == []
    assert {each["name"] for each in raw.xinfo_consumers("sl:e", "g")} == {b"gone", b"left", b"new"}
    monkeypatch.setattr(sharing, "FORGOTTEN_AFTER", 0.01)

    def only_left():
        producer.group_events("g", consumer="newest")
        return {each["name"] for each in raw.xinfo_consumers("sl:e", "g")} == {b"left"}

    poll(only_left)
    assert list(producer_left) == []


# What is lost


def test_one_reader_is_told_once_what_was_trimmed_before_the_group_was_given_it(world, producer, other, raw):
    for _ in range(10):
        world.accept()
    events = producer.group_events("g", after=0, timeout=QUIET)
    assert next(events).seq == 1
    events.close()
    assert numbers(producer) == span(1, 10)
    for _ in range(10):
        world.accept()
    raw.xtrim("sl:e", minid="16-0", approximate=False)
    assert lost(producer) == (10, 16)
    assert numbers(other) == span(16, 20)


def test_of_two_readers_at_once_one_is_told(world, producer, other, raw):
    world.accept()
    both = [each.group_events("g", after=0, timeout=1) for each in (producer, other)]
    for _ in range(30):
        world.accept()
    raw.xtrim("sl:e", minid="11-0", approximate=False)
    ready = threading.Barrier(2, timeout=20)

    def read(events):
        ready.wait()
        told = []
        try:
            told.extend(event.seq for event in events)
        except EventsLost as gap:
            return [(gap.after, gap.first)]
        return told

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(read, both))
    assert [(0, 11)] in results
    results.remove([(0, 11)])
    assert sorted(results[0]) == span(11, 31)


def test_what_was_trimmed_while_a_dead_reader_had_it_is_told_once(world, producer, other, ledger, raw):
    for _ in range(6):
        world.accept()
    ledger.run(groups.create("g", 0))
    ledger.run(groups.give("g", "dead", count=5, block_ms=1))
    raw.xtrim("sl:e", minid="4-0", approximate=False)
    assert lost(producer) == (0, 4)
    assert sorted(numbers(other, idle=0.05, timeout=1)) == span(4, 6)
    assert pending(raw) == 0


def test_what_was_trimmed_while_a_reader_had_it_and_stopped_is_told_once(world, producer, raw):
    for _ in range(6):
        world.accept()
    events = producer.group_events("g", after=0, timeout=QUIET)
    assert next(events).seq == 1
    raw.xtrim("sl:e", minid="4-0", approximate=False)
    events.close()
    assert lost(producer) == (0, 4)
    assert sorted(numbers(producer)) == span(4, 6)


def test_a_gap_that_a_recovery_left_is_told(world, producer, raw):
    world.accept_many(3)
    raw.hincrby("sl:meta", "seq", 1000)
    world.accept_many(2)
    assert lost(producer, after=0) == (3, 1004)
    assert numbers(producer) == [1, 2, 3, 1004, 1005]
    raw.hincrby("sl:meta", "seq", 1000)
    world.accept()
    assert lost(producer) == (1005, 2006)
    assert numbers(producer) == [2006]


def test_a_group_that_is_ahead_of_the_ledger_is_told_and_goes_on(world, producer, raw):
    world.accept_many(3)
    numbers(producer)
    raw.xgroup_setid("sl:e", "g", "900-0")
    assert lost(producer) == (900, 4)
    assert numbers(producer) == []
    world.accept()
    assert numbers(producer) == [4]


def test_a_reader_whose_group_is_gone_is_told(world, producer, raw):
    world.accept_many(3)
    events = producer.group_events("g", after=0, timeout=5)
    assert [next(events).seq for _ in range(3)] == [1, 2, 3]
    raw.xgroup_destroy("sl:e", "g")
    with pytest.raises(EventsLost):
        next(events)
    world.accept()
    assert numbers(producer, after=3) == [4]


def test_a_reader_that_waits_while_its_group_goes_is_told(world, producer, raw, poll):
    world.accept()
    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(lost, producer, timeout=10)
        poll(lambda: raw.exists("sl:e") and raw.info("clients")["blocked_clients"])
        raw.flushall()
        assert told.result(10) == (1, 1)


# Awaited


def awaited(settings, body):
    async def run():
        async with AsyncProducer(settings=settings) as producer:
            return await body(producer)

    return asyncio.run(run())


async def gathered(producer, **named):
    return [event.seq async for event in producer.group_events("g", timeout=QUIET, **named)]


def test_awaited_readers_share_too(world, settings, raw):
    for _ in range(30):
        world.accept_many(100)

    async def body(producer):
        shares = await asyncio.gather(gathered(producer, after=0), gathered(producer, after=0))
        return sorted(shares[0] + shares[1])

    assert awaited(settings, body) == span(1, 3000)
    assert pending(raw) == 0


def test_what_an_awaited_reader_left_is_told_to_another_at_once(world, settings, producer):
    world.accept_many(5)

    async def body(reader):
        async with contextlib.aclosing(reader.group_events("g", after=0)) as events:
            async for event in events:
                if event.seq == 3:
                    return

    awaited(settings, body)
    assert numbers(producer) == span(1, 5)


def test_an_awaited_reader_that_is_canceled_leaves_its_work_to_others(world, settings, producer, raw, poll):
    world.accept_many(5)

    async def body(reader):
        async def read():
            async with contextlib.aclosing(reader.group_events("g", after=0)) as events:
                async for _ in events:
                    await asyncio.Event().wait()

        task = asyncio.create_task(read())
        await asyncio.to_thread(poll, lambda: any(each["pending"] for each in raw.xinfo_groups("sl:e")))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    awaited(settings, body)
    assert numbers(producer) == span(1, 5)


def test_an_awaited_reader_is_told_of_wrong_names_and_of_what_is_lost(world, settings, raw):
    for _ in range(5):
        world.accept()
    raw.xtrim("sl:e", minid="4-0", approximate=False)

    async def body(producer):
        with pytest.raises(InvalidMessage):
            producer.group_events("a b")
        with pytest.raises(EventsLost):
            await gathered(producer, after=0)
        return await gathered(producer, after=3)

    assert awaited(settings, body) == [4, 5]
