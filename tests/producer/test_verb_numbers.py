"""Numbered calls: the same number again has the effect of once, an earlier one comes too late."""

import pytest

from sendline import ErrorCode, Status
from sendline.contract import ids
from sendline.ledger import work
from sendline.ledger.keys import KEYS


@pytest.fixture
def claims(world):
    """Claim five messages in one call, number 1."""
    world.configure("main")
    made = world.accept_many(5)
    claimed = world.claim(5, number=1).claims
    assert [claim.message_id for claim in claimed] == made
    return claimed


@pytest.fixture
def untouched(world):
    """All that the ledger holds, but for the numbers themselves and what was dead."""

    def untouched():
        numbers = (KEYS["settler"].encode(), KEYS["dispatcher"].encode())
        keys = sorted(key for key in world.raw.keys("sl:*") if not key.startswith(numbers))
        return {key: world.raw.dump(key) for key in keys}

    return untouched


def settlement(claim, target="sent", **fields):
    fields = {"deadline": 3600} | fields if target == "sent" else fields
    return work.Settlement(claim.message_id, claim.token, claim.account, Status(target), **fields)


def dead_outcomes(world):
    return int(world.raw.hget(KEYS["meta"], "dead") or 0)


def late_entries(world, message_id):
    return [entry for entry in world.get(message_id).timeline if entry.code == ErrorCode.LATE]


# Settle


@pytest.mark.parametrize("target", ["sent", "retrying", "created", "uncertain", "failed"])
def test_the_same_settle_again_changes_nothing(world, claims, untouched, target):
    told = [settlement(claim, target) for claim in claims[:3]]
    assert world.settle_many(told, number=1) == ["settled"] * 3
    before = untouched()
    assert world.settle_many(told, number=1) == ["again"] * 3
    assert untouched() == before


def test_the_same_settle_again_after_the_message_went_on_changes_nothing(world, claims, untouched):
    told = [settlement(claims[0], "retrying", delay=work.HEAD)]
    world.settle_many(told, number=1)
    again = world.claim_one()
    assert again.message_id == claims[0].message_id
    before = untouched()
    assert world.settle_many(told, number=1) == ["dead"]
    assert untouched() == before
    assert world.get(again.message_id).status is Status.SENDING


def test_an_earlier_settle_is_refused_and_changes_nothing(world, claims, untouched):
    assert world.settle_many([settlement(claims[0])], number=2) == ["settled"]
    before = untouched()
    late = [settlement(claims[0], "failed"), settlement(claims[1]), settlement(claims[2], "retrying")]
    assert world.settle_many(late, number=1) == ["late"] * 3
    assert untouched() == before
    assert dead_outcomes(world) == 0
    assert world.settle_many(late[1:], number=2) == ["settled"] * 2, "the newest number still holds"


def test_a_late_settle_is_refused_though_its_message_is_being_sent_again(world, claims):
    first = [settlement(claims[0], "retrying", delay=work.HEAD)]
    world.settle_many(first, number=1)
    again = world.claim_one()
    world.settle_many([settlement(claims[1])], number=2)
    assert world.settle_many(first, number=1) == ["late"]
    assert late_entries(world, again.message_id) == []
    assert world.settle_many([settlement(again)], number=3) == ["settled"]


def test_settles_of_another_dispatcher_have_their_own_row(world, claims):
    world.settle_many([settlement(claims[0])], number=7)
    assert world.settle_many([settlement(claims[1])], by="s2", number=1) == ["settled"]


def test_the_number_of_a_settle_is_forgotten_in_the_end(world, claims):
    world.settle_many([settlement(claims[0])], number=7)
    assert 0 < world.raw.pttl(KEYS["settler"] + "s1") <= 600_000


def test_an_empty_settle_counts_as_one(world, claims):
    assert world.settle_many([], number=2) == []
    assert world.settle_many([settlement(claims[0])], number=1) == ["late"]


# A claim that has ended


@pytest.fixture
def dead(world, claims):
    """A claim that the tick has judged."""
    world.clock.advance(90)
    world.tick()
    assert world.counts() == {"uncertain": 5}
    return claims[0]


@pytest.mark.parametrize("target", ["sent", "retrying", "created", "uncertain", "failed"])
def test_an_outcome_after_its_claim_has_ended_is_recorded_and_moves_nothing(world, dead, target):
    world.clock.advance(3)
    before = world.get(dead.message_id), world.counts(), world.events(), world.timers(), world.uncertain()
    word = world.settle(dead, target, reason="it took long", delay=work.HEAD, effect="stop", pause=60)
    assert word == "dead"
    message = world.get(dead.message_id)
    entry = message.timeline[-1]
    assert (entry.status, entry.code) == (Status.UNCERTAIN, ErrorCode.LATE)
    assert target in entry.reason
    assert "it took long" in entry.reason
    assert entry.at.timestamp() * 1000 == pytest.approx(world.clock.ms, abs=1)
    assert message.timeline[:-1] == before[0].timeline
    assert (message.status, message.error, message.text) == (
        *(Status.UNCERTAIN, ErrorCode.WORKER_DIED),
        "Hello",
    )
    assert (message.due_at, message.attempts) == (before[0].due_at, 1)
    assert before[1:] == (world.counts(), world.events(), world.timers(), world.uncertain())
    assert dead_outcomes(world) == 1
    assert "stopped" not in world.account()


def test_a_dead_outcome_that_arrives_again_is_counted_and_written_down_once(world, dead, untouched):
    told = [settlement(dead, "failed")]
    assert world.settle_many(told, number=1) == ["dead"]
    before = untouched()
    assert world.settle_many(told, number=1) == ["dead"]
    assert untouched() == before
    assert dead_outcomes(world) == len(late_entries(world, dead.message_id)) == 1


def test_of_a_batch_that_arrives_again_only_the_dead_ones_are_dead(world, claims):
    world.clock.advance(60)
    world.accept()
    alive = world.claim_one()
    world.clock.advance(40)
    world.tick()
    told = [settlement(claims[0]), settlement(alive), settlement(claims[1])]
    assert world.settle_many(told, number=1) == ["dead", "settled", "dead"]
    assert world.settle_many(told, number=1) == ["dead", "again", "dead"]
    assert dead_outcomes(world) == 2
    assert world.counts() == {"uncertain": 5, "sent": 1}


def test_the_providers_id_of_a_judged_claim_is_learned_once(world, dead, untouched):
    told = [settlement(dead, provider_id="p")]
    assert world.settle_many(told, number=1) == ["learned"]
    message = world.get(dead.message_id)
    assert (message.provider_id, message.status) == ("p", Status.UNCERTAIN)
    assert dead_outcomes(world) == len(late_entries(world, dead.message_id)) == 1
    before = untouched()
    assert world.settle_many(told, number=1) == ["dead"]
    assert untouched() == before


def test_a_learned_id_and_its_late_entry_survive_what_a_parked_receipt_proves(world, dead):
    world.receive("delivered", provider_id="p")
    assert world.settle(dead, "sent", provider_id="p") == "learned"
    message = world.get(dead.message_id)
    assert (message.status, message.provider_id, message.text) == (Status.DELIVERED, "p", None)
    assert len(late_entries(world, dead.message_id)) == 1
    assert world.ttl(dead.message_id) is not None


def test_no_id_is_learned_where_another_claim_has_followed(world, dead):
    world.decide("resend", dead.message_id)
    world.tick()
    again = world.claim_one()
    assert world.settle(dead, "sent", provider_id="p") == "dead"
    assert world.get(dead.message_id).provider_id is None
    assert world.holder_of("main", "p") is None
    [entry] = late_entries(world, dead.message_id)
    assert entry.status is Status.SENDING
    assert world.settle(again, "sent", provider_id="q") == "settled"
    assert world.get(dead.message_id).provider_id == "q"


def test_no_id_is_learned_that_is_known_as_another_messages(world, dead, claims):
    world.receive(None, message_id=claims[1].message_id, provider_id="p")
    assert world.settle(dead, "sent", provider_id="p") == "dead"
    assert world.get(dead.message_id).provider_id is None
    assert world.holder_of("main", "p") == claims[1].message_id


def test_what_comes_late_for_a_final_message_is_written_down_too(world, dead):
    world.decide("fail", dead.message_id)
    kept = world.ttl(dead.message_id)
    assert world.settle(dead, "sent") == "dead"
    assert len(late_entries(world, dead.message_id)) == 1
    assert world.ttl(dead.message_id) == pytest.approx(kept, abs=5), "it is kept as long as before"
    assert world.counts() == {"failed": 1, "uncertain": 4}


# Sign-off and claim


def test_a_late_claim_after_a_sign_off_is_refused(world, claims):
    world.accept_many(3)
    world.sign_off(number=3)
    for number in (1, 2):
        late = world.claim(5, number=number)
        assert (late.late, late.claims) == (True, ())
    assert world.counts() == {"sending": 5, "created": 3}
    assert len(world.claim(5, number=4).claims) == 3


def test_a_claim_with_the_number_of_the_sign_off_takes_nothing(world, claims):
    world.accept_many(3)
    world.sign_off(number=2)
    assert world.claim(5, number=2).claims == ()
    assert world.counts() == {"sending": 5, "created": 3}


def test_signing_off_leaves_what_was_answered_with_its_worker(world, claims):
    world.sign_off(number=2)
    assert world.counts() == {"sending": 5}
    assert world.settle(claims[0], "sent") == "settled"


def test_what_an_unanswered_claim_took_goes_back_to_the_head_in_order_and_uncounted(world, claims):
    later = world.accept_many(2)
    world.clock.advance(1)
    world.sign_off(number=2, unanswered=1)
    assert world.line() == [*(claim.message_id for claim in claims), *later]
    assert world.flying() == 0
    assert world.counts() == {"created": 7}
    for claim in claims:
        message = world.get(claim.message_id)
        assert (message.attempts, message.error, message.text) == (0, ErrorCode.HANDED_BACK, "Hello")
        assert world.history(claim.message_id) == ["created", "sending", "created"]
        assert world.timers()[claim.message_id] == message.expires_at.timestamp() * 1000
    again = world.claim(5, by="d2").claims
    assert [claim.message_id for claim in again] == [claim.message_id for claim in claims]


def test_what_goes_back_wakes_somebody(world, claims, raw):
    raw.delete("wakes")
    world.clock.advance(1)
    assert world.sign_off(number=2, unanswered=1)
    assert world.wakes() == 1


def test_what_had_been_retrying_goes_back_there(world, claims):
    world.settle(claims[0], "retrying", delay=work.HEAD)
    [again] = world.claim(1, number=2).claims
    world.sign_off(number=3, unanswered=2)
    message = world.get(again.message_id)
    assert (message.status, message.attempts) == (Status.RETRYING, 1)


def test_a_canceled_one_of_them_is_canceled(world, claims):
    world.cancel(claims[1].message_id)
    world.sign_off(number=2, unanswered=1)
    assert world.counts() == {"created": 4, "canceled": 1}
    assert claims[1].message_id not in world.line()


def test_what_has_moved_on_meanwhile_stays_where_it_is(world, claims):
    settled, proven, judged, *rest = claims
    world.settle(settled, "sent")
    world.receive("delivered", message_id=proven.message_id)
    world.settle(judged, "retrying", delay=work.HEAD)
    mine = world.claim_one(by="d2")
    assert mine.message_id == judged.message_id
    world.sign_off(number=2, unanswered=1)
    assert world.counts() == {"sent": 1, "delivered": 1, "sending": 1, "created": 2}
    assert world.line() == [claim.message_id for claim in rest]
    assert world.settle(mine, "sent") == "settled"


def test_signing_off_again_gives_nothing_back_a_second_time(world, claims, untouched, raw):
    world.sign_off(number=2, unanswered=1)
    mine = world.claim(5, by="d2").claims
    before = untouched()
    world.sign_off(number=2, unanswered=1, horizon=0)
    assert untouched() == before
    assert {world.settle(claim, "sent") for claim in mine} == {"settled"}


def test_signing_off_again_leaves_alone_what_the_same_dispatcher_took_since(world, claims):
    world.sign_off(number=2, unanswered=1)
    mine = world.claim(5, number=3).claims
    assert not world.sign_off(number=2, unanswered=1)
    assert world.counts() == {"sending": 5}
    assert {world.settle(claim, "sent") for claim in mine} == {"settled"}


def test_a_late_sign_off_is_refused_and_forgets_nothing_of_the_claim_after_it(world, claims):
    world.accept_many(2)
    mine = world.claim(2, number=3).claims
    assert not world.sign_off(number=2, unanswered=1)
    assert world.counts() == {"sending": 7}
    again = world.claim(2, number=3)
    assert [(c.message_id, c.token) for c in again.claims] == [(c.message_id, c.token) for c in mine]
    assert world.claim(2, number=2).late


def test_a_claim_that_arrives_only_after_the_sign_off_is_refused(world):
    world.configure("main")
    made = world.accept_many(3)
    world.claim(0, number=1)
    world.sign_off(number=3, unanswered=2)
    late = world.claim(3, number=2)
    assert (late.late, late.claims) == (True, ())
    assert world.line() == made
    assert world.counts() == {"created": 3}


def test_an_unanswered_claim_that_never_arrived_gives_back_nothing_of_the_one_before(world, claims):
    world.sign_off(number=3, unanswered=2)
    assert world.counts() == {"sending": 5}
    assert world.settle(claims[0], "sent") == "settled"


def test_the_outcome_of_what_was_given_back_changes_nothing(world, claims):
    world.sign_off(number=2, unanswered=1)
    mine = world.claim(5, by="d2").claims
    assert world.settle(claims[0], "failed") == "dead"
    assert world.get(claims[0].message_id).status is Status.SENDING
    assert world.settle(mine[0], "sent") == "settled"


def test_given_back_by_a_probe_the_stopped_account_is_tried_again_at_once(world, claims):
    world.settle(claims[0], "retrying", delay=work.HEAD, effect="stop", pause=60)
    world.clock.advance(61)
    [probe] = world.claim(1, number=2).claims
    assert world.claim(5, by="d2").claims == ()
    world.sign_off(number=3, unanswered=2)
    assert [claim.message_id for claim in world.claim(5, by="d2").claims] == [probe.message_id]


def test_events_tell_of_what_goes_back_and_of_nothing_else(world, claims):
    before = len(world.events())
    world.sign_off(number=2, unanswered=1)
    told = [(event.message_id, event.status, event.code) for event in world.events()[before:]]
    back = [(ids.to_text(c.message_id), Status.CREATED, ErrorCode.HANDED_BACK) for c in reversed(claims)]
    assert told == back
    assert len(world.events()) == before + 5
    world.sign_off(number=2, unanswered=1)
    assert len(world.events()) == before + 5
