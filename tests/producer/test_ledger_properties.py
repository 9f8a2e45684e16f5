"""The ledger under random calls, repeated, late and out of order, against a small model of its promises."""

from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ledger_world import Clock, World, account_limits
from sendline.contract import ids
from sendline.contract.lane import LANE_CODES, Lane, OnUncertain
from sendline.contract.status import EDGES, FINAL, WAITING, Cause, Status
from sendline.ledger.connection import Ledger
from sendline.ledger.keys import KEYS, line_key, message_key
from sendline.ledger.limits import Limits
from sendline.ledger.record import Flag, Record

ACCOUNTS = {
    "a": account_limits("a", rate=2, burst=2),
    "b": account_limits("b", rate=50, burst=3, in_flight=2, on_uncertain="resend"),
}
ROUTES = ("a", "b", "a,b")
LIMITS = Limits(deadline=500, retention=1000, max_attempts=3)
LEASE = 90
ALLOWED = {
    proof: {(edge.source, edge.target) for edge in EDGES if proof or edge.cause is not Cause.PROOF}
    for proof in (True, False)
}

NEWS = ["sent", "delivered", "undelivered"]

wishes = st.fixed_dictionaries(
    {
        "route": st.sampled_from(ROUTES),
        "lane": st.sampled_from(Lane),
        "on_uncertain": st.sampled_from([None, *OnUncertain]),
        "delay": st.sampled_from([0, 0, 0, 1, 60]),
        "valid_for": st.sampled_from([30, 600, 86400]),
    }
)
pick = st.integers(0, 10**6)


@dataclass
class Told:
    """What the model knows of one message. Times in ms."""

    id: bytes
    route: str
    lane: Lane
    asked: OnUncertain | None
    expires_at: int
    timer: int | None
    queued: bool = False
    status: Status = Status.CREATED
    attempts: int = 0
    token: int = 0
    account: str = ""
    canceled: bool = False
    retried: bool = False
    provider_id: str | None = None

    @property
    def waits(self) -> bool:
        return self.status in WAITING

    @property
    def resends(self) -> bool:
        policy = ACCOUNTS[self.account].on_uncertain if self.account else None
        asked = self.asked or policy or ("resend" if self.lane is Lane.URGENT else "hold")
        return asked == "resend"


@dataclass
class State:
    """What the model knows of one account. Times in ms, instants of claims in µs."""

    stopped: bool = False
    stopped_after: int = 0
    paused_until: int = 0
    claimed: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Outcome:
    """What an attempt comes to. Times in s."""

    target: Status
    delay: int
    counted: bool
    named: bool
    effect: str

    def names(self, target):
        return self.named and self.target is target


TARGETS = [Status(word) for word in ("sent", "sent", "retrying", "retrying", "uncertain", "failed")]

outcomes = st.builds(
    Outcome,
    target=st.sampled_from(TARGETS),
    delay=st.sampled_from([-1, -1, 0, 3, 60]),
    counted=st.booleans(),
    named=st.booleans(),
    effect=st.sampled_from(["", "", "", "open", "pause", "stop"]),
) | st.just(Outcome(Status.CREATED, -1, counted=False, named=False, effect=""))


class LedgerMachine(RuleBasedStateMachine):
    """Random calls of the real scripts; after each, the ledger is what the model says."""

    url = raw = None

    def __init__(self):
        super().__init__()
        self.raw.flushall()
        self.ledger = Ledger(self.url)  # what another one saw is not of this ledger
        self.world = World(self.ledger, self.raw, Clock(self.raw), LIMITS)
        self.world.configure(*ACCOUNTS.values())
        self.messages: dict[bytes, Told] = {}
        self.drafts = []
        self.lines: dict[tuple[int, str], list[bytes]] = {}
        self.accounts = {name: State() for name in ACCOUNTS}
        self.claims = []
        self.calls: dict[str, tuple[int, list]] = {}
        self.index: dict[tuple[str, str], bytes] = {}
        self.parked: dict[tuple[str, str], Status] = {}
        self.seq = 0
        self.seen: dict[bytes, Status] = {}
        self.in_doubt: set[bytes] = set()

    def teardown(self):
        self.ledger.close()

    @property
    def now(self):
        return self.world.clock.ms

    # Calls

    @rule(wishes=st.lists(wishes, min_size=1, max_size=6))
    def accept(self, wishes):
        drafts = [self.world.draft(**wish) for wish in wishes]
        self.world.accept_drafts(*drafts)
        self.drafts += drafts
        for draft, wish in zip(drafts, wishes, strict=True):
            expires_at = self.now + (wish["delay"] + wish["valid_for"]) * 1000
            due = self.now + wish["delay"] * 1000
            told = Told(
                draft.id, wish["route"], draft.lane, draft.on_uncertain, expires_at, min(due, expires_at)
            )
            self.messages[draft.id] = told
            if not wish["delay"]:
                self.enter_line(told)

    @precondition(lambda self: self.drafts)
    @rule(which=pick)
    def accept_again(self, which):
        self.world.accept_drafts(self.drafts[which % len(self.drafts)])

    @rule(by=st.sampled_from(["d1", "d2"]), room=st.integers(0, 8), kept=st.integers(0, 2))
    def claim(self, by, room, kept):
        below = max(0, room - kept)
        number = self.calls.get(by, (0, []))[0] + 1
        claimed = self.world.claim(room, below, by=by, number=number, lease=LEASE)
        assert not claimed.late
        self.take_expired()
        for claim in claimed.claims:
            self.take(claim)
        urgent = sum(self.messages[claim.message_id].lane is Lane.URGENT for claim in claimed.claims)
        assert len(claimed.claims) <= room
        assert len(claimed.claims) - urgent <= max(0, min(below, room - urgent))
        self.calls[by] = number, list(claimed.claims)
        self.claims += claimed.claims
        assert claimed.next_at is not None or not any(self.lines.values())

    @rule(room=st.integers(1, 8), wait=st.sampled_from([0, 0.02, 0.5, 2]))
    def wait_and_claim(self, room, wait):
        self.world.clock.advance(wait)
        self.claim("d1", room, 0)

    def take_expired(self):
        for told, event in self.fresh_events():
            if event.status is Status.EXPIRED:
                assert told.waits
                assert told.queued
                assert told.expires_at <= self.now
                self.finish(told, Status.EXPIRED)

    def take(self, claim):
        told = self.messages[claim.message_id]
        assert told.waits
        assert self.line(told)[0] == told.id, "not the first of its line"
        assert told.expires_at > self.now
        assert claim.record.text == b"Hello"
        self.line(told).pop(0)
        assert claim.account == self.choice(told.route)
        account = self.accounts[claim.account]
        assert account.paused_until <= self.now
        if account.stopped:
            account.paused_until = self.now + LEASE * 1000
        account.claimed.append(self.world.clock.us)
        told.status, told.account, told.token = Status.SENDING, claim.account, claim.token
        told.attempts, told.queued, told.timer = told.attempts + 1, False, self.now + LEASE * 1000

    def choice(self, route):
        for name in route.split(","):
            if not self.accounts[name].stopped or self.accounts[name].paused_until <= self.now:
                return name
        return None

    @precondition(lambda self: self.calls)
    @rule(which=pick)
    def claim_again(self, which):
        by = sorted(self.calls)[which % len(self.calls)]
        number, claims = self.calls[by]
        again = self.world.claim(4, number=number, by=by, lease=LEASE)
        mine = [
            c for c in claims if (told := self.messages[c.message_id]).token == c.token and self.sends(told)
        ]
        assert [(c.message_id, c.token) for c in again.claims] == [(c.message_id, c.token) for c in mine]

    @precondition(lambda self: self.calls)
    @rule(which=pick)
    def claim_late(self, which):
        by = sorted(self.calls)[which % len(self.calls)]
        assert self.world.claim(4, number=self.calls[by][0] - 1, by=by).late

    @precondition(lambda self: self.claims)
    @rule(which=pick, among=st.sampled_from([3, 10**6]), outcome=outcomes)
    def settle(self, which, among, outcome):
        claim = self.claims[-1 - which % min(among, len(self.claims))]
        provider_id = f"p{claim.token}" if outcome.names(Status.SENT) else None
        word = self.world.settle(
            *(claim, outcome.target),
            delay=outcome.delay,
            counted=outcome.counted,
            provider_id=provider_id,
            effect=outcome.effect,
            pause=5,
        )
        assert word == self.settled(claim, outcome, provider_id)

    def settled(self, claim, outcome, provider_id):
        told = self.messages[claim.message_id]
        if told.token != claim.token and (told.token or not told.attempts):
            return "dead"
        if not self.sends(told):
            if provider_id and told.provider_id is None:
                self.learn(told, provider_id, claim.account)
                return "learned"
            return "again" if told.token else "dead"
        self.affect(self.accounts[claim.account], claim.token, outcome.effect)
        if outcome.target in WAITING:
            self.give_back(told, outcome)
        elif outcome.target is Status.UNCERTAIN:
            self.doubt(told, max(outcome.delay, 0))
        elif outcome.target is Status.SENT:
            self.entrust(told)
            if provider_id:
                self.learn(told, provider_id, claim.account)
        else:
            self.finish(told, outcome.target)
        return "settled"

    def affect(self, account, token, effect):
        if effect == "open" and account.stopped and token > account.stopped_after:
            account.stopped, account.paused_until = False, 0
        elif effect in ("pause", "stop"):
            account.paused_until = max(account.paused_until, self.now + 5000)
            account.stopped = account.stopped or effect == "stop"
        if effect == "stop":
            account.stopped_after = max(claim.token for claim in self.claims)

    def give_back(self, told, outcome):
        told.attempts -= not outcome.counted
        if told.canceled:
            self.finish(told, Status.CANCELED)
            return
        told.status = Status.RETRYING if told.retried else outcome.target
        told.retried = told.status is Status.RETRYING
        if outcome.delay < 0:
            self.enter_line(told, at=0)
            account = self.accounts[told.account]
            if outcome.target is Status.CREATED and account.stopped:
                account.paused_until = 0
        else:
            told.timer = min(self.now + outcome.delay * 1000, told.expires_at)

    def doubt(self, told, delay):
        if told.canceled or not told.resends or told.attempts >= LIMITS.max_attempts:
            told.status, told.timer = Status.UNCERTAIN, self.now + LIMITS.deadline * 1000
        else:
            told.status, told.timer = Status.RETRYING, min(self.now + delay * 1000, told.expires_at)
            told.retried, told.route = True, told.account

    @precondition(lambda self: self.messages)
    @rule(which=pick, status=st.sampled_from([None, *NEWS]), right=st.booleans())
    def receive_by_token(self, which, status, right):
        told = list(self.messages.values())[which % len(self.messages)]
        account = told.account if right else "another"
        provider_id = f"t{which % 5}-{told.token}"
        word = self.world.receive(status, account=account, message_id=told.id, provider_id=provider_id)
        if not right:
            assert word == "foreign"
            return
        learns = told.attempts > 0 and told.provider_id is None
        if learns:
            told.provider_id = provider_id
            self.index[account, provider_id] = told.id
        assert word == ("applied" if self.prove(told, status) else "unchanged")
        if learns:
            self.unpark(told, provider_id, account)

    @precondition(lambda self: self.claims)
    @rule(which=pick, status=st.sampled_from(NEWS))
    def receive_by_provider_id(self, which, status):
        claim = self.claims[which % len(self.claims)]
        key = claim.account, f"p{claim.token}"
        word = self.world.receive(status, account=claim.account, provider_id=key[1])
        if key in self.index:
            told = self.messages[self.index[key]]
            if told.account != claim.account:
                assert word == "foreign"
            else:
                assert word == ("applied" if self.prove(told, status) else "unchanged")
        else:
            assert word == "parked"
            kept = self.parked.get(key)
            if kept is None or (kept != Status.DELIVERED and status != Status.SENT):
                self.parked[key] = Status(status)

    @precondition(lambda self: self.messages)
    @rule(which=pick)
    def cancel(self, which):
        told = list(self.messages.values())[which % len(self.messages)]
        message = self.world.cancel(told.id)
        if told.waits:
            self.finish(told, Status.CANCELED)
        elif self.sends(told):
            told.canceled = True
        assert message.status is told.status

    @rule()
    def tick(self):
        self.world.tick()
        due = sorted((told.timer, told.id) for told in self.messages.values() if told.timer is not None)
        for timer, id_ in due:
            if timer <= self.now:
                self.look(self.messages[id_])

    def look(self, told):
        if self.sends(told):
            told.token = 0
            self.doubt(told, 0)
        elif told.status is Status.UNCERTAIN:
            told.timer = None
        elif told.expires_at <= self.now:
            self.finish(told, Status.EXPIRED)
        else:
            self.enter_line(told)

    @rule(by=st.sampled_from([0.001, 0.02, 0.5, 1, 5, 31, 91, 501]))
    def time_passes(self, by):
        self.world.clock.advance(by)

    # What the calls do, as the model sees it

    def line(self, told):
        return self.lines.setdefault((LANE_CODES[told.lane], told.route), [])

    def sends(self, told):
        return told.status is Status.SENDING

    def finish(self, told, status):
        told.status, told.timer = status, None
        self.leave_line(told)

    def enter_line(self, told, at=None):
        line = self.line(told)
        line.insert(len(line) if at is None else at, told.id)
        told.queued, told.timer = True, told.expires_at

    def leave_line(self, told):
        if told.queued:
            told.queued = False
            self.line(told).remove(told.id)

    def entrust(self, told):
        told.status, told.timer = Status.SENT, None
        self.leave_line(told)

    def prove(self, told, status):
        if status is None or (told.status, Status(status)) not in ALLOWED[told.attempts > 0]:
            return False
        if status == Status.SENT:
            self.entrust(told)
        else:
            self.finish(told, Status(status))
        return True

    def learn(self, told, provider_id, account):
        if told.provider_id is None:
            told.provider_id = provider_id
            self.index[account, provider_id] = told.id
        self.unpark(told, provider_id, account)

    def unpark(self, told, provider_id, account):
        status = self.parked.pop((account, provider_id), None)
        if status:
            self.prove(told, status)

    # What must be true after every call

    def fresh_events(self):
        by_text = {ids.to_text(id_): told for id_, told in self.messages.items()}
        return [(by_text[event.message_id], event) for event in self.world.events(self.seq)]

    @invariant()
    def every_move_is_in_the_table(self):
        for told, event in self.fresh_events():
            assert event.seq == self.seq + 1
            before = self.seen.get(told.id)
            assert (before, event.status) in {(e.source, e.target) for e in EDGES}
            if not told.resends and event.status in (Status.UNCERTAIN, Status.SENT):
                self.in_doubt.add(told.id)
            assert not (event.status is Status.SENDING and told.id in self.in_doubt), "sent twice under hold"
            self.seen[told.id], self.seq = event.status, event.seq
        assert self.seen == {told.id: told.status for told in self.messages.values()}

    @invariant()
    def the_counts_add_up(self):
        counted = Counter(str(told.status) for told in self.messages.values())
        assert self.world.counts() == counted

    @invariant()
    def every_timer_is_where_the_model_has_it(self):
        assert self.world.timers() == {t.id: t.timer for t in self.messages.values() if t.timer is not None}
        for told in self.messages.values():
            idle = told.status in FINAL or told.status is Status.SENT
            assert not (idle and told.timer is not None)
            assert idle or told.timer is not None or told.status is Status.UNCERTAIN

    @invariant()
    def everything_that_waits_is_in_exactly_one_place(self):
        places = [(lane, route) for lane in LANE_CODES.values() for route in ROUTES]
        with self.raw.pipeline(transaction=False) as pipeline:
            for lane, route in places:
                pipeline.lrange(line_key(lane, route), 0, -1)
            for lane in LANE_CODES.values():
                pipeline.zrange(KEYS["ready"] + str(lane), 0, -1)
            found = pipeline.execute()
        ready = found[len(places) :]
        for (lane, route), line in zip(places, found, strict=False):
            alive = [id_ for id_ in line if self.messages[id_].waits and self.messages[id_].queued]
            assert alive == self.lines.get((lane, route), [])
            assert not alive or route.encode() in ready[lane], "work that no claim would find"
        queued = [id_ for line in self.lines.values() for id_ in line]
        assert len(queued) == len(set(queued))
        for told in self.messages.values():
            assert told.queued == (told.id in queued)
            assert not told.queued or told.waits

    @invariant()
    def every_record_is_what_the_model_says(self):
        with self.raw.pipeline(transaction=False) as pipeline:
            for id_ in self.messages:
                pipeline.get(message_key(id_)).pttl(message_key(id_))
            found = pipeline.execute()
        for told, raw, ttl in zip(self.messages.values(), found[::2], found[1::2], strict=True):
            record = Record(raw)
            assert (record.state, record.attempts) == (told.status, told.attempts)
            assert record.account.decode() == told.account
            assert bool(record.flags & Flag.QUEUED) == told.queued
            over = told.timer is None
            assert (record.text == b"") == over
            assert (ttl > 0) == over
            assert record.message(told.id).provider_id == told.provider_id

    @invariant()
    def the_flying_are_those_being_sent_and_never_too_many(self):
        for name, limits in ACCOUNTS.items():
            flying = sum(self.sends(told) and told.account == name for told in self.messages.values())
            assert self.world.flying(name) == flying
            assert flying <= (limits.in_flight or flying)

    @invariant()
    def no_account_is_ever_over_its_rate(self):
        for name, limits in ACCOUNTS.items():
            interval = 1_000_000 / limits.rate
            claimed = self.accounts[name].claimed
            for first, at in enumerate(claimed):
                assert len(claimed) - first <= limits.burst + (self.world.clock.us - at) / interval


@pytest.mark.usefixtures("clock")
def test_random_calls_keep_every_promise(redis_url, raw):
    machine = type("Machine", (LedgerMachine,), {"url": redis_url, "raw": raw})
    run_state_machine_as_test(
        machine,
        settings=hypothesis_settings(
            max_examples=40,
            stateful_step_count=50,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
