"""Reads that answer *why is it still waiting*: accounts, lines, and whether anybody works."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sendline.contract import ids
from sendline.contract.lane import LANE_CODES
from sendline.contract.status import WAITING
from sendline.ledger.account_state import AccountState, account_state
from sendline.ledger.call import Argument, Call
from sendline.ledger.campaigns import read_campaign
from sendline.ledger.keys import KEYS, line_key
from sendline.ledger.lines import Row, maybe_bytes, places_of, read_row, read_rows
from sendline.ledger.recovery import state
from sendline.ledger.scripts import script

if TYPE_CHECKING:
    from sendline.contract.campaign import Progress
    from sendline.contract.message import Message
    from sendline.ledger.connection import Ledger
    from sendline.ledger.limits import Limits

SEARCHED: Final = 100_000
"""Places of a line that are searched for a message."""
LINES_WATCHED: Final = 100
"""Lines whose messages one look of the watch counts."""

_LANE_NAMES: Final = {code: str(lane) for lane, code in LANE_CODES.items()}


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
class Standing:
    """What a waiting message waits for."""

    pulse: Pulse
    accounts: tuple[AccountState, ...] = ()
    """Those of its route, in its order."""
    row: Row | None = None
    """Where it stands, if it does."""
    ahead: int | None = None
    """Messages before it in its row; None: more than are searched, or it was not found."""
    timer_at: int | None = None
    """When the tick looks at it, in milliseconds."""
    rows: tuple[Row, ...] = ()
    """Everything that waits for an account of its route."""
    campaign: "Progress | None" = None
    """Where its campaign stands, if it has one."""

    @property
    def is_missing(self) -> bool:
        """Return whether a message that belongs into a line was found nowhere in it, all of it searched."""
        return self.ahead is None and (self.row is None or self.row.length <= SEARCHED)


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
    """Read when messages were last claimed, in microseconds; None: never, or not that is known."""
    return Call("HGET", [KEYS["meta"], "claimed_at"], lambda reply: int(reply) if reply else None)


def read_pulse(ledger: "Ledger") -> Pulse:
    """Return whether anybody works. Raises LedgerError."""
    now = ledger.run(clock())
    queue = ledger.run(Call("HGET", [KEYS["wake"], "queue"], maybe_bytes))
    return Pulse(
        now=now,
        configured=queue is not None,
        ticking=ledger.run(Call("EXISTS", [KEYS["tick"]], lambda reply: reply == 1)),
        awake=ledger.run(Call("ZCOUNT", [KEYS["awake"], now // 1000, "+inf"], int)),
        wakes=ledger.run(Call("LLEN", [queue], int)) if queue else 0,
        behind=ledger.run(state()).behind is not None,
    )


def read_standing(ledger: "Ledger", message: "Message") -> Standing:
    """Return what `message` waits for. Raises LedgerError."""
    pulse = read_pulse(ledger)
    raw = ids.to_bytes(message.id) or b""
    accounts = tuple(ledger.run(account_state(name)) for name in message.route)
    timer_at = ledger.run(Call("ZSCORE", [KEYS["timers"], raw], _maybe_number))
    if message.status not in WAITING:
        return Standing(pulse, accounts, timer_at=timer_at)
    found = ledger.run(read_campaign(message.campaign)) if message.campaign else None
    campaign = found.progress if found else None
    if message.due_at is not None:
        return Standing(pulse, accounts, timer_at=timer_at, campaign=campaign)
    counted = any(account.unit == "segments" for account in accounts)
    rows = tuple(read_rows(ledger, message.route or ("",), heads=counted))
    own, ahead = _find(ledger, message, rows)
    if own is not None and own not in rows:
        rows = (own, *rows)
    return Standing(pulse, accounts, own, ahead, timer_at, rows, campaign)


def _find(ledger: "Ledger", message: "Message", rows: tuple[Row, ...]) -> tuple[Row | None, int | None]:
    """Return the row in which a message stands, and how many before it; else the longest where it may."""
    lane, route = message.lane, ",".join(message.route)
    longest: Row | None = None
    for name in places_of(ledger, message):
        key = line_key(LANE_CODES[lane], route, name)
        place: list[Argument] = [key, ids.to_bytes(message.id) or b"", "MAXLEN", SEARCHED]
        ahead = ledger.run(Call("LPOS", place, _maybe_number))
        known = next((row for row in rows if (row.lane, row.route, row.name) == (lane, route, name)), None)
        row = known or read_row(ledger, lane, route, name)
        if ahead is not None:
            return row, ahead
        if row is not None and (longest is None or row.length > longest.length):
            longest = row
    return longest, None


def _maybe_number(reply: Any) -> int | None:
    return None if reply is None else int(float(reply))
