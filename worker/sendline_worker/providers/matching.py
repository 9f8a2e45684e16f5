"""Whether what a provider shows of a message fits ours: True, False, or None where it can't be told.

The difference between False and None matters: a message that may be ours must not be told as not found.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sendline_worker.providers.base import Inquiry

MARGIN: Final = timedelta(minutes=10)
"""How far the clocks of a worker and of a provider may differ, with the time that a request may take."""

_MASKED: Final = re.compile(r"[*•█#]{2,}|…|\.{3}$")
"""What stands in a text for something that is not shown."""


def window(inquiry: "Inquiry") -> tuple[datetime, datetime]:
    """Return between which moments, by its own clock, the provider can have taken the message."""
    return inquiry.begun.astimezone(UTC) - MARGIN, inquiry.ended.astimezone(UTC) + MARGIN


def same_callback(theirs: object, ours: str | None) -> bool | None:
    """Say whether a callback URL is our message's.

    The last part of ours is a name of the message, a dot, and a signature, which changes with the key: the
    name tells. An URL of the same form that names another is another message's.
    """
    if not isinstance(theirs, str) or not ours:
        return None
    (place, name), (our_place, our_name) = _parts(theirs), _parts(ours)
    if name == our_name:
        return True
    of_ours = place == our_place and len(name) == len(our_name) and not _MASKED.search(name)
    return False if of_ours else None


def same_number(theirs: object, ours: str) -> bool | None:
    """Say whether a phone number is ours, by its digits."""
    if isinstance(theirs, bool) or not isinstance(theirs, str | int):
        return None
    shown = str(theirs)
    if _MASKED.search(shown) or not any(character.isdigit() for character in shown):
        return None
    return _digits(shown) == _digits(ours)


def same_text(theirs: object, ours: str | None) -> bool | None:
    """Say whether a text is ours, whatever its white space."""
    if not isinstance(theirs, str) or not theirs.strip() or not ours:
        return None
    shown = theirs.split()
    if shown == ours.split():
        return True
    return None if _MASKED.search(theirs) else False


def within(moment: datetime | None, inquiry: "Inquiry") -> bool | None:
    """Say whether the provider took the message when it can have been ours."""
    first, last = window(inquiry)
    return None if moment is None else first <= moment <= last


def moment_of(value: object) -> datetime | None:
    """Return the moment that an ISO 8601 date-time names, UTC where it names no zone; None for all else."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def distance(moment: datetime | None, inquiry: "Inquiry") -> timedelta:
    """Return how far `moment` lies outside of the time in which the request left; none is the farthest."""
    if moment is None:
        return timedelta.max
    return max(inquiry.begun - moment, moment - inquiry.ended, timedelta(0))


def _parts(url: str) -> tuple[str, str]:
    """Return what comes before a URL's last part, and that part without its signature."""
    place, _, last = url.rpartition("/")
    return place, last.rpartition(".")[0] or last


def _digits(number: str) -> str:
    return "".join(character for character in number if character.isdigit())
