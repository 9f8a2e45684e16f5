"""The plan of faults: the same for the same seed, using every kind, and leaving the system able to finish."""

from collections import defaultdict
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.faults import INJECTIONS
from chaos.kinds import BY_NAME, FIELDS, KINDS, LEASE, Target
from chaos.messages import Campaign, number_of
from chaos.plan import plan

seeds = st.integers(0, 2**63)
durations = st.floats(20, 300)
quick = settings(deadline=None, max_examples=25)


def by_part(faults):
    timelines = defaultdict(list)
    for fault in faults:
        timelines[fault.kind.target, fault.part].append(fault)
    return timelines


@quick
@given(seeds, durations)
def test_the_same_seed_gives_the_same_faults_and_messages(seed, seconds):
    assert plan(seed, seconds) == plan(seed, seconds)
    one, two = Campaign(seed, 300, seconds), Campaign(seed, 300, seconds)
    assert list(one.batches()) == list(two.batches())
    lasting = ("to", "text", "lane", "account", "idempotency_key", "metadata")
    for number in range(0, 300, 37):
        assert [one.message(number)[k] for k in lasting] == [two.message(number)[k] for k in lasting]


@quick
@given(seeds, seeds)
def test_another_seed_gives_other_faults(one, two):
    assert (plan(one, 60) == plan(two, 60)) is (one == two)


@quick
@given(seeds, durations)
def test_the_faults_come_in_order_and_all_are_over_in_time(seed, seconds):
    faults = plan(seed, seconds)
    assert faults
    assert list(faults) == sorted(faults)
    assert all(0 < fault.at <= fault.ends <= seconds for fault in faults)


@quick
@given(seeds, durations)
def test_no_part_has_two_faults_at_once_and_each_has_time_to_recover(seed, seconds):
    for (target, part), faults in by_part(plan(seed, seconds)).items():
        assert 0 <= part < FIELDS[target].parts
        for before, after in pairwise(faults):
            assert after.at - before.ends >= FIELDS[target].rest / 2 - 0.01


@quick
@given(seeds)
def test_the_server_and_each_worker_run_long_enough_to_get_everything_done(seed):
    seconds = 240
    faults = plan(seed, seconds)
    for (target, _), of_part in by_part(faults).items():
        if target in {Target.SERVER, Target.WORKER, Target.PROVIDER}:
            assert sum(fault.lasts for fault in of_part) < seconds * 0.6


@quick
@given(seeds)
def test_a_long_run_uses_every_kind(seed):
    assert {fault.name for fault in plan(seed, 240)} == {kind.name for kind in KINDS}


@quick
@given(seeds)
def test_a_frozen_worker_is_frozen_past_its_lease(seed):
    assert all(f.lasts > LEASE for f in plan(seed, 240) if f.name == "worker frozen")


def test_every_kind_can_be_done_and_nothing_else():
    assert set(INJECTIONS) == set(BY_NAME)
    assert len(BY_NAME) == len(KINDS)


@pytest.mark.parametrize("total", [1, 2, 1999])
def test_the_batches_hold_every_message_once(total):
    batches = list(Campaign(3, total, 60).batches())
    assert [n for batch in batches for n in batch.numbers] == list(range(total))
    assert all(0 <= batch.due < 60 for batch in batches)


def test_a_text_tells_its_messages_number():
    assert number_of(str(Campaign(1, 100, 60).message(77)["text"])) == 77
    assert number_of("Hello 77") is None
    assert number_of(None) is None
