"""What is done after the ledger came back from an older state: a failover, or a restored backup."""

from dataclasses import dataclass
from typing import Any, Final

from sendline.ledger.call import Call
from sendline.ledger.keys import KEYS
from sendline.ledger.limits import Limits
from sendline.ledger.record import short, unpack
from sendline.ledger.scripts import script

STEP: Final = 1000
"""Messages one call looks at, so that no call holds the ledger up."""


@dataclass(frozen=True, slots=True)
class Behind:
    """The ledger lacks what somebody has seen of it. Instants in milliseconds of the server's clock."""

    noticed_at: int
    since: int
    """The last sign of life before the loss."""
    seen: int
    """The number of the newest event that somebody has seen."""
    had: int
    """The number of the newest event that the ledger had when it was noticed."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """How far a recovery has come. Instants in milliseconds of the server's clock."""

    done: bool
    held: int
    """Messages that are uncertain by it."""
    since: int
    until: int
    """What was claimed between the two may have been forgotten."""


def behind() -> Call[Behind | None]:
    """Read whether the ledger is behind what somebody has seen of it."""
    return Call("HGET", [KEYS["meta"], "behind"], lambda raw: Behind(*unpack(raw)) if raw else None)


def recover(limits: Limits, *, since: int = 0, until: int = 0, reason: str) -> Call[Recovery]:
    """Hold what may have been claimed in what the ledger forgot, STEP messages a call, until it is done.

    `since` and `until` are in milliseconds of the server's clock; 0: what the ledger itself knows. Only the
    first call's count.
    """

    def read(reply: Any) -> Recovery:
        done, held, first, last = reply
        return Recovery(done == 1, held, first, last)

    return Call(script("recover"), [limits.packed, since, until, STEP, short(reason)], read)
