"""When messages will have gone, about: against closed forms."""

from dataclasses import replace
from itertools import count

import pytest

from sendline.contract.lane import Lane
from sendline.contract.message import instant
from sendline.ledger.account_state import AccountState, account_state
from sendline.ledger.lines import Row, read_rows, weigh
from sendline_worker.answers import estimates as module
from sendline_worker.answers.estimates import Scene, estimate, estimates, left_out

NOW = 1_700_000_000_000_000
MIDNIGHT = 1_700_006_400_000
"""The next one in UTC (ms): 6400 s ahead."""
DAY = 86_400
SHARES = (0.05, 0.05)
MAIN = AccountState("main", interval=100_000)
"""Ten a second, of which none was used for long."""
SPARE = replace(MAIN, name="spare")


def row(length, name="", lane=Lane.BULK, route="main", **fields):
    return Row(lane, route, name, length, **fields)


def ends(*rows, accounts=(MAIN,), shares=SHARES):
    """Return in how many seconds each row is empty; None: that can't be said."""
    scene = Scene(NOW, {account.name: account for account in accounts}, rows, shares)
    return [seconds(each.at) for each in estimates(scene)]


def seconds(at):
    return None if at is None else (at - instant(NOW / 1000)).total_seconds()


def near(*expected):
    return pytest.approx(list(expected), abs=0.01)


def test_a_row_alone_takes_the_whole_rate():
    assert ends(row(1001)) == near(100)


def test_what_may_go_at_once_has_gone_now():
    assert ends(row(50), accounts=[replace(MAIN, burst=50)]) == near(0)
    assert ends(row(150), accounts=[replace(MAIN, burst=50)]) == near(10)


def test_what_was_used_up_is_waited_for():
    assert ends(row(1), accounts=[replace(MAIN, tat=NOW + 3_000_000)]) == near(3)


def test_what_was_used_up_at_another_pace_is_waited_for_at_this_one():
    assert ends(row(1), accounts=[replace(MAIN, tat=NOW + 3_000_000, paced=50_000)]) == near(6)


def test_two_equal_rows_end_together():
    assert ends(row(500, "a"), row(501, "b")) == near(99.9, 100)


def test_a_small_campaign_behind_a_large_one_ends_in_its_fair_time():
    assert ends(row(100_000, "large"), row(100, "small")) == near(10009.9, 19.9)


def test_rows_take_turns_by_their_weights():
    assert ends(row(300, "a", weight=3), row(500, "b")) == near(39.9, 79.9)


def test_lines_of_an_account_share_it_equally_however_many_rows_they_have():
    rows = [row(100, "a"), row(100, "b"), row(100, "a", route="main,spare")]
    assert ends(*rows, accounts=[MAIN, SPARE]) == near(29.9, 29.9, 19.9)


def test_urgent_messages_go_before_others_but_for_what_is_kept():
    assert ends(row(900, lane=Lane.URGENT), row(100), row(100, lane=Lane.NORMAL)) == near(
        99.9, 109.9, 99.9 + 50 / 9.5
    )


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_bulk_moves_at_its_share_under_endless_urgent_messages(share):
    _, bulk = ends(row(10_000_000, lane=Lane.URGENT), row(101), shares=(0.05, share))
    assert bulk == pytest.approx(101 / (10 * share) - 0.1, abs=0.01)


def test_a_pause_is_waited_for_and_leaves_nothing_saved_up():
    paused = replace(MAIN, burst=50, paused_until=NOW // 1000 + 20_000)
    assert ends(row(101), accounts=[paused]) == near(30)


def test_after_a_429_the_rate_climbs_back():
    """From half of 10 a second to all of it in 22.5 s: 168.75 messages, the others at the whole rate."""
    eased = replace(MAIN, interval=100_000, eased=0.5, eased_at=NOW, tat=NOW + 200_000 - 100_000)
    [at] = ends(row(1169), accounts=[eased])
    assert at == pytest.approx(22.5 + 100, abs=0.3)


def test_a_daily_cap_holds_over_midnights():
    capped = replace(MAIN, cap=1000, used=600, day=MIDNIGHT - DAY * 1000)
    assert ends(row(400), accounts=[capped]) == near(39.9)
    assert ends(row(2500), accounts=[capped]) == near(6400 + 2 * DAY + 10)


def test_midnights_are_those_that_were_published():
    published = (MIDNIGHT - DAY * 1000, MIDNIGHT - 3_600_000, MIDNIGHT + 82_800_000)
    capped = replace(MAIN, cap=1000, used=1000, day=published[0], days=published)
    assert ends(row(1100), accounts=[capped]) == near(2800 + DAY + 10)


def test_what_one_account_may_not_send_today_goes_by_the_next_of_its_route():
    capped = replace(MAIN, cap=101, used=0, day=MIDNIGHT - DAY * 1000)
    slow = replace(SPARE, interval=1_000_000)
    [at] = ends(row(111, route="main,spare"), accounts=[capped, slow])
    assert at == pytest.approx(20, abs=0.2)


def test_a_sender_that_is_limited_leaves_the_rest_to_others():
    limited = replace(MAIN, s_interval=1_000_000)
    assert ends(row(100, "@a"), row(100, "@b"), accounts=[limited]) == near(99.9, 99.9)
    assert ends(row(50, "x@a"), row(50, "y@a"), accounts=[limited]) == near(99.9, 99.9)


def test_a_row_that_is_held_goes_on_when_its_sender_may():
    held = row(10, "@a", held_until=NOW + 60_000_000)
    assert ends(held, row(100, "@b")) == near(61, 9.9)
    assert ends(held, accounts=[replace(MAIN, s_interval=2_000_000)]) == near(60 + 9 * 2)


def test_segments_are_counted_where_the_account_counts_them():
    assert ends(row(100, segments=3), accounts=[replace(MAIN, unit="segments")]) == near(29.9)
    assert ends(row(100, segments=3)) == near(9.9)


def test_each_row_costs_what_its_messages_have_segments():
    rows = [row(100, "long", segments=4), row(100, "short")]
    assert ends(*rows, accounts=[replace(MAIN, unit="segments")]) == near(49.9, 19.9)


def test_rows_of_one_campaign_by_sender_share_its_weight():
    rows = [row(100, "spring@a", weight=2), row(100, "spring@b", weight=2), row(100, "summer", weight=1)]
    assert ends(*rows) == near(29.9, 29.9, 29.9)


def test_a_part_of_a_campaign_that_is_held_keeps_its_part_of_the_weight():
    held = row(50, "spring@a", weight=2, held_until=NOW + 9_900_000)
    assert ends(held, row(50, "spring@b", weight=2), row(50, "summer")) == near(14.9, 9.9, 9.9)


@pytest.mark.parametrize(
    ("change", "cause", "word"),
    [
        ({"halted": "maintenance"}, "paused by a person: maintenance", "paused"),
        (
            {"stopped": "401: the key", "paused_until": NOW // 1000 + 40_000},
            "stopped, and tried again in 40 s: 401",
            "stopped",
        ),
        (
            {"stopped": "no answer", "broken": True, "paused_until": NOW // 1000 + 4000},
            "circuit breaker",
            "broken",
        ),
        ({"stopped": "401: the key"}, "tried with one message now", "stopped"),
        ({"interval": 0}, "not configured on the workers", "unknown"),
    ],
)
def test_where_somebody_must_act_first_the_cause_is_told_instead(change, cause, word):
    scene = Scene(NOW, {"main": replace(MAIN, **change)}, [row(10)], SHARES)
    [told] = estimates(scene)
    assert (told.at, told.word) == (None, word)
    assert cause in told.because
    assert told.because.endswith(".")


def test_a_stopped_account_leaves_its_messages_to_the_next_of_their_route():
    halted = replace(MAIN, halted="")
    assert ends(row(101, route="main,spare"), row(10), accounts=[halted, SPARE]) == [pytest.approx(10), None]


def test_the_turn_of_one_message_is_told_too():
    rows = [row(1000, "a"), row(1000, "b")]
    scene = Scene(NOW, {"main": MAIN}, rows, SHARES)
    assert seconds(estimate(scene, rows[0], 51).at) == pytest.approx(10.1)
    assert seconds(estimate(scene, rows[1], 1).at) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("account", "said"),
    [
        (MAIN, "Account main sends 10 a second, 1 other row takes turns with it or goes before."),
        (replace(MAIN, eased=0.5, eased_at=NOW), "sends 5 of its 10 a second, and its rate climbs back"),
        (replace(MAIN, paused_until=NOW // 1000 + 2000), "after a pause of 2 s"),
        (replace(MAIN, cap=50), "at most 50 a day"),
        (replace(MAIN, unit="segments"), "Account main sends 10 segments a second, 1 other row"),
        (replace(MAIN, unit="segments", cap=50), "at most 50 segments a day"),
    ],
)
def test_it_is_told_what_an_estimate_depends_on(account, said):
    rows = [row(100, "a"), row(100, "b")]
    assert said in estimate(Scene(NOW, {"main": account}, rows, SHARES), rows[0]).because


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, ""),
        ({"in_flight": 5}, "The in_flight of account main is not reckoned with."),
        ({"s_cap": 9}, "The sender_daily_cap of account main is not reckoned with."),
        (
            {"in_flight": 5, "s_cap": 9},
            "The in_flight and sender_daily_cap of account main are not reckoned with.",
        ),
    ],
)
def test_limits_that_are_not_reckoned_with_are_named(change, said):
    account, rows = replace(MAIN, **change), [row(100)]
    assert left_out(account) == said
    told = estimate(Scene(NOW, {"main": account}, rows, SHARES), rows[0]).because
    assert told == f"Account main sends 10 a second. {said}".strip()


def test_what_is_more_than_a_year_ahead_is_not_told():
    assert ends(row(10_000_000), accounts=[replace(MAIN, cap=100, day=MIDNIGHT)]) == [None]


def test_a_thousand_campaigns_are_estimated_in_bounded_steps(monkeypatch):
    steps = count()
    taken = module._Run._step
    monkeypatch.setattr(module._Run, "_step", lambda run: (next(steps), taken(run))[1])
    rows = [row(100 * number, f"c{number}") for number in range(1, 1001)]
    found = ends(*rows)
    assert next(steps) < 1000
    total = sum(each.length for each in rows)
    assert found[-1] == pytest.approx(total / 10, rel=0.01)
    assert found[0] == pytest.approx(100 * 1000 / 10, rel=0.01)
    assert found == sorted(found)


# Against the claims themselves

QUANTUM = 8
"""Messages of one turn."""


def scene_of(world):
    state = world.ledger.run(account_state("main"))
    return Scene(world.clock.us, {"main": state}, read_rows(world.ledger), SHARES)


def gone(world, rows, seconds):
    """Claim for a while, as workers do; return after how many seconds the last message of each row went."""
    begun, last = world.clock.us, {}
    row_of = {id_: name for name, ids in rows.items() for id_ in ids}
    while world.clock.us - begun < seconds * 1_000_000:
        for claim in world.claim(100).claims:
            last[row_of[claim.message_id]] = (world.clock.us - begun) / 1_000_000
        world.clock.advance(0.02)
    return [last[name] for name in rows]


def test_the_estimates_are_what_claims_come_to(world):
    world.configure("main", rate=20, burst=1)
    world.ledger.run(weigh("heavy", 3))
    rows = {
        "": world.accept_many(60, lane="urgent"),
        "light": world.accept_many(120, lane="bulk", campaign="light"),
        "heavy": world.accept_many(150, lane="bulk", campaign="heavy"),
        "normal": world.accept_many(80),
    }
    found = {(row.lane, row.name): row for row in read_rows(world.ledger)}
    keys = [(Lane.URGENT, ""), (Lane.BULK, "light"), (Lane.BULK, "heavy"), (Lane.NORMAL, "")]
    scene = scene_of(world)
    told = dict(zip(((r.lane, r.name) for r in scene.rows), estimates(scene), strict=True))
    assert set(found) == set(keys)
    expected = [(told[key].at - instant(scene.now / 1000)).total_seconds() for key in keys]
    assert gone(world, rows, 25) == pytest.approx(expected, abs=2 * QUANTUM / 20)


def test_they_are_so_too_where_segments_are_counted(world):
    world.configure("main", rate=20, burst=1, unit="segments")
    rows = {
        "long": world.accept_many(40, lane="bulk", campaign="long", text="x" * 600),
        "short": world.accept_many(100, lane="bulk", campaign="short"),
    }
    scene = scene_of(world)
    told = {r.name: e.at for r, e in zip(scene.rows, estimates(scene), strict=True)}
    expected = [(told[name] - instant(scene.now / 1000)).total_seconds() for name in rows]
    assert gone(world, rows, 20) == pytest.approx(expected, abs=2 * 4 * QUANTUM / 20)


def test_they_are_so_too_after_a_429(world):
    world.configure("main", rate=20, burst=1)
    ids = world.accept_many(300, lane="bulk")
    world.settle(
        world.claim_one(), "retrying", delay=-1, counted=False, effect="pause", pause=5, reason="429"
    )
    scene = scene_of(world)
    [told] = estimates(scene)
    expected = (told.at - instant(scene.now / 1000)).total_seconds()
    assert gone(world, {"": ids}, 40) == pytest.approx([expected], abs=0.3)
    assert expected > 5 + 300 / 20


def test_they_are_so_too_where_senders_are_limited(world):
    world.configure("main", rate=20, burst=1, sender_rate=2)
    rows = {
        "a": world.accept_many(30, sender="+13115550001"),
        "b": world.accept_many(20, sender="+13115550002"),
    }
    scene = scene_of(world)
    expected = sorted((each.at - instant(scene.now / 1000)).total_seconds() for each in estimates(scene))
    assert sorted(gone(world, rows, 20)) == pytest.approx(expected, abs=0.7)


def test_they_are_so_too_where_a_campaign_has_a_row_for_each_sender(world):
    world.configure("main", rate=20, burst=1, sender_rate=1000)
    rows = {
        "a": world.accept_many(40, lane="bulk", campaign="spring", sender="+13115550001"),
        "b": world.accept_many(40, lane="bulk", campaign="spring", sender="+13115550002"),
        "c": world.accept_many(40, lane="bulk", campaign="summer", sender="+13115550003"),
    }
    scene = scene_of(world)
    expected = sorted((each.at - instant(scene.now / 1000)).total_seconds() for each in estimates(scene))
    assert sorted(gone(world, rows, 20)) == pytest.approx(expected, abs=2 * QUANTUM / 20)
