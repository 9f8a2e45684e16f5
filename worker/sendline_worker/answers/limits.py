"""The limits of an account in the words and units of the configuration: in force, configured, adjusted."""

from typing import TYPE_CHECKING, Final

from sendline.ledger.accounts import FIELDS
from sendline_worker.answers.spelling import rounded

if TYPE_CHECKING:
    from sendline.ledger.account_state import AccountState

LEAST_USE: Final = 0.01
"""Units a second; a rate in use that is less is told as none."""
BURST_US: Final = 20_000
LEAST_BURST: Final = 2
"""The default burst is what the rate allows in so long (us), and at least this: see adjusting.lua."""


def limits_of(state: "AccountState") -> dict[str, float | None]:
    """Return the limits in force of an account, by the names that people know; None: no bound."""
    return {limit: _value(limit, int(getattr(state, field))) for limit, field in FIELDS.items()}


def adjusted(state: "AccountState") -> dict[str, dict[str, float | None]]:
    """Return the limits that a person has adjusted, each with what is in force and what is configured."""
    return {
        limit: {
            "in_force": _value(limit, state.adjusted[field]),
            "configured": _value(limit, state.configured.get(field, 0)),
        }
        for limit, field in FIELDS.items()
        if field in state.adjusted
    }


def told(state: "AccountState") -> str:
    """Return what a person has adjusted: rate 10, configured 20; burst 1, default 2; ... Empty: nothing."""
    said = []
    for limit, values in adjusted(state).items():
        own = f"configured {number(values['configured'])}"
        if values["configured"] is None and limit.endswith("burst"):
            own = f"default {_default_burst(state) if limit == 'burst' else 1}"
        said.append(f"{limit} {number(values['in_force'])}, {own}")
    return "; ".join(said)


def in_use(state: "AccountState", now: int) -> float:
    """Return the units a second that went lately, at `now` (us); 0 where that is next to nothing."""
    rate = state.rate_in_use(now)
    return rate if rate >= LEAST_USE else 0.0


def _default_burst(state: "AccountState") -> int:
    """Return the burst that is in force at the account's rate where none is set."""
    return max(LEAST_BURST, int(BURST_US / state.interval + 0.5)) if state.interval else LEAST_BURST


def number(value: float | None) -> str:
    """Return a limit as people read it."""
    return "none" if value is None else f"{value:.10g}"


def _value(limit: str, stored: int) -> float | None:
    if not stored:
        return None
    return rounded(1_000_000 / stored) if limit.endswith("rate") else stored
