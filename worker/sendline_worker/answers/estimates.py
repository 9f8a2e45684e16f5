"""About when messages will have gone, if nothing new is accepted: a fluid simulation of what claims do.

Pure: how accounts and rows stand comes in. Every account's rate flows to its rows: urgent before normal
before bulk, but for the parts kept for the lower lanes; within a lane its lines share equally, and the rows
of a line by their weights. A step ends when a row is empty or a limit changes. `in_flight` and what one
sender may send a day are not reckoned with: see `left_out`.
"""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sendline.contract.lane import LANE_CODES, Lane
from sendline.contract.message import instant
from sendline_worker.answers.flowing import Flow, Stream, share_out, weigh
from sendline_worker.answers.reasons import STATES, choose, tried
from sendline_worker.answers.spelling import a_second, counted, rounded, spell

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from sendline.ledger.account_state import AccountState
    from sendline.ledger.lines import Row

STEPS: Final = 4000
"""Steps of one simulation, at most."""
FARTHEST: Final = 366 * 86400.0
"""Seconds ahead, from which on nothing is said."""
MANY: Final = 50
"""Rows from which on those that are empty at about the same time end one step."""
COARSE: Final = 0.005
"""What is about the same time, as a part of the time until then."""
NOTHING: Final = "Nothing waits there."
FAR: Final = "It is more than a year ahead, or depends on too much to say."


_Counts = dict[tuple[str, Lane], int]
"""How many rows compete, by account and lane: reckoned once for all that ask."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """About when something will have gone."""

    at: "datetime | None"
    """None: it can't be said."""
    because: str
    """What it depends on, or why it can't be said: sentences."""
    word: str = ""
    """Why it can't be said, in a word or two."""


@dataclass(frozen=True, slots=True)
class Scene:
    """How everything stands at one instant."""

    now: int
    """Microseconds of the server's clock."""
    accounts: "Mapping[str, AccountState]"
    """Those that are known; rows whose turn is at another one are no concern of theirs."""
    rows: "Sequence[Row]"
    shares: tuple[float, float]
    """The parts of an account's rate that are kept for normal and for bulk messages."""


@dataclass(slots=True)
class _Run:
    """One simulation. Times are seconds from the scene's instant."""

    scene: Scene
    flows: dict[str, Flow] = field(init=False)
    streams: list[Stream] = field(init=False)
    at: float = field(init=False)

    def __post_init__(self) -> None:
        accounts = self.scene.accounts.values()
        self.flows = {a.name: Flow(a, self.scene.now) for a in accounts if _can(a)}
        self.streams = [Stream(row, self.scene.now) for row in self.scene.rows if row.length]
        for stream in self.streams:
            first = next((self.flows[name] for name in stream.names if name in self.flows), None)
            if first is not None:
                stream.held -= first.cost(stream.row) / first.sender_speed  # then its first message goes
        self.at = min([0.0, *(flow.start for flow in self.flows.values())])

    def until(self, wanted: list[Stream]) -> bool:
        """Run until all `wanted` have got as far as they want; return False where they don't."""
        for _ in range(STEPS):
            if all(stream.done_at is not None for stream in wanted):
                return True
            if self.at > FARTHEST or not self._step():
                return False
        return False

    def _step(self) -> bool:
        waiting = [stream for stream in self.streams if stream.left > 0]
        self._assign(waiting)
        events = [event for flow in self.flows.values() for event in flow.events(self.at)]
        events += [stream.held - self.at for stream in waiting if stream.held > self.at]
        empty = min((s.left / s.speed for s in waiting if s.speed > 0), default=math.inf)
        if len(waiting) > MANY:
            empty = max(empty, COARSE * max(self.at, 0))
        length = min([empty, *events])
        if math.isinf(length):
            return False
        for stream in waiting:
            stream.advance(self.at, length)
        self.at += length
        for flow in self.flows.values():
            flow.advance(self.at, length)
        return True

    def _assign(self, waiting: list[Stream]) -> None:
        weigh(waiting)
        served: dict[str, list[Stream]] = {}
        for stream in waiting:
            stream.speed = 0.0
            name = None if stream.held > self.at else self._carrier(stream)
            if name in self.flows:
                served.setdefault(name, []).append(stream)
        for name, flow in self.flows.items():
            flow.speed = share_out(flow, self.at, served.get(name, []), self.scene.shares)

    def _carrier(self, stream: Stream) -> str | None:
        for name in stream.names:
            if name not in self.scene.accounts or (name in self.flows and not self.flows[name].is_spent):
                return name
        return None


def estimate(scene: Scene, row: "Row", number: int | None = None) -> Estimate:
    """Return about when the first `number` messages of a row will have gone; None: all of them."""
    run = _Run(scene)
    stream = next((stream for stream in run.streams if stream.row is row), None)
    if stream is None:
        return Estimate(instant(scene.now / 1000), NOTHING)
    if number is not None:
        stream.want(number)
    run.until([stream])
    return _told(scene, stream, {})


def estimates(scene: Scene) -> list[Estimate]:
    """Return about when each row of the scene will be empty."""
    run = _Run(scene)
    run.until([stream for stream in run.streams if _stuck(scene, stream.row) is None])
    streams = {id(stream.row): stream for stream in run.streams}
    counts: _Counts = {}
    nothing = Estimate(instant(scene.now / 1000), NOTHING)
    return [_told(scene, streams[id(r)], counts) if id(r) in streams else nothing for r in scene.rows]


def rivals(rows: "Iterable[Row]", account: str, lane: Lane) -> "list[Row]":
    """Return the rows that go before those of a lane at an account, or take turns with them: its own, too."""
    return [
        row for row in rows if row.length and LANE_CODES[row.lane] <= LANE_CODES[lane] and row.serves(account)
    ]


def left_out(account: "AccountState") -> str:
    """Return which limits of an account no estimate reckons with, in a sentence; empty: it has none."""
    limits = (("in_flight", account.in_flight), ("sender_daily_cap", account.s_cap))
    names = [name for name, limit in limits if limit]
    if not names:
        return ""
    verb = "are" if len(names) > 1 else "is"
    return f"The {' and '.join(names)} of account {account.name} {verb} not reckoned with."


def _can(account: "AccountState") -> bool:
    return bool(account.interval) and account.halted is None and account.stopped is None


def _told(scene: Scene, stream: Stream, counts: _Counts) -> Estimate:
    stuck = _stuck(scene, stream.row)
    if stuck is not None:
        return stuck
    if stream.done_at is None:
        return Estimate(None, FAR, "can't be said")
    at = instant(scene.now / 1000 + max(stream.done_at, 0.0) * 1000)
    return Estimate(at, _because(scene, stream, counts))


def _stuck(scene: Scene, row: "Row") -> Estimate | None:
    """Return why a row goes nowhere until somebody or something changes that, or None."""
    if not row.route:
        return Estimate(None, "No account was known when it was accepted.", "no route")
    known = [scene.accounts[name] for name in row.route.split(",") if name in scene.accounts]
    if any(_can(account) for account in known) or len(known) < len(row.route.split(",")):
        return None
    chosen, passed = choose(known, scene.now)
    trial = None if chosen is None else tried(chosen)
    reasons = passed if trial is None else (trial,)
    told = " ".join(sentence for reason in reasons for sentence in reason.said)
    return Estimate(None, told, STATES[reasons[0].limit])


def _because(scene: Scene, stream: Stream, counts: _Counts) -> str:
    known = [scene.accounts[name] for name in stream.names if name in scene.accounts]
    chosen, passed = choose(known, scene.now)
    account = chosen if chosen is not None and _can(chosen) else next(each for each in known if _can(each))
    full, lowered = rounded(account.rate or 0), rounded(1_000_000 / account.pace(scene.now))
    parts = [f"Account {account.name} sends {a_second(full, account.unit)}"]
    if lowered < full:
        part = f"{lowered:g} of its {a_second(full, account.unit)}"
        parts = [f"Account {account.name} sends {part}, and its rate climbs back"]
    if account.is_paused(scene.now):
        parts.append(f"after a pause of {spell(account.paused_until / 1000 - scene.now / 1_000_000)}")
    key = (account.name, stream.row.lane)
    if key not in counts:
        counts[key] = len(rivals(scene.rows, *key))
    others = counts[key] - 1
    if others:
        takes, goes = ("takes", "goes") if others == 1 else ("take", "go")
        parts.append(f"{counted(others, 'other row')} {takes} turns with it or {goes} before")
    left = account.cap - account.used_today(scene.now)
    if account.cap and stream.went > left:
        parts.append(f"at most {account.cap}{'' if account.unit == 'messages' else f' {account.unit}'} a day")
    parts += [f"account {reason.account} sends nothing now" for reason in passed[:1] if chosen is not None]
    told = f"{', '.join(parts)}."
    return " ".join(filter(None, (told, left_out(account))))
