"""The ledger under random calls, repeated, late and out of order, against a small model of its promises."""

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from itertools import cycle

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

from account_model import PAUSE
from ledger_model import (
    ACCOUNTS,
    CAMPAIGNS,
    DEADLINE,
    HANDED_BACK,
    LEASE,
    LIMITS,
    PASSED_ON,
    RECIPIENTS,
    ROUTES,
    Model,
    Outcome,
)
from ledger_world import Clock, World
from sendline import ErrorCode
from sendline.contract import ids
from sendline.contract.lane import LANE_CODES, Lane, OnUncertain
from sendline.contract.status import EDGES, FINAL, Status
from sendline.ledger import work
from sendline.ledger.connection import Ledger
from sendline.ledger.keys import KEYS, account_key, line_key, message_key
from sendline.ledger.record import Flag, Record

MOVES = {(edge.source, edge.target) for edge in EDGES}
NEWS = ["sent", "delivered", "undelivered"]
FIRST_ASKED = 30_000
"""Milliseconds after which a provider is first asked."""
LONGEST = 3_600_000
"""Milliseconds after which it is asked again at the latest."""
PLACES = [
    (code, route, row)
    for lane, code in LANE_CODES.items()
    for route in (*ROUTES, PASSED_ON)
    for row in ("", *(CAMPAIGNS if lane is Lane.BULK else ()))
]
"""Every row in which something may stand."""
FAILED = Outcome(Status.RETRYING, 0, counted=False, named=False, effect="fail", onward=True)
LONG_TIMELINE = 3000
"""Bytes beyond which a timeline may have lost entries."""

wishes = st.fixed_dictionaries(
    {
        "route": st.sampled_from(ROUTES),
        "lane": st.sampled_from(Lane),
        "campaign": st.sampled_from([None, *CAMPAIGNS]),
        "on_uncertain": st.sampled_from([None, OnUncertain.HOLD, *OnUncertain]),
        "delay": st.sampled_from([0, 0, 0, 1, 60]),
        "valid_for": st.sampled_from([30, 600, 86400]),
        "to": st.sampled_from(RECIPIENTS),
    }
)
pick = st.integers(0, 10**6)
place = st.sampled_from([0, 1])

TARGETS = [
    Status(word)
    for word in ("sent", "sent", "retrying", "retrying", "uncertain", "uncertain", "uncertain", "failed")
]

outcomes = st.builds(
    Outcome,
    target=st.sampled_from(TARGETS),
    delay=st.sampled_from([-1, -1, 0, 3, 60]),
    counted=st.booleans(),
    named=st.booleans(),
    effect=st.sampled_from(["", "", "", "", "", "open", "pause", "stop", "fail"]),
    onward=st.sampled_from([False, False, True]),
) | st.just(HANDED_BACK)
outcomes_in_doubt = outcomes.map(lambda outcome: replace(outcome, target=Status.UNCERTAIN, effect=""))


def one_of(what, which):
    """Return one of `what`; the smallest `which` takes the first."""
    return what[which % len(what)]


@dataclass
class Caller:
    """One dispatcher, as it sees itself."""

    name: str
    number: int = 0
    """Of its last claim or sign-off."""
    last: list = field(default_factory=list)
    """What its last claim took."""
    unanswered: bool = False
    """The answer to that claim never came."""
    claims: list = field(default_factory=list)
    """All that it knows to be its own."""
    settle: int = 0
    settled: list = field(default_factory=list)
    """Its last settle: claim, outcome, and the provider's id."""


class LedgerMachine(RuleBasedStateMachine):
    """Random calls of the real scripts; after each, the ledger is what the model says."""

    url = raw = None

    def __init__(self):
        super().__init__()
        self.raw.flushall()
        self.ledger = Ledger(self.url)  # what another one saw is not of this ledger
        self.world = World(self.ledger, self.raw, Clock(self.raw), LIMITS)
        self.world.configure(*ACCOUNTS.values())
        self.model = Model(self.world.clock)
        self.messages = self.model.messages
        self.drafts = []
        self.callers = [Caller("d1"), Caller("d2")]
        self.born = 2
        self.seq = 0
        self.seen = {}
        self.told = defaultdict(list)
        self.in_doubt = set()

    def teardown(self):
        self.ledger.close()

    @property
    def now(self):
        return self.world.clock.ms

    def held(self):
        return [id_ for id_, told in self.messages.items() if told.status is Status.UNCERTAIN]

    def questionable(self):
        return [*self.held(), *(id_ for id_, told in self.messages.items() if told.status is Status.SENT)]

    def attempted(self):
        return [id_ for id_, told in self.messages.items() if told.account]

    # What producers and people call

    @initialize(
        wishes=st.lists(wishes, min_size=6, max_size=12),
        came_to=st.lists(outcomes, min_size=1, max_size=6),
        doubted=st.lists(outcomes_in_doubt, min_size=1, max_size=3),
        wait=st.sampled_from([0, 1, LEASE]),
    )
    def begin(self, wishes, came_to, doubted, wait):
        """Begin with some messages in each state, so that every call has something to do."""
        self.accept([wish | {"delay": 0} for wish in wishes])
        self.claim(0, 4, 0, answered=True)
        self.write(self.callers[0], zip(self.callers[0].last, [*doubted, *came_to], strict=False))
        self.claim(1, 3, 0, answered=True)
        self.tick(wait)
        self.claim(0, 3, 0, answered=True)

    @rule(wishes=st.lists(wishes, min_size=1, max_size=3))
    def accept(self, wishes):
        drafts = [self.world.draft(**wish) for wish in wishes]
        self.world.accept_drafts(*drafts)
        self.drafts += drafts
        for draft, wish in zip(drafts, wishes, strict=True):
            self.model.accept(draft, wish["route"], wish["delay"], wish["valid_for"])

    @rule(which=pick)
    def accept_again(self, which):
        self.world.accept_drafts(one_of(self.drafts, which))

    @rule(which=pick)
    def cancel(self, which):
        message_id = one_of(list(self.messages), which)
        assert self.world.cancel(message_id).status is self.model.cancel(message_id)

    @rule(which=pick, decision=st.sampled_from(["resend", "fail"]))
    def decide(self, which, decision):
        message_id = one_of(list(self.messages), which)
        assert self.world.decide(decision, message_id) == [self.model.decide(message_id, decision)]

    @precondition(held)
    @rule(which=pick, decision=st.sampled_from(["resend", "fail"]), times=st.sampled_from([1, 2]))
    def decide_about_doubt(self, which, decision, times):
        message_id = one_of(self.held(), which)
        for _ in range(times):
            assert self.world.decide(decision, message_id) == [self.model.decide(message_id, decision)]

    @rule(to=st.sampled_from(RECIPIENTS), others=st.booleans())
    def suppress(self, to, others):
        """A recipient opts out, or comes back. Listing again those who are on the list changes nothing."""
        numbers = {to, *(self.model.suppressed if others else ())}
        if to in self.model.suppressed:
            assert self.world.unsuppress(to) == 1
            assert self.world.unsuppress(to) == 0
            self.model.suppressed.discard(to)
        else:
            assert self.world.suppress(*numbers) == 1
            self.model.suppressed.add(to)

    # What dispatchers call

    @rule(which=place, room=st.integers(1, 8), kept=st.integers(0, 2), answered=st.booleans())
    def claim(self, which, room, kept, answered):
        caller, below = self.callers[which], max(0, room - kept)
        caller.number += 1
        claimed = self.world.claim(room, below, by=caller.name, number=caller.number, lease=LEASE)
        assert not claimed.late
        self.take_expired()
        for claim in claimed.claims:
            self.model.take(claim)
        urgent = sum(self.messages[claim.message_id].lane is Lane.URGENT for claim in claimed.claims)
        assert len(claimed.claims) <= room
        assert len(claimed.claims) - urgent <= max(0, min(below, room - urgent))
        caller.last, caller.unanswered = list(claimed.claims), not answered
        caller.claims += claimed.claims if answered else ()
        assert claimed.next_at is not None or not any(self.model.lines.values())

    @rule(which=place, wait=st.sampled_from([0, 0.02, 0.5, 2, 6]), came_to=st.lists(outcomes, min_size=1))
    def claim_and_settle(self, which, wait, came_to):
        self.tick(wait)
        self.claim(which, 8, 0, answered=True)
        self.write(self.callers[which], zip(self.callers[which].last, cycle(came_to)))

    @rule(
        which=place,
        wish=wishes,
        waits=st.lists(st.sampled_from([0.5, 2, 2, 31]), min_size=2, max_size=6),
        came_to=outcomes,
    )
    def claim_and_fail(self, which, wish, waits, came_to):
        """Accounts fail again and again: messages take the next one, and breakers open."""
        self.accept([wish | {"delay": 0, "valid_for": 600}] * 8)
        for wait in waits:
            self.claim_and_settle(which, wait, [FAILED])
        self.claim_and_settle(which, waits[0], [came_to])

    def take_expired(self):
        newest = {told.id: (told, event.status) for told, event in self.fresh_events()}
        for told, status in newest.values():
            if status in (Status.EXPIRED, Status.SUPPRESSED, Status.UNCERTAIN) and told.waits:
                assert told.queued
                has_opted_out = told.to in self.model.suppressed
                assert has_opted_out or told.expires_at <= self.now
                self.model.give_up(told, Status.SUPPRESSED if has_opted_out else Status.EXPIRED)

    @rule(which=place)
    def claim_again(self, which):
        caller = self.callers[which]
        if caller.number:
            again = self.world.claim(4, number=caller.number, by=caller.name, lease=LEASE)
            mine = [claim for claim in caller.last if self.model.is_under_way(claim)]
            assert [(c.message_id, c.token) for c in again.claims] == [(c.message_id, c.token) for c in mine]
            if caller.unanswered:
                caller.claims += again.claims
                caller.unanswered = False

    @rule(which=place, times=st.sampled_from([1, 2]))
    def sign_off(self, which, times):
        caller = self.callers[which]
        unanswered = caller.number if caller.unanswered else 0
        caller.number += 1
        for _ in range(times):
            self.world.sign_off(by=caller.name, number=caller.number, unanswered=unanswered)
        if caller.unanswered:
            self.model.hand_back(caller.last)
        caller.last, caller.unanswered = [], False

    @rule(which=place, back=st.integers(1, 3))
    def claim_and_sign_off_late(self, which, back):
        caller = self.callers[which]
        late = caller.number - back
        if late > 0:
            assert self.world.claim(4, by=caller.name, number=late).late
            assert not self.world.sign_off(by=caller.name, number=late, unanswered=caller.number)

    @rule(which=place)
    def crash(self, which):
        """Nothing more comes of its claims; another one starts, under a name of its own."""
        self.born += 1
        self.callers[which] = Caller(f"d{self.born}")

    @rule(which=place, chosen=st.lists(st.tuples(pick, outcomes), min_size=1, max_size=3))
    def settle(self, which, chosen):
        caller = self.callers[which]
        if not caller.claims:
            self.claim(which, 4, 0, answered=True)
        mine = caller.claims[::-1]
        batch = {
            mine[number % len(mine)].token: (mine[number % len(mine)], o) for number, o in chosen if mine
        }
        self.write(caller, batch.values())

    @precondition(held)
    @rule(which=pick, came_to=outcomes)
    def settle_what_is_held(self, which, came_to):
        """Its claim was held while its call went on, or was judged, and its outcome comes after all."""
        held = set(self.held())
        late = [(each, claim) for each in self.callers for claim in each.claims if claim.message_id in held]
        if late:
            caller, claim = one_of(late, which)
            self.write(caller, [(claim, came_to)])

    def write(self, caller, came_to):
        caller.settle += 1
        caller.settled = [(claim, o, f"p{claim.token}" if o.names else None) for claim, o in came_to]
        self.write_again(caller, repeated=False)

    def write_again(self, caller, *, repeated):
        settlements = [settlement(*each) for each in caller.settled]
        words = self.world.settle_many(settlements, by=caller.name, number=caller.settle)
        assert words == [self.model.settle(*each, repeated=repeated) for each in caller.settled]

    @precondition(lambda self: self.callers[0].settled or self.callers[1].settled)
    @rule(which=place)
    def settle_again(self, which):
        caller = self.callers[which] if self.callers[which].settled else self.callers[not which]
        self.write_again(caller, repeated=True)

    @rule(which=place, back=st.integers(1, 3), came_to=outcomes)
    def settle_late(self, which, back, came_to):
        caller = self.callers[which]
        if caller.settle >= back:
            late = [settlement(claim, came_to, None) for claim in caller.claims]
            words = self.world.settle_many(late, by=caller.name, number=caller.settle - back)
            assert words == ["late"] * len(late)

    # What providers tell, asked or not

    @precondition(attempted)
    @rule(which=pick, status=st.sampled_from([None, *NEWS]), right=st.booleans(), named=st.booleans())
    def receive_by_token(self, which, status, right, named):
        told = self.messages[one_of(self.attempted(), which)]
        account = told.account if right else "another"
        provider_id = f"t{which % 5}-{told.token}" if named else None
        word = self.world.receive(status, account=account, message_id=told.id, provider_id=provider_id)
        key = (account, provider_id) if named else None
        assert word == (self.model.receive(told.id, status, key) if right else "foreign")

    @precondition(lambda self: self.model.newest_token)
    @rule(which=pick, status=st.sampled_from(NEWS), account=st.sampled_from(sorted(ACCOUNTS)))
    def receive_by_provider_id(self, which, status, account):
        key = account, f"p{self.model.newest_token - which % self.model.newest_token}"
        word = self.world.receive(status, account=account, provider_id=key[1])
        if key not in self.model.index:
            assert word == "parked"
            self.model.park(status, key)
        elif self.messages[self.model.index[key]].account != account:
            assert word == "foreign"
        else:
            assert word == self.model.receive(self.model.index[key], status, None)

    @precondition(questionable)
    @rule(
        names=st.sets(st.sampled_from(sorted(ACCOUNTS)), min_size=1), wait=st.sampled_from([0, 31, 31, 400])
    )
    def inquire(self, names, wait):
        self.tick(wait)
        before, late_before = self.world.uncertain(), self.world.unreported()
        asked = self.world.inquire(*names)
        after, late_after = self.world.uncertain(), self.world.unreported()
        assert len({self.messages[id_].account for id_ in asked}) == len(asked)
        for told in map(self.messages.get, asked):
            account = self.model.accounts[told.account]
            assert told.account in names
            assert not account.stopped
            assert account.paused_until <= self.now
            account.asked.append(self.world.clock.us)
            if told.is_held:
                self.check_asked_again(before[told.id], after[told.id], since=told.timer - DEADLINE)
            else:
                self.check_late(told, late_before, late_after)
                assert not any(
                    at is not None and at <= self.now and self.messages[id_].account == told.account
                    for id_, at in before.items()
                ), "what is uncertain comes first"
        assert all(at is None or at >= before[id_] for id_, at in after.items())
        for id_, at in late_before.items():
            told = self.messages[id_]
            told.ask_at = late_after.get(id_)
            is_over = at <= self.now and told.ends_at <= self.now
            assert is_over or id_ in asked or told.ask_at >= at

    def check_asked_again(self, due_at, again_at, *, since):
        held_for = self.now - since
        assert due_at <= self.now
        assert held_for >= FIRST_ASKED
        assert again_at == self.now + min(held_for, LONGEST)

    def check_late(self, told, before, after):
        assert told.status is Status.SENT
        assert told.ends_at > self.now
        assert told.provider_id is not None
        sent_for = self.now - (told.ends_at - DEADLINE)
        if self.now + sent_for < told.ends_at:
            self.check_asked_again(before[told.id], after[told.id], since=told.ends_at - DEADLINE)
        else:
            assert told.id not in after

    @rule(wait=st.sampled_from([0, 0, 3, 60, LEASE]))
    def tick(self, wait):
        self.world.clock.advance(wait)
        self.world.tick()
        self.model.tick()

    @rule(by=st.sampled_from([0.001, 0.02, 0.5, 1, 1, 5, 5, 31, 91, 501]))
    def time_passes(self, by):
        self.world.clock.advance(by)

    # What must be true after every call

    def fresh_events(self):
        by_text = {ids.to_text(id_): told for id_, told in self.messages.items()}
        return [(by_text[event.message_id], event) for event in self.world.events(self.seq)]

    @invariant()
    def every_move_is_in_the_table(self):
        for told, event in self.fresh_events():
            assert event.seq == self.seq + 1
            before = self.seen.get(told.id)
            assert (before, event.status) in MOVES
            if not told.resends and event.status in (Status.UNCERTAIN, Status.SENT):
                self.in_doubt.add(told.id)
            elif told.id in self.model.may_go_again:
                self.in_doubt.discard(told.id)
            assert not (event.status is Status.SENDING and told.id in self.in_doubt), "sent twice under hold"
            self.seen[told.id], self.seq = event.status, event.seq
            self.told[told.id].append(event.status)
        self.model.may_go_again.clear()
        assert self.seen == {told.id: told.status for told in self.messages.values()}

    @invariant()
    def the_counts_add_up(self):
        counted = Counter(str(told.status) for told in self.messages.values())
        assert self.world.counts() == counted

    @invariant()
    def everything_stands_in_its_place_and_nowhere_else(self):
        with self.raw.pipeline(transaction=False) as pipeline:
            pipeline.zrange(KEYS["timers"], 0, -1, withscores=True)
            pipeline.zrange(KEYS["uncertain"], 0, -1, withscores=True)
            pipeline.zrange(KEYS["unreported"], 0, -1, withscores=True)
            for lane, route, row in PLACES:
                pipeline.lrange(line_key(lane, route, row), 0, -1)
                pipeline.zscore(KEYS["ready"] + str(lane), route)
                pipeline.zscore(f"{KEYS['rows']}{lane}:{route}", row)
            timers, uncertain, late, *found = pipeline.execute()
        self.check_timers(dict(timers))
        assert dict(late) == {t.id: t.ask_at for t in self.messages.values() if t.ask_at is not None}
        self.check_uncertain(dict(uncertain))
        for place, line, ready, turn in zip(PLACES, found[::3], found[1::3], found[2::3], strict=True):
            alive = [id_ for id_ in line if self.messages[id_].waits and self.messages[id_].queued]
            assert alive == self.model.lines.get(place, [])
            assert not line or (ready is not None and turn is not None), "work that no claim would find"
        assert self.model.lines.keys() <= set(PLACES)
        queued = [id_ for line in self.model.lines.values() for id_ in line]
        assert len(queued) == len(set(queued))
        for told in self.messages.values():
            assert told.queued == (told.id in queued)
            assert not told.queued or told.waits

    def check_timers(self, timers):
        lasting = {t.id: t.timer for t in self.messages.values() if t.timer is not None}
        assert timers == lasting | {t.id: t.late_at for t in self.messages.values() if t.late_at is not None}
        for told in self.messages.values():
            idle = told.status in FINAL or told.status is Status.SENT
            assert not (idle and told.timer is not None)
            assert told.late_at is told.ask_at is None or told.status is Status.SENT
            assert idle or told.timer is not None or told.status is Status.UNCERTAIN

    def check_uncertain(self, uncertain):
        """Those about which providers may be asked: uncertain, not final, and of an account that can be."""
        assert set(uncertain) == {told.id for told in self.messages.values() if told.is_held}
        for id_, at in uncertain.items():
            assert (at < math.inf) == ACCOUNTS[self.messages[id_].account].asks

    @invariant()
    def every_record_is_what_the_model_says(self):
        with self.raw.pipeline(transaction=False) as pipeline:
            pipeline.hget(KEYS["meta"], "dead")
            for name in ACCOUNTS:
                pipeline.hget(account_key(name), "flying")
            for id_ in self.messages:
                pipeline.get(message_key(id_)).pttl(message_key(id_))
            dead, *found = pipeline.execute()
        assert int(dead or 0) == self.model.dead
        self.check_flying(found[: len(ACCOUNTS)])
        found = found[len(ACCOUNTS) :]
        for told, raw, ttl in zip(self.messages.values(), found[::2], found[1::2], strict=True):
            self.check_record(told, Record(raw), ttl)

    def check_flying(self, found):
        """Those being sent are counted, and never too many."""
        for (name, limits), flying in zip(ACCOUNTS.items(), found, strict=True):
            assert int(flying or 0) == sum(t.sends and t.account == name for t in self.messages.values())
            assert int(flying or 0) <= (limits.in_flight or math.inf)

    def check_record(self, told, record, ttl):
        assert (record.state, record.attempts) == (told.status, told.attempts)
        assert (record.account.decode(), record.claim) == (told.account, told.token)
        assert bool(record.flags & Flag.QUEUED) == told.queued
        over = told.timer is None
        assert (record.text == b"") == over
        assert (ttl > 0) == over
        message = record.message(told.id)
        assert message.provider_id == told.provider_id
        if len(record.timeline) < LONG_TIMELINE:
            moves = [entry.status for entry in message.timeline if entry.code != ErrorCode.LATE]
            assert moves == self.told[told.id]
            assert len(message.timeline) == len(moves) + told.late

    @invariant()
    def no_account_is_ever_over_its_rate(self):
        for name, limits in ACCOUNTS.items():
            account, interval = self.model.accounts[name], 1_000_000 / limits.rate
            check_rate(account.claimed, interval, limits.burst)
            check_rate(account.claimed + account.asked, interval, limits.burst + 1)


def check_rate(called, interval, burst):
    """Check that no window holds more than `burst` and what the rate allows; instants are cut to 1 ms."""
    free_from = -math.inf
    for at in sorted(called):
        free_from = max(free_from, at) + interval
        assert free_from - at <= burst * interval + 1000


def settlement(claim, outcome, provider_id):
    """Return what a dispatcher writes of an attempt."""
    return work.Settlement(
        *(claim.message_id, claim.token, claim.account, outcome.target),
        counted=outcome.counted,
        delay=outcome.delay,
        deadline=LIMITS.deadline if outcome.target is Status.SENT else 0,
        provider_id=provider_id,
        effect=outcome.effect,
        pause=PAUSE,
        onward=outcome.onward,
    )


@pytest.mark.timeout(600)  # shrinking a failure takes minutes
@pytest.mark.usefixtures("clock")
def test_random_calls_keep_every_promise(redis_url, raw):
    machine = type("Machine", (LedgerMachine,), {"url": redis_url, "raw": raw})
    run_state_machine_as_test(
        machine,
        settings=hypothesis_settings(
            max_examples=80,
            stateful_step_count=40,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
