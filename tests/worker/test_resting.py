"""For how long a connection may idle: whatever a server does, the limit stays on the safe side of it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendline_worker.wire.resting import BROKEN_FOR, ENDS, LONGEST, SHORTEST, Resting, margin, told

START = 5.0

seconds = st.floats(0, 200)
some_told = st.none() | st.integers(0, 10**9).map(float)
sights = st.lists(st.tuples(st.sampled_from(["lasted", "closed"]), seconds), max_size=40)


def after(seen: list[tuple[str, float]]) -> tuple[Resting, float]:
    """Return what is known after `seen`, each by a connection that began to idle when the last had ended."""
    resting, now = Resting(START, LONGEST), 0.0
    for kind, idle in seen:
        now += idle + 1
        getattr(resting, kind)(idle, now=now)
    return resting, now


def lasted_to_the_end(resting: Resting, times: int, now: float) -> float:
    for _ in range(times):
        now += LONGEST + 1
        resting.lasted(LONGEST, now=now)
    return now


def test_at_the_beginning_it_is_as_configured():
    assert Resting(START, LONGEST).limit() == START
    assert Resting(START, 3.0).limit() == 3.0


@pytest.mark.parametrize(
    ("allowed", "limit"), [(0, 0), (1, 0.5), (2, 1), (4, 3), (5, 4), (10, 8), (60, 48), (75, 60)]
)
def test_the_margin_is_a_fifth_and_at_least_a_second_where_that_leaves_half(allowed, limit):
    assert margin(allowed) == pytest.approx(limit)


@given(one=seconds, other=seconds)
def test_who_allows_more_is_granted_more(one, other):
    assert margin(min(one, other)) <= margin(max(one, other))
    assert margin(one) <= one


def test_a_connection_that_lasted_raises_the_limit_to_four_fifths_of_it():
    resting, _ = after([("lasted", 30.0)])
    assert resting.limit() == pytest.approx(24)
    resting, _ = after([("lasted", 30.0), ("lasted", 10.0)])
    assert resting.limit() == pytest.approx(24)


@given(seen=sights, said=some_told)
def test_no_limit_is_beyond_the_longest_nor_beyond_what_the_server_said(seen, said):
    resting, _ = after(seen)
    assert 0 <= resting.limit() <= LONGEST
    assert 0 <= resting.limit(said) <= LONGEST
    if said is not None:
        assert resting.limit(said) <= margin(said)
        assert resting.limit(said) <= resting.longest(said)


@given(seen=sights)
def test_nothing_is_believed_beyond_what_was_seen(seen):
    resting, _ = after(seen)
    longest = max((idle for kind, idle in seen if kind == "lasted"), default=0)
    assert resting.limit() <= max(START, 0.8 * longest)


@given(seen=sights.map(lambda seen: seen[: ENDS - 1]), idle=seconds, said=some_told)
def test_a_connection_that_was_closed_never_raises_the_limit_and_puts_it_below(seen, idle, said):
    resting, now = after(seen)
    before, before_said = resting.limit(), resting.limit(said)
    resting.closed(idle, now=now + 1)
    below = max(margin(idle), SHORTEST) if idle >= SHORTEST else math.inf
    assert resting.limit() <= min(before, below)
    assert resting.limit(said) <= min(before_said, below)


@given(seen=sights, idle=st.floats(SHORTEST * 2, 200), later=sights)
def test_a_limit_that_was_seen_holds_until_enough_connections_outlasted_it(seen, idle, later):
    resting, now = after(seen)
    resting.closed(idle, now=now)
    for kind, lasted in later[: ENDS - 1]:
        now += lasted + 1
        getattr(resting, kind)(lasted, now=now)
        assert resting.limit() <= margin(idle) < idle


def test_a_limit_that_was_seen_is_given_up_when_enough_connections_lasted_to_the_end():
    resting, now = after([("closed", 2.0)])
    now = lasted_to_the_end(resting, ENDS - 1, now)
    assert resting.limit() == 1.0
    lasted_to_the_end(resting, 1, now)
    assert resting.limit() == pytest.approx(0.8 * LONGEST)


def test_a_limit_that_has_grown_is_learned():
    resting, now = after([("closed", 10.0)])
    for _ in range(ENDS):
        assert resting.limit() <= 8
        now += 41
        resting.lasted(39.0, now=now - 1)
        resting.closed(40.0, now=now)
    assert resting.limit() == pytest.approx(0.8 * 39)


def test_a_connection_that_idled_before_another_was_closed_proves_nothing():
    resting, now = after([("closed", 2.0)])
    for _ in range(2 * ENDS):
        resting.lasted(LONGEST, now=now + LONGEST - 0.1)
    assert resting.limit() == 1.0


@given(sights, st.floats(2 * SHORTEST, LONGEST), st.floats(0, BROKEN_FOR / 2))
def test_what_brought_no_answer_is_not_outlasted_by_what_only_seems_open(seen, idle, later):
    resting, now = after(seen)
    resting.broke(idle, now=now)
    now = lasted_to_the_end(resting, 2 * ENDS, now)
    assert resting.limit() < idle
    assert resting.limit(LONGEST) < idle
    resting.lasted(LONGEST, now=now + later)
    assert resting.limit() < idle


def test_it_is_forgotten_after_a_while():
    resting, now = after([])
    resting.broke(20.0, now=now)
    now = lasted_to_the_end(resting, ENDS, now + BROKEN_FOR)
    assert resting.limit() == 0.8 * LONGEST


def test_a_server_that_restarts_does_not_end_the_reuse_within_milliseconds():
    resting, _ = after([("closed", 0.003)] * 100)
    assert resting.limit() == START


def test_what_the_server_says_is_trusted_at_once_and_bounds():
    resting, _ = after([("lasted", LONGEST)])
    assert Resting(START, LONGEST).limit(20.0) == 16.0
    assert resting.limit(5.0) == 4.0
    assert resting.limit(0.0) == 0.0
    assert resting.limit(1e9) == LONGEST
    resting.closed(10.0, now=1000.0)
    assert resting.limit(20.0) == 8.0


def test_connections_whose_server_said_how_long_outlast_a_limit_at_their_own():
    resting, now = after([("closed", 1.2)])
    for _ in range(ENDS):
        now += 10
        resting.lasted(resting.longest(5.0), 5.0, now=now)
    assert resting.limit(5.0) == 4.0
    assert resting.limit() <= 4.0


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([b"timeout=5"], 5),
        ([b"timeout=5, max=1000"], 5),
        ([b"max=100,Timeout = 15"], 15),
        ([b'timeout="30"'], 30),
        ([b"timeout=0"], 0),
        ([b"timeout=60", b"timeout=4"], 4),
        ([b"timeout=60, timeout=4"], 4),
        ([b""], None),
        ([b"300"], None),
        ([b"max=5"], None),
        ([b"timeout="], None),
        ([b"timeout=-5"], None),
        ([b"timeout=5.5"], None),
        ([b"timeout=1e9"], None),
        ([b"timeout=99999999999"], None),
        ([b"nottimeout=5"], None),
        ([b"timeout=5" + b" " * 1000], None),
    ],
)
def test_the_header_is_read_or_not_heeded(values, said):
    headers = [(b"Content-Length", b"2"), (b"connection", b"timeout=7")]
    assert told([*headers, *((b"KEEP-alive", value) for value in values)]) == said


@given(value=st.binary(max_size=300))
def test_whatever_the_header_says_it_is_none_or_a_number_of_seconds(value):
    said = told([(b"keep-alive", b"timeout=" + value)])
    assert said is None or (0 <= said < math.inf)
