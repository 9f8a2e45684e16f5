"""Reads that answer *why is it still waiting*: accounts, lines, and whether anybody works."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sendline.contract import ids
from sendline.contract.lane import LANE_CODES, Lane
from sendline.contract.message import instant
from sendline.contract.status import WAITING
from sendline.ledger.call import Argument, Call
from sendline.ledger.keys import KEYS, account_key, line_key
from sendline.ledger.recovery import state
from sendline.ledger.scripts import script
from sendline.ledger.work import read_record

if TYPE_CHECKING:
    from datetime import datetime

    from sendline.contract.message import Message
    from sendline.ledger.connection import Ledger
    from sendline.ledger.limits import Limits

SEARCHED: Final = 100_000
"""Places of a line that are searched for a message."""
LINES_SHOWN: Final = 1000
LINES_WATCHED: Final = 100
"""Lines whose messages one look of the watch counts."""

_ACCOUNT_FIELDS: Final = (
    "interval", "burst", "in_flight", "flying", "tat", "paused_until", "stopped", "cause",
)  # fmt: skip
_LANE_NAMES: Final = {code: str(lane) for lane, code in LANE_CODES.items()}


@dataclass(frozen=True, slots=True)
class AccountState:
    """What claims are held to for one account, and how it stands."""

    name: str
    interval: int | None = None
    """Microseconds between two messages; None: no worker is configured for it."""
    burst: int = 1
    in_flight: int = 0
    """Calls at the same time, at most; 0: no bound."""
    flying: int = 0
    """Calls under way."""
    tat: int = 0
    """When it has used up what it may send, in microseconds of the server's clock."""
    paused_until: int = 0
    """Milliseconds of the server's clock. Of a stopped account: when it is tried again."""
    stopped: str = ""
    """Why it is stopped; empty: it is not."""
    cause: str = ""
    """Why it was paused last."""

    @property
    def rate(self) -> float | None:
        """Messages a second."""
        return 1_000_000 / self.interval if self.interval else None


@dataclass(frozen=True, slots=True)
class Pulse:
    """Whether anybody works, and the server's clock in microseconds."""

    now: int
    configured: bool
    """A worker has started once since the ledger was empty."""
    ticking: bool
    """A worker runs: it kept house within the last seconds."""
    awake: int
    """Dispatchers that claim."""
    wakes: int
    """Wakes that no worker has taken yet."""
    behind: bool = False
    """The ledger came back from an older state: nothing is sent until `sendline recover`."""


@dataclass(frozen=True, slots=True)
class Line:
    """Where messages of one lane and one route wait."""

    lane: Lane
    route: str
    length: int
    ready_at: int | None = None
    """When something may go, in microseconds; None: nothing is announced."""
    since: "datetime | None" = None
    """When the message at its head was accepted."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a waiting message waits for."""

    pulse: Pulse
    accounts: tuple[AccountState, ...] = ()
    """Those of its route, in its order."""
    line: Line | None = None
    """Its line, where it stands in one."""
    ahead: int | None = None
    """Messages before it; None: more than are searched."""
    timer_at: int | None = None
    """When the tick looks at it, in milliseconds."""


@dataclass(frozen=True, slots=True)
class Flow:
    """Whether work that may go is claimed. Instants in microseconds of the server's clock."""

    now: int
    ready_at: int | None
    """The earliest instant at which something may go; None: nothing waits in any line."""
    claims: int
    """Claims so far, since the ledger was empty."""
    line: str = ""
    """The lane and the route of what may go first."""
    may_go: int = 0
    """Messages in the lines that may go now, of LINES_WATCHED in each lane at most."""
    halted: bool = False
    """The ledger is behind, so dispatching is stopped on purpose: nothing is claimed, as it must be."""

    @property
    def waits(self) -> float | None:
        """Seconds for which something may go and is not claimed; None where nothing may go now."""
        if self.ready_at is None or self.ready_at > self.now:
            return None
        return (self.now - self.ready_at) / 1_000_000


def account_state(name: str) -> Call[AccountState]:
    """Read how an account stands."""

    def read(reply: Any) -> AccountState:
        found = dict(zip(_ACCOUNT_FIELDS, reply, strict=True))
        numbers = {key: int(found[key] or 0) for key in _ACCOUNT_FIELDS[1:6]}
        return AccountState(
            name,
            interval=int(found["interval"]) if found["interval"] else None,
            stopped=(found["stopped"] or b"").decode(),
            cause=(found["cause"] or b"").decode(),
            **numbers,
        )

    return Call("HMGET", [account_key(name), *_ACCOUNT_FIELDS], read)


def clock() -> Call[int]:
    """Read the server's clock, in microseconds."""
    return Call("TIME", [], lambda reply: int(reply[0]) * 1_000_000 + int(reply[1]))


def sentinels() -> Call[int]:
    """Read how many Sentinels watch the server. It may forbid to ask."""
    return Call("PUBSUB", ["NUMSUB", "__sentinel__:hello"], lambda reply: int(reply[1]))


def info() -> Call[dict[str, str]]:
    """Read what the server tells of itself."""

    def read(reply: Any) -> dict[str, str]:
        lines = (line.partition(":") for line in reply.decode(errors="replace").splitlines())
        return {name: value for name, colon, value in lines if colon}

    return Call("INFO", [], read)


def flow(limits: "Limits") -> Call[Flow]:
    """Look whether work that may go is claimed."""

    def read(reply: Any) -> Flow:
        now, ready_at, claims, lane, route, may_go, halted = reply
        line = f"{_LANE_NAMES[lane]}, {route.decode()}" if ready_at else ""
        return Flow(now, ready_at or None, claims, line, may_go, halted == 1)

    return Call(script("watch"), [limits.packed, LINES_WATCHED], read)


def last_claim() -> Call[int | None]:
    """Read when a line was last claimed from, in microseconds; None: never, or not that is known."""
    return Call("HVALS", [KEYS["turns"]], lambda reply: max((int(float(at)) for at in reply), default=None))


def read_pulse(ledger: "Ledger") -> Pulse:
    """Return whether anybody works. Raises LedgerError."""
    now = ledger.run(clock())
    queue = ledger.run(Call("HGET", [KEYS["wake"], "queue"], _maybe_bytes))
    return Pulse(
        now=now,
        configured=queue is not None,
        ticking=ledger.run(Call("EXISTS", [KEYS["tick"]], lambda reply: reply == 1)),
        awake=ledger.run(Call("ZCOUNT", [KEYS["awake"], now // 1000, "+inf"], int)),
        wakes=ledger.run(Call("LLEN", [queue], int)) if queue else 0,
        behind=ledger.run(state()).behind is not None,
    )


def read_lines(ledger: "Ledger") -> list[Line]:
    """Return the lines in which anything waits, at most LINES_SHOWN of each lane. Raises LedgerError."""
    lines = []
    for lane in Lane:
        for route, ready_at in [("", None), *ledger.run(_ready(lane))]:
            length = ledger.run(_length(lane, route))
            if length:
                lines.append(Line(lane, route, length, ready_at, _since(ledger, lane, route)))
    return lines


def read_standing(ledger: "Ledger", message: "Message") -> Standing:
    """Return what `message` waits for. Raises LedgerError."""
    pulse = read_pulse(ledger)
    raw = ids.to_bytes(message.id) or b""
    accounts = tuple(ledger.run(account_state(name)) for name in message.route)
    timer_at = ledger.run(Call("ZSCORE", [KEYS["timers"], raw], _maybe_number))
    if message.status not in WAITING or message.due_at is not None:
        return Standing(pulse, accounts, timer_at=timer_at)
    route = ",".join(message.route)
    lane = message.lane
    ready_at = ledger.run(Call("ZSCORE", [_ready_key(lane), route], _maybe_number))
    line = Line(lane, route, ledger.run(_length(lane, route)), ready_at)
    place: list[Argument] = [line_key(LANE_CODES[lane], route), raw, "MAXLEN", SEARCHED]
    ahead = ledger.run(Call("LPOS", place, _maybe_number))
    return Standing(pulse, accounts, line, ahead, timer_at)


def _maybe_number(reply: Any) -> int | None:
    return None if reply is None else int(float(reply))


def _maybe_bytes(reply: Any) -> bytes | None:
    return None if reply is None else bytes(reply)


def _ready_key(lane: Lane) -> str:
    return f"{KEYS['ready']}{LANE_CODES[lane]}"


def _ready(lane: Lane) -> Call[list[tuple[str, int]]]:
    def read(reply: Any) -> list[tuple[str, int]]:
        pairs = zip(reply[::2], reply[1::2], strict=True)
        return [(route.decode(), int(float(at))) for route, at in pairs]

    return Call("ZRANGE", [_ready_key(lane), 0, LINES_SHOWN - 1, "WITHSCORES"], read)


def _length(lane: Lane, route: str) -> Call[int]:
    return Call("LLEN", [line_key(LANE_CODES[lane], route)], int)


def _since(ledger: "Ledger", lane: Lane, route: str) -> "datetime | None":
    key = line_key(LANE_CODES[lane], route)
    head = ledger.run(Call("LINDEX", [key, 0], _maybe_bytes))
    record = ledger.run(read_record(head)) if head else None
    return instant(record.created) if record else None
