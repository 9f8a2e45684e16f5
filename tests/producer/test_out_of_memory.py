"""A server that is out of memory: nothing more is accepted, and what is there goes on."""

import pytest
import redis

from sendline import LedgerRefused, Producer, Status


@pytest.fixture
def full(raw):
    """Make the server full, and give it its memory back at the end."""

    def make_full():
        raw.config_set("maxmemory-policy", "noeviction")
        raw.config_set("maxmemory", 1)
        with pytest.raises(redis.OutOfMemoryError):
            raw.set("more", "x")

    yield make_full
    raw.config_set("maxmemory", 0)


def test_nothing_is_accepted_and_the_error_says_so(world, full):
    world.configure("main")
    full()
    with pytest.raises(LedgerRefused, match="out of memory"):
        world.accept()


@pytest.mark.parametrize("forgotten", [False, True])
def test_what_was_accepted_before_is_answered_to_who_asks_again(settings, world, raw, full, forgotten):
    world.configure("main")
    with Producer(settings=settings) as producer:
        first = producer.send(to="+13115552367", text="Hello", idempotency_key="k")
        if forgotten:
            raw.function_flush()
        full()
        assert producer.send(to="+13115552367", text="Hello", idempotency_key="k").id == first.id
        with pytest.raises(LedgerRefused, match="out of memory"):
            producer.send(to="+13115552367", text="Hello", idempotency_key="another")
        assert producer.counts()["accepted"] == 1


@pytest.mark.parametrize("target", [Status.UNCERTAIN, Status.SENT, Status.RETRYING, Status.FAILED])
def test_what_was_accepted_is_claimed_and_settled(world, full, target):
    world.configure("main")
    message_id = world.accept()
    full()
    claim = world.claim_one()
    assert world.settle(claim, target, delay=5) == "settled"
    assert world.get(message_id).status is target


def test_receipts_ticks_and_cancels_go_on(world, full):
    world.configure("main")
    sent, due, waiting = world.accept(), world.accept(delay=5), world.accept()
    world.settle(world.claim_one(), Status.SENT, provider_id="abc")
    world.clock.advance(6)
    full()
    assert world.receive("delivered", provider_id="abc") == "applied"
    assert world.cancel(waiting).status is Status.CANCELED
    assert world.tick().looked_at == 1
    assert world.get(sent).status is Status.DELIVERED
    assert world.line() == [waiting, due]
    assert world.sign_off(horizon=2) is True
