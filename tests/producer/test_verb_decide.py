"""decide: what a person says about messages whose fate is not known, once, and not too late."""

import pytest

from sendline import ErrorCode, Status
from sendline.contract import ids
from sendline.ledger.keys import KEYS
from sendline.ledger.limits import Limits
from sendline.ledger.work import HEAD


@pytest.fixture
def doubtful(world):
    """Accept, claim and settle one message as uncertain; return its id."""
    world.configure("main", "spare")

    def doubtful(route="main", **fields):
        message_id = world.accept(route, **fields)
        claim = world.claim_one()
        assert claim.message_id == message_id
        world.settle(claim, "uncertain", code=ErrorCode.PERHAPS_ACCEPTED, reason="cut off")
        assert set(world.uncertain()) >= {message_id}
        return message_id

    return doubtful


@pytest.fixture
def untouched(world):
    """All that the ledger holds of messages, for comparing."""

    def untouched():
        calls = KEYS["decision"].encode()  # what they came to is kept for a while
        keys = sorted(k for k in world.raw.keys("sl:*") if k != b"sl:meta" and not k.startswith(calls))
        return {key: (world.raw.dump(key), world.raw.pexpiretime(key)) for key in keys}

    return untouched


def test_failed_by_a_person_it_is_final_and_keeps_what_made_it_uncertain(world, doubtful):
    message_id = doubtful()
    assert world.decide("fail", message_id, reason="asked the provider") == ["decided"]
    message = world.get(message_id)
    assert (message.status, message.error, message.final) == (
        *(Status.FAILED, ErrorCode.PERHAPS_ACCEPTED),
        True,
    )
    assert (message.text, message.due_at, message.attempts) == (None, None, 1)
    assert world.timers() == {}
    assert world.uncertain() == {}
    assert world.counts() == {"failed": 1}
    assert world.ttl(message_id) == pytest.approx(world.limits.retention, abs=5)


def test_sent_again_by_a_person_it_takes_its_next_attempt(world, doubtful):
    message_id = doubtful()
    assert world.decide("resend", message_id, reason="it never arrived") == ["decided"]
    message = world.get(message_id)
    assert (message.status, message.text, message.attempts) == (Status.RETRYING, "Hello", 1)
    assert world.timers() == {message_id: world.clock.ms}
    assert world.uncertain() == {}
    world.tick()
    claim = world.claim_one()
    assert (claim.message_id, claim.record.attempts) == (message_id, 2)
    assert world.settle(claim, "sent") == "settled"
    assert world.counts() == {"sent": 1}


@pytest.mark.parametrize(("decision", "status"), [("resend", "retrying"), ("fail", "failed")])
def test_the_timeline_and_one_event_tell_who_decided_and_why(world, doubtful, decision, status):
    message_id = doubtful()
    world.clock.advance(5)
    before = len(world.events())
    world.decide(decision, message_id, reason="said so by phone")
    [event] = world.events()[before:]
    assert (event.message_id, event.status, event.reason) == (
        *(ids.to_text(message_id), status),
        "said so by phone",
    )
    told = world.get(message_id).timeline[-1]
    assert (told.status, told.code, told.reason) == (status, ErrorCode.PERHAPS_ACCEPTED, "said so by phone")
    assert told.at.timestamp() * 1000 == pytest.approx(world.clock.ms, abs=1)


def test_it_is_sent_again_by_the_same_account_only(world, doubtful):
    message_id = doubtful("main,spare")
    world.accept("main")
    world.settle(world.claim_one(), "retrying", counted=False, delay=60, effect="stop", pause=60)
    world.decide("resend", message_id)
    world.tick()
    assert world.claim().claims == (), "main is stopped, and spare must not take it"
    assert world.get(message_id).route == ("main",)
    world.clock.advance(60)
    assert world.claim_one().account == "main"


def test_a_person_may_have_it_sent_again_though_its_attempts_are_used(world, doubtful):
    world.limits = Limits(max_attempts=1)
    message_id = doubtful(on_uncertain="resend")
    assert world.decide("resend", message_id) == ["decided"]
    world.tick()
    assert world.claim_one().record.attempts == 2


@pytest.mark.parametrize("decision", ["resend", "fail"])
def test_the_same_decision_again_changes_nothing(world, doubtful, untouched, decision):
    message_id = doubtful()
    world.decide(decision, message_id)
    before = untouched()
    assert world.decide(decision, message_id) == ["settled"]
    assert untouched() == before


@pytest.mark.parametrize(("first", "then"), [("resend", "fail"), ("fail", "resend")])
def test_another_decision_comes_too_late(world, doubtful, first, then):
    message_id = doubtful()
    world.decide(first, message_id)
    status = world.get(message_id).status
    assert world.decide(then, message_id) == ["settled"]
    assert world.get(message_id).status is status


@pytest.mark.parametrize("decision", ["resend", "fail"])
@pytest.mark.parametrize("target", ["sent", "retrying", "created", "failed"])
def test_what_is_not_uncertain_is_left_alone(world, untouched, decision, target):
    world.configure("main")
    message_id = world.accept()
    assert world.decide(decision, message_id) == ["settled"]
    claim = world.claim_one()
    assert world.decide(decision, message_id) == ["settled"]
    world.settle(claim, target, delay=HEAD)
    before = untouched()
    assert world.decide(decision, message_id) == ["settled"]
    assert untouched() == before


@pytest.mark.parametrize("decision", ["resend", "fail"])
@pytest.mark.parametrize("ticked", [False, True])
def test_past_its_deadline_it_is_final_and_nothing_is_decided(world, doubtful, untouched, decision, ticked):
    world.limits = Limits(deadline=600)
    message_id = doubtful()
    world.clock.advance(600)
    if ticked:
        world.tick()
    before = untouched()
    assert [world.decide(decision, message_id) for _ in range(2)] == [["over"], ["over"]]
    assert untouched() == before
    assert world.get(message_id).status is Status.UNCERTAIN


def test_until_its_deadline_it_can_be_decided(world, doubtful):
    world.limits = Limits(deadline=600)
    message_id = doubtful()
    world.clock.advance(599.999)
    assert world.decide("resend", message_id) == ["decided"]


@pytest.mark.parametrize("late", [0, 100])
def test_past_its_validity_it_is_not_sent_but_may_fail(world, doubtful, untouched, late):
    message_id = doubtful(valid_for=60)
    world.clock.advance(60 + late)
    before = untouched()
    assert [world.decide("resend", message_id) for _ in range(2)] == [["expired"], ["expired"]]
    assert untouched() == before
    assert world.decide("fail", message_id) == ["decided"]


def test_sent_again_just_within_its_validity_it_is_held_once_more_if_it_can_not_go(world, doubtful):
    message_id = doubtful(valid_for=60)
    world.clock.advance(59.999)
    assert world.decide("resend", message_id) == ["decided"]
    world.clock.advance(0.001)
    world.tick()
    assert world.claim().claims == ()
    assert world.history(message_id)[-2:] == ["retrying", "uncertain"]


def test_canceled_while_it_was_sent_it_is_not_sent_again_but_may_fail(world, untouched):
    world.configure("main")
    message_id = world.accept(on_uncertain="resend")
    claim = world.claim_one()
    world.cancel(message_id)
    world.settle(claim, "uncertain")
    before = untouched()
    assert [world.decide("resend", message_id) for _ in range(2)] == [["canceled"], ["canceled"]]
    assert untouched() == before
    assert world.decide("fail", message_id) == ["decided"]
    assert world.counts() == {"failed": 1}


def test_one_call_decides_about_many_each_for_itself(world, doubtful):
    one, other = doubtful(), doubtful()
    waiting = world.accept()
    words = world.decide("fail", one, b"\0" * 16, waiting, other, one)
    assert words == ["decided", "unknown", "settled", "decided", "settled"]
    assert world.counts() == {"failed": 2, "created": 1}


def test_none_at_all_is_no_mistake(world):
    assert world.decide("fail") == []


def test_a_receipt_still_proves_what_a_person_let_fail(world, doubtful):
    message_id = doubtful()
    world.decide("fail", message_id)
    assert world.receive("delivered", message_id=message_id) == "applied"
    assert world.counts() == {"delivered": 1}


def test_what_is_sent_again_and_uncertain_again_is_held_again(world, doubtful):
    message_id = doubtful()
    world.decide("resend", message_id)
    world.tick()
    world.clock.advance(7)
    world.settle(world.claim_one(), "uncertain")
    message = world.get(message_id)
    assert message.status is Status.UNCERTAIN
    assert message.due_at.timestamp() * 1000 == pytest.approx(
        world.clock.ms + world.limits.deadline * 1000, abs=1
    )
    assert set(world.uncertain()) == {message_id}
    assert world.decide("fail", message_id) == ["decided"]
    assert world.uncertain() == {}


def test_a_claim_that_a_person_overtook_changes_nothing(world):
    world.configure("main")
    message_id = world.accept()
    dead = world.claim_one(lease=90)
    world.clock.advance(91)
    world.tick()
    world.decide("resend", message_id)
    world.tick()
    alive = world.claim_one()
    assert world.settle(dead, "failed") == "dead"
    assert world.settle(alive, "sent", provider_id="p") == "settled"
    assert world.counts() == {"sent": 1}


@pytest.mark.parametrize(
    "leave",
    [
        lambda world, claim: world.receive("delivered", message_id=claim.message_id),
        lambda world, claim: world.receive("sent", message_id=claim.message_id),
        lambda world, claim: world.receive("undelivered", message_id=claim.message_id),
        lambda world, claim: world.decide("fail", claim.message_id),
        lambda world, claim: world.decide("resend", claim.message_id),
        lambda world, _: (world.clock.advance(world.limits.deadline - 1), world.tick()),
    ],
    ids=["delivered", "sent", "undelivered", "fail", "resend", "deadline"],
)
def test_among_the_uncertain_are_those_alone_that_may_still_be_decided(world, leave):
    world.limits = Limits(deadline=600)
    world.configure("main")
    made = world.accept_many(2)
    left, stays = world.claim(2).claims
    assert world.uncertain() == {}
    world.settle(left, "uncertain")
    world.clock.advance(1)
    world.settle(stays, "uncertain")
    assert set(world.uncertain()) == set(made)
    leave(world, left)
    assert left.message_id not in world.uncertain()
    assert stays.message_id in world.uncertain()


def test_a_claim_judged_dead_is_among_the_uncertain_only_where_it_is_held(world):
    world.configure("main")
    held, resent = world.accept(), world.accept(lane="urgent")
    world.claim(2, lease=90)
    world.clock.advance(90)
    world.tick()
    assert set(world.uncertain()) == {held}
    assert world.get(resent).status is Status.RETRYING
