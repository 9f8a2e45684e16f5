"""A ledger with messages of every status, and every kind of damage that an audit must name."""

from dataclasses import dataclass
from typing import Any

from ledger_world import account_limits, sender_row
from sendline.contract import ids
from sendline.contract.status import Status
from sendline.ledger.keys import KEYS, account_key, line_key, message_key
from sendline.ledger.record import FIELDS, digest, pack, unpack

HOUR = 3600
MAIN = line_key(1, "main")
SPRING = line_key(2, "main", "spring")
NUMBERED = line_key(1, "numbers", sender_row())
OPTED_OUT = "+13115552390"
ANOTHERS = line_key(1, "numbers", sender_row("+13115550000"))


def furnish(world):
    """Make a ledger with messages of every status; return their ids by what they are."""
    world.configure("main", "spare", account_limits("numbers", sender_rate=5))
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
        made[name] = world.accept(on_uncertain="hold", key=f"key {name}")
        claim = world.claim_one()
        assert claim.message_id == made[name]
        assert world.settle(claim, target, **fields) == "settled"
    for name in ("delivered", "undelivered"):
        assert world.receive(name, provider_id=f"p-{name}") == "applied"
    made["sending"] = made.pop("handed_back")
    assert world.claim_one().message_id == made["sending"]
    made["opted_out"] = world.accept(to=OPTED_OUT)
    world.suppress(OPTED_OUT)
    assert world.claim().claims == ()
    draft = world.draft(to=OPTED_OUT, key="key suppressed")
    world.accept_drafts(draft)
    made["suppressed"] = draft.id
    made["expired"] = world.accept(delay=0, valid_for=1)
    world.clock.advance(2)
    world.tick()
    made["canceled"] = world.accept()
    world.cancel(made["canceled"])
    made["scheduled"] = world.accept(delay=HOUR)
    made["queued"] = world.accept()
    made["second"] = world.accept("main,spare", lane="urgent")
    made["spring"] = world.accept(lane="bulk", campaign="spring")
    made["numbered"] = world.accept("numbers")
    assert world.receive("delivered", provider_id="p-unknown") == "parked"
    world.raw.delete(KEYS["tick"])
    return made


def make_late(world, message_id):
    """Let its provider be asked about a message, as about what is sent."""
    world.raw.zadd(KEYS["unreported"], {message_id: world.clock.ms})


def archived_on(raw, message_id):
    """The shelf of the archive on which a record stands, or None."""
    shelves = raw.scan_iter(KEYS["archive"] + "*", count=1000)  # an id may hold what a pattern means
    return next((shelf for shelf in shelves if raw.hexists(shelf, message_id[6:])), None)


def spoil(raw, message_id, content):
    """Let a record be something else, wherever it is kept."""
    if raw.exists(message_key(message_id)):
        raw.set(message_key(message_id), content, keepttl=True)
    else:
        raw.hset(archived_on(raw, message_id), message_id[6:], content)


def change(world, message_id, **fields):
    """Write fields of a record behind the ledger's back."""
    values = unpack(world.raw.get(message_key(message_id)))
    for name, value in fields.items():
        values[FIELDS.index(name)] = value
    world.raw.set(message_key(message_id), pack(values), keepttl=True)


def shelf_of(world, provider_id, account="main"):
    """The shelf of the index on which the entry of a provider id stands, or may be put; and its digest."""
    name = digest(account, provider_id)
    for shelf in world.raw.scan_iter(KEYS["index"] + "*"):
        if world.raw.hexists(shelf, name):
            return shelf, name
    day = world.clock.ms // 86_400_000
    world.raw.hsetnx(KEYS["indexed"], day, 1)
    return f"{KEYS['index']}{day}:{name[0] >> 4:x}", name


def index(world, provider_id, message_id):
    """Let the index name a message by a provider id, whatever is there."""
    shelf, name = shelf_of(world, provider_id)
    world.raw.hset(shelf, name, message_id)


def unindex(world, provider_id):
    """Take the entry of a provider id out of the index."""
    world.raw.hdel(*shelf_of(world, provider_id))


def count(world, **by):
    for name, number in by.items():
        world.raw.hincrby(KEYS["counts"], name, number)


def move_to_row(world, message_id, row, another):
    """Move an id to a row that takes turns, as if it belonged there."""
    world.raw.lrem(row, 0, message_id)
    world.raw.rpush(another, message_id)
    line, _, name = another.removeprefix(KEYS["line"]).rpartition(":")
    world.raw.zadd(KEYS["rows"] + line, {name: 0})


def move_to_line(world, message_id, lane, route):
    world.raw.lrem(MAIN, 0, message_id)
    world.raw.rpush(line_key(lane, route), message_id)
    world.raw.zadd(f"{KEYS['rows']}{lane}:{route}", {"": 0})
    world.raw.zadd(f"{KEYS['ready']}{lane}", {route: world.clock.us})


def set_timer(world, message_id, seconds):
    world.raw.zadd(KEYS["timers"], {message_id: world.clock.ms + seconds * 1000})


@dataclass(frozen=True)
class Damage:
    """One kind of damage: what does it, what the audit says, of which message."""

    do: Any
    says: str
    concerned: Any = None
    """A message of the house by its name, or an id."""
    mendable: bool = True


STRANGER = ids.new_id()

DAMAGE = {
    # Counts
    "accepted too high": Damage(lambda w, m: count(w, accepted=1), "the statuses count"),
    "accepted too low": Damage(lambda w, m: count(w, accepted=-3), "the statuses count"),
    "counted as another": Damage(lambda w, m: count(w, created=-1, sent=1), "messages count as created"),
    "a count negative": Damage(
        lambda w, m: w.raw.hset(KEYS["counts"], "sent", -3), "the count of sent is -3"
    ),
    "counts gone": Damage(lambda w, m: w.raw.delete(KEYS["counts"]), "0 messages count as created"),
    "flying too high": Damage(
        lambda w, m: w.raw.hincrby(account_key("main"), "flying", 1), "counts 2 calls under way, and 1"
    ),
    "flying negative": Damage(
        lambda w, m: w.raw.hset(account_key("spare"), "flying", -1), "account spare counts -1 calls"
    ),
    # Places
    "gone from its line": Damage(
        lambda w, m: w.raw.lrem(MAIN, 0, m["queued"]), "does not stand there", "queued"
    ),
    "its line gone": Damage(lambda w, m: w.raw.delete(MAIN), "does not stand there", "queued"),
    "in another line only": Damage(
        lambda w, m: move_to_line(w, m["queued"], 2, "main"), "does not stand there", "queued"
    ),
    "in another line": Damage(
        lambda w, m: move_to_line(w, m["queued"], 2, "spare"), "a line that is not its own", "queued"
    ),
    "in another line too": Damage(
        lambda w, m: w.raw.rpush(line_key(0, "main,spare"), m["queued"]),
        "a line that is not its own",
        "queued",
    ),
    "scheduled in another line": Damage(
        lambda w, m: w.raw.rpush(line_key(0, "main,spare"), m["scheduled"]),
        "a line that is not its own",
        "scheduled",
    ),
    "twice in its line": Damage(lambda w, m: w.raw.rpush(MAIN, m["queued"]), "more than once", "queued"),
    "thrice in its line": Damage(
        lambda w, m: w.raw.lpush(MAIN, m["queued"], m["queued"]), "more than once", "queued"
    ),
    "scheduled in its line": Damage(
        lambda w, m: w.raw.rpush(MAIN, m["scheduled"]),
        "waits for its time, and stands in a line",
        "scheduled",
    ),
    "a stranger in a line": Damage(
        lambda w, m: w.raw.rpush(MAIN, STRANGER), "stands in a line, and has no record", STRANGER
    ),
    "in the row of another campaign": Damage(
        lambda w, m: move_to_row(w, m["spring"], SPRING, line_key(2, "main", "summer")),
        "a line that is not its own",
        "spring",
    ),
    "in the row of no campaign": Damage(
        lambda w, m: w.raw.rpush(line_key(2, "main"), m["spring"]), "a line that is not its own", "spring"
    ),
    "of no campaign, in the row of one": Damage(
        lambda w, m: w.raw.rpush(SPRING, m["queued"]), "a line that is not its own", "queued"
    ),
    "twice in the row of its campaign": Damage(
        lambda w, m: w.raw.rpush(SPRING, m["spring"]), "more than once", "spring"
    ),
    "the row of its campaign gone": Damage(
        lambda w, m: w.raw.delete(SPRING), "does not stand there", "spring"
    ),
    "in the row of another sender": Damage(
        lambda w, m: move_to_row(w, m["numbered"], NUMBERED, ANOTHERS),
        "a line that is not its own",
        "numbered",
    ),
    "in the rows of its sender and of all": Damage(
        lambda w, m: w.raw.rpush(line_key(1, "numbers"), m["numbered"]), "more than once", "numbered"
    ),
    # Timers
    "no timer": Damage(
        lambda w, m: w.raw.zrem(KEYS["timers"], m["queued"]), "no timer looks after", "queued"
    ),
    "no timer of a schedule": Damage(
        lambda w, m: w.raw.zrem(KEYS["timers"], m["scheduled"]), "no timer looks after", "scheduled"
    ),
    "timer too early": Damage(
        lambda w, m: set_timer(w, m["scheduled"], 5), "at another instant than its record", "scheduled"
    ),
    "timer too late": Damage(
        lambda w, m: set_timer(w, m["retrying"], 9999), "at another instant than its record", "retrying"
    ),
    "no lease": Damage(lambda w, m: w.raw.zrem(KEYS["timers"], m["sending"]), "without an end of", "sending"),
    "no deadline": Damage(
        lambda w, m: w.raw.zrem(KEYS["timers"], m["uncertain"]), "without a deadline", "uncertain"
    ),
    "overdue": Damage(lambda w, m: set_timer(w, m["retrying"], -11), "is overdue", "retrying"),
    "a stranger's timer": Damage(
        lambda w, m: set_timer(w, STRANGER, 5), "has a timer, and no record", STRANGER
    ),
    "no id in the timers": Damage(
        lambda w, m: set_timer(w, b"garbage", 5), "has a timer, and no record", b"garbage"
    ),
    "timer of a final one": Damage(
        lambda w, m: set_timer(w, m["canceled"], 5), "is final, and has a timer", "canceled"
    ),
    "timer of a sent one": Damage(
        lambda w, m: set_timer(w, m["sent"], 2 * HOUR), "is sent, and has a timer", "sent"
    ),
    # How long records are kept
    "a waiting one ends": Damage(
        lambda w, m: w.raw.expire(message_key(m["queued"]), 99), "about to vanish", "queued"
    ),
    "one being sent ends": Damage(
        lambda w, m: w.raw.expire(message_key(m["sending"]), 99), "about to vanish", "sending"
    ),
    "an uncertain one ends": Damage(
        lambda w, m: w.raw.expire(message_key(m["uncertain"]), 99), "about to vanish", "uncertain"
    ),
    "a final one never ends": Damage(
        lambda w, m: w.raw.persist(message_key(m["failed"])), "its record never ends", "failed"
    ),
    "a sent one never ends": Damage(
        lambda w, m: w.raw.persist(message_key(m["sent"])), "its record never ends", "sent"
    ),
    # Those held as uncertain
    "not held": Damage(
        lambda w, m: w.raw.zrem(KEYS["uncertain"], m["uncertain"]), "is not among those held", "uncertain"
    ),
    "a sent one held": Damage(
        lambda w, m: w.raw.zadd(KEYS["uncertain"], {m["sent"]: 1}), "is sent, and is held", "sent"
    ),
    "a waiting one held": Damage(
        lambda w, m: w.raw.zadd(KEYS["uncertain"], {m["queued"]: 1}), "and is held as uncertain", "queued"
    ),
    "a delivered one is late": Damage(
        lambda w, m: make_late(w, m["delivered"]), "is delivered, and is asked about as if", "delivered"
    ),
    "a waiting one is late": Damage(
        lambda w, m: make_late(w, m["queued"]), "is created, and is asked about as if", "queued"
    ),
    "one being sent is late": Damage(
        lambda w, m: make_late(w, m["sending"]), "is sending, and is asked about as if", "sending"
    ),
    "an uncertain one is late": Damage(
        lambda w, m: make_late(w, m["uncertain"]), "is uncertain, and is asked about as if", "uncertain"
    ),
    "a late one has a timer": Damage(
        lambda w, m: (make_late(w, m["sent"]), set_timer(w, m["sent"], 5)), "is sent, and has a timer", "sent"
    ),
    "nothing is late": Damage(lambda w, m: make_late(w, b"n" * 16), "is asked about, and has no record"),
    "one being sent held": Damage(
        lambda w, m: w.raw.zadd(KEYS["uncertain"], {m["sending"]: "inf"}),
        "is being sent, and is held",
        "sending",
    ),
    "a stranger held": Damage(
        lambda w, m: w.raw.zadd(KEYS["uncertain"], {STRANGER: 1}), "held as uncertain, and has no", STRANGER
    ),
    # Lines as a whole
    "not announced": Damage(
        lambda w, m: w.raw.zrem(KEYS["ready"] + "0", "main,spare"),
        "the urgent line of main or spare holds messages, and is not announced",
    ),
    "a row without turns": Damage(
        lambda w, m: w.raw.zrem(KEYS["rows"] + "2:main", "spring"),
        "the bulk line of main (campaign spring) holds messages, and takes no turns with others",
    ),
    "a sender's row without turns": Damage(
        lambda w, m: w.raw.delete(KEYS["rows"] + "1:numbers"),
        f"the normal line of numbers (sender {sender_row()[1:]}) holds messages, and takes no turns",
    ),
    "a line of campaigns not announced": Damage(
        lambda w, m: w.raw.delete(KEYS["ready"] + "2"),
        "the bulk line of main holds messages, and is not announced",
    ),
    "no route announced": Damage(
        lambda w, m: w.raw.zadd(KEYS["ready"] + "1", {"": 7}), "messages without a route is announced"
    ),
    "stuck": Damage(
        lambda w, m: w.raw.set(KEYS["tick"], "somebody"), "may go since 60 s and does not", mendable=False
    ),
    # What points to messages
    "an index entry of another": Damage(
        lambda w, m: index(w, "p-sent", m["delivered"]), "by another provider id", "delivered"
    ),
    "an index entry too many": Damage(
        lambda w, m: index(w, "p-nobody", m["queued"]), "by another provider id", "queued"
    ),
    "an index entry of a stranger": Damage(
        lambda w, m: index(w, "p-nobody", STRANGER), "names it, and it has no record", STRANGER
    ),
    "an index entry of garbage": Damage(
        lambda w, m: index(w, "p-nobody", b"garbage"),
        "an index entry names no message",
        b"garbage",
    ),
    "no index entry": Damage(lambda w, m: unindex(w, "p-sent"), "is not in the index", "sent"),
    "a key of a stranger": Damage(
        lambda w, m: w.raw.set(KEYS["idempotency"].encode() + b"d" * 10, STRANGER + b"contents"),
        "idempotency keys name messages that have no record",
        mendable=False,
    ),
    "parked without an end": Damage(
        lambda w, m: w.raw.delete(KEYS["parked_at"]), "parked receipts have no end, or can't be read"
    ),
    "an end of nothing parked": Damage(
        lambda w, m: w.raw.zadd(KEYS["parked_at"], {b"d" * 10: 7}), "parked receipts have no end"
    ),
    "garbage parked": Damage(
        lambda w, m: (
            w.raw.hset(KEYS["parked"], b"d" * 10, b"\xc1"),
            w.raw.zadd(KEYS["parked_at"], {b"d" * 10: 7}),
        ),
        "parked receipts have no end, or can't be read",
    ),
    # What nothing can be derived from
    "record gone": Damage(
        lambda w, m: w.raw.delete(message_key(m["queued"])),
        "has a timer, and no record",
        "queued",
        mendable=False,
    ),
    "no msgpack": Damage(
        lambda w, m: w.raw.set(message_key(m["queued"]), b"\xc1"), "can't be read", "queued", mendable=False
    ),
    "half a record": Damage(
        lambda w, m: w.raw.setrange(message_key(m["sent"]), 1, b"\x00\x01"),
        "can't be read",
        "sent",
        mendable=False,
    ),
    "a record too short": Damage(
        lambda w, m: w.raw.set(message_key(m["sending"]), pack([1, 1, 1])),
        "can't be read",
        "sending",
        mendable=False,
    ),
    "no array": Damage(
        lambda w, m: w.raw.set(message_key(m["sending"]), b"\x07"), "can't be read", "sending", mendable=False
    ),
    "an unknown status": Damage(
        lambda w, m: change(w, m["failed"], status=99), "can't be read", "failed", mendable=False
    ),
    "a number for a campaign": Damage(
        lambda w, m: change(w, m["spring"], campaign=7), "can't be read", "spring", mendable=False
    ),
    "a text for a number": Damage(
        lambda w, m: change(w, m["retrying"], due=b"soon"), "can't be read", "retrying", mendable=False
    ),
    "a torn timeline": Damage(
        lambda w, m: change(w, m["uncertain"], timeline=b"\x00\x07\xa0"),
        "can't be read",
        "uncertain",
        mendable=False,
    ),
    "no due": Damage(
        lambda w, m: change(w, m["scheduled"], due=0), "neither in a line", "scheduled", mendable=False
    ),
    "a text held": Damage(
        lambda w, m: change(w, m["delivered"], text=b"Hi"),
        "is final, and its text",
        "delivered",
        mendable=False,
    ),
    "a text held of a sent one": Damage(
        lambda w, m: change(w, m["sent"], text=b"Hi"), "is sent, and its text", "sent", mendable=False
    ),
    "a flag of a final one": Damage(
        lambda w, m: change(w, m["failed"], flags=8), "does not wait", "failed", mendable=False
    ),
}


def told_of(findings, damage, house):
    """Return the findings that name this damage, with the message it concerns."""
    concerned = house.get(damage.concerned, damage.concerned)
    if concerned is None:
        return [finding for finding in findings if damage.says in finding.what]
    shown = ids.to_text(concerned) if len(concerned) == len(STRANGER) else concerned.hex()
    return [finding for finding in findings if damage.says in finding.what and shown in finding.ids]
