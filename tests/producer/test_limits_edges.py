"""Limits, lanes and failover at their edges: what is easily got wrong."""

import pytest

from ledger_world import OTHER_SENDERS, SENDER, account_limits
from sendline import Status
from sendline.ledger import work
from sendline.ledger.accounts import adjust, resume
from sendline.ledger.keys import KEYS, line_key

DAY = 86_400


def taken(world, room=50, **asked):
    return [claim.account for claim in world.claim(room, **asked).claims]


def test_what_an_earlier_release_left_in_a_line_goes(world):
    world.configure("main")
    ids = world.accept_many(3)
    world.raw.delete(KEYS["rows"] + "1:main")
    assert taken(world) == []
    assert [claim.message_id for claim in world.claim().claims] == ids


def test_a_line_that_an_earlier_release_filled_is_announced_by_the_next_message(world):
    world.configure("main")
    world.accept_many(2)
    world.raw.delete(KEYS["rows"] + "1:main", KEYS["ready"] + "1")
    world.accept()
    taken(world)
    assert len(taken(world)) == 3


def test_where_a_large_message_does_not_fit_the_rest_of_the_day_the_next_account_takes_over(world):
    capped = account_limits("main", unit="segments", daily_cap=10)
    world.configure(capped, account_limits("backup", unit="segments"))
    world.accept_many(5, "main,backup", text="x" * 400)
    assert taken(world) == ["main"] * 3
    world.clock.advance(0.1)
    assert taken(world) == ["backup"] * 2


@pytest.mark.parametrize("of", ["account", "sender"])
def test_a_lower_rate_hands_out_no_burst_anew(world, of):
    prefix = "" if of == "account" else "sender_"
    limits = {"rate": 100, "burst": 10} if of == "account" else {"sender_rate": 100, "sender_burst": 10}
    world.configure(account_limits("main", **limits))
    world.accept_many(40)
    assert len(taken(world)) == 10
    world.ledger.run(adjust(world.limits, "main", {f"{prefix}rate": 10}))
    assert taken(world) == []
    world.clock.advance(0.1)
    assert len(taken(world)) == 1


@pytest.mark.parametrize("burst", [1, 100, 600])
def test_after_a_429_the_rate_climbs_whatever_the_burst(world, burst):
    world.configure("main", rate=10, burst=burst)
    world.accept_many(800)
    claims = []
    while not claims or len(claims) < burst + 1:
        claims += world.claim(1000).claims
        world.clock.advance(0.1)
    world.settle(claims[-1], "retrying", delay=work.HEAD, counted=False, effect="pause", pause=2)
    world.clock.advance(2)
    gone = 0
    for _ in range(100):
        gone += len(taken(world, 1000))
        world.clock.advance(0.1)
    assert 50 <= gone <= 90 + 1, "from half of the rate upwards, for ten seconds"


def test_a_call_that_ends_lets_the_next_go_at_once(world):
    world.configure("main", in_flight=2)
    world.accept_many(5)
    [first, _] = world.claim().claims
    assert taken(world) == []
    assert world.ready()["main"] > world.clock.us
    world.settle(first, Status.SENT)
    assert taken(world) == ["main"]


def test_an_account_that_was_passed_over_is_looked_at_when_it_may_go_again(world):
    world.configure("main", account_limits("backup", rate=0.01, burst=1))
    world.accept_many(4, "main,backup")
    claim = world.claim_one()
    world.settle(claim, "retrying", delay=work.HEAD, counted=False, effect="stop", pause=60)
    assert taken(world) == ["backup"]
    world.clock.advance(60)
    assert taken(world)[0] == "main"


def test_a_campaign_gets_its_share_however_many_senders_it_has(world):
    world.configure(account_limits("main", rate=1000, burst=1, sender_rate=500, sender_burst=500))
    for sender in OTHER_SENDERS:
        world.accept_many(60, lane="bulk", campaign="wide", sender=sender)
    small = set(world.accept_many(300, lane="bulk", campaign="small", sender=SENDER))
    gone = []
    while len(gone) < 200:
        gone += [claim.message_id in small for claim in world.claim(1).claims]
        world.clock.advance(0.001)
    assert 80 <= sum(gone) <= 120


def test_what_a_lane_is_owed_never_grows_beyond_a_few_messages(world):
    world.configure("main", rate=10_000, burst=10_000)
    world.accept_many(500, lane="bulk")
    for _ in range(40):
        world.accept_many(100, lane="urgent")
        world.claim(100, below=0)
    world.accept_many(500, lane="urgent")
    lanes = [claim.record.lane for claim in world.claim(200).claims]
    assert lanes.index(0) <= 40


def test_what_was_handed_back_leaves_the_days_cap(world):
    world.clock.advance(3600)
    world.configure(account_limits("main", daily_cap=10))
    world.accept_many(20)
    claims = world.claim(50).claims
    assert len(claims) == 10
    assert taken(world) == []
    for claim in reversed(claims[4:]):
        world.settle(claim, "created", counted=False, delay=work.HEAD, code="handed_back")
    world.clock.advance(61)
    assert len(taken(world)) == 6


def test_while_one_message_tries_a_stopped_account_a_worker_that_starts_adds_none(world):
    world.configure("main")
    world.accept_many(5)
    world.settle(world.claim_one(), "retrying", delay=work.HEAD, counted=False, effect="stop", pause=60)
    world.clock.advance(60)
    assert taken(world) == ["main"]
    world.configure("main")
    world.ledger.run(resume(world.limits, "main"))
    assert taken(world) == []


def test_a_probe_that_another_worker_must_carry_does_not_block_its_account(world):
    world.configure("main")
    world.accept_many(5)
    world.settle(world.claim_one(), "retrying", delay=work.HEAD, counted=False, effect="stop", pause=60)
    world.clock.advance(60)
    world.settle(world.claim_one(), "retrying", delay=5, counted=False, code="handed_back")
    world.clock.advance(0.01)
    assert taken(world) == ["main"]


def test_another_time_zones_midnight_gives_no_second_cap(world):
    midnight = world.clock.ms // (DAY * 1000) * DAY * 1000
    zones = [[midnight + day * DAY * 1000 + hours * 3_600_000 for day in range(-1, 9)] for hours in (0, 18)]
    world.clock.advance((midnight + DAY * 1000) / 1000 - world.clock.us / 1_000_000 - 7 * 3600)  # 17:00
    for zone in zones:
        world.raw.hset(KEYS["account"] + "main", "days", str(zone))
        world.configure(account_limits("main", daily_cap=10))
        world.accept_many(15)
        taken(world)
        world.clock.advance(2 * 3600)  # 19:00: behind the second zone's midnight
    assert world.counts()["sending"] == 10
    assert world.raw.llen(line_key(1, "main")) == 20
