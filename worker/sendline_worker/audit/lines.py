"""What must be true of a line and of its rows, where messages stand in them."""

from typing import TYPE_CHECKING, Final

from sendline.ledger import rows
from sendline.ledger.account_state import account_state
from sendline.ledger.standing import Pulse, read_pulse
from sendline.ledger.work import read_record

if TYPE_CHECKING:
    from sendline.ledger.connection import Ledger

STUCK: Final = 60.0
"""Seconds for which a line may go and doesn't, until that is told."""

UNANNOUNCED: Final = "holds messages, and is not announced to the workers"
OUT_OF_TURN: Final = "holds messages, and takes no turns with others of its line"
UNROUTED: Final = "is announced to the workers, and no claim takes from it"
ANNOUNCEMENTS: Final = frozenset((UNANNOUNCED, OUT_OF_TURN, UNROUTED))
"""What a repair mends; a line that is stuck needs more than that."""
OF_A_ROW: Final = frozenset((OUT_OF_TURN,))
"""What concerns one row; the others concern its line."""

_LATE: Final = STUCK * 1_000_000


def row_faults(ledger: "Ledger", row: str) -> set[str]:
    """Return what isn't so with a row, or with its line. Raises LedgerError.

    Rows in which nothing stands may still be announced: the next claim that comes by ends that.
    """
    ready_at = ledger.run(rows.line_ready_at(row))
    if not rows.parts_of(row)[1]:
        return _faults_of_unrouted(ledger, row, ready_at)
    if ledger.run(rows.row_length(row)) == 0:
        return set()
    wrong = {UNANNOUNCED} if ready_at is None else set()
    held_until = ledger.run(rows.row_held_until(row))
    if ledger.run(rows.row_turn(row)) is not None:
        held_until = None
    elif held_until is None:
        wrong.add(OUT_OF_TURN)
    if ready_at is not None and not wrong and _is_stuck(ledger, row, max(ready_at, held_until or 0)):
        wrong.add(f"may go since {STUCK:g} s and does not")
    return wrong


def _faults_of_unrouted(ledger: "Ledger", row: str, ready_at: int | None) -> set[str]:
    if ready_at is not None:
        return {UNROUTED}
    pulse = read_pulse(ledger)
    return {"is not served"} if pulse.ticking and _waits_long(ledger, row, pulse.now) else set()


def _is_stuck(ledger: "Ledger", row: str, ready_at: int) -> bool:
    pulse = read_pulse(ledger)
    if not pulse.ticking or pulse.now - ready_at < _LATE:
        return False
    return _may_go(ledger, rows.parts_of(row)[1], pulse)


def _may_go(ledger: "Ledger", route: str, pulse: Pulse) -> bool:
    """Return whether the account that is next for a route stands idle."""
    for name in route.split(","):
        state = ledger.run(account_state(name))
        closed = state.stopped is not None or state.halted is not None or state.is_spent(pulse.now)
        if not state.interval or closed:
            continue
        full = state.in_flight and state.flying >= state.in_flight
        idle = state.paused_until * 1000 < pulse.now - _LATE and state.tat < pulse.now - _LATE
        return idle and not full
    return False


def _waits_long(ledger: "Ledger", row: str, now: int) -> bool:
    for head in ledger.run(rows.row_part(row, 0, 1)):
        record = ledger.run(read_record(head))
        return record is not None and now / 1000 - record.created > STUCK * 1000
    return False
