"""The hours of campaigns with a window are published anew before they run out."""

from datetime import UTC, datetime

import msgpack
import pytest

from sendline import Producer
from sendline.settings import Settings
from sendline_worker.windows import publish_windows

DAY = 86_400_000


@pytest.fixture
def producer(redis_url, publish):
    publish("main")
    with Producer(settings=Settings(redis_url=redis_url, durability="memory")) as made:
        yield made


def hours(raw, name="sale", zone="Europe/Berlin"):
    return msgpack.unpackb(raw.hget(f"sl:ch:{name}", zone))


def test_hours_are_published_anew_for_the_days_to_come(producer, raw, ledger):
    people = [{"to": "+4915112345678"}]
    producer.campaign("sale", text="Hi", recipients=people, window="09:00-20:00")
    before, now = hours(raw), int(datetime.now(UTC).timestamp() * 1000)
    publish_windows(ledger, now + 7 * DAY)
    after = hours(raw)
    assert len(after) % 2 == 0
    assert after == sorted(after)
    assert after[-1] > before[-1] + 6 * DAY * 1000
    assert after[0] > before[0]


def test_campaigns_without_a_window_and_those_that_ended_are_left_alone(producer, raw, ledger):
    people = [{"to": "+4915112345678"}]
    producer.campaign("plain", text="Hi", recipients=people)
    producer.campaign("over", text="Hi", recipients=people, window="09:00-20:00").cancel()
    before, now = hours(raw, "over"), int(datetime.now(UTC).timestamp() * 1000)
    publish_windows(ledger, now + 7 * DAY)
    assert raw.exists("sl:ch:plain") == 0
    assert hours(raw, "over") == before
