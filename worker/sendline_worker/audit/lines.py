"""What must be true of a line, where messages stand in it."""

from typing import TYPE_CHECKING, Final

from sendline.ledger import audit
from sendline.ledger.standing import Pulse, account_state, read_lines, read_pulse

if TYPE_CHECKING:
    from sendline.ledger.connection import Ledger

STUCK: Final = 60.0
"""Seconds for which a line may go and doesn't, until that is told."""

UNANNOUNCED: Final = "holds messages, and is not announced to the workers"
EMPTY: Final = "is announced to the workers, and nothing stands in it"
ANNOUNCEMENTS: Final = frozenset((UNANNOUNCED, EMPTY))
"""What a repair mends; a line that is stuck needs more than that."""

_LATE: Final = STUCK * 1_000_000


def line_faults(ledger: "Ledger", line: str) -> set[str]:
    """Return what isn't so with a line, named as `lane code:route`. Raises LedgerError."""
    length = ledger.run(audit.line_length(line))
    _, _, route = line.partition(":")
    ready_at = ledger.run(audit.line_ready_at(line))
    if (length == 0 or not route) and ready_at is not None:
        return {EMPTY}
    if length == 0:
        return set()
    pulse = read_pulse(ledger)
    if not route:
        return {"is not served"} if pulse.ticking and _waits_long(ledger, pulse.now) else set()
    if ready_at is None:
        return {UNANNOUNCED}
    if not pulse.ticking or pulse.now - ready_at < _LATE:
        return set()
    return {f"may go since {STUCK:g} s and does not"} if _may_go(ledger, route, pulse) else set()


def _may_go(ledger: "Ledger", route: str, pulse: Pulse) -> bool:
    """Return whether the account that is next for a route stands idle."""
    for name in route.split(","):
        state = ledger.run(account_state(name))
        if state.interval is None or state.stopped:
            continue
        full = state.in_flight and state.flying >= state.in_flight
        idle = state.paused_until * 1000 < pulse.now - _LATE and state.tat < pulse.now - _LATE
        return idle and not full
    return False


def _waits_long(ledger: "Ledger", now: int) -> bool:
    heads = [line.since for line in read_lines(ledger) if not line.route and line.since]
    return any(now / 1_000_000 - since.timestamp() > STUCK for since in heads)
