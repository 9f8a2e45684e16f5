"""What is done after the ledger came back from an older state: a failover, or a restored backup."""

from dataclasses import dataclass
from typing import Any, Final

from sendline.ledger.call import Argument, Call
from sendline.ledger.keys import KEYS
from sendline.ledger.limits import Limits
from sendline.ledger.record import short, unpack
from sendline.ledger.scripts import script

WHAT_HAPPENED: Final = "the ledger came back from an older state (a failover, a restored backup)"
"""What a person is told wherever it matters."""
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


@dataclass(frozen=True, slots=True)
class State:
    """Whether there is something to recover."""

    era: int
    """How often the ledger has recovered."""
    behind: Behind | None


def state() -> Call[State]:
    """Read whether the ledger is behind what somebody has seen of it."""

    def read(reply: Any) -> State:
        era, raw = reply
        return State(int(era or 0), Behind(*unpack(raw)[:4]) if raw else None)

    return Call("HMGET", [KEYS["meta"], "era", "behind"], read)


def recover(
    limits: Limits, era: int, *, since: int = 0, until: int = 0, reason: str
) -> Call[Recovery | None]:
    """Hold what may have been claimed in what the ledger forgot, STEP messages a call, until it is done.

    `era` is what state() read at the beginning: calls for one that has ended tell what came of it. `since`
    and `until` are in milliseconds of the server's clock; 0: what the ledger itself knows. Only the first
    call's count. None: until is before since, and nothing was begun.
    """

    def read(reply: Any) -> Recovery | None:
        done, held, first, last = reply
        return None if done < 0 else Recovery(done == 1, held, first, last)

    arguments: list[Argument] = [limits.packed, since, until, STEP, short(reason), era]
    return Call(script("recover"), arguments, read)
