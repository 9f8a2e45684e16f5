"""How messages are found again in memory: all are looked at, the newest first."""

from typing import TYPE_CHECKING, Final

from sendline.contract.errors import InvalidMessage
from sendline.contract.message import instant
from sendline.contract.page import Page
from sendline.ledger.record import Flag, Record
from sendline.producer.finding import LIMIT_MOST

if TYPE_CHECKING:
    from sendline.producer.finding import Search
    from sendline.testing.entry import Entry
    from sendline.testing.memory import Memory

_CURSOR: Final = "memory-"


def page(memory: "Memory", search: "Search", limit: int, cursor: str | None) -> Page:
    """Return a page of what is looked for. Raises InvalidMessage for a bad limit or cursor."""
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= LIMIT_MOST:
        raise InvalidMessage("limit", f"must be a whole number from 1 to {LIMIT_MOST}")
    first = 0 if cursor is None else _place(cursor)
    with memory.lock:
        fits = [entry for entry in reversed(memory.entries.values()) if _fits(memory, search, entry)]
        found = tuple(entry.message() for entry in fits[first : first + limit])
    behind = first + limit
    return Page(found, f"{_CURSOR}{behind}" if behind < len(fits) else None)


def _place(cursor: str) -> int:
    place = cursor.removeprefix(_CURSOR) if isinstance(cursor, str) else ""
    if not place.isdecimal():
        raise InvalidMessage("cursor", "is none that this search gave out; leave it out to begin anew")
    return int(place)


def _fits(memory: "Memory", search: "Search", entry: "Entry") -> bool:
    at = instant(entry.created)
    return (
        search.status in (None, entry.state)
        and search.campaign in (None, entry.campaign)
        and search.to in (None, entry.to)
        and (search.after is None or at >= search.after)
        and (search.before is None or at < search.before)
        and search.owner in (None, _owner(memory, entry))
    )


def _owner(memory: "Memory", entry: "Entry") -> str | None:
    if not entry.has(Flag.TEMPLATED):
        return Record(entry.raw()).owner
    owner: bytes | None = memory.campaigns[entry.campaign].heeded.get(b"owner")
    return owner.decode() if owner else None
