"""The repair, on a real ledger: it mends what is derived from the records, and nothing else."""

import itertools
import random

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import sendline.ledger.audit
import sendline.ledger.repair
from damage import DAMAGE, MAIN, change, count, furnish, index, move_to_line, move_to_row, told_of, unindex
from ledger_world import CLOCK, account_limits, sender_row
from sendline.contract.status import FINAL, WAITING, Status
from sendline.ledger import audit, repair
from sendline.ledger.keys import KEYS, account_key, line_key, message_key
from sendline.ledger.record import Record, digest
from sendline.ledger.scripts import script
from sendline_worker.audit import Audit, Repair

LEASE = 90


@pytest.fixture
def clocked(world, monkeypatch):
    """Let audit and repair go by the world's clock."""
    for module in (sendline.ledger.audit, sendline.ledger.repair):
        monkeypatch.setattr(module, "script", lambda verb: script(verb, clock=CLOCK))
    return world


@pytest.fixture
def audited(clocked):
    """Audit the world's ledger."""
    return lambda: Audit(clocked.ledger, clocked.limits, pause=0).run()


@pytest.fixture
def mend(clocked):
    """Repair the world's ledger."""

    def mend(ledger=clocked.ledger):
        return Repair(ledger, clocked.limits, Audit(ledger, clocked.limits, pause=0), lease=LEASE).run()

    return mend


@pytest.fixture
def house(clocked):
    return furnish(clocked)


def records(raw):
    """Return what no repair may change: every record, and the events."""
    keys = [key for key in raw.keys("sl:m*") if len(key) == len("sl:m") + 16]
    return {key: raw.get(key) for key in keys} | {"events": raw.xrange(KEYS["events"])}


def everything(raw):
    """Return all that the ledger holds, but for the bell, which rings more often than needed."""
    read = {b"string": raw.get, b"hash": raw.hgetall, b"stream": raw.xrange}
    read[b"list"] = lambda key: raw.lrange(key, 0, -1)
    read[b"zset"] = lambda key: raw.zrange(key, 0, -1, withscores=True)
    keys = [key for key in raw.keys("sl:*") if key != b"sl:bell"]
    return {key: read[raw.type(key)](key) for key in keys}


def mended_words(repaired):
    return {each.what for each in repaired.mended}


@pytest.mark.parametrize("name", [name for name, damage in DAMAGE.items() if damage.mendable])
def test_what_can_be_derived_is_mended(house, mend, audited, world, name):
    damage = DAMAGE[name]
    damage.do(world, house)
    before = records(world.raw)
    assert told_of(audited().findings, damage, house)
    repaired = mend()
    assert repaired.report.findings == ()
    assert repaired.mended
    assert records(world.raw) == before
    whole = everything(world.raw)
    assert mend().mended == ()
    assert everything(world.raw) == whole


@pytest.mark.parametrize("name", [name for name, damage in DAMAGE.items() if not damage.mendable])
def test_what_can_not_be_derived_stays_and_is_told(house, mend, audited, world, name):
    damage = DAMAGE[name]
    damage.do(world, house)
    before = records(world.raw)
    assert told_of(audited().findings, damage, house)
    assert mend().report.findings
    assert records(world.raw) == before
    whole = everything(world.raw)
    assert mend().mended == ()
    assert everything(world.raw) == whole


def test_a_whole_ledger_is_left_as_it_is(house, mend, world):
    before = everything(world.raw)
    repaired = mend()
    assert (repaired.mended, repaired.report.findings) == ((), ())
    assert everything(world.raw) == before
    assert repaired.to_dict()["mended"] == []


def test_a_message_put_back_stands_behind_those_that_wait_and_is_sent(house, mend, world):
    world.raw.lrem(MAIN, 0, house["queued"])
    others = world.accept_many(2)
    repaired = mend()
    assert "put back into its line" in mended_words(repaired)
    claimed = [claim.message_id for claim in world.claim(10).claims]
    assert [each for each in claimed if each in {*others, house["queued"]}] == [*others, house["queued"]]


def test_of_several_places_the_one_nearest_to_the_head_is_kept(house, mend, world):
    later = world.accept()
    world.raw.rpush(MAIN, house["queued"])
    mend()
    assert [each for each in world.line() if each in {later, house["queued"]}] == [house["queued"], later]


def test_lines_that_are_gone_come_back_in_the_order_of_acceptance(mend, world):
    world.configure("main")
    waiting = world.accept_many(20)
    world.raw.delete(MAIN, KEYS["ready"] + "1", KEYS["timers"])
    assert mend().report.findings == ()
    assert world.line() == waiting
    assert [claim.message_id for claim in world.claim(20).claims] == waiting


def test_rows_that_are_gone_come_back_and_take_their_turns(mend, world):
    world.configure("main", account_limits("numbers", sender_rate=5))
    names = ["", "spring", "summer"]
    waiting = {name: world.accept_many(9, lane="bulk", campaign=name or None) for name in names}
    numbered = world.accept_many(2, "numbers", sender="+13115550000")
    gone = (
        line_key(2, "main", "spring"),
        KEYS["rows"] + "2:main",
        KEYS["rows"] + "1:numbers",
        KEYS["ready"] + "1",
    )
    world.raw.delete(*gone)
    assert mend().report.findings == ()
    for name, there in waiting.items():
        assert world.line(lane=2, row=name) == there
    claims = world.claim(40).claims
    assert {claim.message_id for claim in claims} == {*itertools.chain(*waiting.values()), numbered[0]}


@pytest.mark.parametrize("split", [True, False])
def test_what_stands_in_its_row_from_before_stays_there_until_it_is_claimed(mend, world, split):
    limited, free = account_limits("numbers", sender_rate=5, sender_burst=9), account_limits("numbers")
    world.configure(free if split else limited)
    old = world.accept_many(3, "numbers")
    row = "" if split else sender_row()
    world.configure(limited if split else free)
    world.raw.delete(KEYS["timers"])
    mend()
    assert world.line("numbers", row=row) == old
    assert [claim.message_id for claim in world.claim(10).claims] == old


def test_of_places_in_both_of_its_rows_the_one_that_is_its_own_is_kept(house, mend, world):
    world.raw.rpush(line_key(1, "numbers"), house["numbered"])
    mend()
    assert world.line("numbers") == []
    assert world.line("numbers", row=sender_row()) == [house["numbered"]]


def test_a_wake_is_pushed_for_what_is_put_back(house, mend, world):
    world.raw.delete(MAIN, "wakes", KEYS["awake"])
    world.clock.advance(5)
    mend()
    assert world.wakes() == 1


def test_a_lost_lease_is_judged_when_the_longest_one_has_ended(house, mend, world):
    world.raw.zrem(KEYS["timers"], house["sending"])
    mend()
    assert world.timers()[house["sending"]] == world.clock.ms + LEASE * 1000
    world.clock.advance(LEASE)
    world.tick()
    assert world.get(house["sending"]).status is Status.UNCERTAIN


def test_a_schedule_keeps_its_time(house, mend, world):
    at = world.timers()[house["scheduled"]]
    world.raw.zrem(KEYS["timers"], house["scheduled"])
    mend()
    assert world.timers()[house["scheduled"]] == at
    assert house["scheduled"] not in world.line()


def test_a_schedule_whose_time_has_passed_is_for_the_next_tick(house, mend, world):
    world.raw.zrem(KEYS["timers"], house["scheduled"])
    world.clock.advance(3700)
    mend()
    assert world.timers()[house["scheduled"]] == world.clock.ms
    world.tick()
    assert house["scheduled"] in world.line()


@pytest.mark.parametrize(("asks", "at"), [("1", 30), ("0", None)])
def test_an_uncertain_message_is_asked_about_soon_where_that_can_be(house, mend, world, asks, at):
    world.raw.hset(account_key("main"), "asks", asks)
    world.raw.delete(KEYS["uncertain"])
    mend()
    expected = float("inf") if at is None else world.clock.ms + at * 1000
    assert world.raw.zscore(KEYS["uncertain"], house["uncertain"]) == expected


def test_a_receipt_finds_its_message_by_a_mended_index(house, mend, world):
    index(world, "p-sent", house["failed"])
    mend()
    assert world.receive("delivered", provider_id="p-sent") == "applied"
    assert world.get(house["sent"]).status is Status.DELIVERED
    assert world.get(house["failed"]).status is Status.FAILED


def test_a_record_kept_too_long_ends_after_deadline_and_retention(house, mend, world):
    for name in ("sent", "failed"):
        world.raw.persist(message_key(house[name]))
    mend()
    assert world.ttl(house["failed"]) == pytest.approx(world.limits.retention, abs=60)
    assert world.ttl(house["sent"]) == pytest.approx(world.limits.retention + 3600, abs=60)


def test_a_lost_message_is_never_counted_away(house, mend, world):
    """Whatever is counted wrongly besides: a count that a lost message explains stays."""
    world.raw.delete(message_key(house["queued"]))
    mend()
    before = world.raw.hgetall(KEYS["counts"])
    for other in ({}, {"accepted": 1}, {"created": 1}, {"delivered": 2}, {"sent": -1}, {"accepted": -5}):
        count(world, **other)
        assert mend().report.findings, other
        count(world, **{name: -by for name, by in other.items()})
        assert world.raw.hgetall(KEYS["counts"]) == before


def test_counts_are_mended_although_final_records_have_ended(house, mend, world):
    world.raw.delete(message_key(house["failed"]), message_key(house["expired"]))
    world.raw.delete(*world.raw.keys(KEYS["idempotency"] + "*"))
    counts = world.counts()
    count(world, created=-2, sending=1)
    assert mend().report.findings == ()
    assert world.counts() == counts


def test_an_unreadable_record_keeps_its_place_and_its_timer(house, mend, world):
    change(world, house["queued"], status=99)
    where = world.line(), world.timers()
    mend()
    assert (world.line(), world.timers()) == where


def test_an_uncertain_message_stays_final_though_the_clock_steps_back(house, mend, world):
    world.clock.advance(world.limits.deadline + 60)
    world.tick()
    world.clock.advance(-120)
    world.raw.delete(KEYS["tick"])
    assert not [finding for finding in mend().report.findings if "uncertain" in finding.what]
    assert world.ledger.run(repair.repair(world.limits, house["uncertain"], lease=LEASE)) == []


def test_a_ledger_that_is_behind_is_left_to_its_recovery(house, mend, world):
    world.raw.lrem(MAIN, 0, house["queued"])
    world.raw.zrem(KEYS["timers"], house["sending"])
    count(world, sent=1)
    world.raw.zadd(KEYS["ready"] + "2", {"spare": world.clock.us})
    world.raw.hset(KEYS["meta"], "behind", b"\x94\x01\x02\x03\x04")
    before = everything(world.raw)
    repaired = mend()
    assert repaired.mended == ()
    assert any("sendline recover" in finding.what for finding in repaired.report.findings)
    run = world.ledger.run
    assert run(repair.repair(world.limits, house["queued"], lease=LEASE)) == []
    assert not run(repair.recount(world.limits, run(audit.sequence()), {"sent": 7}, {}))
    assert everything(world.raw) == before


# Each verb looks anew at what is so


def test_a_line_that_ends_by_a_repair_is_not_announced_any_more(house, world, clocked):
    move_to_line(world, house["queued"], 2, "spare")
    world.raw.rpush(MAIN, house["queued"])
    call = repair.repair(world.limits, house["queued"], lease=LEASE, rows=["2:spare"])
    assert world.ledger.run(call) == ["extra place"]
    assert "spare" not in world.ready(lane=2)
    assert world.rows("spare", lane=2) == []


def test_a_row_that_ends_by_a_repair_leaves_its_line_to_the_others(house, world, clocked):
    move_to_row(world, house["queued"], MAIN, line_key(2, "main", "summer"))
    world.raw.rpush(MAIN, house["queued"])
    call = repair.repair(world.limits, house["queued"], lease=LEASE, rows=["2:main:summer"])
    assert world.ledger.run(call) == ["extra place"]
    assert world.rows(lane=2) == ["spring"]
    assert "main" in world.ready(lane=2)


def test_nothing_is_mended_that_became_right_meanwhile(house, world, clocked):
    before = everything(world.raw)
    for name in house:
        call = repair.repair(
            world.limits, house[name], lease=LEASE, rows=["1:main", "2:main", "0:main,spare"]
        )
        if Status(world.get(house[name]).status) not in FINAL:
            assert world.ledger.run(call) == []
    for row in ("0:main,spare", "1:main", "2:main", "1:", "2:main:spring", f"1:numbers:{sender_row()}"):
        assert not world.ledger.run(repair.announce(world.limits, row))
    [parked] = world.raw.hkeys(KEYS["parked"])
    assert not world.ledger.run(repair.repark(world.limits, parked))
    assert everything(world.raw) == before


def test_counts_are_not_set_once_anything_has_moved(house, world, clocked):
    seq = world.ledger.run(audit.sequence())
    world.accept()
    before = everything(world.raw)
    assert not world.ledger.run(repair.recount(world.limits, seq, {"created": 0}, {"main": 7}))
    assert everything(world.raw) == before


def test_an_index_entry_that_changed_meanwhile_is_left(house, world, clocked):
    entry = digest("main", "p-sent")
    sent, other = house["sent"], house["delivered"]
    stored = world.record(sent).provider_id

    def reindex(**fields):
        return world.ledger.run(repair.reindex(world.limits, entry, **fields))

    assert not reindex(seen=other, right=b"", provider_id=b"p-delivered")
    assert not reindex(seen=b"", right=sent, provider_id=stored)
    assert not reindex(seen=sent, right=b"", provider_id=b"something else")
    unindex(world, "p-sent")
    assert not reindex(seen=b"", right=sent, provider_id=b"something else")
    assert world.holder_of("main", "p-sent") is None
    assert reindex(seen=b"", right=sent, provider_id=stored)
    assert world.holder_of("main", "p-sent") == sent


# Beside workers


class Beside:
    """A ledger on which workers go on between any two calls of the repair."""

    def __init__(self, world, seed):
        self.world, self.random, self.claims, self.sent = world, random.Random(seed), [], []

    def run(self, call):
        self.random.choice((self.go_on, self.rest))()
        return self.world.ledger.run(call)

    def rest(self):
        pass

    def go_on(self):
        world, pick = self.world, self.random
        world.clock.advance(0.01)
        if pick.random() < 0.5:
            world.accept(on_uncertain="hold", delay=pick.choice((0, 0, 5)))
        for claim in world.claim(2).claims:
            self.claims.append(claim)
            self.sent.append(claim.message_id)
        if self.claims:
            claim = self.claims.pop(pick.randrange(len(self.claims)))
            target = pick.choice((Status.SENT, Status.RETRYING, Status.FAILED, Status.UNCERTAIN))
            if target is Status.RETRYING:
                self.sent.remove(claim.message_id)  # certainly not sent: it goes out once more
            fields = {"provider_id": f"p{claim.token}"} if target is Status.SENT else {"delay": 1}
            assert world.settle(claim, target, **fields) == "settled"
        if pick.random() < 0.1:
            world.tick()


@pytest.mark.parametrize("seed", range(4))
def test_a_repair_beside_workers_changes_nothing_wrongly(mend, audited, world, seed):
    world.configure("main", rate=100_000)
    waiting = world.accept_many(60, on_uncertain="hold")
    scheduled = world.accept_many(10, on_uncertain="hold", delay=60)
    workers = Beside(world, seed)
    for _ in range(5):
        workers.go_on()
    there = [each for each in waiting if each in world.line()]
    for message_id in there[::3]:
        world.raw.lrem(MAIN, 0, message_id)
    world.raw.rpush(MAIN, *there[1::5], *scheduled[::2])
    world.raw.zrem(KEYS["timers"], *there[::2], *scheduled[::3])
    mend(workers)
    while workers.claims:
        workers.go_on()
    world.clock.advance(120)
    for _ in range(200):
        world.tick()
        workers.go_on()
    world.clock.advance(2)
    world.tick()
    for claim in workers.claims:
        world.settle(claim, Status.FAILED)
    world.raw.delete(KEYS["tick"])
    assert mend().report.findings == ()
    assert len(workers.sent) == len(set(workers.sent)), "sent twice"
    assert all(world.history(each).count("sending") >= 1 for each in (*waiting, *scheduled))


# Any history, any damage

KINDS = (
    *(
        "unline",
        "line",
        "line_gone",
        "announce",
        "unannounce",
        "unrow",
        "untime",
        "time",
        "hold",
        "unhold",
        "set_gone",
    ),
    *("miscount", "flying", "index", "misindex", "expire", "persist", "park", "unpark"),
)
outcomes = st.sampled_from(("sent", "retry", "fail", "doubt", "back", "leave"))
steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("accept"),
            st.sampled_from(("main", "main,spare", "numbers", "")),
            st.sampled_from((0, 0, 9)),
            st.sampled_from(("", "", "spring", "fall")),
        ),
        st.tuples(st.just("limit"), st.booleans()),
        st.tuples(st.just("claim"), st.integers(1, 4), outcomes),
        st.tuples(st.just("cancel"), st.integers(0, 99)),
        st.tuples(
            st.just("receive"), st.integers(0, 99), st.sampled_from(("sent", "delivered", "undelivered"))
        ),
        st.tuples(st.just("wait"), st.sampled_from((0, 1, 10, 100))),
    ),
    min_size=1,
    max_size=25,
)
injuries = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=8
)


class History:
    """Calls that happened, on one world."""

    def __init__(self, world):
        self.world, self.made, self.tokens = world, [], itertools.count(1)

    def accept(self, route, delay, campaign):
        self.world.clock.advance(0.001)
        wish = {"delay": delay, "on_uncertain": "hold", "key": f"k{len(self.made)}"}
        if campaign:
            wish |= {"lane": "bulk", "campaign": campaign}
        self.made.append(self.world.accept(route, **wish))

    def limit(self, senders):
        """Let the account `numbers` limit what goes from one sender, or not."""
        limits = {"sender_rate": 0.2} if senders else {}
        self.world.configure("main", "spare", account_limits("numbers", **limits))

    def claim(self, room, outcome):
        self.world.clock.advance(0.001)
        for claim in self.world.claim(room).claims:
            self.settle(claim, outcome)

    def settle(self, claim, outcome):
        settle = self.world.settle
        if outcome == "sent":
            settle(claim, Status.SENT, provider_id=f"p{claim.token}")
        elif outcome == "retry":
            settle(claim, Status.RETRYING, delay=30)
        elif outcome == "fail":
            settle(claim, Status.FAILED)
        elif outcome == "doubt":
            settle(claim, Status.UNCERTAIN)
        elif outcome == "back":
            settle(claim, Status.CREATED, delay=-1, counted=False)

    def cancel(self, which):
        if self.made:
            self.world.cancel(self.made[which % len(self.made)])

    def receive(self, token, status):
        self.world.receive(status, provider_id=f"p{token % 8}")

    def wait(self, seconds):
        self.world.clock.advance(seconds)
        self.world.tick()


class Injury:
    """Derived damage, done behind the ledger's back."""

    def __init__(self, world, made):
        self.raw, self.world = world.raw, world
        self.made = made
        self.miscounted = None
        self.lines = [
            *(line_key(1, route) for route in ("main", "main,spare", "numbers", "")),
            *(
                line_key(2, route, row)
                for route in ("main", "numbers")
                for row in ("spring", "fall", "fall@")
            ),
            *(
                line_key(*place)
                for place in ((1, "numbers", sender_row()), (2, "main", sender_row(campaign="fall")))
            ),
        ]

    def do(self, kind, which, other):
        message_id = self.made[which % len(self.made)] if self.made else b"x" * 16
        line = self.lines[other % len(self.lines)]
        record = self.world.record(message_id)
        getattr(self, kind)(message_id, line, record, other)

    def unline(self, message_id, line, record, other):
        self.raw.lrem(line, 0, message_id)

    def line(self, message_id, line, record, other):
        (self.raw.rpush, self.raw.lpush)[other % 2](line, message_id)

    def untime(self, message_id, line, record, other):
        self.raw.zrem(KEYS["timers"], message_id)

    def time(self, message_id, line, record, other):
        if record is None or record.state is not Status.SENDING:
            self.raw.zadd(KEYS["timers"], {message_id: self.world.clock.ms + other * 100})

    def hold(self, message_id, line, record, other):
        self.raw.zadd(KEYS["uncertain"], {message_id: other})

    def unhold(self, message_id, line, record, other):
        self.raw.zrem(KEYS["uncertain"], message_id)

    def announce(self, message_id, line, record, other):
        self.raw.zadd(f"{KEYS['ready']}{other % 3}", {"main": self.world.clock.us})

    def unannounce(self, message_id, line, record, other):
        self.raw.delete(f"{KEYS['ready']}{1 + other % 2}")

    def unrow(self, message_id, line, record, other):
        kind = KEYS[("rows", "rows", "held")[other % 3]]
        self.raw.delete(*(f"{kind}{1 + which % 2}:{('main', 'numbers')[which // 2]}" for which in range(4)))

    def miscount(self, message_id, line, record, other):
        """Always the same count: where two are wrong, a lost message could explain them as well."""
        self.miscounted = (
            self.miscounted or ("accepted", "created", "sending", "sent", "uncertain")[other % 5]
        )
        count(self.world, **{self.miscounted: 1 - other % 4})

    def index(self, message_id, line, record, other):
        if record is not None and record.provider_id:
            unindex(self.world, record.provider_id.decode())

    def misindex(self, message_id, line, record, other):
        index(self.world, f"p{other % 8}", message_id)

    def expire(self, message_id, line, record, other):
        if record is not None and record.state in {*WAITING, Status.SENDING}:
            self.raw.expire(message_key(message_id), 1000)

    def persist(self, message_id, line, record, other):
        self.raw.persist(message_key(message_id))

    def flying(self, message_id, line, record, other):
        self.raw.hincrby(account_key(("main", "spare")[other % 2]), "flying", 1 - other % 3)

    def line_gone(self, message_id, line, record, other):
        self.raw.delete(line)

    def set_gone(self, message_id, line, record, other):
        self.raw.delete((KEYS["timers"], KEYS["uncertain"], KEYS["parked_at"])[other % 3])

    def park(self, message_id, line, record, other):
        self.raw.zadd(KEYS["parked_at"], {b"d" * 10: 1})

    def unpark(self, message_id, line, record, other):
        self.raw.delete(KEYS["parked"])


@hypothesis_settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(history=steps, injury=injuries)
def test_any_history_is_whole_and_any_derived_damage_is_mended(clocked, audited, mend, history, injury):
    world = clocked
    now = world.raw.get("test:now")
    world.raw.flushall()
    world.raw.set("test:now", now)
    happened = History(world)
    happened.limit(senders=True)
    for name, *arguments in history:
        getattr(happened, name)(*arguments)
    world.tick()
    world.raw.delete(KEYS["tick"])
    assert audited().findings == ()
    before, timelines = records(world.raw), [world.history(each) for each in happened.made]
    injured = Injury(world, happened.made)
    for kind, which, other in injury:
        injured.do(kind, which, other)
    repaired = mend()
    assert repaired.report.findings == ()
    assert records(world.raw) == before
    assert [world.history(each) for each in happened.made] == timelines
    assert mend().mended == ()
    lines = [world.raw.lrange(key, 0, -1) for key in world.raw.keys(KEYS["line"] + "*")]
    for message_id in happened.made:
        record = Record(before[message_key(message_id)])
        waits = record.state in WAITING
        stands = sum(line.count(message_id) for line in lines)
        assert not waits or stands == bool(record.flags & 8)
