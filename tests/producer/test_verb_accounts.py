"""adjust, halt, resume, the circuit breaker, throttling and failover; and what is written down of them."""

import pytest

import limiter_model
from ledger_world import account_limits
from lua_numbers import lua_number
from sendline import Status
from sendline.ledger import account_state as state_module
from sendline.ledger.account_state import AccountState, account_state
from sendline.ledger.accounts import (
    BOUNDS,
    LIFTED,
    LIMITS,
    adjust,
    changes_after,
    halt,
    newest_change,
    reset,
    resume,
)
from sendline.ledger.keys import KEYS
from sendline.ledger.work import HEAD
from sendline.settings import AccountSettings
from sendline_worker.days import midnights

EVER = 10**8


@pytest.fixture
def said(world):
    """Tell the changes of accounts since the last time this was asked: (account, change)."""
    seen = [0]

    def said():
        changes = world.ledger.run(changes_after(seen[0]))
        seen[0] = changes[-1].seq if changes else seen[0]
        return [(change.account, str(change.change)) for change in changes]

    return said


@pytest.fixture
def causes(world):
    """Tell the causes of all changes of accounts."""
    return lambda: [change.cause for change in world.ledger.run(changes_after(0))]


def fill(world, number, route="main", **fields):
    return world.accept_many(number, route, valid_for=EVER, **fields)


def fail(world, claims, *, onward=False, delay=HEAD, reason="no answer"):
    for claim in claims:
        world.settle(claim, "retrying", effect="fail", delay=delay, onward=onward, reason=reason)


def throttle(world, claim, pause=2.0):
    fields = {"counted": False, "delay": HEAD, "effect": "pause", "pause": pause, "reason": "too fast"}
    assert world.settle(claim, "retrying", **fields) == "settled"


def stop(world, claim, pause=60):
    world.settle(
        claim, "retrying", counted=False, delay=HEAD, effect="stop", pause=pause, reason="no balance"
    )


def state(world, name="main"):
    return world.ledger.run(account_state(name))


def break_open(world, number=10):
    fail(world, world.claim(number).claims, delay=1800)


# What a person says


def test_an_adjusted_limit_is_in_force_at_once_and_until_it_is_taken_back(world, said):
    world.configure("main", rate=10, burst=3)
    assert world.ledger.run(adjust(world.limits, "main", {"rate": 100, "in_flight": 2}))
    assert (state(world).rate, state(world).burst, state(world).in_flight) == (100, 3, 2)
    assert (state(world).configured_rate, state(world).adjusted) == (10, {"interval": 10_000, "in_flight": 2})
    assert world.ledger.run(adjust(world.limits, "main", {"rate": None}))
    assert (state(world).rate, state(world).in_flight) == (10, 2)
    assert world.ledger.run(adjust(world.limits, "main", {"in_flight": None}))
    assert (state(world).in_flight, state(world).adjusted) == (0, {})
    assert said() == [("main", "adjusted")] * 3


def test_what_a_person_adjusted_survives_a_new_configuration(world):
    world.configure("main", rate=10, burst=3)
    world.ledger.run(adjust(world.limits, "main", {"rate": 100}))
    world.configure("main", rate=20, burst=5)
    assert (state(world).rate, state(world).burst, state(world).configured_rate) == (100, 5, 20)
    world.ledger.run(adjust(world.limits, "main", {"rate": None}))
    assert state(world).rate == 20


def test_0_lifts_a_limit(world):
    world.configure("main", in_flight=1, daily_cap=2)
    fill(world, 10)
    assert len(world.claim().claims) == 1
    world.ledger.run(adjust(world.limits, "main", {"in_flight": 0, "daily_cap": 0}))
    assert len(world.claim(5).claims) == 5


def test_a_default_burst_follows_the_adjusted_rate(world):
    world.configure("main", rate=10, burst=None)
    assert state(world).burst == 2
    world.ledger.run(adjust(world.limits, "main", {"rate": 1000}))
    assert state(world).burst == 20


def test_a_rate_of_0_is_refused_and_breaks_nothing(world):
    world.configure("main", rate=10, burst=None)
    fill(world, 3)
    with pytest.raises(ValueError, match="rate"):
        world.ledger.run(adjust(world.limits, "main", {"rate": 0}))
    assert len(world.claim().claims) == 2


@pytest.mark.parametrize(
    ("limit", "value"),
    [
        ("rate", 1e-20),
        ("rate", 10_001),
        ("rate", float("nan")),
        ("rate", float("inf")),
        ("rate", -1),
        ("sender_rate", 1e-6),
        ("burst", 0),
        ("sender_burst", 0),
        ("in_flight", -1),
        ("daily_cap", 10_000_001),
    ],
)
def test_a_limit_beyond_its_bounds_is_refused(world, said, limit, value):
    world.configure("main")
    with pytest.raises(ValueError, match=f"{limit}: must be at least"):
        adjust(world.limits, "main", {limit: value})
    assert said() == []


@pytest.mark.parametrize("limit", LIMITS)
def test_the_bounds_are_those_of_the_configuration_and_are_taken(world, limit):
    metadata = AccountSettings.model_fields[limit].metadata
    [least], [most] = ([getattr(m, kind) for m in metadata if hasattr(m, kind)] for kind in ("ge", "le"))
    assert BOUNDS[limit] == (least, most)
    world.configure("main")
    fill(world, 5)
    for value in (least, most, *([0] if limit in LIFTED else [])):
        assert world.ledger.run(adjust(world.limits, "main", {limit: value}))
        went = len(world.claim(1).claims)
        world.clock.advance(1)
        assert went + len(world.claim(1).claims) > 0


def test_all_adjustments_are_taken_back_at_once(world, said, causes):
    world.configure("main", rate=10)
    world.ledger.run(adjust(world.limits, "main", {"rate": 100, "in_flight": 2, "sender_daily_cap": 3}))
    assert world.ledger.run(reset(world.limits, "main"))
    assert (state(world).rate, state(world).in_flight, state(world).s_cap) == (10, 0, 0)
    assert state(world).adjusted == {}
    assert said() == [("main", "adjusted")] * 2
    assert causes()[1] == "in_flight as configured, rate as configured, sender_daily_cap as configured"
    assert not world.ledger.run(reset(world.limits, "gone"))


def test_where_nothing_is_other_than_before_nothing_is_told(world, said):
    world.configure("main", rate=10)
    assert world.ledger.run(reset(world.limits, "main"))
    assert world.ledger.run(adjust(world.limits, "main", {}))
    assert world.ledger.run(adjust(world.limits, "main", {"rate": None}))
    assert said() == []
    for _ in range(2):
        assert world.ledger.run(adjust(world.limits, "main", {"rate": 3, "burst": None}))
    assert said() == [("main", "adjusted")]


def test_an_adjustment_tells_what_is_in_force_and_what_is_configured(world, causes):
    world.configure("main", rate=20, daily_cap=500)
    world.ledger.run(adjust(world.limits, "main", {"rate": 7.3, "daily_cap": 0, "in_flight": 4}))
    world.ledger.run(adjust(world.limits, "main", {"rate": None, "sender_rate": 0.5}))
    assert causes() == [
        "daily_cap none (configured 500), in_flight 4 (configured none), rate 7.3 (configured 20)",
        "rate as configured, sender_rate 0.5 (configured none)",
    ]


def test_a_slower_rate_does_not_owe_for_the_faster_one(world):
    world.configure("main", rate=1000, burst=100)
    fill(world, 120)
    assert len(world.claim(100).claims) == 100
    world.ledger.run(adjust(world.limits, "main", {"rate": 1, "burst": 1}))
    world.clock.advance(2.2)
    assert len(world.claim(10).claims) == 1


def test_a_faster_rate_does_not_wait_for_the_slower_one(world):
    world.configure("main", rate=0.001, burst=1)
    fill(world, 20)
    assert len(world.claim().claims) == 1
    world.ledger.run(adjust(world.limits, "main", {"rate": 100}))
    world.claim()
    world.clock.advance(0.01)
    assert len(world.claim().claims) == 1


def test_a_paused_account_sends_nothing_until_it_is_resumed(world, said):
    world.configure("main")
    fill(world, 3)
    assert world.ledger.run(halt(world.limits, "main", "maintenance"))
    assert world.claim().claims == ()
    world.clock.advance(3600)
    assert world.claim().claims == ()
    assert state(world).halted == "maintenance"
    assert world.ledger.run(resume(world.limits, "main"))
    assert len(world.claim().claims) == 3
    assert said() == [("main", "paused"), ("main", "resumed")]


def test_pausing_twice_and_resuming_twice_are_each_told_once(world, said):
    world.configure("main")
    for _ in range(2):
        world.ledger.run(halt(world.limits, "main", "maintenance"))
    for _ in range(2):
        world.ledger.run(resume(world.limits, "main"))
    assert said() == [("main", "paused"), ("main", "resumed")]
    assert world.ledger.run(newest_change()) == 2


def test_pausing_for_another_reason_is_told(world, said, causes):
    world.configure("main")
    for reason in ("maintenance", "an outage", "an outage", ""):
        world.ledger.run(halt(world.limits, "main", reason))
    assert said() == [("main", "paused")] * 2
    assert causes() == ["maintenance", "an outage"]
    assert state(world).halted == "an outage", "no reason is none other"


def test_taking_back_a_pause_leaves_what_the_provider_asked_for(world):
    world.configure("main")
    fill(world, 20)
    throttle(world, world.claim_one(), pause=60)
    world.ledger.run(halt(world.limits, "main", "maintenance"))
    world.ledger.run(resume(world.limits, "main"))
    assert world.claim().claims == ()
    world.ledger.run(resume(world.limits, "main"))
    world.clock.advance(0.1)
    assert len(world.claim().claims) >= 1


@pytest.mark.parametrize("held", ["throttle", "stop", "break_open", "climb", "nothing"])
def test_resuming_is_told_wherever_something_held_the_account_up(world, said, held):
    world.configure("main")
    fill(world, 20)
    if held == "break_open":
        break_open(world)
    elif held == "stop":
        stop(world, world.claim_one())
    elif held != "nothing":
        throttle(world, world.claim_one())
    if held == "climb":
        world.clock.advance(3)
    said()
    world.ledger.run(resume(world.limits, "main"))
    assert said() == ([] if held == "nothing" else [("main", "resumed")])


def test_resuming_what_is_not_held_up_any_more_is_not_told(world, said):
    world.configure("main")
    fill(world, 3)
    throttle(world, world.claim_one())
    world.clock.advance(60)
    said()
    world.ledger.run(resume(world.limits, "main"))
    assert said() == []


def test_resuming_sends_no_second_message_while_one_tries_the_account(world):
    world.configure("main")
    fill(world, 5)
    stop(world, world.claim_one())
    world.clock.advance(60)
    assert len(world.claim().claims) == 1
    world.ledger.run(resume(world.limits, "main"))
    assert world.claim().claims == ()


def test_verbs_about_an_unknown_account_change_nothing(world, said):
    world.configure("main")
    assert not world.ledger.run(halt(world.limits, "gone", "maintenance"))
    assert not world.ledger.run(resume(world.limits, "gone"))
    assert not world.ledger.run(adjust(world.limits, "gone", {"rate": 1}))
    assert said() == []
    assert world.account("gone") == {}


def test_a_paused_account_stays_paused_through_a_new_configuration(world):
    world.configure("main")
    fill(world, 1)
    world.ledger.run(halt(world.limits, "main", "maintenance"))
    world.configure("main")
    world.clock.advance(61)
    assert world.claim().claims == ()


def test_resuming_lets_a_stopped_account_be_tried_with_one_message(world):
    world.configure("main")
    fill(world, 5)
    stop(world, world.claim_one())
    assert world.claim().claims == ()
    world.ledger.run(resume(world.limits, "main"))
    assert len(world.claim().claims) == 1
    assert world.claim().claims == ()


def test_a_new_configuration_lets_a_stopped_account_be_tried_with_one_message(world):
    world.configure("main")
    fill(world, 5)
    stop(world, world.claim_one())
    assert world.claim().claims == ()
    world.configure("main")
    assert len(world.claim().claims) == 1


# Stopped by its provider


def test_an_account_that_is_stopped_and_works_again_is_told_once_each(world, said):
    world.configure("main")
    fill(world, 5)
    for claim in world.claim(3).claims:
        stop(world, claim)
    assert said() == [("main", "stopped")]
    assert world.claim().claims == ()
    world.clock.advance(60)
    world.settle(world.claim_one(), Status.SENT, effect="open")
    assert said() == [("main", "recovered")]
    for claim in world.claim().claims:
        world.settle(claim, Status.SENT, effect="open")
    assert said() == []


def test_what_was_under_way_when_an_account_stopped_does_not_open_it(world, said):
    world.configure("main")
    fill(world, 3)
    first, straggler = world.claim(2).claims
    stop(world, first)
    world.settle(straggler, Status.SENT, effect="open")
    assert world.claim().claims == ()
    assert said() == [("main", "stopped")]


# The circuit breaker


def test_the_breaker_opens_after_ten_failures_one_after_the_other(world, said):
    world.configure("main")
    fill(world, 20)
    break_open(world, 9)
    assert said() == []
    assert state(world).breaker(world.clock.us) == "closed"
    break_open(world, 1)
    assert said() == [("main", "broken")]
    assert state(world).breaker(world.clock.us) == "open"
    assert world.claim().claims == ()


def test_a_call_that_works_begins_the_count_anew(world, said):
    world.configure("main")
    fill(world, 40)
    break_open(world, 9)
    world.settle(world.claim_one(), Status.SENT, effect="open")
    break_open(world, 9)
    assert said() == []
    break_open(world, 1)
    assert said() == [("main", "broken")]


def test_a_broken_account_is_tried_with_one_message_after_2_s_doubled_to_60(world, said):
    world.configure("main")
    fill(world, 20)
    break_open(world)
    for seconds in (2, 4, 8, 16, 32, 60, 60):
        world.clock.advance(seconds - 0.001)
        assert world.claim().claims == ()
        world.clock.advance(0.001)
        [probe] = world.claim().claims
        world.clock.advance(1)
        assert world.claim().claims == (), "one at a time"
        fail(world, [probe])
    assert said() == [("main", "broken")]


def test_a_broken_account_whose_probe_works_has_its_whole_rate_again(world, said):
    world.configure("main")
    fill(world, 30)
    break_open(world)
    world.clock.advance(2)
    world.settle(world.claim_one(), Status.SENT, effect="open")
    assert said() == [("main", "broken"), ("main", "recovered")]
    world.clock.advance(0.02)
    assert len(world.claim(20).claims) == 19
    assert state(world).breaker(world.clock.us) == "closed"


def test_after_it_works_again_the_breaker_waits_2_s_at_first(world):
    world.configure("main")
    fill(world, 40)
    break_open(world)
    for seconds in (2, 4):
        world.clock.advance(seconds)
        fail(world, world.claim().claims)
    world.clock.advance(8)
    world.settle(world.claim_one(), Status.SENT, effect="open")
    world.clock.advance(0.02)
    break_open(world)
    world.clock.advance(2)
    assert len(world.claim().claims) == 1


def test_stragglers_neither_open_the_breaker_further_nor_close_it(world, said):
    world.configure("main")
    fill(world, 40)
    claims = world.claim(16).claims
    fail(world, claims[:10])
    fail(world, claims[10:15])
    world.settle(claims[15], Status.SENT, effect="open")
    assert said() == [("main", "broken")]
    world.clock.advance(2)
    assert len(world.claim().claims) == 1, "the first probe comes after 2 s all the same"


def test_a_broken_account_that_its_provider_stops_is_told_as_stopped(world, said):
    world.configure("main")
    fill(world, 20)
    break_open(world)
    world.clock.advance(2)
    stop(world, world.claim_one())
    assert said() == [("main", "broken"), ("main", "stopped")]
    assert state(world).breaker(world.clock.us) == "closed"


def test_a_probe_that_is_throttled_shows_that_the_account_answers(world, said):
    world.configure("main")
    fill(world, 20)
    break_open(world)
    world.clock.advance(2)
    throttle(world, world.claim_one())
    assert said() == [("main", "broken"), ("main", "recovered"), ("main", "throttled")]
    assert world.claim().claims == ()
    world.clock.advance(2)
    assert len(world.claim().claims) == 1
    assert state(world).breaker(world.clock.us) == "closed"


def test_the_breaker_does_not_cut_a_pause_short(world):
    world.configure("main")
    fill(world, 30)
    claims = world.claim(11).claims
    throttle(world, claims[0], pause=30)
    fail(world, claims[1:])
    world.clock.advance(29.9)
    assert world.claim().claims == ()
    world.clock.advance(0.1)
    assert len(world.claim().claims) == 1


# Asked to slow down


def test_a_throttled_account_pauses_and_its_rate_is_halved_once(world, said):
    world.configure("main", rate=100, burst=10)
    fill(world, 50)
    for claim in world.claim(10).claims:
        throttle(world, claim)
    assert said() == [("main", "throttled")]
    assert state(world).fraction(world.clock.us) == 0.5
    for _ in range(19):
        world.clock.advance(0.1)
        assert world.claim().claims == ()
    world.clock.advance(0.1)
    assert len(world.claim().claims) == 1, "nothing was saved up"


def test_each_pause_halves_the_rate_again_down_to_a_fiftieth(world, said):
    world.configure("main", rate=1000)
    fill(world, 50)
    for _ in range(8):
        throttle(world, world.claim_one(), pause=1)
        world.clock.advance(1.001)
    assert 0.02 <= state(world).fraction(world.clock.us) < 0.021
    assert said() == [("main", "throttled")] * 8


@pytest.mark.parametrize("pauses", [1, 8])
def test_the_whole_rate_is_back_within_45_s_and_told(world, said, pauses):
    world.configure("main", rate=100, burst=5)
    fill(world, 100)
    for _ in range(pauses):
        throttle(world, world.claim_one(), pause=1)
        world.clock.advance(1.1)
    said()
    before = state(world).rate_in_force(world.clock.us)
    world.clock.advance(5)
    assert before < state(world).rate_in_force(world.clock.us) < 100
    world.claim()
    assert said() == []
    world.clock.advance(40)
    world.claim()
    assert state(world).rate_in_force(world.clock.us) == 100
    world.clock.advance(1)
    world.claim()
    assert said() == [("main", "full_rate")]


def test_the_whole_rate_is_told_though_nothing_is_claimed_any_more(world, said):
    world.configure("main", "spare", rate=100)
    fill(world, 1)
    claim = world.claim_one()
    throttle(world, claim, pause=1)
    world.settle(world_after(world, 1), Status.SENT)
    said()
    world.clock.advance(22.4)
    world.tick()
    assert said() == []
    world.clock.advance(0.1)
    world.tick()
    world.tick()
    assert said() == [("main", "full_rate")]
    assert state(world).eased is None
    assert not world.raw.exists(KEYS["eased"])


def test_another_pause_puts_the_whole_rate_off(world, said):
    world.configure("main")
    fill(world, 5)
    throttle(world, world.claim_one(), pause=1)
    world.clock.advance(10)
    throttle(world, world.claim_one(), pause=1)
    said()
    world.clock.advance(20)
    world.tick()
    assert said() == []
    world.clock.advance(20)
    world.tick()
    assert said() == [("main", "full_rate")]


def test_the_tick_tells_nothing_of_an_account_that_went_on_at_its_whole_rate_before(world, said):
    world.configure("main")
    fill(world, 5)
    throttle(world, world.claim_one())
    world.ledger.run(resume(world.limits, "main"))
    throttle(world, world.claim_one())
    world.configure("spare")  # main is gone
    said()
    world.clock.advance(60)
    world.tick()
    assert said() == []
    assert not world.raw.exists(KEYS["eased"])


def test_what_is_left_of_a_climb_is_left_of_it_when_the_clock_steps_back(world, said):
    world.configure("main")
    fill(world, 1)
    throttle(world, world.claim_one(), pause=1)
    world.settle(world_after(world, 1), Status.SENT)
    world.clock.advance(9)
    world.tick()
    before = state(world).fraction(world.clock.us)
    world.clock.advance(-600)
    world.tick()
    assert state(world).fraction(world.clock.us) == pytest.approx(before)
    said()
    world.clock.advance(13.4)
    world.tick()
    assert said() == []
    world.clock.advance(0.2)
    world.tick()
    assert said() == [("main", "full_rate")]


@pytest.mark.parametrize("seconds", [0, 0.5, 1, 4.6, 10, 23.4, 23.5, 100])
def test_the_fraction_that_is_told_is_the_one_that_claims_are_held_to(world, seconds):
    world.configure("main", rate=10, burst=1)
    fill(world, 5)
    throttle(world, world.claim_one(), pause=1)
    world.clock.advance(seconds)
    now = world.clock.us
    part = min(1, 0.5 + max(0, seconds - 1) / 45)
    assert state(world).fraction(now) == pytest.approx(part)
    claimed = world.claim()
    assert len(claimed.claims) == (1 if seconds >= 1 else 0)
    if claimed.claims:
        token = claimed.claims[0].record.message(claimed.claims[0].message_id).timeline[-1].at.timestamp()
        assert claimed.next_at - token * 1_000_000 == pytest.approx(100_000 / part, abs=1000)
        assert state(world).pace(now) == pytest.approx(100_000 / part, abs=1)


def world_after(world, seconds):
    world.clock.advance(seconds)
    return world.claim_one()


# What is written twice


def test_python_reckons_with_the_numbers_of_the_scripts():
    assert lua_number("easing", "CLIMB_US") == state_module.CLIMB == limiter_model.CLIMB
    assert lua_number("easing", "LEAST_FRACTION") == limiter_model.LEAST_FRACTION
    assert lua_number("easing", "LONGEST_PAUSE") == limiter_model.LONGEST_PAUSE_MS
    assert lua_number("limits", "USE_OVER") == state_module.USE_OVER
    assert lua_number("limits", "DAY") == state_module.DAY == limiter_model.DAY_MS
    assert lua_number("limits", "SHORTEST_DAY") == state_module.SHORTEST_DAY == limiter_model.SHORTEST_DAY_MS
    assert lua_number("limits", "GRACE") == limiter_model.GRACE
    assert lua_number("limits", "LARGEST") == limiter_model.LARGEST


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kathmandu"])
def test_python_reckons_with_the_days_of_the_model(world, zone):
    days = tuple(midnights(world.clock.ms, zone, 5))
    for known in ((), days[:1], days):
        told = AccountState("main", days=known)
        for ms in range(days[0] - 2 * 86_400_000, days[-1] + 3 * 86_400_000, 4_999_999):
            assert told.day_ends(ms * 1000) == limiter_model.day_of(ms, known)[1]
        for midnight in days:
            for ms in (midnight - 1, midnight):
                assert told.day_ends(ms * 1000) == limiter_model.day_of(ms, known)[1]


# Failover


@pytest.mark.parametrize(
    ("why", "close"),
    [
        ("is paused by a person", lambda world: world.ledger.run(halt(world.limits, "main", "x"))),
        ("is stopped", lambda world: stop(world, world.claim_one())),
        ("fails", break_open),
        ("has used up its day", lambda world: world.claim(10)),
    ],
)
def test_a_closed_account_is_passed_over_and_the_timeline_says_why(world, why, close):
    cap = 10 if "day" in why else None
    world.configure(account_limits("main", daily_cap=cap), "spare")
    fill(world, 15, "main,spare")
    close(world)
    world.clock.advance(0.05)
    claims = world.claim(20).claims
    assert claims
    assert {claim.account for claim in claims} == {"spare"}
    last = world.get(claims[-1].message_id).timeline[-1]
    assert last.reason == f"by account spare: account main {why}"


def test_where_every_account_of_a_route_is_closed_the_first_that_opens_carries_it(world):
    world.configure(account_limits("main", daily_cap=1), "spare")
    fill(world, 3, "main,spare")
    assert world.claim_one().account == "main"
    world.clock.advance(0.05)
    stop(world, world.claim_one(), pause=10)
    assert world.claim().claims == ()
    world.clock.advance(10)
    assert world.claim_one().account == "spare"


def test_an_account_with_all_its_calls_under_way_is_waited_for(world):
    world.configure(account_limits("main", in_flight=1), "spare")
    fill(world, 3, "main,spare")
    assert [claim.account for claim in world.claim().claims] == ["main"]
    world.clock.advance(0.05)
    assert world.claim().claims == ()


@pytest.mark.parametrize("effect", ["stop", "fail"])
def test_an_account_that_closes_during_its_pause_is_passed_over_at_once(world, effect):
    world.configure("main", "spare")
    fill(world, 20, "main,spare")
    first, *others = world.claim(11).claims
    throttle(world, first, pause=600)
    assert world.claim().claims == ()
    for claim in others:
        world.settle(claim, "retrying", effect=effect, pause=60, delay=HEAD)
    world.clock.advance(1)
    assert {claim.account for claim in world.claim().claims} == {"spare"}


def test_a_message_that_was_not_accepted_goes_to_the_next_account_of_its_route(world):
    world.configure("a", "b", "c")
    [message_id] = fill(world, 1, "a,b,c")
    for account, route in (("a", "b,c,a"), ("b", "c,a,b"), ("c", "a,b,c"), ("a", "b,c,a")):
        claim = world.claim_one()
        assert claim.account == account
        fail(world, [claim], onward=True, delay=0)
        assert world.get(message_id).route == tuple(route.split(","))


def test_a_message_that_a_spare_account_did_not_accept_goes_to_the_one_behind_it(world):
    world.configure("a", "b", "c")
    [message_id] = fill(world, 1, "a,b,c")
    world.ledger.run(halt(world.limits, "a", "maintenance"))
    claim = world.claim_one()
    assert claim.account == "b"
    fail(world, [claim], onward=True, delay=0)
    assert world.get(message_id).route == ("c", "a", "b")
    assert world.claim_one().account == "c"


def test_changes_are_numbered_and_carry_their_instant_and_cause(world):
    world.configure("main")
    fill(world, 1)
    world.clock.advance(1.5)
    stop(world, world.claim_one())
    [change] = world.ledger.run(changes_after(0))
    assert (change.seq, change.account, change.change, change.cause) == (1, "main", "stopped", "no balance")
    assert round(change.at.timestamp() * 1000) == world.clock.ms
    world.ledger.run(resume(world.limits, "main"))
    world.ledger.run(halt(world.limits, "main", "x"))
    assert [change.seq for change in world.ledger.run(changes_after(1))] == [2, 3]
    assert world.ledger.run(changes_after(3)) == []
