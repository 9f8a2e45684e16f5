"""Where messages wait: lines (a lane and a route) and their rows, as people are told of them."""

from dataclasses import dataclass
from hashlib import sha1
from typing import TYPE_CHECKING, Any, Final

from sendline.contract.lane import LANE_CODES, Lane
from sendline.contract.message import instant
from sendline.ledger.call import Call
from sendline.ledger.keys import KEYS, line_key
from sendline.ledger.work import read_record

if TYPE_CHECKING:
    from datetime import datetime

    from sendline.contract.message import Message
    from sendline.ledger.connection import Ledger

LINES_SHOWN: Final = 1000
"""Lines of a lane, and rows of a line, that are read at most."""
SENDER_MARK: Final = 12
"""Characters that stand for a sender in the name of a row: see lines.lua."""


@dataclass(frozen=True, slots=True)
class Row:
    """Messages of a lane and route, of one campaign or sender where those take turns: first in, first out."""

    lane: Lane
    route: str
    """Account names joined by commas; empty: their route is not known yet."""
    name: str
    """Empty for the row of messages without a campaign."""
    length: int
    ready_at: int | None = None
    """When something of its line may go, in microseconds; None: nothing is announced."""
    held_until: int | None = None
    """Until when the limit of its sender holds it, in microseconds; None: it takes its turns."""
    turn: float = 0
    """The row of a line with the least turn goes first."""
    weight: float = 1
    since: "datetime | None" = None
    """When the message at its head was accepted."""

    @property
    def campaign(self) -> str:
        """Return the campaign whose messages it holds; empty: they have none."""
        return self.name.partition("@")[0]

    def serves(self, account: str) -> bool:
        """Return whether the account may carry what waits here."""
        return account in self.route.split(",")


def read_rows(ledger: "Ledger") -> list[Row]:
    """Return the rows in which anything waits, at most LINES_SHOWN lines a lane. Raises LedgerError."""
    rows = []
    for lane in Lane:
        for route, ready_at in [("", None), *ledger.run(_ready(lane))]:
            rows += _rows_of(ledger, lane, route, ready_at)
    return rows


def row_name(ledger: "Ledger", message: "Message") -> str:
    """Return the name of the row in which a message stands, as lines.lua gives it. Raises LedgerError."""
    split = (ledger.run(Call("HGET", [KEYS["meta"], "split"], _maybe_bytes)) or b"").decode()
    row = (message.campaign or "") if message.lane is Lane.BULK and message.route else ""
    if any(f",{name}," in split for name in message.route):
        row += "@" + mark_of((message.sender or "").encode())
    return row


def mark_of(sender: bytes) -> str:
    """Return what stands for a sender in the name of a row: see lines.lua. Empty: the account's first."""
    return sha1(sender, usedforsecurity=False).hexdigest()[:SENDER_MARK] if sender else ""


def _rows_of(ledger: "Ledger", lane: Lane, route: str, ready_at: int | None) -> list[Row]:
    line = f"{LANE_CODES[lane]}:{route}"
    turns = ledger.run(_scores(KEYS["rows"] + line)) if route else {"": 0.0}
    held = ledger.run(_scores(KEYS["held"] + line)) if route else {}
    rows = []
    for name in dict.fromkeys([*turns, *held]):
        length = ledger.run(Call("LLEN", [line_key(LANE_CODES[lane], route, name)], int))
        if length:
            row = Row(lane, route, name, length, ready_at, _whole(held.get(name)), turns.get(name, 0.0))
            rows.append(_filled(ledger, row))
    return rows


def _filled(ledger: "Ledger", row: Row) -> Row:
    campaign = row.campaign
    weight = ledger.run(weight_of(campaign)) if campaign else 1.0
    key = line_key(LANE_CODES[row.lane], row.route, row.name)
    head = ledger.run(Call("LINDEX", [key, 0], _maybe_bytes))
    record = ledger.run(read_record(head)) if head else None
    since = instant(record.created) if record else None
    return Row(
        row.lane, row.route, row.name, row.length, row.ready_at, row.held_until, row.turn, weight, since
    )


def weight_of(campaign: str) -> Call[float]:
    """Read the weight by which a campaign takes turns with others."""
    return Call("HGET", [KEYS["weights"], campaign], lambda reply: float(reply or 1))


def weigh(campaign: str, weight: float) -> Call[int]:
    """Set the weight by which a campaign takes turns: one with weight 2 sends twice as much as one with 1."""
    if weight == 1:
        return Call("HDEL", [KEYS["weights"], campaign], int)
    return Call("HSET", [KEYS["weights"], campaign, weight], int)


def _ready(lane: Lane) -> Call[list[tuple[str, int]]]:
    def read(reply: Any) -> list[tuple[str, int]]:
        pairs = zip(reply[::2], reply[1::2], strict=True)
        return [(route.decode(), int(float(at))) for route, at in pairs]

    key = f"{KEYS['ready']}{LANE_CODES[lane]}"
    return Call("ZRANGE", [key, 0, LINES_SHOWN - 1, "WITHSCORES"], read)


def _scores(key: str) -> Call[dict[str, float]]:
    def read(reply: Any) -> dict[str, float]:
        pairs = zip(reply[::2], reply[1::2], strict=True)
        return {name.decode(): float(score) for name, score in pairs}

    return Call("ZRANGE", [key, 0, LINES_SHOWN - 1, "WITHSCORES"], read)


def _whole(number: float | None) -> int | None:
    return None if number is None else int(number)


def _maybe_bytes(reply: Any) -> bytes | None:
    return None if reply is None else bytes(reply)
