"""claim: how the accounts of a process share its connections."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sendline.ledger.work import Sharing

ALPHA = 2
"""At most so many times as many calls as there are free connections."""
MOST = 32
NAMES = [f"a{place}" for place in range(6)]

on_one_ledger = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)


@pytest.fixture
def shared(world):
    """A world whose accounts have no limits that matter, and never too little to send."""
    world.configure(*NAMES, rate=1_000_000, burst=1_000_000, in_flight=0)
    return world


def fill(world, names, number, lane="bulk"):
    """Let so many messages wait for each account, and none for others."""
    world.clock.advance(1)
    while world.claim(1000).claims:  # of an example before
        world.clock.advance(1)
    for name in names:
        world.accept_many(number, name, lane=lane)


def claim(world, free, kept, calls, most=MOST):
    """Claim as a process with these calls under way; return the accounts in order, and which are full."""
    world.clock.advance(1)  # accounts that had their share are looked at again
    sharing = Sharing(free, kept, calls)
    claimed = world.claim(min(free, most), min(max(0, free - kept), most), sharing=sharing)
    return [each.account for each in claimed.claims], claimed.full


def may_begin(free, own):
    """Whether an account with `own` calls may begin one more, where so many connections are free."""
    return free > 0 and (own == 0 or own + 1 <= ALPHA * (free - 1))


@on_one_ledger
@given(
    free=st.integers(0, 60),
    calls=st.dictionaries(st.sampled_from(NAMES), st.integers(1, 60)),
    waiting=st.sets(st.sampled_from(NAMES), min_size=1),
)
def test_each_message_takes_a_free_connection_and_none_is_left_that_could_go(shared, free, calls, waiting):
    fill(shared, waiting, MOST)
    own = Counter(calls)
    taken, full = claim(shared, free, 0, calls)
    for name in taken:
        assert may_begin(free, own[name]), f"{name} has {own[name]} calls and {free} connections are free"
        own[name] += 1
        free -= 1
    if len(taken) < MOST and free:
        assert full >= {name for name in waiting if own[name]}
        assert not any(may_begin(free, own[name]) for name in waiting)


@on_one_ledger
@given(hanging=st.integers(1, 5), number=st.integers(2, 100))
def test_accounts_that_hang_leave_some_for_others(shared, hanging, number):
    names, quiet = NAMES[:hanging], NAMES[-1]
    kept, calls = number // 10, Counter()
    taken = names
    while taken:
        fill(shared, names, 1)
        taken, _ = claim(shared, number - calls.total(), kept, dict(calls))
        calls.update(taken)
    free = number - calls.total()
    assert free >= kept
    if number - kept > ALPHA * hanging:
        fill(shared, [quiet], 1)
        assert quiet in claim(shared, free, kept, dict(calls))[0]


def test_urgent_messages_of_a_quiet_account_go_when_only_what_is_kept_for_them_is_free(shared):
    fill(shared, ["a0", "a1", "a2"], 10, lane="urgent")
    taken, full = claim(shared, 10, 10, {"a0": 70, "a1": 20})
    assert Counter(taken) == {"a2": 6}
    assert full == {"a0", "a1", "a2"}


def test_one_claim_takes_messages_of_several_accounts(shared):
    fill(shared, NAMES, MOST)
    taken, _ = claim(shared, 30, 10, dict.fromkeys(NAMES[:3], 1))
    assert len(taken) == 20
    assert len(set(taken)) > 2


def test_who_shares_with_nobody_may_have_all(shared):
    fill(shared, ["a0"], MOST)
    assert len(shared.claim(MOST).claims) == MOST
