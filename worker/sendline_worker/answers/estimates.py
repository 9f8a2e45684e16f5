"""About when messages will have gone, if nothing new is accepted: a fluid simulation of what claims do.

Pure: how accounts and rows stand comes in. Every account's rate flows to its rows: urgent before normal
before bulk, but for the parts kept for the lower lanes; within a lane its lines share equally, and the rows
of a line by their weights. A step ends when a row is empty or a limit changes. `in_flight` and what one
sender may send a day are not reckoned with.
"""

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sendline.contract.lane import LANE_CODES, Lane
from sendline.contract.message import instant
from sendline_worker.answers.flowing import Flow, Stream, share_out
from sendline_worker.answers.reasons import choose
from sendline_worker.answers.spelling import rounded, spell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
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
NOTHING: Final = "nothing waits there"


@dataclass(frozen=True, slots=True)
class Estimate:
    """About when something will have gone."""

    at: "datetime | None"
    """None: it can't be said."""
    because: str
    """What it depends on, or why it can't be said."""


@dataclass(frozen=True, slots=True)
class Scene:
    """How everything stands at one instant."""

    now: int
    """Microseconds of the server's clock."""
    accounts: "Mapping[str, AccountState]"
    """Those that are known; rows whose turn is at another one are no concern of theirs."""
    rows: "Sequence[Row]"
    shares: tuple[float, float] = (0.05, 0.05)
    """The parts of an account's rate that are kept for normal and for bulk messages."""
    size: float = 1.0
    """Segments of a message, for accounts that count them."""


@dataclass(slots=True)
class _Run:
    """One simulation. Times are seconds from the scene's instant."""

    scene: Scene
    flows: dict[str, Flow] = field(init=False)
    streams: list[Stream] = field(init=False)
    at: float = field(init=False)

    def __post_init__(self) -> None:
        accounts = self.scene.accounts.values()
        self.flows = {a.name: Flow(a, self.scene.now, self.scene.size) for a in accounts if _can(a)}
        self.streams = [Stream(row, self.scene.now) for row in self.scene.rows if row.length]
        for stream in self.streams:
            first = next((self.flows[name] for name in stream.names if name in self.flows), None)
            stream.held -= 1 / first.sender_speed if first is not None else 0.0  # then its first message goes
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
    return _told(scene, stream, _rivals(scene))


def estimates(scene: Scene) -> list[Estimate]:
    """Return about when each row of the scene will be empty."""
    run = _Run(scene)
    run.until([stream for stream in run.streams if _stuck(scene, stream.row) is None])
    streams = {id(stream.row): stream for stream in run.streams}
    rivals = _rivals(scene)
    nothing = Estimate(instant(scene.now / 1000), NOTHING)
    return [_told(scene, streams[id(r)], rivals) if id(r) in streams else nothing for r in scene.rows]


def _rivals(scene: Scene) -> Counter[tuple[str, Lane]]:
    """Return, by account and lane, how many rows go before those of the lane or take turns with them."""
    found: Counter[tuple[str, Lane]] = Counter()
    for row in scene.rows:
        if row.length:
            lanes = list(Lane)[list(Lane).index(row.lane) :]
            found.update((name, lane) for name in row.route.split(",") for lane in lanes)
    return found


def _can(account: "AccountState") -> bool:
    return bool(account.interval) and account.halted is None and account.stopped is None


def _told(scene: Scene, stream: Stream, rivals: Counter[tuple[str, Lane]]) -> Estimate:
    stuck = _stuck(scene, stream.row)
    if stuck is not None:
        return Estimate(None, stuck)
    if stream.done_at is None:
        return Estimate(None, "it is more than a year ahead, or depends on too much to say")
    at = instant(scene.now / 1000 + max(stream.done_at, 0.0) * 1000)
    return Estimate(at, _because(scene, stream, rivals))


def _stuck(scene: Scene, row: "Row") -> str | None:
    """Return why a row goes nowhere until somebody or something changes that, or None."""
    if not row.route:
        return "No account was known when it was accepted."
    known = [scene.accounts[name] for name in row.route.split(",") if name in scene.accounts]
    if any(_can(account) for account in known) or len(known) < len(row.route.split(",")):
        return None
    chosen, passed = choose(known, scene.now)
    if chosen is not None:
        return f"Account {chosen.name} is tried with one message now: only if it works, the others follow."
    return " ".join(sentence for reason in passed for sentence in reason.said)


def _because(scene: Scene, stream: Stream, rivals: Counter[tuple[str, Lane]]) -> str:
    known = [scene.accounts[name] for name in stream.names if name in scene.accounts]
    chosen, passed = choose(known, scene.now)
    account = chosen if chosen is not None and _can(chosen) else next(each for each in known if _can(each))
    full, lowered = rounded(account.rate or 0), rounded(1_000_000 / account.pace(scene.now))
    parts = [f"account {account.name} sends {full:g} a second"]
    if lowered < full:
        parts = [
            f"account {account.name} sends {lowered:g} of its {full:g} a second, and its rate climbs back"
        ]
    if account.is_paused(scene.now):
        parts.append(f"after a pause of {spell(account.paused_until / 1000 - scene.now / 1_000_000)}")
    others = rivals[account.name, stream.row.lane] - 1
    if others:
        parts.append(
            f"{others} other {'row takes' if others == 1 else 'rows take'} turns with it or go before"
        )
    left = account.cap - account.used_today(scene.now)
    if account.cap and stream.went > left:
        parts.append(f"at most {account.cap} a day")
    parts += [f"account {reason.account} sends nothing now" for reason in passed[:1] if chosen is not None]
    return ", ".join(parts)


def competes(row: "Row", other: "Row", account: str) -> bool:
    """Return whether messages of `row` go before, or take turns with, those of `other` at an account."""
    before = LANE_CODES[row.lane] <= LANE_CODES[other.lane]
    return row is not other and row.length > 0 and row.serves(account) and before
