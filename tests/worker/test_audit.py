"""The audit, on a real ledger: silent where all is well, and naming each thing that isn't so."""

import time
from dataclasses import replace

import pytest

import sendline.ledger.audit
from damage import ANOTHERS, DAMAGE, HOUR, furnish, index, told_of, unindex
from ledger_world import CLOCK, SENDER, account_limits, sender_row
from sendline.contract import ids
from sendline.contract.status import Status
from sendline.ledger.audit import Keys
from sendline.ledger.keys import KEYS, account_key, line_key, message_key
from sendline.ledger.scripts import script
from sendline_worker.audit import Audit, reading
from sendline_worker.audit import audit as auditing


@pytest.fixture
def run(world, monkeypatch):
    """Audit the world's ledger on the world's clock."""
    monkeypatch.setattr(sendline.ledger.audit, "script", lambda verb: script(verb, clock=CLOCK))

    def run(ledger=world.ledger, **options):
        return Audit(ledger, world.limits, pause=0, **options).run()

    return run


@pytest.fixture
def house(world):
    return furnish(world)


def test_a_ledger_with_messages_of_every_status_is_whole(house, run):
    report = run()
    assert report.findings == ()
    assert report.compared
    assert report.left_behind == 2  # the canceled and the expired one, in whose place the line goes on
    assert report.lines == 6
    assert {name for name, number in report.records.items() if number} == set(Status)
    assert report.to_dict()["ok"]


def test_an_empty_ledger_is_whole(run):
    assert run().findings == ()


@pytest.mark.parametrize("name", DAMAGE)
def test_what_is_broken_is_named_with_its_message(house, run, world, name):
    damage = DAMAGE[name]
    damage.do(world, house)
    findings = run().findings
    assert told_of(findings, damage, house), findings


@pytest.mark.parametrize(
    "state",
    [
        {"stopped": "no balance"},
        {"stopped": "it fails", "broken": 1},
        {"halted": "a person said so"},
        {"cap": 5, "used": 5, "day": 2**52},
        {"in_flight": 1, "flying": 1},
    ],
    ids=lambda state: next(iter(state)),
)
def test_a_line_of_an_account_that_can_not_send_is_not_stuck(house, run, world, state):
    world.raw.set(KEYS["tick"], "somebody")
    for account in ("main", "spare", "numbers"):
        world.raw.hset(account_key(account), mapping=state)
    assert not [finding for finding in run().findings if "may go" in finding.what]


def test_empty_leftovers_of_rows_and_lines_harm_nobody(house, run, world):
    world.raw.zadd(KEYS["rows"] + "2:main", {"winter": 7})
    world.raw.zadd(KEYS["held"] + "1:numbers", {ANOTHERS.rpartition(":")[2]: 7})
    world.raw.zadd(KEYS["resting"] + "2:spare", {"winter": 7})
    world.raw.zadd(KEYS["ready"] + "2", {"spare": 7})
    world.raw.set(KEYS["tick"], "somebody")
    assert not [
        finding for finding in run().findings if "line" in finding.what and "may go" not in finding.what
    ]


def test_a_row_that_is_held_is_announced_and_not_stuck(house, run, world):
    world.configure("main", "spare", account_limits("numbers", sender_rate=0.001))
    world.accept("numbers")
    assert [claim.message_id for claim in world.claim(10).claims if claim.account == "numbers"]
    assert list(world.held_rows("numbers")) == [sender_row()]
    world.raw.set(KEYS["tick"], "somebody")
    stuck = [finding.what for finding in run().findings if "numbers" in finding.what]
    assert stuck == ["the normal line of numbers may go since 60 s and does not"]  # it is years later
    world.raw.zadd(KEYS["held"] + "1:numbers", {sender_row(): (time.time() + 60) * 1_000_000})
    assert not [finding for finding in run().findings if "numbers" in finding.what]


@pytest.mark.parametrize("split", [True, False])
def test_a_message_may_stand_in_the_row_from_before_its_sender_was_limited(run, world, split):
    limited, free = account_limits("numbers", sender_rate=5), account_limits("numbers")
    world.configure(free if split else limited)
    world.accept_many(3, "numbers")
    world.accept_many(3, "numbers", lane="bulk", campaign="spring")
    world.configure(limited if split else free)
    world.accept_many(3, "numbers")
    assert world.line("numbers")
    assert world.line("numbers", row=sender_row())
    report = run()
    assert (report.findings, report.lines, report.left_behind) == ((), 9, 0)


def test_no_finding_tells_a_sender(run, world):
    world.configure(account_limits("numbers", sender_rate=5))
    world.accept("numbers", lane="bulk", campaign="spring")
    world.raw.delete(KEYS["rows"] + "2:numbers")
    [finding] = run().findings
    assert f"(campaign spring, sender {sender_row()[1:]})" in finding.what
    assert SENDER[1:] not in finding.what


def test_many_rows_of_a_line_that_is_not_announced_are_one_finding(run, world):
    world.configure("main")
    for number in range(30):
        world.accept_many(2, lane="bulk", campaign=f"c{number}")
    world.raw.delete(KEYS["ready"] + "2")
    [finding] = run().findings
    assert finding.number == 60


def test_what_ended_by_its_retention_is_missed_by_nobody(house, run, world):
    old = (1).to_bytes(6, "big") + b"\x70" + b"x" * 9
    index(world, "p-old", old)
    world.raw.set(KEYS["idempotency"].encode() + b"d" * 10, old + b"contents")
    world.raw.rpush(line_key(1, "main"), old)  # canceled long ago
    world.raw.delete(message_key(house["failed"]), message_key(house["sent"]))
    unindex(world, "p-sent")
    world.raw.delete(*world.raw.keys(KEYS["idempotency"] + "*"))
    assert run().findings == ()


def test_a_provider_id_that_was_learned_long_ago_need_not_be_in_the_index(house, run, world):
    unindex(world, "p-sent")
    assert run().findings
    world.clock.advance(world.limits.deadline + 60)
    world.tick()
    world.raw.delete(KEYS["tick"])
    assert not [finding for finding in run().findings if "index" in finding.what]


@pytest.mark.parametrize("scheduled", [True, False])
def test_the_index_is_missed_as_long_as_the_id_was_learned_after_the_first_attempt(run, world, scheduled):
    world.configure("main")
    message_id = world.accept(delay=40 * HOUR if scheduled else 0, valid_for=100 * HOUR)
    if not scheduled:
        world.settle(world.claim_one(), Status.RETRYING, delay=40 * HOUR)
    world.clock.advance(40 * HOUR)
    world.tick()
    world.settle(world.claim_one(), Status.SENT, provider_id="p", deadline=72 * HOUR)
    world.clock.advance(40 * HOUR)
    unindex(world, "p")
    world.raw.delete(KEYS["tick"])
    found = [finding.ids for finding in run().findings]
    assert found == ([(ids.to_text(message_id),)] if scheduled else [])


def test_a_ledger_that_is_behind_is_told(house, run, world):
    world.raw.hset(KEYS["meta"], "behind", b"\x94\x01\x02\x03\x04")
    [finding] = run().findings
    assert "sendline recover" in finding.what


class Meddling:
    """A ledger on which something happens before each read."""

    def __init__(self, ledger, meddle):
        self._ledger, self._meddle = ledger, meddle

    def run(self, call):
        self._meddle(call)
        return self._ledger.run(call)


class Repeating(Meddling):
    """A ledger whose scans tell each key twice, as they may."""

    def run(self, call):
        found = super().run(call)
        if isinstance(found, Keys):
            return replace(found, messages=found.messages * 2, index=found.index * 2)
        return found


def test_a_message_that_a_scan_tells_twice_is_counted_once(house, run, world):
    assert run(Repeating(world.ledger, lambda _: None)) == run()


def test_counts_are_not_compared_while_the_ledger_moves(house, run, world):
    world.raw.hincrby(account_key("main"), "flying", 1)
    report = run(Meddling(world.ledger, lambda _: world.raw.hincrby(KEYS["meta"], "seq", 1)))
    assert not report.compared
    assert report.findings == ()


@pytest.mark.parametrize("look", [2, 3, 4])
def test_what_looked_wrong_only_for_a_while_is_not_told(house, run, world, look):
    world.raw.lrem(line_key(1, "main"), 0, house["queued"])
    looks = []

    def put_back(call):
        if getattr(call.target, "name", "") == "examine" and house["queued"] in call.arguments:
            looks.append(call)
            if len(looks) == look:
                world.raw.rpush(line_key(1, "main"), house["queued"])

    assert run(Meddling(world.ledger, put_back)).findings == ()
    assert len(looks) >= look


def test_what_moves_while_it_is_read_is_not_told(house, run, world):
    def go_on(call):
        if getattr(call.target, "name", "") in {"examine", ""} and call.target != "SCAN":
            world.accept_many(2)
            world.claim(1)
            world.clock.advance(0.01)

    report = run(Meddling(world.ledger, go_on))
    assert report.findings == ()
    assert not report.compared


def test_many_messages_of_one_fault_are_one_finding_with_some_ids(run, world, monkeypatch):
    monkeypatch.setattr(auditing, "CLOSELY", 100)
    world.configure("main")
    for message_id in world.accept_many(250):
        world.raw.zrem(KEYS["timers"], message_id)
    [finding] = run().findings
    assert (finding.number, len(finding.ids)) == (250, 10)


def test_a_long_line_is_read_whole(run, world):
    world.configure("main")
    for _ in range(10):
        world.accept_many(250)
    report = run()
    assert (report.lines, report.records["created"], report.findings) == (2500, 2500, ())


@pytest.mark.parametrize("keys", [1, 40, 1000])
def test_a_large_ledger_is_read_in_parts_to_the_same_end(house, run, world, monkeypatch, keys):
    world.accept_many(200)
    world.raw.zrem(KEYS["timers"], house["queued"])
    whole = run()
    monkeypatch.setattr(reading, "PART", keys)
    assert run() == whole
    assert whole.records["created"] == 205


def test_progress_is_told_as_records_are_read(run, world):
    world.configure("main")
    world.accept_many(250)
    world.accept_many(250)
    told = []
    run(progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 500


def test_garbage_is_shown_in_hexadecimal_digits(house, run, world):
    world.raw.zadd(KEYS["timers"], {b"garbage": 1, house["queued"]: 1})
    shown = [each for finding in run().findings for each in finding.ids]
    assert b"garbage".hex() in shown
    assert ids.to_text(house["queued"]) in shown
