"""The ledger goes back to an older state between random calls: nothing is claimed twice, and it goes on."""

import sys
from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ledger_world import Clock, World, account_limits
from sendline.contract import ids
from sendline.contract.status import EDGES, WAITING, Status
from sendline.ledger import recovery, work
from sendline.ledger.connection import Ledger
from sendline.ledger.keys import KEYS, account_key, message_key
from sendline.ledger.limits import Limits
from sendline.ledger.record import Flag, Record

pytestmark = pytest.mark.xdist_group("failover")

STEP = 4
"""Messages that one call of a recovery looks at."""
LEASE = 30
LIFE = 2
"""Seconds between the ticks of workers that live."""
MOVES = {(edge.source, edge.target) for edge in EDGES}
ROUTES = ["main", "spare", "main,spare", "slow"]
CAMPAIGNS = [{"campaign": "spring", "lane": "bulk"}, {"campaign": "fall", "lane": "bulk"}]
SENDERS = ["+13115550001", "+13115550002"]
ACCOUNTS = {
    "main": account_limits("main", 0.5, 2, on_uncertain="hold", asks=True),
    "spare": account_limits("spare", 1, 1, 5, "hold"),
    "slow": account_limits("slow", 0.5, 2, on_uncertain="hold", sender_rate=0.2),
}
CONFIGURED = [
    ("main", "spare"),
    ("main",),
    ("spare", "slow"),
]
UNSENT = {Status.RETRYING, Status.CREATED}
"""What an outcome says that lets a message go again."""

OUTCOMES = {
    "sent": {"target": Status.SENT, "deadline": 3600},
    "retrying": {"target": Status.RETRYING, "delay": 1},
    "soon": {"target": Status.RETRYING, "delay": work.HEAD},
    "failed": {"target": Status.FAILED, "code": "rejected"},
    "handed back": {"target": Status.CREATED, "counted": False, "delay": work.HEAD},
    "uncertain": {"target": Status.UNCERTAIN, "code": "perhaps_accepted"},
    "onward": {"target": Status.RETRYING, "delay": 0, "effect": "fail", "onward": True},
    "refused": {"target": Status.RETRYING, "delay": 0, "effect": "stop", "pause": 5},
}

pick = st.integers(0, 10**6)
outcomes = st.sampled_from(sorted(OUTCOMES))
drafts = st.builds(
    lambda wish, place: wish | place,
    st.fixed_dictionaries(
        {
            "route": st.sampled_from(ROUTES),
            "sender": st.sampled_from(SENDERS),
            "delay": st.sampled_from([0, 0, 0, 3, 20]),
            "valid_for": st.sampled_from([7200, 7200, 15]),
        }
    ),
    st.sampled_from([{"lane": "normal"}, {"lane": "normal"}, {"lane": "urgent"}, *CAMPAIGNS]),
)


def one_of(what, which):
    """Return one of `what`; the smallest `which` takes the last."""
    return what[-1 - which % len(what)]


@dataclass
class Taken:
    """A claim that its worker knows of."""

    claim: work.Claim
    number: int
    outcome: str | None = None
    """What it was settled as."""
    forgotten: bool = False
    """The ledger forgot that it was settled."""


@dataclass(frozen=True)
class Kept:
    """What a replica has of the ledger, and what the tests knew of it then."""

    dumped: list
    seq: int
    era: int
    read: int
    seen: dict
    barred: dict
    claims: int
    unsettled: frozenset


class FailoverMachine(RuleBasedStateMachine):
    """Random calls, and now and then the ledger is again what it was at an earlier instant."""

    url = raw = None

    def __init__(self):
        super().__init__()
        self.raw.flushall()
        self.clock = Clock(self.raw)
        self.ledgers = []
        self.world = self.newcomer()
        self.other = self.newcomer()
        self.configured = CONFIGURED[0]
        self.world.configure(*(ACCOUNTS[name] for name in self.configured))
        self.world.tick()
        self.messages = []
        self.taken = []
        self.tokens = {}
        self.barred = {}  # id to the newest claim by which it may have been sent
        self.seen = {}
        self.read = self.top = 0  # newest event: of this ledger, and ever
        self.behind, self.records, self.lines, self.flying = False, {}, Counter(), []
        self.kept = None
        self.gone = False  # it went back, and nobody noticed
        self.era = None  # of the recovery under way
        self.settles = 0

    def newcomer(self):
        """Return a process that has seen nothing."""
        ledger = Ledger(self.url)
        self.ledgers.append(ledger)
        return World(ledger, self.raw, self.clock, Limits())

    def teardown(self):
        try:
            if sys.exc_info()[0] is None:
                self.everything_that_waits_goes_in_the_end()
        finally:
            for ledger in self.ledgers:
                ledger.close()

    def look(self):
        """Read what the last call left behind."""
        rows = self.raw.keys(KEYS["line"] + "*")
        with self.raw.pipeline(transaction=False) as pipeline:
            pipeline.hexists(KEYS["meta"], "behind")
            for name in ACCOUNTS:
                pipeline.hget(account_key(name), "flying")
            for row in rows:
                pipeline.lrange(row, 0, -1)
            for id_ in self.messages:
                pipeline.get(message_key(id_))
            self.behind, *found = pipeline.execute()
        self.flying = [int(each or 0) for each in found[: len(ACCOUNTS)]]
        found = found[len(ACCOUNTS) :]
        self.lines = Counter(id_ for row in found[: len(rows)] for id_ in row)
        self.records = {
            id_: Record(raw) for id_, raw in zip(self.messages, found[len(rows) :], strict=True) if raw
        }
        self.gone = self.gone and not self.behind

    def healthy(self):
        return not self.gone and not self.behind

    def held(self):
        return [id_ for id_, record in self.records.items() if record.state is Status.UNCERTAIN]

    def meta(self, name):
        return int(self.raw.hget(KEYS["meta"], name) or 0)

    # What lives on while nothing is wrong

    @initialize(many=st.lists(drafts, min_size=1, max_size=3), number=st.integers(4, 12))
    def begin(self, many, number):
        for each in many:
            self.messages += self.world.accept_many(number, **each)

    @rule(draft=drafts, number=st.sampled_from([1, 3, 10]), by_other=st.booleans())
    def accept(self, draft, number, by_other):
        self.messages += (self.other if by_other and not self.gone else self.world).accept_many(
            number, **draft
        )
        self.world.tick()  # so that it has seen whatever the other one has

    @rule(by=st.sampled_from([0.1, 1, 2, 2, 4, 10, 31]))
    def time_passes(self, by):
        while by > 0:
            self.clock.advance(min(by, LIFE))
            by -= LIFE
            if not self.gone:
                self.world.tick()

    @precondition(healthy)
    @rule(room=st.integers(1, 8), again=st.booleans())
    def claim(self, room, again):
        self.take(room, again=again)

    @precondition(healthy)
    @rule(
        seconds=st.sampled_from([1, 1, 2, 2, 2, 2]).flatmap(
            lambda by: st.lists(st.just(by), min_size=2, max_size=6)
        )
    )
    def claim_all_that_may_go(self, seconds):
        for by in seconds:
            self.take(8)
            self.clock.advance(by)
            self.world.tick()

    def take(self, room, *, again=False):
        claimed = self.world.claim(room, lease=LEASE)
        assert not claimed.behind
        for claim in claimed.claims:
            assert claim.token not in self.tokens, "a token was given out twice"
            assert claim.message_id not in self.barred, "what may have been sent goes again"
            self.tokens[claim.token] = claim.message_id
            self.barred[claim.message_id] = claim.token
            self.taken.append(Taken(claim, len(self.taken)))
        if again:
            told = self.world.claim(room, number=self.world._numbers["d1"])
            assert {each.token for each in told.claims} <= {each.token for each in claimed.claims}
        return claimed.claims

    @precondition(lambda self: self.taken)
    @rule(which=pick, outcome=outcomes, twice=st.booleans())
    def settle(self, which, outcome, twice):
        """Settle what no answer was written for yet, whatever became of the ledger meanwhile."""
        unsettled = [each for each in self.taken if each.outcome is None]
        if unsettled:
            taken = one_of(unsettled, which)
            taken.outcome = outcome
            for _ in range(1 + twice):
                self.write(taken)

    @precondition(lambda self: self.taken)
    @rule(which=pick)
    def settle_again(self, which):
        """Repeat a settle whose answer was lost: of the newest claim even where the settle was forgotten."""
        newest = {each.claim.message_id: each for each in self.taken}
        settled = [
            each
            for each in self.taken
            if each.outcome and (not each.forgotten or each is newest[each.claim.message_id])
        ]
        if settled:
            self.write(one_of(settled, which))

    def write(self, taken):
        claim, fields = taken.claim, dict(OUTCOMES[taken.outcome])
        fields["provider_id"] = f"p{claim.token}" if taken.outcome == "sent" else None
        settlement = work.Settlement(claim.message_id, claim.token, claim.account, **fields)
        [word] = self.world.settle_many([settlement], by=f"s{taken.number}", number=1)
        if word == "settled" and fields["target"] in UNSENT:
            self.free(claim.message_id, claim.token)

    def free(self, message_id, token):
        if self.barred.get(message_id) == token:
            del self.barred[message_id]

    @precondition(lambda self: self.taken)
    @rule(
        which=pick,
        status=st.sampled_from(["sent", "delivered", "undelivered"]),
        account=st.sampled_from(ROUTES[:2]),
    )
    def receive(self, which, status, account):
        claim = one_of(self.taken, which).claim
        self.world.receive(
            status, account=account, message_id=claim.message_id, provider_id=f"p{claim.token}"
        )

    @precondition(lambda self: self.kept is None and not self.gone)
    @rule(which=pick, number=st.sampled_from([1, 1, 5]))
    def cancel(self, which, number):
        for at in range(number):
            self.world.cancel(one_of(self.messages, which + at))

    @precondition(lambda self: self.kept is None and not self.gone and self.held())
    @rule(which=pick, number=st.sampled_from([1, 3]), decision=st.sampled_from(["resend", "resend", "fail"]))
    def decide(self, which, number, decision):
        for message_id in {one_of(self.held(), which + at) for at in range(number)}:
            if self.world.decide(decision, message_id) == ["decided"] and decision == "resend":
                self.barred.pop(message_id, None)

    @precondition(lambda self: self.kept is None and not self.gone)
    @rule(names=st.sampled_from(CONFIGURED))
    def configure(self, names):
        self.configured = names
        self.world.configure(*(ACCOUNTS[name] for name in names))

    # The ledger goes back

    @precondition(lambda self: self.healthy() and not self.kept)
    @rule()
    def snapshot(self):
        self.world.tick()
        self.events_tell_allowed_moves_and_new_numbers()
        keys = list(self.raw.scan_iter("sl:*", count=10_000))
        dumped = [(key, max(self.raw.pttl(key), 0), self.raw.dump(key)) for key in keys]
        self.kept = Kept(
            [each for each in dumped if each[2] is not None],
            self.meta("seq"),
            self.meta("era"),
            self.read,
            dict(self.seen),
            dict(self.barred),
            len(self.taken),
            frozenset(each.number for each in self.taken if each.outcome is None),
        )

    @precondition(lambda self: self.kept)
    @rule(later=st.sampled_from([0.1, 0.5, 2.9, 5, 30, 100]))
    def go_back(self, later):
        kept, self.kept = self.kept, None
        self.gone = (self.meta("era"), self.meta("seq")) != (kept.era, kept.seq)
        self.raw.delete(*self.raw.scan_iter("sl:*", count=10_000))
        for key, ttl, value in kept.dumped:
            self.raw.restore(key, ttl, value)
        self.read, self.seen, self.era = kept.read, dict(kept.seen), None
        self.barred = dict(kept.barred)
        for each in self.taken[kept.claims :]:
            self.barred[each.claim.message_id] = each.claim.token
        for each in self.taken:
            each.forgotten |= bool(each.outcome) and (
                each.number >= kept.claims or each.number in kept.unsettled
            )
        self.clock.advance(later)

    @precondition(lambda self: self.healthy() and not self.kept)
    @rule(
        seconds=st.sampled_from([1, 2]).flatmap(lambda by: st.lists(st.just(by), max_size=6)),
        later=st.sampled_from([0.1, 0.1, 0.5, 2.9, 30]),
    )
    def forget_all_that_went(self, seconds, later):
        """What a failover most often does, at once: so it is tried often."""
        self.snapshot()
        self.take(8)
        for by in seconds:
            self.clock.advance(by)
            self.world.tick()
            self.take(8)
        self.look()
        self.events_tell_allowed_moves_and_new_numbers()
        self.go_back(later)

    @precondition(lambda self: self.gone)
    @rule(
        draft=drafts,
        fresh=st.booleans(),
        number=st.sampled_from([0, 1, 30]),
        ticks=st.integers(0, 3),
        apart=st.sampled_from([0.5, 2.5, 10]),
    )
    def who_has_not_seen_it_calls_first(self, draft, fresh, number, ticks, apart):
        if fresh:
            self.other = self.newcomer()
        if number:
            self.messages += self.other.accept_many(number, **draft)
        for _ in range(ticks):
            self.other.tick()
            self.clock.advance(apart)

    @precondition(lambda self: self.gone)
    @rule()
    def notice(self):
        claimed = self.world.claim(8)
        assert claimed.behind
        assert not claimed.claims

    @precondition(lambda self: self.behind)
    @rule(by_other=st.booleans())
    def claim_while_behind(self, by_other):
        claimed = (self.other if by_other else self.world).claim(8, by="d2")
        assert claimed.behind
        assert not claimed.claims

    @precondition(lambda self: self.gone or self.behind)
    @rule(steps=st.sampled_from([1, 2, 5, 50]), fresh=st.booleans(), twice=st.booleans())
    def recover(self, steps, fresh, twice):
        if fresh:
            self.other = self.newcomer()
        self.gone = False
        if self.era is None:
            self.era = self.meta("era")
        for _ in range(steps):
            told = self.recover_some()
            if told.done:
                if twice:
                    assert self.recover_some() == told
                self.era = None
                break

    def recover_some(self):
        return self.other.ledger.run(recovery.recover(Limits(), self.era, reason="may have been sent"))

    # What must be true after every call

    @invariant()
    def events_tell_allowed_moves_and_new_numbers(self):
        self.look()
        for event in self.world.events(self.read):
            id_ = ids.to_bytes(event.message_id)
            assert (self.seen.get(id_), event.status) in MOVES
            self.seen[id_], self.read = event.status, event.seq
            if not self.gone:
                assert event.seq > self.top, "a number was given out twice"
                self.top = event.seq
        assert self.seen == {id_: record.state for id_, record in self.records.items()}

    @invariant()
    def the_counts_are_those_of_the_records(self):
        records = self.records.values()
        assert self.world.counts() == Counter(str(record.state) for record in records)
        flying = Counter(r.account.decode() for r in records if r.state is Status.SENDING)
        assert self.flying == [flying[name] for name in ACCOUNTS]

    @invariant()
    def what_waits_stands_in_one_place(self):
        timers, uncertain = self.world.timers(), self.world.uncertain()
        for id_, record in self.records.items():
            queued = bool(record.flags & Flag.QUEUED)
            if record.state in WAITING:
                assert self.lines[id_] == queued
            else:
                assert not queued
            if record.state in {*WAITING, Status.SENDING}:
                assert id_ in timers
            assert record.state is Status.UNCERTAIN or id_ not in uncertain

    def everything_that_waits_goes_in_the_end(self):
        self.look()
        if self.gone or self.behind:
            self.recover(200, fresh=False, twice=False)
            self.look()
            assert not self.behind
            self.gone = False
        self.world.configure(*(account_limits(name, 100, 100, on_uncertain="hold") for name in ACCOUNTS))
        for _ in range(30):  # a probe whose end is lost is waited for, too
            self.clock.advance(LIFE)
            self.world.tick()
            for _ in range(2):
                for claim in self.take(200):
                    self.world.settle(claim, "sent", effect="open")
        self.events_tell_allowed_moves_and_new_numbers()
        self.the_counts_are_those_of_the_records()
        assert not [each for each in self.records.values() if each.state in WAITING]
        assert self.world.claim(1).next_at is None


@pytest.mark.timeout(600)  # shrinking a failure takes minutes
@pytest.mark.usefixtures("clock")
def test_a_ledger_that_goes_back_sends_nothing_twice_and_goes_on(redis_url, raw, monkeypatch):
    monkeypatch.setattr(recovery, "STEP", STEP)
    machine = type("Machine", (FailoverMachine,), {"url": redis_url, "raw": raw})
    run_state_machine_as_test(
        machine,
        settings=hypothesis_settings(
            max_examples=60,
            stateful_step_count=30,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
