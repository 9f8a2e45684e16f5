"""settle: what an attempt came to, once, and only by the claim that made it."""

import pytest

from ledger_world import account_limits
from sendline import ErrorCode, Status
from sendline.ledger import work
from sendline.ledger.limits import Limits
from sendline_worker.dispatch.settler import in_order


@pytest.fixture
def claimed(world):
    """Accept and claim one message."""
    world.configure("main", "spare")

    def claim(route="main", **fields):
        message_id = world.accept(route, **fields)
        claim = world.claim_one()
        assert claim.message_id == message_id
        return claim

    return claim


def test_sent_keeps_the_providers_id_erases_the_text_and_waits_for_receipts(world, claimed):
    claim = claimed()
    assert world.settle(claim, "sent", provider_id="p-1", deadline=3600) == "settled"
    message = world.get(claim.message_id)
    assert (message.status, message.provider_id, message.text) == (Status.SENT, "p-1", None)
    assert (message.due_at - message.created_at).total_seconds() == 3600
    assert world.timers() == {}
    assert world.flying() == 0
    assert world.holder_of("main", "p-1") == claim.message_id
    assert world.ttl(claim.message_id) == pytest.approx(3600 + world.limits.retention, abs=5)


def test_sent_is_final_at_once_where_the_account_reports_no_deliveries(world, claimed):
    claim = claimed()
    world.settle(claim, "sent", deadline=0)
    assert world.get(claim.message_id).final
    assert world.ttl(claim.message_id) == pytest.approx(world.limits.retention, abs=5)


def test_retrying_waits_for_its_next_attempt(world, claimed):
    claim = claimed()
    assert world.settle(claim, "retrying", delay=20, code=ErrorCode.UNAVAILABLE, reason="503") == "settled"
    message = world.get(claim.message_id)
    assert (message.status, message.attempts, message.error) == (Status.RETRYING, 1, ErrorCode.UNAVAILABLE)
    assert (message.timeline[-1].reason, message.text) == ("503", "Hello")
    assert world.line() == []
    assert world.timers() == {claim.message_id: world.clock.ms + 20_000}
    assert world.flying() == 0


def test_a_retry_after_the_end_of_its_validity_is_looked_at_when_that_ends(world, claimed):
    claim = claimed(valid_for=10)
    created = world.clock.ms
    world.settle(claim, "retrying", delay=60)
    assert world.timers() == {claim.message_id: created + 10_000}
    world.clock.advance(10)
    world.tick()
    assert world.counts() == {"expired": 1}


def test_handed_back_returns_to_the_head_of_its_line_with_no_attempt_counted(world, claimed):
    claim = claimed()
    others = world.accept_many(2)
    world.settle(claim, "created", counted=False, delay=work.HEAD, code=ErrorCode.HANDED_BACK)
    assert world.line() == [claim.message_id, *others]
    assert world.get(claim.message_id).attempts == 0
    assert world.history(claim.message_id) == ["created", "sending", "created"]
    assert world.claim_one().message_id == claim.message_id


def test_handed_back_by_a_dispatcher_that_ends_is_claimed_by_the_next(world, claimed, raw):
    claim = claimed()
    raw.delete("wakes", "sl:bell")
    world.clock.advance(10)
    world.settle(claim, "created", counted=False, delay=work.HEAD)
    world.tick()
    assert world.wakes() == 1


def test_handed_back_in_its_second_attempt_it_waits_as_retrying(world, claimed):
    world.settle(claimed(), "retrying", delay=work.HEAD)
    claim = world.claim_one()
    world.settle(claim, "created", counted=False, delay=work.HEAD)
    assert world.history(claim.message_id) == ["created", "sending", "retrying", "sending", "retrying"]
    assert world.get(claim.message_id).attempts == 1


def test_failed_is_final_without_text_and_kept_for_the_retention(world, claimed):
    claim = claimed()
    assert world.settle(claim, "failed", code=ErrorCode.BLOCKED, reason="filtered") == "settled"
    message = world.get(claim.message_id)
    assert (message.status, message.error, message.final) == (Status.FAILED, ErrorCode.BLOCKED, True)
    assert (message.text, message.expires_at, message.due_at) == (None, None, None)
    assert world.ttl(claim.message_id) == pytest.approx(world.limits.retention, abs=5)
    assert world.timers() == {}
    assert world.flying() == 0


HELD = [("normal", None, None), ("bulk", None, None), ("urgent", "hold", None), ("urgent", None, "hold")]
RESENT = [
    ("urgent", None, None),
    ("normal", "resend", None),
    ("normal", None, "resend"),
    ("bulk", "resend", "hold"),
]


@pytest.mark.parametrize(("lane", "asked", "policy"), [*HELD, ("urgent", "hold", "resend")])
def test_uncertain_is_held_until_its_deadline(world, lane, asked, policy):
    world.configure("main", on_uncertain=policy)
    message_id = world.accept(lane=lane, on_uncertain=asked)
    world.settle(world.claim_one(), "uncertain", code=ErrorCode.PERHAPS_ACCEPTED)
    message = world.get(message_id)
    assert (message.status, message.error, message.final) == (
        *(Status.UNCERTAIN, ErrorCode.PERHAPS_ACCEPTED),
        message.due_at.timestamp() < 1_800_000_000,
    )
    assert world.timers() == {message_id: world.clock.ms + 72 * 3_600_000}
    assert world.flying() == 0
    world.clock.advance(3600)
    world.tick()
    assert world.claim().claims == ()


@pytest.mark.parametrize(("lane", "asked", "policy"), RESENT)
def test_uncertain_is_sent_again_where_its_policy_says_so(world, lane, asked, policy):
    world.configure("main", on_uncertain=policy)
    message_id = world.accept(lane=lane, on_uncertain=asked)
    world.settle(world.claim_one(), "uncertain", delay=10)
    assert world.history(message_id) == ["created", "sending", "uncertain", "retrying"]
    assert world.timers() == {message_id: world.clock.ms + 10_000}
    world.clock.advance(10)
    world.tick()
    assert world.claim_one().record.text == b"Hello"


def test_uncertain_is_not_sent_again_once_its_attempts_are_used(world):
    world.configure("main", on_uncertain="resend")
    world.limits = Limits(max_attempts=2)
    message_id = world.accept()
    for _ in range(2):
        world.settle(world.claim_one(), "uncertain")
        world.tick()
    assert world.get(message_id).status is Status.UNCERTAIN


def test_a_person_who_canceled_an_uncertain_message_does_not_get_it_sent_again(world, claimed):
    claim = claimed(lane="urgent")
    world.cancel(claim.message_id)
    world.settle(claim, "uncertain")
    assert world.counts() == {"uncertain": 1}


@pytest.mark.parametrize("target", ["retrying", "created"])
def test_canceled_while_it_was_sent_and_certainly_not_accepted_it_is_canceled(world, claimed, target):
    claim = claimed()
    message = world.cancel(claim.message_id)
    assert (message.status, message.cancel_requested) == (Status.SENDING, True)
    assert world.settle(claim, target, delay=work.HEAD) == "settled"
    message = world.get(claim.message_id)
    assert (message.status, message.text, message.final) == (Status.CANCELED, None, True)
    assert world.line() == []
    assert world.timers() == {}
    assert world.flying() == 0


def test_canceled_while_it_was_sent_held_meanwhile_and_certainly_not_accepted_it_is_canceled(world, claimed):
    claim = claimed()
    world.cancel(claim.message_id)
    world.settle(claim, "uncertain")
    assert world.settle(claim, "retrying", delay=5) == "settled"
    assert world.history(claim.message_id)[-3:] == ["uncertain", "retrying", "canceled"]
    assert world.counts() == {"canceled": 1}
    assert world.timers() == world.uncertain() == {}


@pytest.mark.parametrize("target", ["sent", "retrying", "created", "failed"])
def test_an_outcome_past_the_deadline_of_what_was_held_moves_nothing(world, claimed, target):
    claim = claimed()
    world.settle(claim, "uncertain")
    world.clock.advance(world.limits.deadline)
    world.tick()
    assert world.settle(claim, target, delay=work.HEAD) == "again"
    assert world.counts() == {"uncertain": 1}
    assert world.line() == []


@pytest.mark.parametrize("target", ["sent", "failed"])
def test_canceled_while_it_was_sent_but_the_provider_answered_it_is_what_that_said(world, claimed, target):
    claim = claimed()
    world.cancel(claim.message_id)
    world.settle(claim, target)
    assert world.counts() == {target: 1}


@pytest.mark.parametrize("target", ["sent", "retrying", "created", "uncertain", "failed"])
def test_the_same_settle_again_changes_nothing(world, claimed, target):
    claim = claimed()
    fields = {"provider_id": "p"} if target == "sent" else {}
    assert world.settle(claim, target, **fields) == "settled"
    before = world.raw.get(b"sl:m" + claim.message_id), world.counts(), world.account(), len(world.events())
    assert world.settle(claim, target, **fields) == "again"
    assert before == (
        *(world.raw.get(b"sl:m" + claim.message_id), world.counts(), world.account()),
        len(world.events()),
    )


def test_one_call_settles_many_each_for_itself(world):
    world.configure("main")
    made = world.accept_many(3)
    claims = world.claim(3).claims
    settlements = [
        work.Settlement(made[0], claims[0].token, "main", Status.SENT, deadline=60),
        work.Settlement(made[0], claims[0].token, "main", Status.SENT, deadline=60),
        work.Settlement(made[1], 99, "main", Status.SENT, deadline=60),
        work.Settlement(b"\0" * 16, 1, "main", Status.SENT, deadline=60),
        work.Settlement(made[2], claims[2].token, "main", Status.FAILED),
    ]
    words = world.settle_many(settlements)
    assert words == ["settled", "again", "dead", "unknown", "settled"]
    assert world.counts() == {"sent": 1, "sending": 1, "failed": 1}


def test_a_claim_that_died_can_not_settle_what_another_claim_holds(world, claimed):
    dead = claimed(lane="urgent")
    world.clock.advance(91)
    world.tick()
    world.tick()
    alive = world.claim_one()
    assert alive.message_id == dead.message_id
    assert world.settle(dead, "sent", provider_id="late") == "dead"
    assert world.get(dead.message_id).status is Status.SENDING
    assert world.settle(alive, "sent", provider_id="p") == "settled"
    assert world.get(dead.message_id).provider_id == "p"
    assert world.raw.hget("sl:meta", "dead") == b"1"


def test_a_dead_claims_late_answer_tells_the_providers_id_by_which_receipts_find_the_message(world, claimed):
    claim = claimed()
    world.clock.advance(91)
    world.tick()
    assert world.receive("delivered", provider_id="q") == "parked"
    assert world.settle(claim, "sent", provider_id="p") == "learned"
    message = world.get(claim.message_id)
    assert (message.status, message.provider_id, message.text) == (Status.UNCERTAIN, "p", "Hello")
    assert set(world.timers()) == {claim.message_id}
    assert world.receive("delivered", provider_id="p") == "applied"
    assert world.counts() == {"delivered": 1}


def test_a_receipt_that_came_before_a_dead_claims_late_answer_is_applied_with_it(world, claimed):
    claim = claimed()
    world.clock.advance(91)
    world.tick()
    assert world.receive("delivered", provider_id="p") == "parked"
    assert world.settle(claim, "sent", provider_id="p") == "learned"
    assert world.counts() == {"delivered": 1}
    assert world.timers() == {}


def test_a_settle_that_no_claim_ever_made_teaches_nothing(world):
    message_id = world.accept()
    forged = work.Settlement(message_id, 7, "main", Status.SENT, provider_id="p")
    assert world.settle_many([forged]) == ["dead"]
    assert world.get(message_id).provider_id is None


def test_a_dead_claims_late_settle_changes_no_status(world, claimed):
    claim = claimed()
    world.clock.advance(91)
    world.tick()
    assert world.settle(claim, "failed") == "dead"
    assert world.counts() == {"uncertain": 1}
    assert world.flying() == 0


@pytest.mark.parametrize("status", ["sent", "delivered", "undelivered"])
def test_a_settle_after_a_receipt_only_adds_the_providers_id(world, claimed, status):
    claim = claimed()
    assert world.receive(status, message_id=claim.message_id) == "applied"
    assert world.flying() == 0
    assert world.settle(claim, "failed", provider_id="p") == "learned"
    message = world.get(claim.message_id)
    assert (message.status, message.provider_id) == (status, "p")
    assert world.holder_of("main", "p") == claim.message_id
    assert world.ttl(claim.message_id) is not None
    assert world.flying() == 0


# What an outcome says of its account


def test_a_throttled_account_pauses_at_once_and_longer_pauses_win(world, claimed):
    one, other = claimed(), claimed()
    world.settle(one, "retrying", counted=False, effect="pause", pause=30, reason="429")
    world.settle(other, "retrying", counted=False, effect="pause", pause=10)
    assert int(world.account()["paused_until"]) == world.clock.ms + 30_000
    assert "stopped" not in world.account()


def test_a_message_that_was_throttled_has_used_no_attempt(world, claimed):
    claim = claimed()
    world.settle(claim, "retrying", counted=False, delay=work.HEAD, effect="pause", pause=1)
    assert world.get(claim.message_id).attempts == 0
    assert world.line() == [claim.message_id]


def test_a_stopped_account_says_why_and_opens_with_the_first_success(world, claimed):
    world.settle(claimed(), "retrying", effect="stop", pause=60, reason="no balance")
    assert world.account()["stopped"] == "no balance"
    world.clock.advance(61)
    world.settle(claimed(), "sent", effect="open")
    assert not {"stopped", "paused_until"} & set(world.account())


def test_a_success_that_was_under_way_when_the_account_stopped_does_not_open_it(world, claimed):
    one, other = claimed(), claimed()
    world.settle(one, "retrying", effect="stop", pause=60)
    world.settle(other, "sent", effect="open")
    assert "stopped" in world.account()


def test_a_probe_that_was_handed_back_shows_nothing_and_the_next_goes_at_once(world, claimed):
    world.settle(claimed(), "retrying", delay=work.HEAD, effect="stop", pause=60)
    world.clock.advance(61)
    probe = world.claim_one()
    assert world.claim(10, by="d2").claims == ()
    world.settle(probe, "created", counted=False, delay=work.HEAD)
    assert len(world.claim(10, by="d2").claims) == 1


def test_success_does_not_end_the_pause_of_an_account_that_is_only_throttled(world, claimed):
    one, other = claimed(), claimed()
    world.settle(one, "retrying", effect="pause", pause=60)
    world.settle(other, "sent", effect="open")
    assert "paused_until" in world.account()


def test_a_dead_claim_says_nothing_of_its_account(world, claimed):
    claim = claimed()
    world.clock.advance(91)
    world.tick()
    world.settle(claim, "retrying", effect="stop", pause=60)
    assert "stopped" not in world.account()


def test_the_accounts_policy_is_that_of_the_account_that_was_tried(world):
    world.configure(account_limits("a", on_uncertain="hold"), account_limits("b", on_uncertain="resend"))
    message_id = world.accept("b")
    world.settle(world.claim_one(), "uncertain")
    assert world.get(message_id).status is Status.RETRYING


def test_handed_back_after_a_throttled_attempt_it_waits_as_retrying_though_none_was_counted(world):
    world.configure("main")
    world.accept()
    world.settle(world.claim_one(), Status.RETRYING, counted=False, delay=work.HEAD)

    again = world.claim_one()
    world.settle(again, Status.CREATED, counted=False, delay=work.HEAD)

    message = world.get(again.message_id)
    assert (message.status, message.attempts) == (Status.RETRYING, 0)


def test_what_is_sent_again_after_doubt_stays_with_its_account(world):
    world.configure("main", "spare")
    message_id = world.accept("main,spare", on_uncertain="resend")
    world.settle(world.claim_one(), Status.UNCERTAIN, delay=5)
    world.accept("main", lane="urgent")
    world.settle(world.claim_one(), Status.RETRYING, counted=False, delay=60, effect="stop", pause=60)

    world.clock.advance(6)
    world.tick()

    assert world.claim(10).claims == (), "main is stopped, and spare must not take it"
    assert world.get(message_id).route == ("main",)


def test_a_worker_that_starts_lets_a_stopped_account_be_tried_at_once(world):
    world.configure("main")
    message_id = world.accept()
    world.settle(world.claim_one(), Status.RETRYING, counted=False, delay=-1, effect="stop", pause=60)
    assert world.claim(10).claims == ()

    world.configure("main")

    [claim] = world.claim(10).claims
    assert claim.message_id == message_id


def test_claims_handed_back_together_keep_their_order(world):
    world.configure("main")
    ids = world.accept_many(3)
    claims = world.claim(3).claims
    back = [
        work.Settlement(c.message_id, c.token, c.account, Status.CREATED, counted=False, delay=work.HEAD)
        for c in claims
    ]

    world.settle_many(in_order(back))

    assert world.line() == ids
