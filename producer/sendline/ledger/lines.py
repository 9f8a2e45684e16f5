"""Where messages wait: lines (a lane and a route) and their rows, as people are told of them."""

from dataclasses import dataclass, replace
from hashlib import sha1
from typing import TYPE_CHECKING, Any, Final

from sendline.contract import ids
from sendline.contract.lane import LANE_CODES, Lane
from sendline.contract.message import instant
from sendline.ledger.call import Call
from sendline.ledger.keys import KEYS, line_key, message_key
from sendline.ledger.record import Record, readable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime

    from sendline.contract.message import Message
    from sendline.ledger.connection import Ledger

LINES_READ: Final = 1000
"""Lines of a lane that are read at most."""
ROWS_READ: Final = 5000
"""Rows that are read at most, of all lines."""
AT_ONCE: Final = 100
"""Weights or records that are read by one call."""
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
    """When the message at its head was accepted, also where that was not to be sent at once."""
    segments: int = 1
    """Of the message at its head, at least 1: what its messages cost where segments are counted."""

    @property
    def campaign(self) -> str:
        """Return the campaign whose messages it holds; empty: they have none."""
        return parts_of_name(self.name)[0]

    @property
    def sender(self) -> str | None:
        """Return what stands for the sender of its messages, see `mark_of`; None: they are of all senders."""
        return parts_of_name(self.name)[1]

    def serves(self, account: str) -> bool:
        """Return whether the account may carry what waits here."""
        return account in self.route.split(",")


def parts_of_name(name: str) -> tuple[str, str | None]:
    """Return the campaign, and what stands for the sender, in a row's name; None: it is of all senders."""
    head, at, mark = name.partition("@")
    return head.partition("#")[0], mark if at else None


def zones_of_name(name: str) -> str:
    """Return the key of the time zones whose recipients a row is for; empty: it is for all."""
    return name.partition("@")[0].partition("#")[2]


def read_rows(
    ledger: "Ledger", accounts: "Collection[str] | None" = None, *, heads: bool = True
) -> list[Row]:
    """Return the rows in which anything waits for one of `accounts`, ROWS_READ at most; None: for any.

    An empty name stands for what has no route yet. Without `heads`, nothing is read of the messages
    themselves: rows have no `since`, and one segment. Raises LedgerError.
    """
    rows: list[Row] = []
    for lane in Lane:
        for route, ready_at in [("", None), *ledger.run(_ready(lane))]:
            if accounts is None or not set(route.split(",")).isdisjoint(accounts):
                rows += _rows_of(ledger, lane, route, ready_at, ROWS_READ - len(rows))
    rows = _weighed(ledger, rows)
    return _headed(ledger, rows) if heads else rows


def read_row(ledger: "Ledger", lane: Lane, route: str, name: str) -> Row | None:
    """Return one row without its head, None where nothing waits there. Raises LedgerError."""
    line = f"{LANE_CODES[lane]}:{route}"
    length = ledger.run(_length(lane, route, name))
    if not length:
        return None
    ready_at = ledger.run(_score(f"{KEYS['ready']}{LANE_CODES[lane]}", route))
    turn, held = (ledger.run(_score(KEYS[kind] + line, name)) for kind in ("rows", "held"))
    [row] = _weighed(ledger, [Row(lane, route, name, length, _whole(ready_at), _whole(held), turn or 0.0)])
    return row


def places_of(ledger: "Ledger", message: "Message") -> tuple[str, ...]:
    """Return the names of the rows in which a message may stand, as lines.lua gives them. Raises LedgerError.

    The second is where it stands until the next claim, if accounts of its route have begun to limit what
    goes from one sender, or ceased to, since it was put there.
    """
    if not message.route:
        return ("",)
    split = (ledger.run(Call("HGET", [KEYS["meta"], "split"], maybe_bytes)) or b"").decode()
    whole = (message.campaign or "") if message.lane is Lane.BULK else ""
    if whole and (zones := ledger.run(_zones(message.id))):
        whole += f"#{zones}"
    by_sender = f"{whole}@{mark_of((message.sender or '').encode())}"
    if any(f",{name}," in split for name in message.route):
        return by_sender, whole
    return whole, by_sender


def _zones(message_id: str) -> Call[str]:
    def read(raw: bytes | None) -> str:
        record = readable(raw)
        return record.zones.decode() if record else ""

    return Call("GET", [message_key(ids.to_bytes(message_id) or b"")], read)


def mark_of(sender: bytes) -> str:
    """Return what stands for a sender in the name of a row: see lines.lua. Empty: the account's first."""
    return sha1(sender, usedforsecurity=False).hexdigest()[:SENDER_MARK] if sender else ""


def _rows_of(ledger: "Ledger", lane: Lane, route: str, ready_at: int | None, most: int) -> "Iterator[Row]":
    line = f"{LANE_CODES[lane]}:{route}"
    turns = ledger.run(_scores(KEYS["rows"] + line, most)) if route and most else {"": 0.0}
    held = ledger.run(_scores(KEYS["held"] + line, most)) if route and most else {}
    for name in dict.fromkeys([*turns, *held]):
        if most <= 0:
            return
        length = ledger.run(_length(lane, route, name))
        if length:
            most -= 1
            yield Row(lane, route, name, length, ready_at, _whole(held.get(name)), turns.get(name, 0.0))


def _weighed(ledger: "Ledger", rows: list[Row]) -> list[Row]:
    """Return the rows with their weights, read many at once."""
    campaigns = list(dict.fromkeys(row.campaign for row in rows if row.campaign))
    weights: dict[str, float] = {}
    for start in range(0, len(campaigns), AT_ONCE):
        some = campaigns[start : start + AT_ONCE]
        found = ledger.run(Call("HMGET", [KEYS["weights"], *some], list))
        weights |= {name: float(weight) for name, weight in zip(some, found, strict=True) if weight}
    return [replace(row, weight=weights.get(row.campaign, 1.0)) for row in rows]


def _headed(ledger: "Ledger", rows: list[Row]) -> list[Row]:
    """Return the rows with what is read of the messages at their heads, many at once."""
    ids: list[bytes | None] = []
    for row in rows:
        key = line_key(LANE_CODES[row.lane], row.route, row.name)
        ids.append(ledger.run(Call("LINDEX", [key, 0], maybe_bytes)))
    heads = [head for head in ids if head]
    records: dict[bytes, Record] = {}
    for start in range(0, len(heads), AT_ONCE):
        some = heads[start : start + AT_ONCE]
        found = ledger.run(Call("MGET", [message_key(head) for head in some], list))
        records |= {head: record for head, raw in zip(some, found, strict=True) if (record := readable(raw))}
    return [_with_head(row, records.get(head or b"")) for row, head in zip(rows, ids, strict=True)]


def _with_head(row: Row, record: Record | None) -> Row:
    if record is None:
        return row
    return replace(row, since=instant(record.created), segments=max(record.segments, 1))


def weigh(campaign: str, weight: float) -> Call[int]:
    """Set the weight by which a campaign takes turns: one with weight 2 sends twice as much as one with 1."""
    used = f"@{campaign}"  # since when it is unused (ending.lua) begins anew, also for the same weight
    if weight == 1:
        return Call("HDEL", [KEYS["weights"], campaign, used], int)
    return Call("HSET", [KEYS["weights"], campaign, weight, used, ""], int)


def _ready(lane: Lane) -> Call[list[tuple[str, int]]]:
    def read(reply: Any) -> list[tuple[str, int]]:
        pairs = zip(reply[::2], reply[1::2], strict=True)
        return [(route.decode(), int(float(at))) for route, at in pairs]

    key = f"{KEYS['ready']}{LANE_CODES[lane]}"
    return Call("ZRANGE", [key, 0, LINES_READ - 1, "WITHSCORES"], read)


def _scores(key: str, most: int) -> Call[dict[str, float]]:
    def read(reply: Any) -> dict[str, float]:
        pairs = zip(reply[::2], reply[1::2], strict=True)
        return {name.decode(): float(score) for name, score in pairs}

    return Call("ZRANGE", [key, 0, most - 1, "WITHSCORES"], read)


def _score(key: str, member: str) -> Call[float | None]:
    return Call("ZSCORE", [key, member], lambda reply: None if reply is None else float(reply))


def _length(lane: Lane, route: str, name: str) -> Call[int]:
    return Call("LLEN", [line_key(LANE_CODES[lane], route, name)], int)


def _whole(number: float | None) -> int | None:
    return None if number is None else int(number)


def maybe_bytes(reply: Any) -> bytes | None:
    """Return a reply of bytes, or None."""
    return None if reply is None else bytes(reply)
