"""The verbs that mend what is derived from the records. Each looks anew, and may be repeated."""

from collections.abc import Iterable, Mapping
from typing import Literal

from sendline.ledger.call import Argument, Call
from sendline.ledger.limits import Limits
from sendline.ledger.record import pack
from sendline.ledger.rows import parts_of
from sendline.ledger.scripts import script

Mended = Literal["place", "extra place", "timer", "lifetime", "question"]


def repair(
    limits: Limits, message_id: bytes, *, lease: float, rows: Iterable[str] = ()
) -> Call[list[Mended]]:
    """Mend what belongs to one message; return what that was.

    `lease` in seconds is given to a claim whose end is lost; `rows` are those in which its id was seen.
    """
    return Call(
        script("repair"),
        [limits.packed, message_id, round(lease * 1000), *rows],
        lambda reply: [word.decode() for word in reply],
    )


def announce(limits: Limits, row: str) -> Call[bool]:
    """Announce a row, named as in rows.py, where ids stand in it."""
    return Call(script("announce"), [limits.packed, *parts_of(row)], _changed)


def reindex(limits: Limits, entry: bytes, *, seen: bytes, right: bytes, provider_id: bytes) -> Call[bool]:
    """Let the index entry `entry`, which holds `seen` (empty: is not there), name `right` (empty: end).

    `provider_id` is the stored form of what the record of `right`, else of `seen`, holds.
    """
    return Call(script("reindex"), [limits.packed, entry, seen, right, provider_id], _changed)


def repark(limits: Limits, entry: bytes) -> Call[bool]:
    """Give a parked receipt its end, or drop an end without one."""
    return Call(script("repark"), [limits.packed, entry], _changed)


def recount(
    limits: Limits,
    sequence: int,
    counts: Mapping[str, int],
    calls_under_way: Mapping[str, int],
    campaigns: Mapping[str, Mapping[str, int]] | None = None,
) -> Call[bool]:
    """Set counts, if `sequence` is still the number of the newest event; else change nothing."""
    of_campaigns = pack([each for name, found in (campaigns or {}).items() for each in (name, _flat(found))])
    arguments: list[Argument] = [limits.packed, sequence, _flat(counts), _flat(calls_under_way), of_campaigns]
    return Call(script("recount"), arguments, _changed)


def _flat(numbers: Mapping[str, int]) -> bytes:
    return pack([each for pair in numbers.items() for each in pair])


def _changed(reply: int) -> bool:
    return reply == 1
