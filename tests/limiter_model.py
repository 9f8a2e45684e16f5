"""What one account and its senders may send, in plain Python and exact integers: the limiter's model.

All instants are microseconds of the ledger's clock, unless their names end in `_ms`.
"""

import math
from dataclasses import dataclass, field, replace
from itertools import pairwise

GATHER = 5_000
"""Where tokens come faster than this, they are let gather for as long."""
GRACE = 20_000
"""How far back a claim may be dated."""
FULL_FOR = 20_000
IN_FLIGHT_FOR = 1_000_000
LONGEST_CLAIM_MS = 120_000
CLIMB = 45_000_000
LEAST_FRACTION = 0.02
LONGEST_PAUSE_MS = 3_600_000
LARGEST = 40
"""Segments of one message, at most."""
DAY_MS = 86_400_000
SHORTEST_DAY_MS = 72_000_000


def day_of(now_ms, midnights):
    """Return the day in which `now_ms` is; beyond the known midnights days have 24 h."""
    for start, end in pairwise(midnights):
        if start <= now_ms < end:
            return start, end
    known = 0 if not midnights else midnights[0] if now_ms < midnights[0] else midnights[-1]
    start = known + (now_ms - known) // DAY_MS * DAY_MS
    return start, start + DAY_MS


@dataclass
class Bucket:
    """One limit: a rate with a burst, and a cap of the day. An interval of 0 is no rate."""

    interval: int = 0
    burst: int = 1
    cap: int = 0
    debt: int = 1
    """Units beyond the burst that one message may take."""
    tat: int = 0
    """When everything that went would have gone at the rate's pace."""
    floor: int = 0
    """The least that counts as `tat` behind a pause, which leaves nothing saved up."""
    paced: int = 0
    """The interval at which `tat` was kept; at another one as many units are missing as were then."""
    used: int = 0
    day_ms: int = 0
    day_ends_ms: int = 0

    def begin(self, now, midnights):
        """Start the day that `now` is in; return whether `tat` was more than can have been spent."""
        start, self.day_ends_ms = day_of(now // 1000, midnights)
        if start >= self.day_ms + SHORTEST_DAY_MS:
            self.used, self.day_ms = 0, start
        elif start < self.day_ms:
            self.day_ms = start
        changed = self.paced not in {0, self.interval} and self.tat > now
        if changed:
            self.tat = now + math.ceil((self.tat - now) * self.interval / self.paced)
        if self.tat > now + (self.burst + self.debt) * self.interval:
            self.tat = now + self.burst * self.interval
            return True
        return changed

    def instant(self, cost):
        """Return the instant from which `cost` units may go, by the rate."""
        return max(self.tat, self.floor) - (self.burst - min(cost, self.burst)) * self.interval

    def fits_day(self, cost):
        """Return whether the day has room; a message of any size fits into a day that nothing was sent in."""
        return not self.cap or not self.used or self.used + cost <= self.cap

    def spend(self, at, cost):
        """Take `cost` units at the instant `at`."""
        self.tat = max(self.tat, self.floor, at) + cost * self.interval
        self.used += cost


@dataclass
class Waiting:
    """A message that waits: what it costs, whom it is from, and its newest timeline entry."""

    message_id: bytes
    sender: str
    cost: int
    latest_ms: int


@dataclass
class Limits:
    """The limits in force, as `AccountLimits` names them."""

    rate: float
    burst: int | None = None
    in_flight: int | None = None
    daily_cap: int | None = None
    sender_rate: float | None = None
    sender_burst: int | None = None
    sender_daily_cap: int | None = None

    @property
    def interval(self):
        return math.ceil(1_000_000 / self.rate)

    @property
    def sender_interval(self):
        return math.ceil(1_000_000 / self.sender_rate) if self.sender_rate else 0

    @property
    def most_at_once(self):
        return self.burst or max(2, math.floor(20_000 / self.interval + 0.5))


@dataclass
class Account:
    """One account, the messages that wait for it, and what was claimed."""

    configured: Limits
    segments: bool = False
    midnights: tuple[int, ...] = ()
    adjusted: dict[str, float] = field(default_factory=dict)
    bucket: Bucket = field(default_factory=Bucket)
    senders: dict[str, Bucket] = field(default_factory=dict)
    waiting: list[Waiting] = field(default_factory=list)
    flying: int = 0
    paused_until_ms: int = 0
    eased: float | None = None
    eased_at: int = 0
    throttled_after: int = -1
    newest_token: int = 0
    ready: int | None = None
    """The instant at which its line is looked at next."""
    full: bool = False
    """Whether the last claim left no call free: the next one that ends tells its line."""
    closed: bool = False
    """Whether the last claim found its day used up."""

    @property
    def limits(self):
        return replace(self.configured, **self.adjusted)

    @property
    def splits(self):
        return bool(self.limits.sender_rate or self.limits.sender_daily_cap)

    # What happens to it

    def accept(self, now, messages):
        for message in messages:
            if not self._row(message.sender):
                self._rouse(now)
            self.waiting.append(message)

    def give_back(self, now, message):
        """A message that was not sent is the first again."""
        if not self._row(message.sender):
            self._rouse(now)
        self.waiting.insert(0, replace(message, latest_ms=now // 1000))
        self._refund(now, self.bucket, self.limits.daily_cap, message.cost)
        if message.sender in self.senders:
            self._refund(now, self.senders[message.sender], self.limits.sender_daily_cap, message.cost)
        self.settle(now)

    def settle(self, now):
        self.flying -= 1
        if self.full:
            self.full = False
            self._release(now)

    def throttle(self, now, token, pause_ms):
        self.paused_until_ms = max(self.paused_until_ms, now // 1000 + pause_ms)
        if token > self.throttled_after:
            self.eased = float(f"{max(self.fraction(now) / 2, LEAST_FRACTION):.6f}")
            self.throttled_after = self.newest_token
        self.eased_at = self.paused_until_ms * 1000

    def adjust(self, now, **changes):
        before = dict(self.adjusted)
        for limit, value in changes.items():
            if value is None:
                self.adjusted.pop(limit, None)
            else:
                self.adjusted[limit] = value
        if self.adjusted != before:
            self._release(now)

    def tick(self, now):
        """A tick ends what the rate has climbed back from."""
        if self.fraction(now) >= 1:
            self.eased, self.throttled_after = None, -1

    def step_back(self, now, was):
        """A tick has seen that the clock was set back: it was `was`."""
        if self.ready is not None:
            self.ready = now
            left = self.paused_until_ms - was // 1000
            self.paused_until_ms = min(self.paused_until_ms, now // 1000 + max(left, 0))

    # What may go

    def fraction(self, now):
        if self.eased is None or self.eased_at > now + LONGEST_PAUSE_MS * 1000:
            return 1.0
        return min(1.0, self.eased + max(0, now - self.eased_at) / CLIMB)

    def claim(self, now, room, went):
        """Check that `went`, claimed at `now`, might go, and that nothing else could have gone.

        Takes (message id, token) in the order of the claims and returns (message, instant) for each.
        Sets `ready` as if nothing were held for its sender: see `look_again`.
        """
        if self.ready is None or self.ready > now:
            assert not went, "nothing was due yet"
            return []
        bucket, changed = self._open(now)
        self.closed = False
        if bucket.cap and bucket.used >= bucket.cap:
            assert not went, "the day is used up"
            self._keep(bucket, keep=changed)
            self.ready, self.closed = bucket.day_ends_ms * 1000, True
            return []
        if self.paused_until_ms * 1000 > now:
            assert not went, "the account pauses"
            self._keep(bucket, keep=changed)
            self.ready = self.paused_until_ms * 1000
            return []
        base = max(self.ready - GATHER, now - GRACE)
        numbers, dated = {}, []
        for message_id, token in went:
            dated.append(self._take(now, base, bucket, numbers, message_id))
            self.newest_token = max(self.newest_token, token)
        stuck = self._check_rest(now, base, room - len(went), bucket, numbers)
        self._keep(bucket, keep=changed or bool(went) or stuck)
        self.senders.update(numbers)
        self.ready = self._next(now, bucket)
        return dated

    def look_again(self, now, held):
        """Return when the line is looked at next; `held`: until when rows wait for their sender."""
        rows = len({message.sender for message in self.waiting} if self.splits else self.waiting[:1])
        if self.closed or rows > len(held):
            return self.ready
        return max(self.ready or 0, min(held)) if held else None

    def _open(self, now):
        limits = self.limits
        part = self.fraction(now)
        if part >= 1:
            self.eased, self.throttled_after = None, -1
        if self.paused_until_ms > now // 1000 + LONGEST_PAUSE_MS:
            self.paused_until_ms = 0
        bucket = replace(
            self.bucket,
            interval=math.ceil(limits.interval / part),
            paced=self.bucket.interval,
            burst=limits.most_at_once,
            cap=limits.daily_cap or 0,
            debt=LARGEST if self.segments else 1,
        )
        changed = bucket.begin(now, self.midnights)
        bucket.floor = 0
        if self.paused_until_ms:
            bucket.floor = self.paused_until_ms * 1000 + (bucket.burst - 1) * bucket.interval
        return bucket, changed

    def _keep(self, bucket, *, keep):
        if keep:
            self.bucket = bucket

    def _number(self, now, sender, numbers):
        if sender not in numbers:
            limits = self.limits
            number = replace(
                self.senders.get(sender, Bucket()),
                interval=limits.sender_interval,
                burst=limits.sender_burst or 1,
                cap=limits.sender_daily_cap or 0,
                debt=LARGEST if self.segments else 1,
            )
            number.begin(now, self.midnights)
            numbers[sender] = number
        return numbers[sender]

    def _take(self, now, base, bucket, numbers, message_id):
        [message] = [m for m in self.waiting if m.message_id == message_id]
        if self.splits:
            assert self._row(message.sender)[0] is message, "first in, first out"
        else:
            assert self.waiting[0] is message, "first in, first out"
        at = max(base, min(message.latest_ms * 1000, now), bucket.instant(message.cost))
        assert bucket.fits_day(message.cost)
        limiters = [bucket]
        if self.splits:
            number = self._number(now, message.sender, numbers)
            at = max(at, number.instant(message.cost))
            assert number.fits_day(message.cost)
            limiters.append(number)
        assert at <= now, "before its time"
        assert not self.limits.in_flight or self.flying < self.limits.in_flight
        for limiter in limiters:
            limiter.spend(at, message.cost)
        self.flying += 1
        self.waiting.remove(message)
        return message, at

    def _check_rest(self, now, base, room, bucket, numbers):
        """Check that a limit stops each row's first message. Return whether a large one ended the day."""
        if room <= 0 or (self.limits.in_flight and self.flying >= self.limits.in_flight):
            return False
        heads = {}
        for message in self.waiting:
            heads.setdefault(message.sender if self.splits else "", message)
        tokens = (
            now + bucket.burst * bucket.interval - max(bucket.tat, bucket.floor, base)
        ) // bucket.interval
        if tokens < 1 or (bucket.cap and bucket.used >= bucket.cap):
            return False
        for message in heads.values():
            if not bucket.fits_day(message.cost):
                bucket.used = max(bucket.used, bucket.cap)
                return True
            if bucket.instant(message.cost) <= now:
                assert self.splits, "it could have gone"
                number = self._number(now, message.sender, numbers)
                free = number.fits_day(message.cost) and number.instant(message.cost) <= now
                assert not free, "it could have gone"
        return False

    def _next(self, now, bucket):
        if self.limits.in_flight and self.flying >= self.limits.in_flight:
            self.full = True
            return now + IN_FLIGHT_FOR
        if bucket.cap and bucket.used >= bucket.cap:
            return now + FULL_FOR
        at = bucket.instant(1)
        if at <= now:
            return now
        return max(at, now + GATHER) if bucket.interval < GATHER else at

    def _row(self, sender):
        return [message for message in self.waiting if not self.splits or message.sender == sender]

    def _refund(self, now, bucket, cap, units):
        """What was not sent leaves the day's cap, unless another day may have begun since it was claimed."""
        if cap and bucket.day_ms <= now // 1000 - LONGEST_CLAIM_MS and bucket.used >= units:
            bucket.used -= units

    def _rouse(self, now):
        self.ready = now if self.ready is None else min(self.ready, now)

    def _release(self, now):
        if self.ready is not None:
            self.ready = min(self.ready, now)


def exceeds(dated, interval, burst):
    """Return whether more went in any window than the rate and the burst allow; `dated`: (instant, units).

    A message that is larger than the burst goes beyond it by as much.
    """
    level, last = 0, None
    for at, units in sorted(dated):
        level = max(0, level - (at - last if last is not None else 0)) + units * interval
        last = at
        if level > (burst + max(units - burst, 0)) * interval:
            return True
    return False
