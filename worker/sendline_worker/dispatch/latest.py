"""Until when the call of a claim may begin: its rate slot passes, and so does the message's validity."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sendline.ledger.record import Record

BEGIN_WITHIN: Final = 1.0
"""Seconds after which a claim has lost its rate slot: it is handed back, and no byte of it is written."""


@dataclass(frozen=True, slots=True)
class Latest:
    """The last instant at which a call may begin."""

    at: float
    """An instant of elapsed.now."""
    otherwise: str
    """Why it is not begun later."""


def latest(record: "Record", *, asked_at: float, now: int) -> Latest:
    """Return until when the message of `record` may be sent.

    Its claim was asked for at `asked_at`, an instant of elapsed.now, and made at `now`, microseconds of the
    server's clock. How long the message is still valid is counted from the first of the two, so that neither
    the way between them nor a difference between two clocks can make it go late.
    """
    valid = (record.created + record.expires) / 1000 - now / 1_000_000
    if valid < BEGIN_WITHIN:
        return Latest(asked_at + valid, "its validity ended before it could be begun")
    return Latest(asked_at + BEGIN_WITHIN, "its claim grew too old")
