"""The stream of events: consecutive, resumable, bounded, and honest about what it lost."""

import pytest

from sendline import ErrorCode, EventsLost, InvalidMessage, Producer, Status
from sendline.contract import ids
from sendline.ledger import verbs
from sendline.ledger.limits import Limits
from sendline.settings import Settings


@pytest.fixture
def producer(settings):
    with Producer(settings=settings) as made:
        yield made


def test_every_change_has_the_next_number(world):
    world.configure("main")
    first, second = world.accept(), world.accept()
    world.settle(world.claim_one(), "sent")
    world.cancel(second)
    events = world.events()
    assert [event.seq for event in events] == list(range(1, 6))
    told = [(event.message_id, event.status) for event in events]
    assert told == [
        (ids.to_text(first), "created"),
        (ids.to_text(second), "created"),
        (ids.to_text(first), "sending"),
        (ids.to_text(first), "sent"),
        (ids.to_text(second), "canceled"),
    ]


def test_an_event_says_when_and_why(world):
    world.configure("main")
    world.accept()
    claim = world.claim_one()
    world.clock.advance(1.5)
    world.settle(claim, "failed", code=ErrorCode.BLOCKED, reason="filtered")
    *_, event = world.events()
    assert (event.status, event.code, event.reason) == (Status.FAILED, ErrorCode.BLOCKED, "filtered")
    assert event.at.timestamp() * 1000 == world.clock.ms
    assert event.to_dict()["at"].endswith("Z")


def test_reading_goes_on_right_behind_the_cursor(world):
    world.accept_many(5)
    assert [event.seq for event in world.events(after=3)] == [4, 5]
    assert world.events(after=5) == []


def test_before_the_first_event_there_is_nothing_and_nothing_is_lost(producer):
    assert list(producer.events(after=0, timeout=0.05)) == []
    assert list(producer.events(timeout=0.05)) == []


def test_events_from_the_first_ever(world, producer):
    world.accept_many(3)
    assert [event.seq for event in producer.events(after=0, timeout=0.05)] == [1, 2, 3]


def test_without_a_cursor_what_has_happened_is_not_told(world, producer):
    world.accept()
    assert list(producer.events(timeout=0.05)) == []


def test_more_events_than_one_read_brings_come_in_order(world, producer):
    for _ in range(3):
        world.accept_many(400)
    assert [event.seq for event in producer.events(after=0, timeout=0.1)] == list(range(1, 1201))


def test_a_cursor_that_was_trimmed_is_told_what_is_left(world, producer, raw):
    for _ in range(10):
        world.accept()
    raw.xtrim("sl:e", minid="6-0", approximate=False)
    with pytest.raises(EventsLost) as lost:
        list(producer.events(after=3, timeout=0.1))
    assert (lost.value.after, lost.value.first) == (3, 6)
    assert "events 4 to 5" in str(lost.value)
    assert [event.seq for event in producer.events(after=5, timeout=0.1)] == [6, 7, 8, 9, 10]


def test_a_reader_that_is_overtaken_by_the_trimming_is_told(world, producer, raw):
    world.accept_many(2)
    events = producer.events(after=0, timeout=5)
    assert [next(events).seq, next(events).seq] == [1, 2]
    for _ in range(5):
        world.accept()
    raw.xtrim("sl:e", minid="6-0", approximate=False)
    with pytest.raises(EventsLost) as lost:
        next(events)
    assert (lost.value.after, lost.value.first) == (2, 6)


def test_a_stream_that_was_trimmed_to_nothing_has_lost_what_was_in_it(world, producer, raw):
    world.accept_many(3)
    raw.xtrim("sl:e", maxlen=0, approximate=False)
    with pytest.raises(EventsLost) as lost:
        list(producer.events(after=1, timeout=0.05))
    assert lost.value.first == 4
    assert list(producer.events(after=3, timeout=0.05)) == []


def test_the_stream_is_bounded(world, raw):
    world.limits = Limits(events_kept=100)
    for _ in range(10):
        world.accept_many(100)
    kept = 1000 - world.ledger.run(verbs.oldest_event()) + 1
    assert 100 <= kept <= 300
    assert raw.xlen("sl:e") <= kept / 100, "what one call writes stands together"
    assert world.ledger.run(verbs.counts())["accepted"] == 1000


def test_reading_begins_in_the_middle_of_what_one_call_wrote(world, producer):
    world.accept_many(250)
    assert [event.seq for event in producer.events(after=120, timeout=0.1)] == list(range(121, 251))


def test_events_are_read_with_a_short_timeout_of_redis_too(world, redis_url):
    settings = Settings(redis_url=redis_url, redis_timeout=0.3)
    with Producer(settings=settings) as producer:
        world.accept()
        assert [event.seq for event in producer.events(after=0, timeout=0.5)] == [1]


def test_a_cursor_from_another_ledger_is_not_taken_for_one_of_this(world, producer):
    world.accept_many(3)
    with pytest.raises(EventsLost):
        list(producer.events(after=1000, timeout=0.05))


@pytest.mark.parametrize("read", ["events", "inbound", "group_events"])
def test_a_negative_cursor_is_a_mistake_and_no_loss(world, producer, read):
    world.accept()
    words = ("billing",) if read == "group_events" else ()
    with pytest.raises(InvalidMessage, match=r"^after: is negative"):
        list(getattr(producer, read)(*words, after=-1, timeout=0.05))


def test_a_gap_in_the_middle_of_what_is_read_is_told_when_the_reader_comes_to_it(world, producer, raw):
    world.accept_many(2)
    raw.hset("sl:meta", "seq", 1_000_002)  # as a recovery leaves it
    world.accept()
    events = producer.events(after=1, timeout=0.1)
    assert next(events).seq == 2
    with pytest.raises(EventsLost) as lost:
        next(events)
    assert (lost.value.after, lost.value.first) == (2, 1_000_003)
