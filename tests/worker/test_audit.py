"""The audit, on a real ledger: silent where all is well, and naming each thing that isn't so."""

import pytest

import sendline.ledger.audit
from ledger_world import CLOCK
from sendline.contract import ids
from sendline.contract.status import Status
from sendline.ledger.keys import KEYS, account_key, line_key, message_key
from sendline.ledger.record import FIELDS, digest, pack, unpack
from sendline.ledger.scripts import script
from sendline_worker.audit import Audit

HOUR = 3600


@pytest.fixture
def run(world, monkeypatch):
    """Audit the world's ledger on the world's clock."""
    monkeypatch.setattr(sendline.ledger.audit, "script", lambda verb: script(verb, clock=CLOCK))

    def run(ledger=world.ledger):
        return Audit(ledger, world.limits, pause=0).run()

    return run


@pytest.fixture
def house(world):
    """A ledger with messages of every status; returns their ids by what they are."""
    world.configure("main", "spare")
    made = {}
    for name, target, fields in (
        ("sent", Status.SENT, {"provider_id": "p-sent"}),
        ("delivered", Status.SENT, {"provider_id": "p-delivered"}),
        ("undelivered", Status.SENT, {"provider_id": "p-undelivered"}),
        ("failed", Status.FAILED, {}),
        ("retrying", Status.RETRYING, {"delay": 60}),
        ("uncertain", Status.UNCERTAIN, {}),
        ("handed_back", Status.CREATED, {"delay": -1, "counted": False}),
    ):
        made[name] = world.accept(on_uncertain="hold")
        claim = world.claim_one()
        assert claim.message_id == made[name]
        assert world.settle(claim, target, **fields) == "settled"
    for name in ("delivered", "undelivered"):
        assert world.receive(name, provider_id=f"p-{name}") == "applied"
    made["sending"] = made.pop("handed_back")
    assert world.claim_one().message_id == made["sending"]
    made["expired"] = world.accept(delay=0, valid_for=1)
    world.clock.advance(2)
    world.tick()
    made["canceled"] = world.accept()
    world.cancel(made["canceled"])
    made["scheduled"] = world.accept(delay=HOUR)
    made["queued"] = world.accept()
    made["second"] = world.accept("main,spare", lane="urgent")
    world.raw.delete(KEYS["tick"])
    return made


def test_a_ledger_with_messages_of_every_status_is_whole(house, run, world):
    report = run()
    assert report.findings == ()
    assert report.compared
    assert report.left_behind == 2  # the canceled and the expired one, in whose place the line goes on
    assert report.lines == 4
    assert {name for name, number in report.records.items() if number} == set(Status) - {"suppressed"}
    assert report.to_dict()["ok"]


def test_an_empty_ledger_is_whole(run):
    assert run().findings == ()


def change(world, message_id, **fields):
    """Write fields of a record behind the ledger's back."""
    values = unpack(world.raw.get(message_key(message_id)))
    for name, value in fields.items():
        values[FIELDS.index(name)] = value
    world.raw.set(message_key(message_id), pack(values), keepttl=True)


BROKEN = {
    "accepted": (lambda w, m: w.raw.hincrby(KEYS["counts"], "accepted", 1), "the statuses count", None),
    "counts": (
        lambda w, m: (
            w.raw.hincrby(KEYS["counts"], "created", -1) and w.raw.hincrby(KEYS["counts"], "sent", 1)
        ),
        "messages count as created",
        None,
    ),
    "negative": (lambda w, m: w.raw.hset(KEYS["counts"], "sent", -3), "the count of sent is -3", None),
    "too few": (lambda w, m: w.raw.delete(message_key(m["queued"])), "has a timer, and no record", "queued"),
    "flying": (lambda w, m: w.raw.hincrby(account_key("main"), "flying", 1), "calls under way", None),
    "gone": (lambda w, m: w.raw.lrem(line_key(1, "main"), 0, m["queued"]), "does not stand there", "queued"),
    "elsewhere": (
        lambda w, m: (
            w.raw.lrem(line_key(1, "main"), 0, m["queued"]),
            w.raw.rpush(line_key(2, "main"), m["queued"]),
            w.raw.zadd(KEYS["ready"] + "2", {"main": w.clock.us}),
        ),
        "does not stand there",
        "queued",
    ),
    "twice": (lambda w, m: w.raw.rpush(line_key(1, "main"), m["queued"]), "more than once", "queued"),
    "no timer": (lambda w, m: w.raw.zrem(KEYS["timers"], m["queued"]), "no timer looks after it", "queued"),
    "no due": (lambda w, m: change(w, m["scheduled"], due=0), "neither in a line nor", "scheduled"),
    "vanishing": (lambda w, m: w.raw.expire(message_key(m["queued"]), 99), "about to vanish", "queued"),
    "both": (lambda w, m: w.raw.rpush(line_key(1, "main"), m["scheduled"]), "stands in a line", "scheduled"),
    "no lease": (lambda w, m: w.raw.zrem(KEYS["timers"], m["sending"]), "without an end of its", "sending"),
    "no deadline": (
        lambda w, m: w.raw.zrem(KEYS["timers"], m["uncertain"]),
        "without a deadline",
        "uncertain",
    ),
    "overdue": (
        lambda w, m: w.raw.zadd(KEYS["timers"], {m["retrying"]: w.clock.ms - 10_001}),
        "is overdue",
        "retrying",
    ),
    "dead timer": (
        lambda w, m: w.raw.zadd(KEYS["timers"], {b"x" * 16: w.clock.ms + 5}),
        "has a timer, and no record",
        b"x" * 16,
    ),
    "endless": (lambda w, m: w.raw.persist(message_key(m["failed"])), "its record never ends", "failed"),
    "text": (lambda w, m: change(w, m["delivered"], text=b"Hello"), "its text is still held", "delivered"),
    "text sent": (lambda w, m: change(w, m["sent"], text=b"Hello"), "is sent, and its text", "sent"),
    "flag": (lambda w, m: change(w, m["failed"], flags=8), "does not wait", "failed"),
    "final timer": (
        lambda w, m: w.raw.zadd(KEYS["timers"], {m["canceled"]: w.clock.ms + 5}),
        "is final, and has a timer",
        "canceled",
    ),
    "index": (
        lambda w, m: w.raw.set(KEYS["index"].encode() + digest("main", "p-sent"), m["delivered"]),
        "another provider id",
        "delivered",
    ),
    "not ready": (
        lambda w, m: w.raw.zrem(KEYS["ready"] + "0", "main,spare"),
        "the urgent line of main or spare holds messages, and is not announced",
        None,
    ),
    "stuck": (lambda w, m: w.raw.set(KEYS["tick"], "somebody"), "may go since 60 s and does not", None),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_named_with_its_message(house, run, world, name):
    break_it, what, concerned = BROKEN[name]
    break_it(world, house)
    found = [finding for finding in run().findings if what in finding.what]
    assert found, run().findings
    if concerned is not None:
        told = ids.to_text(concerned if isinstance(concerned, bytes) else house[concerned])
        assert told in found[0].ids


@pytest.mark.parametrize("stopped", [True, False])
def test_a_line_of_an_account_that_can_not_send_is_not_stuck(house, run, world, stopped):
    world.raw.set(KEYS["tick"], "somebody")
    for account in ("main", "spare"):
        if stopped:
            world.raw.hset(account_key(account), "stopped", "no balance")
        else:
            world.raw.hset(account_key(account), mapping={"in_flight": 1, "flying": 1})
    assert not [finding for finding in run().findings if "may go" in finding.what]


class Meddling:
    """A ledger on which something happens before each read."""

    def __init__(self, ledger, meddle):
        self._ledger, self._meddle = ledger, meddle

    def run(self, call):
        self._meddle(call)
        return self._ledger.run(call)


def test_counts_are_not_compared_while_the_ledger_moves(house, run, world):
    world.raw.hincrby(account_key("main"), "flying", 1)
    report = run(Meddling(world.ledger, lambda _: world.raw.hincrby(KEYS["meta"], "seq", 1)))
    assert not report.compared
    assert report.findings == ()


def test_what_looked_wrong_only_once_is_not_told(house, run, world):
    world.raw.lrem(line_key(1, "main"), 0, house["queued"])
    looks = []

    def put_back(call):
        if call.arguments[1:] == [house["queued"]]:
            looks.append(call)
            if len(looks) == 2:
                world.raw.rpush(line_key(1, "main"), house["queued"])

    assert run(Meddling(world.ledger, put_back)).findings == ()
    assert len(looks) >= 2


def test_many_messages_of_one_fault_are_one_finding_with_some_ids(run, world):
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
