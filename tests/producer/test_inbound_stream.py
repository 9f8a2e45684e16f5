"""What came in, read by apps: in order, resumable, honest about what is not kept; both faces."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from sendline import AsyncProducer, EventsLost, Producer
from sendline.contract.inbound import InboundMessage
from sendline.contract.keywords import Keyword
from sendline.ledger.inbound import Arrival, inbound
from sendline.ledger.limits import Limits
from sendline.settings import Settings


class Awaited:
    """The async producer's reading, as a list."""

    def __init__(self, settings):
        self._settings = settings

    def inbound(self, *args, **named):
        async def gather():
            async with AsyncProducer(settings=self._settings) as producer:
                return [message async for message in producer.inbound(*args, **named)]

        return asyncio.run(gather())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def sync(settings):
    return Producer(settings=settings)


@pytest.fixture(params=[sync, Awaited], ids=["sync", "async"])
def producer(request, settings):
    with request.param(settings) as made:
        yield made


@pytest.fixture
def arrive(ledger):
    """Let so many messages come in, each by a call of its own: `arrive(3)`."""
    count = iter(range(1, 10_000))

    def arrive(number, **fields):
        for place in (next(count) for _ in range(number)):
            came = {"text": f"Hello {place}", "provider_id": f"in-{place}"} | fields
            arrival = Arrival("main", "+13115552367", "+13115552368", **came)
            assert ledger.run(inbound(Limits(), [arrival])) == ["new"]

    return arrive


def numbers(messages):
    return [message.seq for message in messages]


def test_what_came_in_is_read_whole(arrive, producer):
    arrive(1, text="stop it", keyword=Keyword.STOP)
    [message] = producer.inbound(after=0, timeout=0.1)
    assert isinstance(message, InboundMessage)
    assert (message.seq, message.account, message.keyword) == (1, "main", Keyword.STOP)
    assert (message.sender, message.to, message.text) == ("+13115552367", "+13115552368", "stop it")
    assert message.provider_id == "in-1"


def test_reading_goes_on_right_behind_the_cursor_in_more_than_one_read(arrive, producer):
    arrive(250)
    assert numbers(producer.inbound(after=0, timeout=0.1)) == list(range(1, 251))
    assert numbers(producer.inbound(after=120, timeout=0.1)) == list(range(121, 251))
    assert numbers(producer.inbound(after=250, timeout=0.05)) == []


def test_without_a_cursor_what_came_in_before_is_not_told(arrive, producer):
    arrive(2)
    assert list(producer.inbound(timeout=0.05)) == []


def test_before_anything_came_in_nothing_is_lost(producer):
    assert list(producer.inbound(after=0, timeout=0.05)) == []


def test_messages_come_as_they_arrive(arrive, producer):
    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(lambda: numbers(producer.inbound(after=0, timeout=1)))
        arrive(2)
        assert told.result(20) == [1, 2]


def test_a_cursor_that_was_trimmed_is_told_what_is_left(arrive, producer, raw):
    arrive(6)
    raw.xtrim("sl:in", minid="4-0", approximate=False)
    with pytest.raises(EventsLost) as lost:
        list(producer.inbound(after=1, timeout=0.1))
    assert (lost.value.after, lost.value.first) == (1, 4)
    assert str(lost.value) == "inbound messages 2 to 3 are no longer kept; the oldest is 4"
    assert numbers(producer.inbound(after=3, timeout=0.1)) == [4, 5, 6]


def test_a_reader_that_is_overtaken_by_the_trimming_is_told(arrive, settings, raw):
    arrive(2)
    with Producer(settings=settings) as producer:
        messages = producer.inbound(after=0, timeout=5)
        assert [next(messages).seq, next(messages).seq] == [1, 2]
        arrive(4)
        raw.xtrim("sl:in", minid="5-0", approximate=False)
        with pytest.raises(EventsLost) as lost:
            next(messages)
    assert (lost.value.after, lost.value.first) == (2, 5)
    assert "inbound messages 3 to 4" in str(lost.value)


def test_a_cursor_from_another_ledger_is_not_taken_for_one_of_this(arrive, producer):
    arrive(3)
    with pytest.raises(EventsLost, match="there is no inbound message 1000 yet"):
        list(producer.inbound(after=1000, timeout=0.05))


def test_messages_are_read_with_a_short_timeout_of_redis_too(arrive, redis_url):
    arrive(1)
    with Producer(settings=Settings(redis_url=redis_url, redis_timeout=0.3)) as producer:
        assert numbers(producer.inbound(after=0, timeout=0.5)) == [1]


def test_text_and_numbers_are_not_shown_by_accident(arrive, producer):
    arrive(1)
    [message] = producer.inbound(after=0, timeout=0.1)
    assert "Hello" not in repr(message)
    assert "5552367" not in repr(message)
