"""The judge of reported messages sees what it is there to see, and nothing where all is well."""

from datetime import UTC, datetime

import pytest

from reported.verdict import judge
from sendline import Message, Status
from sendline.contract.lane import Lane
from sendline.contract.message import TimelineEntry
from sendline_worker.simulator.client import Posted, Received

AT = datetime(2026, 1, 1, tzinfo=UTC)
SENT, DELIVERED, UNDELIVERED = Status.SENT, Status.DELIVERED, Status.UNDELIVERED


def held(*history, provider_id="theirs"):
    """A message as the ledger has it, after these statuses."""
    return Message(
        id="ours",
        status=history[-1],
        to="+13115550001",
        sender=None,
        lane=Lane.NORMAL,
        account="main",
        route=("main",),
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
        metadata={"text": "Reported 1"},
        timeline=tuple(TimelineEntry(AT, status) for status in history),
    )


def received(*receipts, provider_id="theirs"):
    """The provider's entry of it; each of `receipts` is what it says and what it was answered."""
    return Received(
        n=1,
        at=0.0,
        mono_ns=0,
        provider="opentact",
        account="main",
        recipient="+13115550001",
        sender="+13115552368",
        text="Reported 1",
        provider_id=provider_id,
        behaviour="ordinary",
        answer="201",
        receipts=tuple(Posted(report, 0.0, result) for report, result in receipts),
    )


def found(message, *log):
    return [offender.partition(": ")[2] for offender in judge([message], log).offenders]


@pytest.mark.parametrize(
    ("history", "receipts"),
    [
        ((SENT,), ()),
        ((SENT, DELIVERED), (("sent", "200"), ("delivered", "200"))),
        ((DELIVERED,), (("delivered", "200"), ("undelivered", "200"), ("sent", "200"))),
        ((SENT, UNDELIVERED), (("undelivered", "503"), ("undelivered", "200"))),
        ((SENT,), (("delivered", "404"),)),
    ],
)
def test_a_message_that_stands_where_the_log_puts_it_is_let_be(history, receipts):
    assert found(held(*history), received(*receipts)) == []


def test_a_receipt_that_was_answered_and_is_not_in_the_ledger_is_found():
    receipts = (("sent", "200"), ("delivered", "ClientOSError"), ("delivered", "200"))
    [what] = found(held(SENT), received(*receipts))
    assert what.startswith("sent, and by the provider's log (ordinary) delivered")


def test_a_status_that_nobody_reported_is_found_also_when_it_was_corrected():
    assert len(found(held(SENT, DELIVERED), received(("delivered", "404")))) == 2
    [what] = found(held(SENT, UNDELIVERED, DELIVERED), received(("delivered", "200")))
    assert what == "was undelivered once, which the provider never reported"


def test_a_receipt_without_an_answer_may_have_been_stored_and_is_counted():
    entry = received(("sent", "200"), ("delivered", "ServerDisconnectedError"))
    assert found(held(SENT), entry) == found(held(SENT, DELIVERED), entry) == []
    assert judge([held(SENT)], [entry]).unclear == 1


def test_another_provider_id_a_second_sending_and_none_at_all_are_found():
    assert len(found(held(SENT, provider_id="other"), received())) == 1
    assert found(held(SENT), received(), received()) == ["accepted 2 times by the provider"]
    assert found(held(SENT)) == ["accepted 0 times by the provider"]
