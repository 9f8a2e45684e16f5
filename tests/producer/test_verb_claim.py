"""claim: rate tokens and messages together, urgent first, in order, and never twice."""

import math
from collections import Counter

import pytest

from ledger_world import account_limits
from sendline import Status
from sendline.ledger import work
from sendline.ledger.keys import message_key

GATHER = 5000
"""Microseconds for which tokens gather at high rates: see claim.lua."""


def ids_of(claimed):
    return [claim.message_id for claim in claimed.claims]


def test_a_claim_makes_the_message_its_workers(world):
    world.configure("main")
    message_id = world.accept()
    [claim] = world.claim(lease=90).claims
    assert (claim.message_id, claim.account, claim.record.text) == (message_id, "main", b"Hello")
    assert claim.record.state is Status.SENDING
    assert world.get(message_id).attempts == 1
    assert world.get(message_id).account == "main"
    assert world.timers() == {message_id: world.clock.ms + 90_000}
    assert world.flying() == 1
    assert world.counts() == {"sending": 1}
    assert world.line() == []
    assert world.ready() == {}


def test_a_line_is_first_in_first_out(world):
    world.configure("main")
    made = world.accept_many(5)
    assert ids_of(world.claim(2)) + ids_of(world.claim(10)) == made


def test_urgent_goes_before_normal_and_normal_before_bulk(world):
    world.configure("main")
    made = {lane: world.accept(lane=lane) for lane in ("bulk", "normal", "urgent")}
    assert ids_of(world.claim(10)) == [made["urgent"], made["normal"], made["bulk"]]


def test_the_room_kept_for_urgent_is_not_taken_by_the_rest(world):
    world.configure("main")
    world.accept_many(5, lane="bulk")
    assert len(world.claim(5, 2).claims) == 2
    urgent = world.accept(lane="urgent")
    assert ids_of(world.claim(3, 0)) == [urgent]


def test_no_more_is_claimed_than_there_is_room(world):
    world.configure("main")
    world.accept_many(3, lane="urgent")
    world.accept_many(3, lane="bulk")
    assert len(world.claim(4, 4).claims) == 4
    assert world.claim(0).claims == ()


@pytest.mark.parametrize(("rate", "burst"), [(10, 1), (10, 5), (1000, 20), (0.5, 1), (333, 7)])
def test_the_rate_is_never_exceeded_and_fully_used(world, rate, burst):
    world.configure("main", rate=rate, burst=burst)
    world.accept_many(120)
    taken = []
    start = world.clock.us
    while len(taken) < 120:
        claimed = world.claim(1000)
        taken += [world.clock.us] * len(claimed.claims)
        if len(taken) < 120:
            assert claimed.next_at > world.clock.us
            world.clock.advance((claimed.next_at - world.clock.us) / 1_000_000)
    interval = math.ceil(1_000_000 / rate)
    for first, at in enumerate(taken):
        for last in range(first, len(taken)):
            assert last - first + 1 <= burst + (taken[last] - at) / interval
    assert taken[:burst] == [start] * burst
    late = taken[-1] - start - (120 - burst) * interval
    assert late < GATHER if interval < GATHER else late == 0


def test_an_idle_account_saves_no_more_than_its_burst(world):
    world.configure("main", rate=10, burst=3)
    world.clock.advance(3600)
    world.accept_many(10)
    assert len(world.claim().claims) == 3
    world.clock.advance(0.1)
    assert len(world.claim().claims) == 1


def test_the_rate_is_one_over_all_lanes_routes_and_dispatchers(world):
    world.configure("main", "spare", rate=10, burst=4)
    world.accept_many(3, lane="urgent")
    world.accept_many(3, "main,spare")
    world.accept_many(3, lane="bulk")
    assert len(world.claim(by="d1").claims) == 4
    assert world.claim(by="d2").claims == ()


def test_no_more_are_in_flight_than_the_account_allows(world):
    world.configure("main", in_flight=3)
    world.accept_many(5)
    claims = world.claim(2).claims + world.claim(10).claims
    assert len(claims) == 3
    assert world.flying() == 3
    claimed = world.claim()
    assert claimed.claims == ()
    assert world.clock.us < claimed.next_at <= world.clock.us + 1_000_000
    world.settle(claims[0], "sent")
    world.clock.advance(0.1)
    assert len(world.claim().claims) == 1


def test_no_more_are_in_flight_over_all_lanes_and_routes_of_one_call(world):
    world.configure("main", "spare", in_flight=2)
    for lane in ("urgent", "normal", "bulk"):
        world.accept_many(2, lane=lane)
        world.accept_many(2, "main,spare", lane=lane)
    assert len(world.claim(20).claims) == 2
    assert world.flying() == 2


def test_the_same_call_again_returns_the_same_claims_and_takes_nothing(world):
    world.configure("main")
    world.accept_many(5)
    first = world.claim(2, number=7)
    again = world.claim(2, number=7)
    assert [(c.message_id, c.token, c.account) for c in again.claims] == [
        (c.message_id, c.token, c.account) for c in first.claims
    ]
    assert world.counts() == {"created": 3, "sending": 2}
    assert world.flying() == 2


def test_the_same_call_again_tells_when_something_may_go_next(world):
    world.configure("main", rate=10, burst=1)
    world.accept_many(2)
    first = world.claim(number=7)
    assert world.claim(number=7).next_at == first.next_at


def test_the_same_call_again_returns_only_what_is_still_its_own(world):
    world.configure("main")
    world.accept_many(3)
    settled, dead, mine = world.claim(3, number=7).claims
    world.settle(settled, "sent")
    world.receive("delivered", message_id=dead.message_id)
    assert ids_of(world.claim(3, number=7)) == [mine.message_id]


def test_an_older_call_is_refused(world):
    world.configure("main")
    world.accept_many(5)
    world.claim(1, number=7)
    late = world.claim(1, number=6)
    assert late.late
    assert late.claims == ()
    assert world.counts() == {"created": 4, "sending": 1}


def test_calls_of_another_dispatcher_are_its_own(world):
    world.configure("main")
    world.accept_many(2)
    assert ids_of(world.claim(1, number=7)) != ids_of(world.claim(1, by="d2", number=7))


def test_every_claim_has_a_token_of_its_own_and_later_ones_are_higher(world):
    world.configure("main")
    world.accept_many(4)
    tokens = [claim.token for room in (2, 2) for claim in world.claim(room).claims]
    assert tokens == sorted(set(tokens))


def test_what_expired_in_its_line_is_dropped_on_the_way(world):
    world.configure("main", burst=1)
    expired, alive = world.accept(valid_for=10), world.accept(valid_for=60)
    world.clock.advance(10)
    assert ids_of(world.claim()) == [alive]
    assert world.counts() == {"expired": 1, "sending": 1}
    assert world.history(expired) == ["created", "expired"]
    assert world.get(expired).text is None
    assert set(world.timers()) == {alive}


def test_canceled_messages_are_stepped_over_and_cost_no_token(world):
    world.configure("main", rate=1, burst=1)
    canceled = [world.accept() for _ in range(5)]
    alive = world.accept()
    for message_id in canceled:
        world.cancel(message_id)
    assert ids_of(world.claim(1)) == [alive]
    assert world.ready() == {}


def test_a_line_of_canceled_messages_only_is_emptied(world):
    world.configure("main")
    world.cancel(world.accept())
    claimed = world.claim()
    assert (claimed.claims, claimed.next_at) == ((), None)
    assert world.line() == []


def test_a_stopped_accounts_messages_take_the_routes_next_account(world):
    world.configure("main", "spare")
    first, second = world.accept("main,spare"), world.accept("main,spare")
    claim = world.claim_one()
    assert (claim.message_id, claim.account) == (first, "main")
    world.settle(claim, "retrying", delay=work.HEAD, effect="stop", pause=60, reason="no balance")
    claims = world.claim().claims
    assert [(c.message_id, c.account) for c in claims] == [(first, "spare"), (second, "spare")]
    assert world.get(first).timeline[-1].reason == "by account spare: account main is stopped"
    assert (world.flying("main"), world.flying("spare")) == (0, 2)


def test_an_account_at_its_rate_does_not_send_its_messages_to_the_next_one(world):
    world.configure("main", "spare", rate=1, burst=1)
    world.accept_many(3, "main,spare")
    assert [claim.account for claim in world.claim().claims] == ["main"]


def test_a_paused_accounts_messages_wait_and_keep_their_account(world):
    world.configure("main", "spare")
    message_id = world.accept("main,spare")
    world.settle(world.claim_one(), "retrying", delay=work.HEAD, counted=False, effect="pause", pause=30)
    claimed = world.claim()
    assert claimed.claims == ()
    assert claimed.next_at == world.clock.us + 30_000_000
    world.clock.advance(30)
    assert world.claim_one().account == "main"
    assert world.get(message_id).attempts == 1


def test_a_stopped_account_is_tried_again_with_a_single_message(world):
    world.configure("main")
    made = world.accept_many(5)
    world.settle(world.claim_one(), "retrying", delay=work.HEAD, effect="stop", pause=60)
    assert world.claim().claims == ()
    world.clock.advance(60)
    assert ids_of(world.claim(lease=90)) == made[:1]
    world.clock.advance(80)
    assert world.claim().claims == ()


def test_trying_a_stopped_account_again_keeps_to_its_rate(world):
    world.configure("main", rate=0.01, burst=1)
    world.accept_many(2)
    world.settle(world.claim_one(), "retrying", delay=work.HEAD, effect="stop", pause=1)
    world.clock.advance(1)
    assert world.claim().claims == ()
    world.clock.advance(99)
    assert len(world.claim().claims) == 1


def test_an_account_that_works_again_is_claimed_for_at_once(world, raw):
    world.configure("main", "spare", rate=10)
    stopped = [world.accept(lane=lane) for lane in ("normal", "urgent", "bulk") for _ in range(2)]
    world.settle(world.claim_one(), "retrying", delay=work.HEAD, effect="stop", pause=60)
    assert world.claim().claims == ()
    world.clock.advance(60)
    claim = world.claim_one(lease=90)
    raw.delete("wakes")
    assert world.settle(claim, "sent", effect="open") == "settled"
    world.clock.advance(1)
    assert set(ids_of(world.claim())) == set(stopped) - {claim.message_id}


def test_an_account_that_works_again_rouses_a_dispatcher(world, raw):
    world.configure("main")
    world.accept_many(2)
    world.settle(world.claim_one(), "retrying", delay=work.HEAD, effect="stop", pause=60)
    world.clock.advance(60)
    claim = world.claim_one()
    raw.delete("wakes", "sl:bell")
    world.settle(claim, "sent", effect="open")
    assert world.wakes() + world.bells() == 1


def test_an_account_that_nobody_configured_is_not_claimed_for(world):
    world.configure("main")
    world.accept("gone")
    claimed = world.claim()
    assert claimed.claims == ()
    assert claimed.next_at > world.clock.us
    assert ids_of(world.claim()) == []


def test_an_account_of_a_route_that_nobody_configured_is_passed_over(world):
    world.configure("main")
    world.accept("gone,main")
    assert world.claim_one().account == "main"


def test_routes_of_a_lane_take_turns(world):
    world.configure("a", "b", "c")
    for route in "abc":
        world.accept_many(6, route)
        world.clock.advance(0.001)
    taken = ""
    for _ in range(9):
        taken += world.claim_one().account
        world.clock.advance(0.001)
    assert taken == "abc" * 3


def test_a_dispatcher_that_finds_nothing_signs_off_in_the_same_call_where_another_is_awake(world):
    world.configure("main")
    world.claim(by="d1", promise=5)
    claimed = world.claim(by="d2", may_sign_off=True)
    assert (claimed.signed_off, claimed.next_at) == (True, None)
    assert not world.claim(by="d1", may_sign_off=True).signed_off


def test_the_last_dispatcher_stays_and_hears_the_bell(world, raw):
    world.configure("main")
    raw.delete("wakes")
    for _ in range(3):
        assert not world.claim(promise=5, may_sign_off=True).signed_off
    world.clock.advance(4.9)
    world.accept()
    assert (world.wakes(), world.bells()) == (0, 1)


@pytest.mark.parametrize(("late", "signed_off"), [(5.0, True), (5.001, False)])
def test_one_that_broke_its_promise_counts_as_awake_no_longer(world, late, signed_off):
    world.configure("main")
    world.claim(by="d1", promise=5)
    world.clock.advance(late)
    assert world.claim(by="d2", may_sign_off=True).signed_off is signed_off


def test_a_dispatcher_stays_for_what_may_go_within_its_horizon(world):
    world.configure("main", rate=1, burst=1)
    world.accept_many(2)
    world.claim()
    world.claim(by="d2")
    assert not world.claim(horizon=1, may_sign_off=True).signed_off
    assert world.claim(horizon=0.9, may_sign_off=True).signed_off


def test_a_dispatcher_that_may_not_sign_off_stays_awake(world):
    world.configure("main")
    assert not world.claim().signed_off
    world.accept()
    assert world.bells() == 1


def test_more_work_than_one_dispatcher_can_carry_wakes_another(world, raw):
    world.configure("main")
    world.accept_many(5)
    raw.delete("wakes")
    world.clock.advance(1)
    world.claim(2)
    assert world.wakes() == 1


def test_more_bulk_than_one_dispatcher_can_carry_beside_its_urgent_room_wakes_another(world, raw):
    world.configure("main")
    world.accept_many(5, lane="bulk")
    raw.delete("wakes")
    world.clock.advance(1)
    assert len(world.claim(3, 2).claims) == 2
    assert world.wakes() == 1


def test_a_dispatcher_with_room_for_all_that_may_go_wakes_nobody(world, raw):
    world.configure("main", rate=10, burst=2)
    world.accept_many(5, lane="bulk")
    raw.delete("wakes")
    world.clock.advance(1)
    assert len(world.claim(5, 4).claims) == 2
    assert (world.wakes(), world.bells()) == (0, 0)


def test_signing_off_at_the_end_of_a_slice_gives_the_wake_back_where_work_is_near(world, raw):
    world.configure("main", rate=1, burst=1)
    world.accept_many(2)
    world.claim()
    world.claim(by="d2")
    raw.delete("wakes")
    assert not world.sign_off(horizon=0.5)
    assert world.wakes() == 0
    assert world.sign_off(horizon=1)
    assert world.wakes() == 1


def test_signing_off_gives_the_wake_back_where_nobody_else_is_awake(world, raw):
    world.configure("main")
    for by in ("d1", "d2"):
        world.claim(by=by)
    raw.delete("wakes")
    assert not world.sign_off(by="d1")
    assert world.sign_off(by="d2")
    assert world.wakes() == 1


def test_who_signed_off_at_the_end_of_a_slice_is_not_awake(world, raw):
    world.configure("main")
    world.claim(promise=60)
    world.sign_off(horizon=2)
    raw.delete("wakes")
    world.clock.advance(1)
    world.accept()
    assert (world.wakes(), world.bells()) == (1, 0)


def test_two_accounts_are_claimed_for_in_one_call(world):
    world.configure(account_limits("a", burst=2), account_limits("b", burst=1))
    world.accept_many(3, "a")
    world.accept_many(3, "b")
    assert sorted(claim.account for claim in world.claim().claims) == ["a", "a", "b"]


def test_a_call_costs_by_what_it_takes_and_not_by_what_waits(world):
    world.configure("main", rate=10, burst=1)
    for _ in range(20):
        world.accept_many(250)
    world.claim()
    assert len(world.line()) == 4999


def test_routes_that_share_an_account_take_turns(world):
    world.configure("main", "spare", rate=10, burst=1)
    for route in ("main", "main,spare", "main,spare,other"):
        world.accept_many(40, route)
    got = Counter()
    for _ in range(60):
        claimed = world.claim(64)
        for claim in claimed.claims:
            got[claim.record.route] += 1
            world.settle(claim, Status.SENT)
        world.clock.advance(max(0.001, (claimed.next_at - claimed.now) / 1e6))
    assert len(got) == 3
    assert max(got.values()) - min(got.values()) <= 2


def test_a_record_that_cannot_be_read_holds_up_no_other(world, raw):
    world.configure("main")
    broken, whole = world.accept_many(2)
    raw.set(message_key(broken), b"\xc1 no record")
    assert [claim.message_id for claim in world.claim(10).claims] == [whole]
    world.clock.advance(91)
    world.tick()
    assert world.get(whole).status is Status.UNCERTAIN


def test_a_clock_that_steps_back_stops_nothing_for_longer_than_a_tick(world):
    world.configure("main", rate=10, burst=1)
    world.accept_many(3)
    world.tick()
    assert len(world.claim(10).claims) == 1
    world.clock.advance(-3600)
    world.tick()
    assert len(world.claim(10).claims) == 0, "the bucket is full, not an hour ahead"
    world.clock.advance(0.2)
    world.tick()
    assert len(world.claim(10).claims) == 1


def test_no_key_of_a_finished_life_stays_for_ever(world, raw):
    world.configure("main")
    world.accept(key="once")
    claim = world.claim_one()
    world.settle(claim, Status.SENT, provider_id="abc")
    world.receive("delivered", provider_id="abc")
    house = (
        "sl:turns",
        "sl:a:",
        "sl:r:",
        "sl:counts",
        "sl:meta",
        "sl:e",
        "sl:directory",
        "sl:wake",
        "sl:awake",
        "wakes",
    )
    for key in raw.keys("*"):
        if not key.startswith(tuple(map(str.encode, (*house, "test:", "sl:bell")))):
            assert raw.pttl(key) > 0, key
