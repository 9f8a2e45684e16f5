"""The limiter of the claim against an exact model, under random rates, arrivals, lateness and clocks."""

import random
from contextlib import closing, contextmanager
from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ledger_world import START, Clock, World, account_limits
from limiter_model import Account, Limits, Waiting, exceeds
from sendline import Status
from sendline.ledger.accounts import adjust, calendar
from sendline.ledger.connection import Ledger
from sendline.ledger.work import HEAD, Settlement
from sendline_worker.days import midnights

SENDERS = ["+13115552301", "+13115552302", "+13115552303"]
EVER = 10**8
"""Seconds of validity: nothing expires here."""
TEXTS = {1: "Hello", 2: "x" * 200, 3: "x" * 400, 8: "x" * 1200}
"""A text of so many segments."""

rates = st.sampled_from([1, 3, 7.3, 10, 100, 333, 1000])
bursts = st.sampled_from([None, 1, 1, 2, 5, 20])
whole_accounts = st.builds(
    Limits,
    rate=rates,
    burst=bursts,
    in_flight=st.sampled_from([None, None, 3]),
    daily_cap=st.sampled_from([None, None, 5, 50]),
)
split_accounts = st.builds(
    Limits,
    rate=rates,
    burst=bursts,
    in_flight=st.none(),
    daily_cap=st.sampled_from([None, None, 20]),
    sender_rate=st.sampled_from([0.5, 3, 7.3, 100]),
    sender_burst=st.sampled_from([None, 1, 3]),
    sender_daily_cap=st.sampled_from([None, None, 4]),
)
adjustments = st.sampled_from(
    [{"rate": 3}, {"rate": 500}, {"rate": None}, {"burst": 4}, {"burst": None}, {"daily_cap": 30}]
)
arrivals = st.tuples(
    st.just("arrive"), st.integers(1, 25), st.integers(0, 2), st.sampled_from([1, 1, 2, 3, 8])
)
claims = st.tuples(st.just("claim"), st.integers(0, 200_000), st.sampled_from([1, 3, 10, 100]))
waits = st.tuples(st.just("wait"), st.integers(1, 3_000_000))
throttles = st.tuples(st.just("throttle"), st.sampled_from([50, 1000, 7500]))
adjusts = st.tuples(st.just("adjust"), adjustments)
jumps = st.tuples(st.just("jump"), st.sampled_from([-86_400, -7200, 3600, 86_400]))
steps = st.lists(
    st.one_of(arrivals, arrivals, claims, claims, claims, claims, waits, throttles, adjusts, jumps),
    min_size=10,
    max_size=40,
)


properties = hypothesis_settings(
    max_examples=60,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Run:
    """One account of a ledger and of the model, driven side by side."""

    def __init__(self, world, limits, *, segments=False):
        self.world, self.limits = world, limits
        days = midnights(world.clock.ms, "America/New_York", 4)
        self.model = Account(limits, segments, days)
        fields = {name: getattr(limits, name) for name in Limits.__dataclass_fields__}
        fields |= {"unit": "segments" if segments else "messages"}
        world.configure(account_limits("main", **fields))
        world.ledger.run(calendar("main", days))
        self.open = []
        self.dated, self.stretches = [], []
        """(instant, units, sender) since the limits changed or the clock stepped back; and those before."""

    @property
    def now(self):
        return self.world.clock.us

    def arrive(self, number, sender, segments):
        if not self.model.segments:
            segments = 1
        elif self.model.splits:
            sender = 0
        ids = self.world.accept_many(number, sender=SENDERS[sender], text=TEXTS[segments], valid_for=EVER)
        messages = [Waiting(id_, SENDERS[sender], segments, self.world.clock.ms) for id_ in ids]
        self.model.accept(self.now, messages)

    def wait(self, microseconds):
        self.world.clock.advance(microseconds / 1_000_000)

    def claim(self, lateness, room):
        due = self.model.ready
        if due is not None and due - self.now < 100_000_000:
            self.wait(max(due - self.now, 0))
        self.wait(lateness)
        claimed = self.world.claim(room)
        dated = self.model.claim(self.now, room, [(c.message_id, c.token) for c in claimed.claims])
        for claim, (message, at) in zip(claimed.claims, dated, strict=True):
            entry = claim.record.message(claim.message_id).timeline[-1]
            assert round(entry.at.timestamp() * 1000) == at // 1000
            self.dated.append((at, message.cost, message.sender))
            self.open.append((claim, message))
        self.compare(claimed)
        if not self.limits.in_flight:
            while len(self.open) > 3:
                self.settle()

    def compare(self, claimed):
        if self.model.ready is not None and self.model.ready >= self.now:
            held = list(self.world.held_rows().values())
            self.model.ready = self.model.look_again(self.now, held)
        ready = self.world.ready().get("main")
        if self.model.segments and ready is not None:
            self.model.ready = ready  # for a large message it may be later
        assert ready == self.model.ready == claimed.next_at
        stored = self.world.account()
        assert int(stored.get("tat", 0)) == self.model.bucket.tat
        assert int(stored.get("flying", 0)) == self.model.flying
        if self.model.bucket.cap:
            assert int(stored.get("used", 0)) == self.model.bucket.used

    def settle(self):
        claim, _ = self.open.pop(0)
        assert self.world.settle(claim, Status.SENT) == "settled"
        self.model.settle(self.now)

    def throttle(self, pause_ms):
        if self.open:
            claim, message = self.open.pop(0)
            fields = {"counted": False, "delay": HEAD, "effect": "pause", "pause": pause_ms / 1000}
            assert self.world.settle(claim, "retrying", **fields) == "settled"
            self.model.throttle(self.now, claim.token, pause_ms)
            self.model.give_back(self.now, message)

    def adjust(self, changes):
        self.end_stretch()
        assert self.world.ledger.run(adjust(self.world.limits, "main", changes))
        self.model.adjust(self.now, **changes)

    def jump(self, seconds):
        if seconds < 0 and self.model.eased is not None:
            return  # what is left of a pause then is told elsewhere
        while self.open:
            self.settle()
        self.world.tick()
        was = self.now
        self.world.clock.advance(seconds)
        if seconds < 0:
            self.end_stretch()
            self.model.step_back(self.now, was)
        self.world.tick()
        self.model.tick(self.now)

    def step(self, kind, *arguments):
        if kind == "claim" and self.limits.in_flight and len(self.open) >= self.limits.in_flight:
            self.settle()
        getattr(self, kind)(*arguments)

    def end_stretch(self):
        self.stretches.append((self.model.limits, self.dated))
        self.dated = []

    def check_limits(self):
        self.end_stretch()
        for limits, dated in self.stretches:
            units = [(at, cost) for at, cost, _ in dated]
            assert not exceeds(units, limits.interval, limits.most_at_once)
            for sender in SENDERS if limits.sender_rate else ():
                own = [(at, cost) for at, cost, of in dated if of == sender]
                assert not exceeds(own, limits.sender_interval, limits.sender_burst or 1)


@pytest.fixture
def fresh(redis_url, raw, clock):
    """Make an empty ledger with a clock of its own: for each example."""

    @contextmanager
    def make():
        raw.flushall()
        with closing(Ledger(redis_url)) as ledger:
            yield World(ledger, raw, Clock(raw))

    return make


def drive(fresh, limits, taken, *, segments=False):
    with fresh() as world:
        run = Run(world, limits, segments=segments)
        for step in taken:
            run.step(*step)
        run.check_limits()


@properties
@given(whole_accounts, steps)
def test_an_account_sends_what_the_model_sends_when_the_model_sends_it(fresh, limits, taken):
    drive(fresh, limits, taken)


@properties
@given(split_accounts, steps)
def test_senders_send_what_the_model_sends_when_the_model_sends_it(fresh, limits, taken):
    drive(fresh, limits, taken)


@properties
@given(st.one_of(whole_accounts, split_accounts), steps)
def test_segments_are_counted_as_the_model_counts_them(fresh, limits, taken):
    drive(fresh, limits, taken, segments=True)


def use_up(world, seconds, *, room=100, watched="main"):
    """Claim at `next_at` and up to 15 ms late, for so long; return the instants of what the account sent."""
    chance = random.Random(1)
    end = world.clock.us + round(seconds * 1_000_000)
    sent = []
    while True:
        claimed = world.claim(room)
        claims = claimed.claims
        own = [claim for claim in claims if claim.account == watched]
        sent += [c.record.message(c.message_id).timeline[-1].at.timestamp() for c in own]
        if claims:
            world.settle_many([settled(claim) for claim in claims])
        if claimed.next_at is None:
            return sent
        due = max(claimed.next_at, world.clock.us) + chance.randrange(15_000)
        if due > end:
            return sent
        world.clock.advance((due - world.clock.us) / 1_000_000)


def settled(claim):
    return Settlement(claim.message_id, claim.token, claim.account, Status.SENT, deadline=60)


@pytest.mark.parametrize(
    ("rate", "burst", "seconds"),
    [(1, 1, 60), (20, 1, 10), (100, 1, 10), (1000, 1, 4), (1, None, 60), (20, None, 10), (100, None, 10)],
)
def test_with_work_waiting_98_percent_of_the_rate_is_used(world, rate, burst, seconds):
    world.configure("main", rate=rate, burst=burst)
    number = round(rate * seconds) + 50
    for _ in range(0, number, 500):
        world.accept_many(min(number, 500), valid_for=EVER)
    assert len(use_up(world, seconds)) >= 0.98 * rate * seconds


@pytest.mark.parametrize("rate", [1, 20, 100])
def test_beside_a_hundred_other_accounts_98_percent_of_the_rate_is_used(world, rate):
    others = [account_limits(f"other{place}", rate=2, burst=1) for place in range(100)]
    world.configure(account_limits("main", rate=rate, burst=1), *others)
    seconds = 30 if rate < 20 else 10
    world.accept_many(rate * seconds + 10, valid_for=EVER)
    for other in others:
        world.accept_many(2 * seconds + 10, other.name, valid_for=EVER)
    assert len(use_up(world, seconds)) >= 0.98 * rate * seconds


def test_a_limited_sender_uses_98_percent_of_its_rate(world):
    world.configure("main", rate=1000, sender_rate=20, sender_burst=1)
    world.accept_many(300, valid_for=EVER)
    assert len(use_up(world, 10)) >= 0.98 * 20 * 10


@pytest.mark.parametrize("back", [2, 600, 3600, 7200, 86_400])
def test_a_clock_that_jumps_back_stops_nothing_for_longer_than_a_tick(world, back):
    world.configure("main", rate=20, burst=1, sender_rate=10, sender_burst=1)
    for sender in SENDERS:
        world.accept_many(30, sender=sender, valid_for=EVER)
    use_up(world, 2)
    world.tick()
    world.clock.advance(-back)
    world.tick()
    assert len(use_up(world, 1.2)) >= 15


@pytest.mark.parametrize("back", [600, 3600, 7200, 86_400])
def test_a_pause_that_is_over_does_not_come_back_with_the_clock(world, back):
    world.configure("main", rate=20, burst=1)
    world.accept_many(50, valid_for=EVER)
    world.settle(world.claim_one(), "retrying", counted=False, delay=HEAD, effect="pause", pause=2)
    world.clock.advance(30)
    assert use_up(world, 1)
    world.tick()
    world.clock.advance(-back)
    world.tick()
    assert len(use_up(world, 2)) >= 10


def test_routes_go_on_taking_turns_when_the_clock_jumps_back(world):
    world.configure("main", "spare", rate=20, burst=1)
    routes = ("main", "main,spare")
    for route in routes:
        world.accept_many(100, route, valid_for=EVER)
    use_up(world, 1)
    world.tick()
    world.clock.advance(-3600)
    world.tick()
    before = {route: len(world.line(route)) for route in routes}
    use_up(world, 2)
    went = {route: before[route] - len(world.line(route)) for route in routes}
    assert abs(went["main"] - went["main,spare"]) <= 2, went


def test_a_clock_that_jumps_forward_gives_one_more_days_cap_at_most(world):
    world.configure("main", daily_cap=5)
    world.accept_many(50, valid_for=EVER)
    assert len(world.claim(50).claims) == 5
    world.clock.advance(3 * 86_400)
    assert len(world.claim(50).claims) == 5
    world.tick()
    world.clock.advance(-3 * 86_400)
    world.tick()
    assert world.claim(50).claims == ()


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kathmandu", "America/Santiago"])
@pytest.mark.parametrize("day", ["2026-03-07", "2026-10-31", "2026-04-04", "2026-09-05"])
def test_the_days_cap_begins_anew_at_local_midnight_and_never_before(world, zone, day):
    """Around the days on which clocks are set, those of 23 and of 25 hours too."""
    start = datetime.fromisoformat(day).replace(hour=12, tzinfo=ZoneInfo(zone))
    world.clock.advance(round(start.timestamp()) - world.clock.us / 1_000_000)
    ends = midnights(world.clock.ms, zone, 5)
    world.configure("main", daily_cap=3, time_zone=zone)
    world.ledger.run(calendar("main", ends))
    world.accept_many(20, valid_for=EVER)
    assert len(world.claim(20).claims) == 3
    for end in ends[1:4]:
        world.clock.advance((end - 1 - world.clock.ms) / 1000)
        assert world.claim(20).claims == ()
        world.clock.advance(0.001)
        claimed = world.claim(20)
        assert len(claimed.claims) == 3
    assert {(b - a) // 3_600_000 for a, b in pairwise(ends)} <= {23, 24, 25}


@pytest.mark.parametrize("jump", [3 * 86_400, 40 * 86_400])
def test_beyond_the_published_midnights_a_day_has_24_hours(world, jump):
    days = midnights(world.clock.ms, "America/New_York", 2)
    world.configure("main", daily_cap=1, time_zone="America/New_York")
    world.ledger.run(calendar("main", days))
    world.accept_many(9, valid_for=EVER)
    world.clock.advance((days[-1] - world.clock.ms) / 1000 + jump - 1)
    assert len(world.claim().claims) == 1
    world.clock.advance(0.999)
    assert world.claim().claims == ()
    world.clock.advance(0.001)
    assert len(world.claim().claims) == 1


def test_a_senders_cap_of_the_day_begins_anew_at_midnight(world):
    world.configure("main", sender_daily_cap=2)
    for sender in SENDERS:
        world.accept_many(5, sender=sender, valid_for=EVER)
    assert len(world.claim(50).claims) == 6
    midnight = midnights(world.clock.ms, "UTC")[1]
    world.clock.advance((midnight - 1 - world.clock.ms) / 1000)
    assert world.claim(50).claims == ()
    world.clock.advance(0.001)
    assert len(world.claim(50).claims) == 6


def test_a_large_message_is_never_stuck_and_leaves_a_debt(world):
    world.configure("main", rate=10, burst=2, unit="segments")
    large, small = world.accept(text=TEXTS[8]), world.accept()
    assert [claim.message_id for claim in world.claim().claims] == [large]
    world.clock.advance(0.699)
    assert world.claim().claims == ()
    world.clock.advance(0.001)
    assert [claim.message_id for claim in world.claim().claims] == [small]


def test_a_large_message_that_waits_for_its_tokens_is_not_looked_at_without_end(world):
    world.configure("main", rate=1, burst=8, unit="segments")
    world.accept_many(2, text=TEXTS[8])
    assert len(world.claim().claims) == 1
    world.clock.advance(2)
    claimed = world.claim()
    assert claimed.claims == ()
    assert claimed.next_at == START + 8_000_000
