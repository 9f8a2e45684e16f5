"""The demo's judge finds each thing that can be wrong, once, and nothing where all is well."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sendline import Message, Status
from sendline.contract.lane import Lane
from sendline_worker.cli.printing import console
from sendline_worker.demo.run import Result
from sendline_worker.demo.verdict import judge
from sendline_worker.demo.view import show
from sendline_worker.simulator.client import Posted, Received

TO = "+13115550001"
TAKEN = Posted("delivered", 2.0, "200")
RECEIVED = Received(1, 1.0, 1, "x", "demo", TO, "+13115552368", "Hi", "p1", "ordinary", "200", (TAKEN,))
MESSAGE = Message(
    id="m1",
    status=Status.DELIVERED,
    to=TO,
    sender=None,
    lane=Lane.BULK,
    account="demo",
    route=("demo",),
    created_at=datetime.now(UTC),
    expires_at=None,
    due_at=None,
    attempts=1,
    segments=1,
    provider_id="p1",
    error=None,
    text=None,
    on_uncertain=None,
    cancel_requested=False,
    callback_url=None,
    metadata={},
    timeline=(),
)
FAILED = replace(MESSAGE, status=Status.FAILED, provider_id=None)
REFUSED = replace(RECEIVED, provider_id=None, answer="400", receipts=())


def judged(message, must, *log):
    return judge([message], {message.id: must}, log)


def test_what_is_as_it_must_be_is_no_problem():
    verdict = judged(MESSAGE, Status.DELIVERED, REFUSED, RECEIVED)
    assert verdict.problems == ()
    assert (verdict.requests, verdict.accepted_once, verdict.accepted_twice, verdict.refused) == (2, 1, 0, 0)
    refused = judged(FAILED, Status.FAILED, REFUSED)
    assert (refused.problems, refused.refused, refused.by_status) == ((), 1, {"failed": 1})


@pytest.mark.parametrize(
    ("message", "must", "log", "problem"),
    [
        (MESSAGE, Status.FAILED, [RECEIVED], "message m1 is delivered and must be failed"),
        (FAILED, Status.FAILED, [RECEIVED, RECEIVED], "message m1 was accepted 2 times"),
        (
            MESSAGE,
            Status.DELIVERED,
            [REFUSED],
            "message m1 is delivered, but the provider never accepted it",
        ),
        (
            replace(MESSAGE, provider_id="p2"),
            Status.DELIVERED,
            [RECEIVED],
            "message m1 has another provider id than the provider gave",
        ),
        (
            MESSAGE,
            Status.DELIVERED,
            [replace(RECEIVED, receipts=(replace(TAKEN, result="503"),))],
            "message m1 is delivered; the provider's log implies sent",
        ),
        (
            MESSAGE,
            Status.DELIVERED,
            [RECEIVED, replace(RECEIVED, recipient="+13115550002")],
            "the provider accepted messages to 1 numbers that nobody sent",
        ),
    ],
    ids=["status", "twice", "never", "provider id", "log", "nobody"],
)
def test_each_thing_that_is_wrong_is_named_once(message, must, log, problem):
    assert judged(message, must, *log).problems == (problem,)


@pytest.mark.parametrize(("messages", "told"), [(2, False), (49, False), (50, True)])
def test_a_rate_is_told_only_where_enough_was_sent(capsys, messages, told):
    counts = dict.fromkeys(Status, 0) | {"accepted": messages}
    verdict = judged(MESSAGE, Status.DELIVERED, RECEIVED)
    show(console(), Result(MESSAGE, counts, verdict, (), 200.0, 199.0, 201, 4, 3.0))
    out = capsys.readouterr().out
    assert "Rate: 200 a second configured" in out
    assert ("the provider saw 199.0 a second" in out) is told


def test_a_delivery_overrides_what_was_reported_before_and_after():
    failed = replace(TAKEN, report="undelivered")
    log = replace(RECEIVED, receipts=(failed, TAKEN, failed))
    assert judged(MESSAGE, Status.DELIVERED, log).problems == ()
