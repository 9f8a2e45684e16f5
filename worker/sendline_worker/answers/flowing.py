"""The parts of the simulation in estimates.py: an account's rate as it changes, and the rows it goes to."""

import math
from collections import Counter
from typing import TYPE_CHECKING, Final

from sendline.contract.lane import Lane

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sendline.ledger.account_state import AccountState
    from sendline.ledger.lines import Row

CLIMB_STEP: Final = 1.0
"""Seconds for which a rate that climbs is taken as the same: its mean."""
_LEAST: Final = 1e-9


class Flow:
    """One account's rate. Times are seconds from the instant of the scene."""

    def __init__(self, state: "AccountState", now: int) -> None:
        """Take an account as it stands at `now` (us)."""
        self._state, self._now = state, now
        pace = state.pace(max(now, state.paused_until * 1000))
        tat = state.spent_until(now)
        if state.paused_until:
            tat = max(tat, state.paused_until * 1000 + (state.burst - 1) * pace)
        self.start = (tat - state.burst * pace - now) / 1_000_000
        """As if it had sent at its rate since then: what it may send at once lies before 0."""
        self.speed = 0.0
        """Units a second that flow now."""
        self._used = float(state.used_today(now))
        self._midnight = self._next_midnight(0.0)

    @property
    def is_spent(self) -> bool:
        """Whether the day's cap is used up."""
        return bool(self._state.cap) and self._used >= self._state.cap - _LEAST

    @property
    def sender_speed(self) -> float:
        """Units a second that one sender may send."""
        return 1_000_000 / self._state.s_interval if self._state.s_interval else math.inf

    def cost(self, row: "Row") -> int:
        """Return the units that a message of a row costs."""
        return row.segments if self._state.unit == "segments" else 1

    def rate(self, at: float) -> float:
        """Return the units a second that it may send from `at` on, until the next event."""
        if at < self.start - _LEAST or self.is_spent:
            return 0.0
        middle = at + CLIMB_STEP / 2 if self._climbs(at) else at
        return 1_000_000 / self._state.interval * self._fraction(middle)

    def events(self, at: float) -> "Iterator[float]":
        """Return in how many seconds its rate may change."""
        if at < self.start - _LEAST:
            yield self.start - at
        elif self._climbs(at):
            yield CLIMB_STEP
        if self._state.cap and self._used > 0:
            yield self._midnight - at
        if self._state.cap and self.speed > 0:
            yield (self._state.cap - self._used) / self.speed

    def advance(self, at: float, seconds: float) -> None:
        """Let `seconds` pass, up to `at`."""
        self._used += self.speed * seconds
        if self._state.cap and at >= self._midnight - _LEAST:
            self._used, self._midnight = 0.0, self._next_midnight(at + 0.001)

    def _climbs(self, at: float) -> bool:
        return self._state.eased is not None and self._fraction(at) < 1

    def _fraction(self, at: float) -> float:
        return self._state.fraction(self._now + round(max(at, 0.0) * 1_000_000))

    def _next_midnight(self, at: float) -> float:
        return (
            self._state.day_ends(self._now + round(max(at, 0.0) * 1_000_000)) / 1000 - self._now / 1_000_000
        )


class Stream:
    """One row: how much is left of it, and how fast it goes."""

    def __init__(self, row: "Row", now: int) -> None:
        """Take a row as it stands at `now` (us)."""
        self.row = row
        self.names = row.route.split(",") if row.route else []
        self.left = float(row.length)
        self.held = (row.held_until - now) / 1_000_000 if row.held_until is not None else -math.inf
        self.sender = row.sender or ""
        self.weight = row.weight
        """By which it takes turns: its campaign's, or its part of that."""
        self.speed = 0.0
        """Messages a second."""
        self.went = 0.0
        self.done_at: float | None = None
        """When as many have gone as are wanted."""
        self._wanted = float(row.length)

    def want(self, number: int) -> None:
        """Ask when the first `number` have gone, not all."""
        self._wanted = float(min(max(number, 1), self.row.length))

    def advance(self, at: float, seconds: float) -> None:
        """Let `seconds` pass from `at` on."""
        gone = min(self.speed * seconds, self.left)
        if self.done_at is None and self.speed > 0 and self.went + gone >= self._wanted - _LEAST:
            self.done_at = at + (self._wanted - self.went) / self.speed
        self.went += gone
        self.left = 0.0 if self.left - gone < _LEAST * self.row.length else self.left - gone


def share_out(flow: Flow, at: float, streams: "Sequence[Stream]", shares: tuple[float, float]) -> float:
    """Give each of the rows that an account carries its speed. Returns the units a second of all of them."""
    rate = flow.rate(at)
    if rate <= 0 or not streams:
        return 0.0
    ceilings = _ceilings(flow, streams)
    lanes = [[stream for stream in streams if stream.row.lane is lane] for lane in Lane]
    kept = [
        min(share * rate, sum(ceilings[id(stream)] for stream in lane))
        for share, lane in zip((0.0, *shares), lanes, strict=True)
    ]
    left = rate
    for place, lane in enumerate(lanes):
        if lane:
            left -= _fill(left - sum(kept[place + 1 :]), _parts(lane), ceilings)
    for stream in streams:
        stream.speed /= flow.cost(stream.row)
    return rate - left


def _ceilings(flow: Flow, streams: "Iterable[Stream]") -> dict[int, float]:
    """Return the most units a second that each row may take: rows of one sender share what it may."""
    if math.isinf(flow.sender_speed):
        return {id(stream): math.inf for stream in streams}
    rows: dict[str, int] = {}
    for stream in streams:
        rows[stream.sender] = rows.get(stream.sender, 0) + 1
    return {id(stream): flow.sender_speed / rows[stream.sender] for stream in streams}


def weigh(waiting: "Sequence[Stream]") -> None:
    """Let the rows of one campaign in one line, of which there is one for each sender, share its weight."""
    rows = Counter((stream.row.lane, stream.row.route, stream.row.campaign) for stream in waiting)
    for stream in waiting:
        row = stream.row
        stream.weight = row.weight / (rows[row.lane, row.route, row.campaign] if row.campaign else 1)


def _parts(lane: "Iterable[Stream]") -> list[tuple[Stream, float]]:
    """Return what each row of a lane counts: its lines count the same, and their rows by their weights."""
    lines: dict[str, float] = {}
    for stream in lane:
        lines[stream.row.route] = lines.get(stream.row.route, 0.0) + stream.weight
    return [(stream, stream.weight / lines[stream.row.route]) for stream in lane]


def _fill(speed: float, parts: list[tuple[Stream, float]], ceilings: dict[int, float]) -> float:
    """Share `speed` by parts; what a row may not take goes to the others. Returns how much is used."""
    left = speed
    while parts and left > _LEAST:
        each = left / sum(part for _, part in parts)
        full = [(stream, part) for stream, part in parts if ceilings[id(stream)] <= each * part]
        for stream, part in full or parts:
            stream.speed = min(ceilings[id(stream)], each * part)
            left -= stream.speed
        parts = [(s, part) for s, part in parts if ceilings[id(s)] > each * part] if full else []
    return speed - max(left, 0.0)
