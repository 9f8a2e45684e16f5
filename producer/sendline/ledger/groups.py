"""Groups of readers that share the stream of events: what Redis keeps of them.

Redis remembers for each group how far it was given events, and which entries of the stream each reader was
given and has not acknowledged (its *pending* ones). Entries hold up to EVENTS_AN_ENTRY events; numbers are
those of events.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sendline.contract.message import Event
from sendline.ledger.call import Argument, Call
from sendline.ledger.keys import KEYS
from sendline.ledger.record import events

EVENTS_AN_ENTRY: Final = 100
"""One entry holds at most so many; see closing.lua."""
_STREAM: Final = KEYS["events"]
_FIELD: Final = b"e"
_LAST: Final = 2**64 - 1
"""No second half of a stream's id is greater."""
_FREE_MS: Final = 86_400_000
"""What is handed back counts as left alone for so long: longer than anybody waits."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a group has come."""

    given: int
    """The number of the last event that one of its readers was given."""
    pending: int
    """Entries that were given and not acknowledged."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the stream: events that one call wrote, at least one."""

    id: bytes
    events: tuple[Event, ...]

    @property
    def first(self) -> int:
        """Return the number of its first event."""
        return self.events[0].seq

    @property
    def last(self) -> int:
        """Return the number of its last event."""
        return self.events[-1].seq


@dataclass(frozen=True, slots=True)
class Pending:
    """Entries that were given to a reader, this one or another, and not acknowledged."""

    entries: list[Entry]
    trimmed: list[bytes]
    """Ids of those that are not in the stream any more."""
    cursor: bytes = b"0-0"
    """Where to look next."""


@dataclass(frozen=True, slots=True)
class Consumer:
    """One reader, as Redis remembers it."""

    name: str
    pending: int
    idle_ms: int
    """Since it last asked for something."""


def standing(group: str) -> Call[Standing | None]:
    """Read how far `group` has come; None where there is no such group. Refused where there is no stream."""

    def read(reply: Any) -> Standing | None:
        for fields in map(_fields, reply):
            if fields[b"name"] == group.encode():
                return Standing(number_of(fields[b"last-delivered-id"]), fields[b"pending"])
        return None

    return Call("XINFO", ["GROUPS", _STREAM], read)


def create(group: str, after: int) -> Call[None]:
    """Make `group`, to be given what comes behind event `after`. Refused where it is there already."""
    return Call("XGROUP", ["CREATE", _STREAM, group, f"{after}-{_LAST}", "MKSTREAM"], _nothing)


def set_to(group: str, after: int) -> Call[None]:
    """Let `group` go on behind event `after`."""
    return Call("XGROUP", ["SETID", _STREAM, group, f"{after}-{_LAST}"], _nothing)


def give(group: str, consumer: str, *, count: int, block_ms: int) -> Call[list[Entry]]:
    """Give `consumer` up to `count` entries that nobody was given; wait up to `block_ms` for the first."""
    asked: list[Argument] = ["COUNT", count, "BLOCK", block_ms, "STREAMS", _STREAM, ">"]
    return Call("XREADGROUP", ["GROUP", group, consumer, *asked], lambda reply: _pending(reply).entries)


def left_with(group: str, consumer: str, *, count: int) -> Call[Pending]:
    """Read what `consumer` was given and has not acknowledged, the oldest `count` entries."""
    asked: list[Argument] = ["COUNT", count, "STREAMS", _STREAM, "0"]
    return Call("XREADGROUP", ["GROUP", group, consumer, *asked], _pending)


def take_over(group: str, consumer: str, *, idle_ms: int, cursor: bytes, count: int) -> Call[Pending]:
    """Give `consumer` what others were given, did not acknowledge and left alone for `idle_ms`.

    Looks at some of them, from `cursor` on. What is trimmed the group forgets, however lately it was given:
    only this reply tells of it.
    """

    def read(reply: Any) -> Pending:
        cursor, entries, *trimmed = reply
        # Redis 6.2 tells no ids of what is trimmed, and leaves it with this consumer
        found = [_entry(*entry) for entry in entries if entry]
        return Pending(found, list(trimmed[0]) if trimmed else [], cursor)

    return Call("XAUTOCLAIM", [_STREAM, group, consumer, idle_ms, cursor, "COUNT", count], read)


def acknowledge(group: str, ids: Sequence[bytes]) -> Call[None]:
    """Tell that the entries are finished: nobody of `group` is given them again."""
    return Call("XACK", [_STREAM, group, *ids], _nothing)


def held_by(group: str, consumer: str, ids: Sequence[bytes]) -> Call[set[bytes]]:
    """Read which of `ids`, oldest first, are still pending for `consumer`."""
    wanted = set(ids)

    def read(reply: Any) -> set[bytes]:
        return wanted & {row[0] for row in reply}

    return Call("XPENDING", [_STREAM, group, ids[0], ids[-1], 10 * len(ids), consumer], read)


def keep(group: str, consumer: str, ids: Sequence[bytes]) -> Call[None]:
    """Show that `consumer` is at work on the entries. The group forgets those that are trimmed."""
    return Call("XCLAIM", [_STREAM, group, consumer, 0, *ids, "JUSTID"], _nothing)


def hand_back(group: str, consumer: str, ids: Sequence[bytes]) -> Call[None]:
    """Let others take the entries over at once. The group forgets those that are trimmed."""
    return Call("XCLAIM", [_STREAM, group, consumer, 0, *ids, "IDLE", _FREE_MS, "JUSTID"], _nothing)


def newest_before(entry_id: bytes) -> Call[int | None]:
    """Read the number of the last event before an entry; None where that is the oldest one kept."""
    return Call(
        "XREVRANGE",
        [_STREAM, b"(" + entry_id, "-", "COUNT", 1],
        lambda reply: number_of(reply[0][0]) if reply else None,
    )


def consumers(group: str) -> Call[list[Consumer]]:
    """Read who has ever read in `group` and was not forgotten."""

    def read(reply: Any) -> list[Consumer]:
        found = map(_fields, reply)
        return [Consumer(f[b"name"].decode(errors="replace"), f[b"pending"], f[b"idle"]) for f in found]

    return Call("XINFO", ["CONSUMERS", _STREAM, group], read)


def forget(group: str, consumer: str) -> Call[None]:
    """Let `group` forget a reader, with what is pending for it."""
    return Call("XGROUP", ["DELCONSUMER", _STREAM, group, consumer], _nothing)


def number_of(entry_id: bytes) -> int:
    """Return the number of the last event of an entry."""
    return int(entry_id.split(b"-")[0])


def _pending(reply: Any) -> Pending:
    """Return what one XREADGROUP brought; an entry without fields is trimmed."""
    rows = reply[0][1] if reply else []
    return Pending([_entry(*row) for row in rows if row[1]], [row[0] for row in rows if not row[1]])


def _entry(entry_id: bytes, fields: Sequence[bytes]) -> Entry:
    return Entry(entry_id, tuple(events(number_of(entry_id), fields[fields.index(_FIELD) + 1])))


def _fields(row: Sequence[Any]) -> dict[bytes, Any]:
    return dict(zip(row[::2], row[1::2], strict=True))


def _nothing(_reply: Any) -> None:
    """Take a reply that says no more than that it was done."""
