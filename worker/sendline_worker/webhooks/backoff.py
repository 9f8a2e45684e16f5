"""How long an endpoint that failed is left alone: a pure function of tries, chance and what it asked for."""

from typing import Final

from tenacity import RetryCallState, Retrying, wait_exponential

BASE: Final = 5.0
"""Seconds after the first failure; each further one doubles them."""
LONGEST: Final = 3600.0
"""Seconds; no wait is longer, whatever the endpoint asks for."""

_WAIT: Final = wait_exponential(multiplier=BASE, max=LONGEST)
_RETRYING: Final = Retrying()
"""tenacity's states want an owner; its strategies don't look at it."""


def seconds(tries: int, chance: float, retry_after: float | None = None) -> float:
    """Return the seconds until the next try, after `tries` failed ones (from 1).

    Exponential, then spread: `chance` in [0, 1) takes off up to half, so that endpoints which failed together
    don't come back together. Not sooner than the endpoint asked for with `retry_after` seconds.
    """
    state = RetryCallState(_RETRYING, None, (), {})
    state.attempt_number = max(tries, 1)
    spread = _WAIT(state) * (1 - chance / 2)
    return max(spread, min(retry_after or 0.0, LONGEST))
