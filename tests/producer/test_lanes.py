"""Who goes first: lanes and their shares, campaigns, senders and routes that take turns."""

import random
from collections import Counter

import pytest

from ledger_world import SENDER, account_limits
from sendline import Status
from sendline.contract.lane import LANE_CODES, Lane
from sendline.ledger import work
from sendline.ledger.accounts import adjust
from sendline.ledger.lines import weigh

EVER = 10**8
OTHER, THIRD = "+13115552301", "+13115552302"


@pytest.fixture
def take(world):
    """Claim whenever something may go, until so many went; return the claims in their order."""

    def take(number, *, room=1, below=None, **asked):
        taken = []
        for _ in range(20 * number + 100):
            claimed = world.claim(room, below, **asked)
            taken += claimed.claims
            settle_all(world, claimed.claims)
            if len(taken) >= number or claimed.next_at is None:
                return taken
            least = 0 if claimed.claims else 1000
            world.clock.advance(max(claimed.next_at - world.clock.us, least) / 1_000_000)
        raise AssertionError(f"only {len(taken)} of {number} went")

    return take


def settle_all(world, claims):
    if claims:
        world.settle_many(
            [work.Settlement(c.message_id, c.token, c.account, Status.SENT, deadline=60) for c in claims]
        )


def fill(world, number, route="main", **fields):
    made = []
    for first in range(0, number, 250):
        made += world.accept_many(min(250, number - first), route, valid_for=EVER, **fields)
    return made


def went_within(world, seconds):
    """Claim every 10 ms for so long; return how many went."""
    went = 0
    for _ in range(round(seconds * 100)):
        went += len(world.claim().claims)
        world.clock.advance(0.01)
    return went


def lane_of(claim):
    return {code: lane for lane, code in LANE_CODES.items()}[claim.record.lane]


def campaign_of(claim):
    return claim.record.campaign.decode()


def windows_of(taken, length):
    for first in range(len(taken) - length + 1):
        yield taken[first : first + length]


@pytest.mark.parametrize(("rate", "burst", "room"), [(10, 1, 1), (100, 5, 3), (1000, 20, 25)])
def test_with_urgent_saturating_normal_and_bulk_each_get_their_share(world, take, rate, burst, room):
    world.configure("main", rate=rate, burst=burst)
    fill(world, 700, lane="urgent")
    for lane in ("normal", "bulk"):
        fill(world, 100, lane=lane)
    lanes = [lane_of(claim) for claim in take(600, room=room)]
    for window in windows_of(lanes, 200):
        counts = Counter(window)
        assert abs(counts[Lane.NORMAL] - 10) <= 1
        assert abs(counts[Lane.BULK] - 10) <= 1


@pytest.mark.parametrize(
    ("shares", "normal", "bulk"), [((0.2, 0.1), 40, 20), ((0.05, 0.0), 10, 0), ((0.0, 0.0), 0, 0)]
)
def test_other_shares_hold_as_well_and_0_gives_none(world, take, shares, normal, bulk):
    world.configure("main", rate=100, burst=1)
    fill(world, 250, lane="urgent")
    for lane in ("normal", "bulk"):
        fill(world, 60, lane=lane)
    counts = Counter(lane_of(claim) for claim in take(200, shares=shares))
    assert abs(counts[Lane.NORMAL] - normal) <= min(normal, 1)
    assert abs(counts[Lane.BULK] - bulk) <= min(bulk, 1)


def test_bulk_gets_its_share_beside_normal_alone(world, take):
    world.configure("main", rate=100, burst=1)
    for lane in ("normal", "bulk"):
        fill(world, 250, lane=lane)
    assert abs(Counter(lane_of(claim) for claim in take(200))[Lane.BULK] - 10) <= 1


def test_a_share_is_not_saved_up_while_a_lane_is_empty(world, take):
    world.configure("main", rate=100, burst=1)
    fill(world, 700, lane="urgent")
    take(400)
    fill(world, 50, lane="bulk")
    lanes = [lane_of(claim) for claim in take(200)]
    assert abs(lanes.count(Lane.BULK) - 10) <= 1
    assert Lane.BULK not in lanes[:18]


def test_a_share_is_owed_of_segments_where_segments_count(world, take):
    world.configure("main", rate=100, burst=3, unit="segments")
    fill(world, 400, lane="urgent", text="x" * 400)
    fill(world, 100, lane="bulk")
    taken = take(300)
    bulk = sum(lane_of(claim) is Lane.BULK for claim in taken)
    units = sum(3 if lane_of(claim) is Lane.URGENT else 1 for claim in taken)
    assert abs(bulk - units * 0.05) <= 3


def test_what_is_owed_is_kept_by_claims_that_have_room_for_urgent_only(world, take):
    """Calls with no room below urgent are no sign that nothing waits there."""
    world.configure("main", rate=100, burst=1)
    fill(world, 450, lane="urgent")
    fill(world, 100, lane="normal")
    taken = []
    while len(taken) < 400:
        taken += take(1, room=1, below=0)
        taken += take(1, room=1, below=1)
    assert abs(sum(lane_of(claim) is Lane.NORMAL for claim in taken) - 20) <= 1


def test_urgent_goes_first_within_the_next_tokens(world, take):
    world.configure("main", rate=50, burst=1)
    fill(world, 500, lane="bulk")
    take(100)
    urgent = world.accept(lane="urgent")
    assert [claim.message_id for claim in take(1)] == [urgent]


def test_a_lane_and_campaign_is_first_in_first_out_whatever_the_room(world):
    world.configure("main", rate=100, burst=7)
    made = {name: fill(world, 60, lane="bulk", campaign=name) for name in ("a", "b")}
    chance = random.Random(2)
    taken = []
    while len(taken) < 120:
        claims = world.claim(chance.choice([1, 2, 5, 20])).claims
        taken += claims
        settle_all(world, claims)
        world.clock.advance(0.02)
    for name, ids in made.items():
        assert [claim.message_id for claim in taken if campaign_of(claim) == name] == ids


@pytest.mark.parametrize("room", [1, 10])
@pytest.mark.parametrize("weights", [{"a": 1, "b": 1}, {"a": 3, "b": 1}, {"a": 1, "b": 0.5, "c": 2}])
def test_campaigns_take_turns_by_their_weight(world, take, weights, room):
    world.configure("main", rate=100, burst=2)
    for name, weight in weights.items():
        world.ledger.run(weigh(name, weight))
        fill(world, 250, lane="bulk", campaign=name)
    counts = Counter(campaign_of(claim) for claim in take(200, room=room))
    for name, weight in weights.items():
        assert abs(counts[name] - 200 * weight / sum(weights.values())) <= 9


DAY = 86400


def test_a_weight_that_is_neither_changed_nor_used_for_ninety_days_is_forgotten(world, raw):
    world.ledger.run(weigh("a", 3))
    world.tick()
    world.clock.advance(89 * DAY)
    world.tick()
    world.ledger.run(weigh("a", 2))
    world.tick()
    world.clock.advance(89 * DAY)
    world.tick()
    world.ledger.run(weigh("a", 2))
    world.tick()
    world.clock.advance(89 * DAY)
    world.tick()
    assert raw.hget("sl:weights", "a") == b"2"
    world.clock.advance(2 * DAY)
    world.tick()
    assert raw.exists("sl:weights") == 0


def test_a_weight_that_is_used_is_kept(world, take, raw):
    """Also where no tick ever sees a message of it wait."""
    world.configure("main", rate=100, burst=2)
    world.ledger.run(weigh("a", 3))
    for _ in range(4):
        world.tick()
        world.clock.advance(60 * DAY)
        fill(world, 1, lane="bulk", campaign="a")
        assert len(take(1)) == 1
    world.tick()
    assert raw.hget("sl:weights", "a") == b"3"
    world.clock.advance(91 * DAY)
    world.tick()
    assert raw.exists("sl:weights") == 0


def test_nothing_is_left_of_a_weight_that_was_taken_back(world, raw):
    world.ledger.run(weigh("a", 3))
    world.tick()
    world.ledger.run(weigh("a", 1))
    world.tick()
    assert raw.exists("sl:weights") == 0


@pytest.mark.parametrize("noted", ["", "soon", "3", " 3"])
def test_a_damaged_note_of_a_weights_use_stops_nothing(world, take, raw, noted):
    world.configure("main", rate=100, burst=2)
    world.ledger.run(weigh("a", 3))
    for run in (world.tick, lambda: take(1)):
        raw.hset("sl:weights", "@a", noted)
        fill(world, 1, lane="bulk", campaign="a")
        run()
    assert raw.hget("sl:weights", "a") == b"3"


def test_many_weights_are_looked_at_some_at_a_time(world, raw):
    for number in range(100):
        world.ledger.run(weigh(f"gone-{number}", 3))
    while b"" in raw.hvals("sl:weights"):
        world.tick()
    world.clock.advance(91 * DAY)
    world.tick()
    assert 160 <= raw.hlen("sl:weights") < 200
    while raw.exists("sl:weights"):
        world.tick()


def test_what_has_no_campaign_takes_turns_with_campaigns(world, take):
    world.configure("main", rate=100, burst=1)
    fill(world, 100, lane="bulk", campaign="a")
    fill(world, 100, lane="bulk")
    counts = Counter(campaign_of(claim) for claim in take(80))
    assert abs(counts["a"] - counts[""]) <= 1


def test_a_small_campaign_behind_a_big_one_finishes_in_its_fair_time(world, take):
    world.configure("main", rate=100, burst=1)
    fill(world, 2000, lane="bulk", campaign="big")
    take(500, room=10)
    fill(world, 20, lane="bulk", campaign="small")
    assert Counter(campaign_of(claim) for claim in take(42))["small"] == 20


def test_a_campaign_that_comes_back_gains_nothing(world, take):
    world.configure("main", rate=100, burst=1)
    fill(world, 1000, lane="bulk", campaign="steady")
    went = Counter()
    for _ in range(40):
        world.accept(lane="bulk", campaign="coming", valid_for=EVER)
        went += Counter(campaign_of(claim) for claim in take(3))
    assert went["coming"] <= 40
    fill(world, 100, lane="bulk", campaign="coming")
    assert abs(Counter(campaign_of(claim) for claim in take(60))["coming"] - 30) <= 2


def test_an_idle_campaign_saves_nothing_up(world, take):
    world.configure("main", rate=100, burst=1)
    for name in ("a", "b"):
        fill(world, 20, lane="bulk", campaign=name)
    fill(world, 600, lane="bulk", campaign="steady")
    take(340)
    fill(world, 100, lane="bulk", campaign="a")
    assert abs(Counter(campaign_of(claim) for claim in take(60))["a"] - 30) <= 2


def test_a_thousand_campaigns_each_get_their_turn(world, take):
    world.configure("main", rate=1000, burst=50)
    drafts = [
        world.draft(lane="bulk", campaign=f"c{place}", valid_for=EVER)
        for _ in range(2)
        for place in range(1000)
    ]
    for first in range(0, 2000, 250):
        world.accept_drafts(*drafts[first : first + 250])
    counts = Counter(campaign_of(claim) for claim in take(2000, room=100))
    assert (len(counts), set(counts.values())) == (1000, {2})


@pytest.mark.parametrize("lane", list(Lane))
def test_a_limited_sender_holds_up_no_other(world, lane):
    world.configure("main", rate=100, sender_rate=1, sender_burst=1)
    fill(world, 50, lane=lane)
    other = world.accept(lane=lane, sender=OTHER)
    went = [claim.message_id for claim in world.claim(10).claims]
    assert (len(went), went[-1]) == (2, other)


def test_a_sender_that_has_used_up_its_day_holds_up_no_other(world):
    world.configure("main", rate=100, sender_daily_cap=3)
    fill(world, 5)
    fill(world, 2, sender=OTHER)
    assert Counter(c.record.sender.decode() for c in world.claim(10).claims) == {SENDER: 3, OTHER: 2}


def test_messages_that_name_no_sender_count_for_the_accounts_own(world):
    world.configure(account_limits("main", sender=SENDER, sender_rate=1, sender_burst=2))
    fill(world, 3, sender=None)
    fill(world, 3)
    assert len(world.claim(10).claims) == 2


def test_senders_take_turns(world, take):
    world.configure("main", rate=10, burst=1, sender_rate=100, sender_burst=5)
    fill(world, 60)
    fill(world, 30, sender=OTHER)
    counts = Counter(claim.record.sender.decode() for claim in take(40))
    assert abs(counts[SENDER] - counts[OTHER]) <= 1


def test_senders_that_were_busy_do_not_wait_for_new_ones_to_catch_up(world, take):
    world.configure("main", rate=10, burst=1, sender_rate=2, sender_burst=1)
    busy = [OTHER, THIRD]
    for sender in busy:
        fill(world, 200, sender=sender)
    take(200)
    while world.rows():
        world.claim()
        world.clock.advance(0.1)
    for place in range(10):
        fill(world, 50, sender=f"+1311555240{place}")
    counts = Counter(claim.record.sender.decode() for claim in take(120))
    assert min(counts[sender] for sender in busy) >= 8


@pytest.mark.parametrize(
    ("on", "off"),
    [
        ({"sender_rate": 1, "sender_burst": 1}, {"sender_rate": 0}),
        ({"sender_daily_cap": 1}, {"sender_daily_cap": 0}),
    ],
    ids=["rate", "daily cap"],
)
def test_limits_of_senders_switched_on_and_off_lose_nothing_and_send_nobody_twice(world, on, off):
    world.configure("main", rate=100, burst=100)
    made = fill(world, 20) + fill(world, 20, sender=OTHER, lane="bulk", campaign="a")
    went = [claim.message_id for claim in world.claim(4).claims]
    for limits, room in ((on, 4), (off, 4), (on, 50), (off, 100)):
        world.ledger.run(adjust(world.limits, "main", limits))
        world.clock.advance(0.1)
        went += [claim.message_id for claim in world.claim(room).claims]
    went += [claim.message_id for claim in world.claim(100).claims]
    assert len(went) == len(set(went))
    assert set(went) == set(made)
    assert world.ready() == world.ready(2) == {}


@pytest.mark.parametrize("limit", ["sender_rate", "sender_daily_cap"])
def test_a_higher_limit_of_senders_is_in_force_at_once(world, limit):
    world.configure("main", **{limit: 1 if limit == "sender_daily_cap" else 0.001})
    fill(world, 5)
    assert len(world.claim().claims) == 1
    world.ledger.run(adjust(world.limits, "main", {limit: 100, "sender_burst": 10}))
    assert went_within(world, 0.2) == 4


def test_a_higher_configured_cap_is_in_force_at_once(world):
    world.configure("main", daily_cap=1)
    fill(world, 5)
    assert len(world.claim().claims) == 1
    world.clock.advance(1)
    assert world.claim().claims == ()
    world.configure("main", daily_cap=100)
    assert went_within(world, 0.2) == 4


def test_a_higher_configured_rate_is_in_force_at_once(world):
    world.configure("main", rate=0.001, burst=1)
    fill(world, 5)
    assert len(world.claim().claims) == 1
    world.configure("main", rate=100, burst=10)
    assert went_within(world, 0.2) == 4


def test_a_sender_is_not_held_for_another_account_that_takes_over(world):
    world.configure(account_limits("main", sender_rate=0.001), account_limits("spare"))
    fill(world, 3, "main,spare")
    first = world.claim_one()
    assert world.claim().claims == ()
    world.settle(first, Status.SENT, effect="stop", pause=60, reason="no balance")
    world.clock.advance(1)
    assert [claim.account for claim in world.claim().claims] == ["spare", "spare"]


@pytest.mark.parametrize("lane", ["urgent", "normal"])
def test_what_waits_behind_other_lanes_of_many_accounts_is_owed_its_share(world, lane):
    names = [f"a{place}" for place in range(100)]
    world.configure(*names, rate=1_000_000, burst=1_000_000, in_flight=0)
    bulk = set()
    for name in names:
        world.accept_many(100, name, lane=lane)
        bulk.update(world.accept_many(10, name, lane="bulk"))
    went = []
    for _ in range(300):
        went += [claim.message_id for claim in world.claim(32, 28).claims]
        world.clock.advance(0.01)
    assert len(bulk.intersection(went)) > 0.02 * len(went) > 150


@pytest.mark.parametrize(("number", "room"), [(20, 100), (20, 4), (40, 32)])
def test_each_of_many_accounts_owes_bulk_its_share_whatever_is_found_first(world, number, room):
    names = [f"a{place}" for place in range(number)]
    world.configure(*names, rate=20, burst=1)
    for name in names:
        fill(world, 250, name, lane="urgent")
        world.clock.advance(0.003)
    for name in reversed(names):
        fill(world, 20, name, lane="bulk")
        world.clock.advance(0.003)
    lanes = {name: Counter() for name in names}
    ends = world.clock.us + 10_000_000
    while world.clock.us < ends:
        claimed = world.claim(min(room, 32), min(room, 28))
        for claim in claimed.claims:
            lanes[claim.account][lane_of(claim)] += 1
        world.clock.advance(max(claimed.next_at - world.clock.us, 2000) / 1_000_000)
    for name in names:
        assert lanes[name].total() >= 195, name
        assert lanes[name][Lane.BULK] >= 0.04 * lanes[name].total(), name


@pytest.mark.parametrize("room", [1, 8])
def test_routes_that_share_an_account_take_turns_in_every_lane(world, take, room):
    world.configure("main", "spare", rate=10, burst=1)
    routes = ("main", "main,spare", "main,other")
    for route in routes:
        fill(world, 60, route, lane="bulk")
    counts = Counter(claim.record.route.decode() for claim in take(60, room=room))
    assert all(abs(counts[route] - 20) <= 1 for route in routes)


def test_rooms_of_one_serve_every_account_that_has_work(world):
    names = [f"a{place}" for place in range(20)]
    world.configure(*names, rate=100)
    for name in names:
        fill(world, 10, name)
    counts = Counter()
    for _ in range(100):
        counts[world.claim_one().account] += 1
        world.clock.advance(0.001)
    assert set(counts.values()) <= {4, 5, 6}


def test_many_routes_of_one_account_each_get_their_turn(world, take):
    names = [f"x{place}" for place in range(60)]
    world.configure("main", *names, rate=100, burst=1)
    for name in names:
        world.accept_many(2, f"main,{name}", valid_for=EVER)
    counts = Counter(claim.record.route for claim in take(60))
    assert max(counts.values()) == 1
