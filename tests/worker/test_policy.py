"""What becomes of a message after an attempt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendline.contract.codes import ErrorCode
from sendline.contract.status import Status
from sendline.ledger.record import FIELDS, Flag, Record, pack
from sendline.ledger.work import HEAD, Claim
from sendline_worker.dispatch.policy import PROBE_AFTER, RetryPolicy, settlement
from sendline_worker.outcomes import (
    Accepted,
    AccountStopped,
    NotAccepted,
    NotBegun,
    Refused,
    Throttled,
    Uncertain,
)

POLICY = RetryPolicy(max_attempts=4, base=2.0, longest=60.0, deadline=1000.0)


def claim(attempt=1, route="main", account="main", flags=0):
    values = dict.fromkeys(FIELDS, 0) | {"attempts": attempt, "route": route, "flags": flags}
    return Claim(b"i" * 16, 7, account, Record(pack(list(values.values()))))


def settle(outcome, *, receipts=True, chance=0.0, **claimed):
    return settlement(claim(**claimed), outcome, POLICY, receipts=receipts, random=lambda: chance)


def test_accepted_is_sent_and_waits_for_its_receipt():
    settled = settle(Accepted("abc"))
    assert (settled.target, settled.provider_id, settled.deadline) == (Status.SENT, "abc", 1000.0)
    assert settled.effect == "open"


def test_accepted_is_final_at_once_where_nothing_is_reported():
    assert settle(Accepted(None), receipts=False).deadline == 0


def test_refused_fails_for_good_with_the_providers_reason():
    settled = settle(Refused(ErrorCode.OPTED_OUT, "said stop"))
    assert (settled.target, settled.code, settled.reason) == (Status.FAILED, ErrorCode.OPTED_OUT, "said stop")


def test_not_accepted_is_tried_again_later_until_no_attempt_is_left():
    assert settle(NotAccepted("busy"), attempt=3).target is Status.RETRYING
    last = settle(NotAccepted("busy"), attempt=4)
    assert (last.target, last.code) == (Status.FAILED, ErrorCode.ATTEMPTS_EXHAUSTED)
    assert "busy" in last.reason
    assert not last.onward


@pytest.mark.parametrize("attempt", [1, 2, 3])
def test_with_one_account_not_accepted_waits_for_the_same_one(attempt):
    settled = settle(NotAccepted("busy"), attempt=attempt)
    assert (settled.onward, settled.reason) == (False, "busy")
    assert settled.delay == POLICY.backoff(attempt, 0.0)


def test_not_accepted_goes_at_once_to_each_account_it_has_not_met_and_then_waits():
    for attempt, account in ((1, "a"), (2, "b"), (3, "c")):
        settled = settle(NotAccepted("503: busy"), attempt=attempt, route="a,b,c", account=account)
        assert (settled.target, settled.onward) == (Status.RETRYING, True)
        assert settled.delay == (0 if attempt < 3 else POLICY.backoff(3, 0.0))


def test_what_was_perhaps_accepted_before_stays_with_its_account():
    settled = settle(NotAccepted("busy"), route="main,spare", flags=int(Flag.DOUBTED))
    assert (settled.onward, settled.reason) == (False, "busy")
    assert settled.delay == POLICY.backoff(1, 0.0)


@pytest.mark.parametrize(
    ("outcome", "effect"),
    [
        (Accepted("abc"), "open"),
        (Refused(ErrorCode.REJECTED, "no"), "open"),
        (NotBegun("late"), ""),
        (NotAccepted("busy"), "fail"),
        (Uncertain("no answer"), "fail"),
        (Throttled(1), "pause"),
        (AccountStopped("401"), "stop"),
    ],
)
def test_each_outcome_says_something_of_its_account(outcome, effect):
    for attempt in (1, POLICY.max_attempts):
        settled = settle(outcome, attempt=attempt, route="main,spare")
        assert settled.effect == effect
        assert settled.onward == (isinstance(outcome, NotAccepted) and attempt == 1)


def test_throttled_pauses_the_account_and_costs_no_attempt():
    settled = settle(Throttled(2.5))
    assert (settled.target, settled.delay, settled.counted) == (Status.RETRYING, HEAD, False)
    assert (settled.effect, settled.pause) == ("pause", 2.5)


def test_a_stopped_account_costs_no_attempt_and_is_probed_later():
    settled = settle(AccountStopped("401"), attempt=4)
    assert (settled.target, settled.delay, settled.counted) == (Status.RETRYING, HEAD, False)
    assert (settled.effect, settled.pause) == ("stop", PROBE_AFTER)


def test_uncertain_stays_uncertain_here_the_ledger_knows_the_policy():
    settled = settle(Uncertain("no answer"))
    assert (settled.target, settled.code) == (Status.UNCERTAIN, ErrorCode.PERHAPS_ACCEPTED)


def test_a_claim_handed_back_costs_nothing():
    settled = settle(NotBegun("the worker is shutting down"))
    assert (settled.target, settled.delay, settled.counted) == (Status.CREATED, HEAD, False)


@pytest.mark.parametrize(("attempt", "full"), [(1, 2), (2, 4), (3, 8), (5, 32), (6, 60), (20, 60)])
def test_the_wait_doubles_up_to_the_longest(attempt, full):
    assert POLICY.backoff(attempt, 0.0) == full


@given(attempt=st.integers(1, 1000), chance=st.floats(0, 1, exclude_max=True))
def test_jitter_takes_off_at_most_half(attempt, chance):
    full = POLICY.backoff(attempt, 0.0)
    assert full / 2 <= POLICY.backoff(attempt, chance) <= full
