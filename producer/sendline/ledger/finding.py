"""The reads by which messages are found again: by when they were accepted, by campaign, by recipient.

What is listed may be gone: who reads looks for its record.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sendline.ledger.call import Argument, Call
from sendline.ledger.keys import KEYS
from sendline.ledger.limits import Limits
from sendline.ledger.recall import recall
from sendline.ledger.record import Record, readable
from sendline.ledger.scripts import script

HOUR_MS: Final = 3_600_000
"""The book has a list for each hour."""
WEEK_MS: Final = 604_800_000
"""The lists of recipients are of a week each."""
_ID, _CUT = 16, 13
"""Bytes of an id, and of one without the beginning that its hour tells."""
_WINDOW_MS: Final = 2**24
"""For which the beginning of ids stays the same."""
_FIRST, _NUMBER, _OWN, _NAME = slice(0, 10), slice(10, 16), slice(16, 20), slice(20, None)
_ENDING: Final = 3
"""Digits of a number by which its messages are listed: see book.lua."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Messages of a campaign, accepted by one call: `number` of them, from place `first` of its list on."""

    campaign: str
    own_end: bytes
    """Of the campaign's own 16 bytes: its name may be used again."""
    first: int
    number: int


Entry = bytes | Stretch
"""Of the book: a message's id, or messages of a campaign."""


def hours() -> Call[list[int]]:
    """Read for which hours (since the epoch) there is a list, the newest first."""
    return Call("ZRANGE", [KEYS["hours_of_book"], 0, -1], lambda reply: sorted(map(int, reply), reverse=True))


def entries_number(hour: int) -> Call[int]:
    """Read how many entries the list of an hour has."""
    return Call("LLEN", [f"{KEYS['book']}{hour}"], int)


def entries(hour: int, first: int, last: int) -> Call[list[Entry]]:
    """Read the entries of an hour from place `first` to `last`, in the order in which they were accepted."""
    window = hour * HOUR_MS // _WINDOW_MS % 2**24  # the bytes that it has in an id
    beginning = window.to_bytes(_ID - _CUT, "big")

    def read(reply: list[bytes]) -> list[Entry]:
        return [_entry(raw, beginning) for raw in reply]

    return Call("LRANGE", [f"{KEYS['book']}{hour}", first, last], read)


def _entry(raw: bytes, beginning: bytes) -> Entry:
    if len(raw) == _CUT:
        return beginning + raw
    if len(raw) == _ID:
        return raw
    return Stretch(raw[_NAME].decode(), raw[_OWN], int(raw[_FIRST]), int(raw[_NUMBER]))


def addressed(
    limits: Limits, week: int, to: str, left: int, most: int
) -> Call[tuple[int, list[tuple[bytes, Record]]]]:
    """Read single messages of a week that went to the number `to`, the newest first.

    `left` places in its list are left to be looked at, of which up to `most` are; returns how many are left
    then, and what was found.
    """

    def read(reply: Any) -> tuple[int, list[tuple[bytes, Record]]]:
        pairs = zip(reply[1::2], map(readable, reply[2::2]), strict=True)
        return reply[0], [(id_, record) for id_, record in pairs if record and record.to == to.encode()]

    arguments: list[Argument] = [limits.packed, week, to, to[-_ENDING:], left, most]
    return Call(script("addressed"), arguments, read)


def records(message_ids: Sequence[bytes]) -> Call[list[Record | None]]:
    """Read the records of messages, 1 to 1,000 of them; None for each that is not kept, or damaged."""
    return recall(message_ids, lambda raws: list(map(readable, raws)))
