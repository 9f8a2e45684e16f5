"""The verdict: it sees each way in which a promise can be broken, and nothing where all is well."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from chaos.verdict import Witnesses, judge
from sendline import Message, Status
from sendline.contract.lane import Lane
from sendline.contract.message import TimelineEntry
from sendline_worker.simulator.client import Received

AT = datetime(2026, 1, 1, tzinfo=UTC)


def message(number, *history, provider_id=None):
    """A message as the ledger has it, after these statuses."""
    return Message(
        id=f"id-{number}",
        status=history[-1],
        to="+13115550001",
        sender=None,
        lane=Lane.NORMAL,
        account="plain",
        route=("plain",),
        created_at=AT,
        expires_at=None,
        due_at=None,
        attempts=1,
        segments=1,
        provider_id=provider_id,
        error=None,
        text=None,
        on_uncertain=None,
        cancel_requested=False,
        callback_url=None,
        metadata={"n": str(number)},
        timeline=tuple(TimelineEntry(AT, status) for status in history),
    )


def received(n, number, *, accepted=True, behaviour="ordinary"):
    """Entry `n` of the provider's log, for message `number`."""
    return Received(
        n=n,
        at=0.0,
        mono_ns=0,
        provider="opentact",
        account="plain",
        recipient="+13115550001",
        sender="+13115552368",
        text=f"Chaos {number}",
        provider_id=f"theirs-{n}" if accepted else None,
        behaviour=behaviour,
        answer="201",
        receipts=(),
    )


def witnesses(held, log, **changes):
    """Three witnesses, all of `held` acknowledged."""
    return replace(
        Witnesses(
            total=len(held),
            acknowledged=[(number, f"id-{number}") for number in range(len(held))],
            held={f"id-{number}": each for number, each in enumerate(held)},
            counts={"accepted": len(held)},
            audit=(),
            log=log,
        ),
        **changes,
    )


def said(seen, policy="hold", in_doubt=0):
    return [(o.promise, o.number) for o in judge(seen, policy, in_doubt).offenders]


SENT = (Status.CREATED, Status.SENDING, Status.SENT, Status.DELIVERED)
DOUBTED = (Status.CREATED, Status.SENDING, Status.UNCERTAIN)
AGAIN = (*DOUBTED, Status.RETRYING, Status.SENDING, Status.SENT, Status.DELIVERED)


@pytest.mark.parametrize("policy", ["hold", "resend"])
def test_where_all_is_well_nothing_is_said(policy):
    held = [
        message(0, *SENT, provider_id="theirs-1"),
        message(1, Status.CREATED, Status.SENDING, Status.FAILED),
        message(2, *DOUBTED),
        message(3, *DOUBTED),
        message(4, Status.CREATED, Status.EXPIRED),
        message(5, Status.CREATED, Status.SENDING, Status.SENT, provider_id="theirs-4"),
    ]
    log = [received(1, 0), received(2, 1, accepted=False), received(3, 2), received(4, 5)]

    verdict = judge(witnesses(held, log), policy, 0)

    assert verdict.holds
    assert (verdict.accepted, verdict.lost, verdict.twice, verdict.uncertain_taken) == (6, 0, 0, {"plain": 1})
    assert verdict.by_status[Status.UNCERTAIN] == 2


@pytest.mark.parametrize("status", [Status.CREATED, Status.SENDING, Status.RETRYING])
def test_a_message_that_still_is_under_way_is_lost(status):
    assert said(witnesses([message(0, status)], [])) == [("lost", 0)]


def test_a_message_that_the_ledger_does_not_know_is_lost():
    assert said(witnesses([None], [])) == [("lost", 0)]
    assert said(witnesses([None], [received(1, 0)])) == [("lost", 0)]


@pytest.mark.parametrize("status", [Status.SENT, Status.DELIVERED, Status.UNDELIVERED])
def test_a_message_that_counts_as_sent_and_never_came_to_the_provider_is_lost(status):
    seen = witnesses([message(0, Status.CREATED, Status.SENDING, status)], [received(1, 0, accepted=False)])
    verdict = judge(seen, "hold", 0)
    assert (verdict.lost, len(verdict.offenders)) == (1, 1)


def test_messages_that_could_not_be_handed_in_are_told():
    assert said(witnesses([], [], total=3)) == [("lost", None)]


@pytest.mark.parametrize("status", [Status.FAILED, Status.EXPIRED, Status.CANCELED, Status.SUPPRESSED])
def test_a_message_that_counts_as_not_sent_and_came_to_the_provider_is_a_lie(status):
    held = [message(0, Status.CREATED, Status.SENDING, status)]
    assert said(witnesses(held, [received(1, 0)])) == [("lie", 0)]


def test_under_hold_nothing_may_be_sent_twice():
    held = [message(0, *AGAIN, provider_id="theirs-2")]
    assert said(witnesses(held, [received(1, 0), received(2, 0)]), in_doubt=9) == [("twice", 0)]


def test_under_resend_a_message_may_be_sent_again_for_each_time_that_it_was_in_doubt():
    log = [received(1, 0), received(2, 0)]
    doubted = witnesses([message(0, *AGAIN, provider_id="theirs-2")], log)
    verdict = judge(doubted, "resend", 1)
    assert (verdict.holds, verdict.twice, verdict.bound) == (True, 1, 1)

    again = witnesses([message(0, *AGAIN, provider_id="theirs-2")], [*log, received(3, 0)])
    assert said(again, "resend", 9) == [("twice", 0)]

    sure = witnesses([message(0, *SENT, provider_id="theirs-2")], log)
    assert said(sure, "resend", 9) == [("twice", 0)]


def test_under_resend_no_more_may_be_sent_twice_than_were_ever_in_doubt():
    held = [message(0, *AGAIN, provider_id="theirs-2")]
    assert said(witnesses(held, [received(1, 0), received(2, 0)]), "resend", 0) == [("twice", None)]
    unclear = [received(1, 0, behaviour="accepted_hang"), received(2, 0)]
    assert said(witnesses(held, unclear), "resend", 0) == []


def test_one_message_under_two_ids_is_accepted_twice():
    seen = witnesses([message(0, *SENT, provider_id="theirs-1")], [received(1, 0)])
    again = replace(seen, acknowledged=[(0, "id-x"), *seen.acknowledged])
    assert ("twice", 0) in said(again)


def test_what_the_ledger_counts_beyond_what_was_acknowledged_is_told():
    seen = witnesses([message(0, *SENT, provider_id="theirs-1")], [received(1, 0)], counts={"accepted": 2})
    assert said(seen) == [("count", None)]


def test_what_nobody_handed_in_must_not_be_at_the_provider():
    seen = witnesses([message(0, *SENT, provider_id="theirs-1")], [received(1, 0), received(2, 7)])
    assert said(seen) == [("lie", 7)]


def test_an_id_that_the_provider_never_gave_is_a_lie():
    held = [message(0, *SENT, provider_id="theirs-9")]
    assert said(witnesses(held, [received(1, 0)])) == [("lie", 0)]


def test_what_the_audit_finds_breaks_a_promise():
    seen = witnesses([message(0, *SENT, provider_id="theirs-1")], [received(1, 0)], audit=("a line is lost",))
    assert said(seen) == [("audit", None)]


def test_an_offender_says_where_to_look():
    held = [message(0, *AGAIN, provider_id="theirs-2")]
    [offender] = judge(witnesses(held, [received(1, 0), received(2, 0)]), "hold", 0).offenders
    assert str(offender) == (
        "twice: message 0 (id-0): accepted 2 times by the provider (entries 1, 2 of its log)"
    )
