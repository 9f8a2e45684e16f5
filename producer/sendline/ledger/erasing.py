"""The verbs that erase what is kept of a number."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sendline.ledger.call import Call
from sendline.ledger.keys import KEYS
from sendline.ledger.limits import Limits
from sendline.ledger.scripts import script

AT_ONCE: Final = 500
"""Messages of one call, at most."""

Blanked = Literal["nothing", "final", "canceled", "under way"]
_BLANKED: Final[tuple[Blanked, ...]] = ("nothing", "final", "canceled", "under way")


def erase(limits: Limits, to: str, message_ids: Sequence[bytes]) -> Call[list[Blanked]]:
    """Erase what up to AT_ONCE messages hold of the number `to`; return for each what became of it."""

    def read(reply: list[int]) -> list[Blanked]:
        return [_BLANKED[each] for each in reply]

    return Call(script("erase"), [limits.packed, to, *message_ids], read)


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What one call of `forget` did."""

    wrote: int
    """Messages that the number wrote."""
    place: bytes
    """Where the next call goes on; empty: that was all."""
    was_listed: bool
    """It was on the suppression list, and is not any more."""
    unreadable: int
    """Requests that could not be read and held it."""


BEGINNING: Final = b"-"


def forget(limits: Limits, number: str, place: bytes, *, keep_opt_out: bool) -> Call[Forgotten]:
    """Forget some of what a number wrote, from `place` on; the first call also forgets that it opted out."""

    def read(reply: Any) -> Forgotten:
        return Forgotten(reply[0], reply[1], reply[2] == 1, reply[3])

    return Call(script("forget"), [limits.packed, number, int(keep_opt_out), place], read)


def unsay(limits: Limits, number: str, mark: str) -> Call[int]:
    """Take back what the endpoint of this mark was to be told of what a number wrote; return how much."""
    return Call(script("unsay"), [limits.packed, number, mark], int)


def are_erased(numbers: Sequence[int]) -> Call[bool]:
    """Read whether all of what came in under these numbers, at least one, was erased."""
    return Call("SMISMEMBER", [KEYS["inbound_erased"], *numbers], all)
