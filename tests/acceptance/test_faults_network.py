"""Connections that are black holes, break, or lose replies: to Redis, and to the provider."""

import pytest

from faulty import lasts, whole
from judge import drafts
from sendline import Producer, Status
from sendline.ledger.scripts import script
from waiting import poll

pytestmark = [pytest.mark.acceptance, pytest.mark.xdist_group("faults_network")]


@pytest.fixture(scope="module")
def running():
    """All of Sendline with one worker, which never gives a message up because of what a test does."""
    with whole(lease=30.0, max_attempts=20) as made:
        made.start_worker()
        yield made


@pytest.fixture(autouse=True)
def quiet(running):
    """Each test begins on connections that do what they should."""
    yield
    running.simulator.clear()
    running.simulator.settings(latency=0.0)
    for proxy in (running.redis, running.provider):
        proxy.drop_none()
        proxy.close_idle(0.0)
        proxy.cut()


# To Redis


def test_old_connections_to_redis_become_black_holes(running):
    judge = running.judge
    ids = judge.send(300, "a black hole")
    judge.await_sent(50, "a black hole")
    assert running.redis.freeze() > 3
    judge.await_settled(timeout=60)
    judge.check(ids, uncertain=0)
    running.redis.cut()
    more = judge.send(50, "behind the black hole")
    judge.await_settled(timeout=30)
    judge.check(more, uncertain=0)
    judge.audit()


@pytest.mark.parametrize("verb", ["claim", "settle", "tick", "receive"])
def test_the_reply_to_a_call_is_lost_after_the_server_executed_it(running, verb):
    judge = running.judge
    before = running.redis.dropped
    running.redis.drop_replies(3, after=script(verb).function.encode())
    ids = judge.send(100, f"{verb} without its reply")
    poll(lambda: running.redis.dropped == before + 3, timeout=20)
    judge.await_settled()
    judge.check(ids, uncertain=0)
    judge.audit()


def test_the_reply_to_accept_is_lost_after_the_server_executed_it(running):
    judge = running.judge
    accepted, dropped = judge.producer.counts()["accepted"], running.redis.dropped
    with Producer(settings=running.settings) as producer:
        producer.counts()
        running.redis.drop_replies(1, after=script("accept").function.encode())
        ids = judge.note([producer.send(**fields) for fields in drafts(20, "accept without its reply")])
        running.redis.drop_replies(1, after=script("accept").function.encode())
        ids += judge.note(producer.send_many(drafts(30, "accept of many without its reply")))
    assert running.redis.dropped == dropped + 2
    assert judge.producer.counts()["accepted"] == accepted + 50
    judge.await_settled()
    judge.check(ids, uncertain=0)


@pytest.mark.parametrize("command", ["BRPOP", "BLPOP"], ids=["wake", "bell"])
def test_a_wake_and_a_bell_that_are_lost_on_their_way_are_no_loss(running, command):
    judge = running.judge
    dropped = running.redis.dropped
    for number in range(3):
        running.redis.drop_replies(1, after=command.encode())
        ids = judge.send(10, f"{command} lost {number}")
        judge.await_settled(timeout=20)
        judge.check(ids, uncertain=0)
    poll(lambda: running.redis.dropped > dropped, timeout=20)  # a worker that is awake may need neither


def test_connections_to_redis_that_break_again_and_again(running):
    judge = running.judge
    ids = judge.send(400, "broken")
    for _ in range(10):
        poll(lasts(0.3))
        running.redis.cut()
    judge.await_settled()
    judge.check(ids, uncertain=0)
    judge.audit()


# To the provider


def test_old_connections_to_the_provider_become_black_holes(running):
    judge = running.judge
    ids = judge.send(300, "the provider in a black hole")
    judge.await_sent(50, "the provider in a black hole")
    frozen = running.provider.freeze()
    judge.await_settled()
    assert judge.check(ids, uncertain=frozen)[Status.UNCERTAIN] <= frozen
    more = judge.send(50, "the provider behind the black hole")
    judge.await_settled()
    judge.check(more, uncertain=0)


@pytest.mark.parametrize("under_request", [False, True], ids=["idle", "under a request"])
def test_the_provider_closes_kept_alive_connections_at_random(running, under_request):
    judge, provider = running.judge, running.provider
    closed = provider.closed_idle
    provider.close_idle(0.3, seed=7, under_request=under_request)
    tag = f"closed, {under_request}"
    ids = []
    for number in range(10):
        ids += judge.send(15, f"{tag} {number}")
        poll(lasts(0.3))
    judge.await_settled()
    closings = provider.closed_idle - closed
    assert closings > 10
    judge.check(ids, uncertain=closings if under_request else closings // 4)


def test_the_provider_is_down_for_a_while(running):
    judge = running.judge
    ids = judge.send(200, "down")
    judge.await_sent(20, "down")
    running.provider.refuse()
    running.provider.cut()
    poll(lasts(8))
    ids += judge.send(50, "down, later")
    running.provider.refuse(False)
    judge.await_settled(timeout=60)
    counts = judge.check(ids, uncertain=20)
    assert counts[Status.DELIVERED] >= 230


# The provider itself


def test_a_slow_provider_is_waited_for(running):
    judge = running.judge
    running.simulator.settings(latency=1.0)
    ids = judge.send(200, "slow")
    judge.await_settled()
    judge.check(ids, uncertain=0)


@pytest.mark.parametrize(
    "behaviour", ["garbage", "hang", "cut", "reset", "accepted_garbage", "accepted_hang", "accepted_reset"]
)
def test_a_provider_that_leaves_us_in_doubt_sends_nothing_twice(running, behaviour):
    judge = running.judge
    running.simulator.behave(behaviour, count=20, probability=0.3, seed=5)
    ids = judge.send(100, behaviour)
    judge.await_settled()
    judge.check(ids, uncertain=20)
