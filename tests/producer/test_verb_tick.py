"""tick: what only time does to a message."""

import pytest

from sendline import ErrorCode, Status
from sendline.ledger import work
from sendline.ledger.limits import Limits


@pytest.fixture(autouse=True)
def account(world):
    world.configure("main")


def test_a_due_retry_returns_to_the_end_of_its_line(world):
    message_id = world.accept()
    world.settle(world.claim_one(), "retrying", delay=20)
    other = world.accept()
    world.clock.advance(19.999)
    world.tick()
    assert world.line() == [other]
    world.clock.advance(0.001)
    world.tick()
    assert world.line() == [other, message_id]
    assert world.timers()[message_id] == world.clock.ms + 3_580_000
    assert world.get(message_id).due_at is None


def test_a_message_enters_its_line_once_however_often_the_tick_looks(world):
    message_id = world.accept(delay=10)
    world.clock.advance(10)
    for _ in range(3):
        world.tick()
    assert world.line() == [message_id]


@pytest.mark.parametrize(("lane", "status"), [("normal", "uncertain"), ("urgent", "retrying")])
def test_a_dead_claim_is_uncertain_and_sent_again_only_where_its_policy_says_so(world, lane, status):
    message_id = world.accept(lane=lane)
    world.claim_one(lease=90)
    world.clock.advance(89.999)
    world.tick()
    assert world.counts() == {"sending": 1}
    world.clock.advance(0.001)
    world.tick()
    message = world.get(message_id)
    assert (message.status, message.error) == (status, ErrorCode.WORKER_DIED)
    assert world.history(message_id)[:3] == ["created", "sending", "uncertain"]
    assert message.attempts == 1
    assert world.flying() == 0


def test_a_message_that_is_re_sent_after_its_worker_died_is_claimed_once(world):
    message_id = world.accept(lane="urgent")
    world.claim_one()
    world.clock.advance(91)
    world.tick()
    world.tick()
    assert [claim.message_id for claim in world.claim().claims] == [message_id]


def test_a_message_that_waits_expires_with_its_validity(world):
    message_id = world.accept(valid_for=60)
    world.clock.advance(59.999)
    world.tick()
    assert world.counts() == {"created": 1}
    world.clock.advance(0.001)
    world.tick()
    message = world.get(message_id)
    assert (message.status, message.text, message.final) == (Status.EXPIRED, None, True)
    assert world.timers() == {}
    assert world.ttl(message_id) == pytest.approx(world.limits.retention, abs=5)
    assert world.claim().claims == ()


def test_an_expired_message_keeps_the_error_for_which_it_waited(world):
    message_id = world.accept(valid_for=60)
    world.settle(world.claim_one(), "retrying", delay=120, code=ErrorCode.UNAVAILABLE)
    world.clock.advance(60)
    world.tick()
    assert world.get(message_id).error is ErrorCode.UNAVAILABLE


def test_a_message_without_a_route_expires_too(world):
    world.accept("", valid_for=60)
    world.clock.advance(60)
    world.tick()
    assert world.counts() == {"expired": 1}


def test_an_uncertain_message_is_final_after_its_deadline(world):
    world.limits = Limits(deadline=3600, retention=7200)
    message_id = world.accept()
    world.settle(world.claim_one(), "uncertain")
    world.clock.advance(3599)
    world.tick()
    assert (world.get(message_id).text, world.ttl(message_id)) == ("Hello", None)
    world.clock.advance(1)
    world.tick()
    assert world.get(message_id).text is None
    assert world.ttl(message_id) == pytest.approx(7200, abs=5)
    assert world.timers() == {}
    assert world.counts() == {"uncertain": 1}


def test_a_receipt_still_proves_an_uncertain_message_after_its_deadline(world):
    world.limits = Limits(deadline=3600)
    message_id = world.accept()
    world.settle(world.claim_one(), "uncertain")
    world.clock.advance(3600)
    world.tick()
    assert world.receive("delivered", message_id=message_id) == "applied"
    assert world.counts() == {"delivered": 1}


def test_a_timer_of_a_message_that_is_no_longer_kept_is_dropped(world, raw):
    message_id = world.accept(delay=10)
    raw.delete(b"sl:m" + message_id)
    world.clock.advance(10)
    world.tick()
    assert world.timers() == {}


def test_while_one_worker_ticks_another_does_nothing(world):
    world.accept(delay=10)
    assert world.tick("w1", lock=5) == work.Ticked(mine=True, looked_at=0)
    world.clock.advance(10)
    assert world.tick("w2", lock=5) == work.Ticked(mine=False, looked_at=0)
    assert world.line() == []
    assert world.tick("w1", lock=5) == work.Ticked(mine=True, looked_at=1)


def test_another_worker_ticks_once_the_lock_has_ended(world, raw, poll):
    world.tick("w1", lock=0.05)
    poll(lambda: world.tick("w2", lock=5).mine)
    assert not world.tick("w1").mine


def test_a_tick_looks_at_no_more_than_it_is_asked_to(world):
    world.accept_many(5, delay=10)
    world.clock.advance(10)
    assert [world.tick(most=2).looked_at for _ in range(4)] == [2, 2, 1, 0]
    assert len(world.line()) == 5


def test_a_tick_that_finds_work_and_nobody_awake_pushes_the_wake(world, raw):
    world.accept()
    raw.delete("wakes")
    world.clock.advance(1)
    world.tick()
    assert world.wakes() == 1


def test_a_tick_wakes_somebody_where_nobody_is_awake_and_no_wake_waits(world, raw):
    world.configure("main")
    world.claim(promise=5)
    raw.delete("wakes")
    world.clock.advance(5)
    world.tick()
    assert world.wakes() == 0
    for _ in range(3):
        world.clock.advance(1.001)
        world.tick()
        assert world.wakes() == 1


def test_a_tick_sends_more_wakes_only_for_work_that_may_go(world, raw):
    world.configure("main", rate=0.1, burst=1)
    world.accept_many(2)
    world.claim(promise=1)
    world.clock.advance(8.999)
    world.tick()
    assert world.wakes() == 1
    world.clock.advance(1)
    world.tick()
    assert world.wakes() == 2


def test_a_tick_that_finds_somebody_awake_leaves_him_alone(world, raw):
    world.claim(promise=60)
    world.accept()
    raw.delete("wakes", "sl:bell")
    world.clock.advance(5)
    world.tick()
    assert (world.wakes(), world.bells()) == (0, 0)


def test_dispatchers_that_are_long_gone_are_forgotten(world, raw):
    world.claim(promise=5)
    world.clock.advance(66)
    world.tick()
    assert raw.zcard("sl:awake") == 0


def test_ticks_on_an_empty_ledger_do_nothing(world):
    assert world.tick() == work.Ticked(mine=True, looked_at=0)
    assert world.counts() == {}
