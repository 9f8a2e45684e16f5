"""The suppression list: the recipients who have opted out, and to whom nothing is sent.

It is read when a message is accepted and once more when it is claimed, so nothing that waits is searched for.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sendline.contract.message import instant
from sendline.ledger.call import Call
from sendline.ledger.keys import KEYS
from sendline.ledger.limits import Limits
from sendline.ledger.record import short, unpack
from sendline.ledger.scripts import script

AT_ONCE: Final = 1000
"""Numbers of one call, at most."""
INBOUND: Final = "inbound"
"""Why a number is listed that answered STOP; any other reason is a person's word."""


@dataclass(frozen=True, slots=True)
class Suppression:
    """A number on the list: since when, and why."""

    number: str = field(repr=False)
    """E.164."""
    since: datetime
    why: str
    account: str | None
    """The account by which the number answered; None where a person listed it."""


def suppress(limits: Limits, numbers: Sequence[str], why: str) -> Call[int]:
    """Put up to AT_ONCE numbers (E.164) on the list; return how many were not on it.

    One that is on it keeps its first instant and reason.
    """
    return _change(limits, "add", short(why), numbers)


def unsuppress(limits: Limits, numbers: Sequence[str]) -> Call[int]:
    """Take up to AT_ONCE numbers off the list; return how many were on it.

    Messages that were suppressed stay so.
    """
    return _change(limits, "remove", "", numbers)


def _change(limits: Limits, what: str, why: str, numbers: Sequence[str]) -> Call[int]:
    return Call(script("suppress"), [limits.packed, what, why, *_bounded(numbers)], int)


def suppressed(cursor: int) -> Call[tuple[int, list[Suppression]]]:
    """Read some of the list, and the cursor of what follows: 0 at the end.

    A number that is listed all the while comes at least once, and perhaps twice where the list changes
    meanwhile.
    """

    def read(reply: Any) -> tuple[int, list[Suppression]]:
        found: list[bytes] = reply[1]
        return int(reply[0]), [_entry(*pair) for pair in _pairs(found)]

    return Call("HSCAN", [KEYS["suppressed"], cursor, "COUNT", AT_ONCE], read)


def is_suppressed(numbers: Sequence[str]) -> Call[list[Suppression | None]]:
    """Read which of up to AT_ONCE numbers, and at least one, are on the list: for each its entry, or None."""
    asked = _bounded(numbers)

    def read(reply: Any) -> list[Suppression | None]:
        return [
            _entry(number.encode(), raw) if raw else None for number, raw in zip(asked, reply, strict=True)
        ]

    return Call("HMGET", [KEYS["suppressed"], *asked], read)


def count() -> Call[int]:
    """Read how many numbers are on the list."""
    return Call("HLEN", [KEYS["suppressed"]], int)


def _bounded(numbers: Sequence[str]) -> list[str]:
    if len(numbers) > AT_ONCE:
        raise ValueError(f"{len(numbers)} numbers in one call; at most {AT_ONCE}")
    return list(numbers)


def _pairs(found: list[bytes]) -> Iterable[tuple[bytes, bytes]]:
    return zip(found[::2], found[1::2], strict=True)


def _entry(number: bytes, raw: bytes) -> Suppression:
    since, why, account, *_ = unpack(raw)
    return Suppression(number.decode(), instant(since), why.decode(), account.decode() or None)
