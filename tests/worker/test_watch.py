"""The worker's watch on itself: what is stuck, and what only looks like it."""

import dataclasses

import pytest

import sendline.ledger.standing
from ledger_world import CLOCK, account_limits
from sendline.contract.status import Status
from sendline.ledger.keys import KEYS
from sendline.ledger.limits import Limits
from sendline.ledger.scripts import script
from sendline.ledger.standing import Flow, flow, last_claim
from sendline.ledger.work import tick
from sendline.settings import Settings, bounds
from sendline_worker.checks.parts import LATE, RESTART, START, check_workers
from sendline_worker.tick import Ticker
from sendline_worker.watch import GAP, Watch

S = 1_000_000
NOW = 1_700_000_000 * S


def may_go(after=0.0, *, claims=5, ready_at=NOW):
    """What the ledger says `after` seconds: a line may go since NOW, and nobody has claimed from it."""
    return Flow(NOW + round(after * S), ready_at, claims, "normal, main", 3)


def first_stuck(looks, patience=60.0):
    """Return the seconds after which a watch finds things stuck; `looks` are (seconds, Flow) pairs."""
    watch = Watch(patience)
    return next((at for at, seen in looks if watch.look(seen, 1000.0 + at)), None)


def seconds(until):
    return [float(second) for second in range(until)]


def test_a_worker_waits_as_long_as_the_bound_says_and_no_call_lasts_longer():
    assert Ticker.patience == bounds.NO_CLAIM == 60
    assert bounds.LONGEST_CALL + bounds.SETTLE_MARGIN < bounds.NO_CLAIM


def test_work_that_may_go_and_is_not_claimed_for_60_s_is_stuck():
    assert first_stuck((at, may_go(at)) for at in seconds(100)) == 60


def test_it_is_told_what_waits_and_for_how_long():
    watch = Watch(1.0)
    watch.look(may_go(30), 0.0)
    stuck = watch.look(may_go(31), 1.0)
    expected = "3 messages may go (the first, normal, main, for 31 s), and none was claimed for 1 s"
    assert str(stuck) == expected


def test_a_claim_starts_it_anew():
    assert first_stuck((at, may_go(at, claims=5 + (at >= 40))) for at in seconds(100)) is None
    assert first_stuck((at, may_go(at, claims=5 + (at >= 40))) for at in seconds(101)) == 100


def test_a_ledger_that_was_emptied_starts_it_anew():
    assert first_stuck((at, may_go(at, claims=5 if at < 40 else 0)) for at in seconds(100)) is None


def test_a_line_that_a_claim_call_looked_at_and_found_held_is_not_stuck():
    looks = ((at, may_go(at, ready_at=NOW + round(at - at % 50) * S)) for at in seconds(300))
    assert first_stuck(looks) is None


def test_a_line_that_an_older_one_joins_is_not_taken_for_one_that_was_looked_at():
    looks = ((at, may_go(at, ready_at=NOW - (S if at > 30 else 0))) for at in seconds(100))
    assert first_stuck(looks) == 60


@pytest.mark.parametrize(
    "pause",
    [{"ready_at": None}, {"ready_at": NOW + 3600 * S}, {"halted": True}],
    ids=["nothing waits", "nothing may go yet", "dispatching is stopped on purpose"],
)
def test_only_work_that_may_go_counts(pause):
    for at in seconds(100):
        watch = Watch(60.0)
        assert watch.look(dataclasses.replace(may_go(at), **pause), at) is None
    looks = (
        (at, dataclasses.replace(may_go(at), **pause) if at == 50 else may_go(at)) for at in seconds(120)
    )
    assert first_stuck(looks) == 111


def test_a_gap_between_two_looks_starts_it_anew():
    looks = [(at, may_go(at)) for at in [*seconds(50), 50 + GAP, *(60.0 + s for s in range(1, 100))]]
    assert first_stuck(looks) == 50 + GAP + 60


def test_a_ledger_that_was_away_starts_it_anew():
    watch = Watch(60.0)
    for at in seconds(59):
        assert watch.look(may_go(at), at) is None
    watch.forget()
    assert watch.look(may_go(65), 65.0) is None
    assert watch.look(may_go(70), 70.0) is None


# What the ledger says


@pytest.fixture
def look(world, monkeypatch):
    """Look at the flow on the test's clock."""
    monkeypatch.setattr(sendline.ledger.standing, "script", lambda verb: script(verb, clock=CLOCK))
    return lambda: world.ledger.run(flow(Limits()))


def test_an_empty_ledger_has_nothing_that_may_go(look, world):
    assert look() == Flow(world.clock.us, None, 0)
    assert look().waits is None
    assert world.ledger.run(last_claim()) is None


def test_what_may_go_is_seen_with_its_line_its_number_and_its_age(look, world):
    world.configure("main", "spare")
    world.accept_many(3)
    world.clock.advance(2)
    world.accept_many(2, "spare", lane="bulk")
    world.clock.advance(5)
    seen = look()
    assert (seen.line, seen.may_go, seen.claims) == ("normal, main", 5, 0)
    assert seen.waits == 7
    assert not seen.halted


def test_what_may_go_is_counted_over_all_rows_but_those_that_are_held(look, world):
    world.configure("main", account_limits("numbers", sender_rate=0.1))
    for campaign in (None, "spring", "summer"):
        world.accept_many(3, lane="bulk", campaign=campaign)
    for sender in ("+13115550001", "+13115550002"):
        world.accept_many(2, "numbers", sender=sender)
    assert look().may_go == 13
    claims = [world.claim_one() for _ in range(3)]
    assert [claim.account for claim in claims] == ["numbers", "numbers", "main"]
    assert look().may_go == 8
    world.clock.advance(10)
    assert look().may_go == 8 + 2


def test_no_more_rows_are_counted_than_lines_are_watched(look, world, monkeypatch):
    monkeypatch.setattr(sendline.ledger.standing, "LINES_WATCHED", 4)
    world.configure("main", "spare")
    for number in range(3):
        for route in ("main", "spare"):
            world.accept(route, lane="bulk", campaign=f"c{number}")
    assert look().may_go == 4


def test_a_claim_raises_the_count_and_is_remembered(look, world):
    world.configure("main")
    world.accept_many(3)
    assert len(world.claim(2).claims) == 2
    assert (look().claims, look().may_go) == (2, 1)
    assert world.ledger.run(last_claim()) == world.clock.us
    world.claim(1)
    assert look().ready_at is None


@pytest.mark.parametrize("held", ["rate", "in flight", "stopped", "unknown"])
def test_a_line_that_a_limit_holds_may_not_go_yet_once_a_claim_call_has_looked(look, world, held):
    limits = {"rate": {"burst": 1, "rate": 0.01}, "in flight": {"in_flight": 1}}.get(held, {})
    world.configure(account_limits("main", **limits))
    world.accept_many(2, "nobody" if held == "unknown" else "main")
    if held == "stopped":
        claim = world.claim_one()
        world.settle(claim, Status.RETRYING, effect="stop", pause=3600, delay=5)
    world.claim()
    before = look()
    assert (before.waits, before.ready_at > world.clock.us) == (None, True)
    world.clock.us = before.ready_at
    world.clock.advance(0)
    world.claim()
    assert look().waits is None


def test_looking_changes_nothing(look, world, raw):
    world.configure("main")
    world.accept()
    keys = sorted(raw.keys())
    meta = raw.hgetall(KEYS["meta"])
    look()
    assert sorted(raw.keys()) == keys
    assert raw.hgetall(KEYS["meta"]) == meta


def test_a_ledger_that_is_behind_says_so(look, world, raw):
    world.configure("main")
    world.accept()
    raw.hset(KEYS["meta"], "behind", b"\x94\x00\x00\x00\x00")
    assert look().halted


# What `sendline check` says of it


@pytest.fixture
def found(look, world, redis_url):
    """What is found of the workers, without the word that they run or don't."""

    def found():
        checks = check_workers(Settings(redis_url=redis_url), {}, world.ledger)
        return {check.level: check for check in checks if "messages may go" in check.message}

    return found


def test_work_that_waits_for_60_s_without_a_claim_fails_the_check(found, world):
    world.configure("main")
    world.accept_many(2)
    world.clock.advance(LATE + 1)
    assert set(found()) == {"warn"}
    world.clock.advance(60)
    check = found()["FAIL"]
    assert check.message == "2 messages may go, and none was claimed for 66 s"
    assert check.fix == START
    world.ledger.run(tick(Limits(), "w1", lock=5, most=1))
    assert found()["FAIL"].fix == RESTART


def test_a_line_that_others_pass_does_not_fail_the_check(found, world):
    world.configure("main")
    world.accept_many(2, lane="bulk")
    world.clock.advance(61)
    assert set(found()) == {"FAIL"}
    world.accept(lane="urgent")
    assert len(world.claim(1, below=0).claims) == 1
    assert set(found()) <= {"warn"}


def test_where_dispatching_is_stopped_on_purpose_the_check_does_not_fail(found, world, raw):
    world.configure("main")
    world.accept()
    world.clock.advance(100)
    raw.hset(KEYS["meta"], "behind", b"\x94\x00\x00\x00\x00")
    assert found() == {}
