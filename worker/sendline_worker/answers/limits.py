"""The limits of an account in the words and units of the configuration: in force, configured, adjusted."""

from typing import TYPE_CHECKING, Final

from sendline.ledger.accounts import LIMITS
from sendline_worker.answers.spelling import rounded

if TYPE_CHECKING:
    from sendline.ledger.account_state import AccountState

_FIELDS: Final = dict(
    zip(LIMITS, ("interval", "burst", "in_flight", "cap", "s_interval", "s_burst", "s_cap"), strict=True)
)
"""How the state of an account calls its limits."""


def limits_of(state: "AccountState") -> dict[str, float | None]:
    """Return the limits in force of an account, by the names that people know; None: no bound."""
    return {limit: _value(limit, int(getattr(state, field))) for limit, field in _FIELDS.items()}


def adjusted(state: "AccountState") -> dict[str, dict[str, float | None]]:
    """Return the limits that a person has adjusted, each with what is in force and what is configured."""
    return {
        limit: {
            "in_force": _value(limit, state.adjusted[field]),
            "configured": _value(limit, state.configured.get(field, 0)),
        }
        for limit, field in _FIELDS.items()
        if field in state.adjusted
    }


def number(value: float | None) -> str:
    """Return a limit as people read it."""
    return "none" if value is None else f"{value:.10g}"


def _value(limit: str, stored: int) -> float | None:
    if not stored:
        return None
    return rounded(1_000_000 / stored) if limit.endswith("rate") else stored
