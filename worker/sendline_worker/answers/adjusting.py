"""What a person may adjust of an account: within which bounds, and what has no meaning alone."""

import math
from typing import TYPE_CHECKING

from sendline.ledger import verbs
from sendline.ledger.accounts import BOUNDS, LIFTED
from sendline_worker.answers.limits import limits_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sendline.ledger.account_state import AccountState
    from sendline.ledger.connection import Ledger
    from sendline.settings import Settings


def is_whole(limit: str) -> bool:
    """Return whether a limit is counted in whole numbers."""
    return not limit.endswith("rate")


def bounds_of(limit: str) -> str:
    """Return in words what a limit may be."""
    least, most = BOUNDS[limit]
    low = f"at least {f'{least:f}'.rstrip('0').rstrip('.')}"
    lifts = ", 0 for no bound" if limit in LIFTED else ""
    return f"a {'whole ' if is_whole(limit) else ''}number, {low} and at most {most:,.0f}{lifts}"


def is_within(limit: str, value: float) -> bool:
    """Return whether `value` may be adjusted to; 0 lifts a limit that an account can do without."""
    if value == 0 and limit in LIFTED:
        return True
    least, most = BOUNDS[limit]
    return math.isfinite(value) and least <= value <= most


def has_meaning(state: "AccountState", changes: "Mapping[str, float | None]") -> bool:
    """Return whether it has a meaning: a burst of senders whose rate has no bound has none."""
    if not changes.get("sender_burst"):
        return True
    rate = changes.get("sender_rate", limits_of(state)["sender_rate"])
    if "sender_rate" in changes and rate is None:
        rate = state.configured.get("s_interval", 0)
    return bool(rate)


def why_unknown(ledger: "Ledger", settings: "Settings", account: str) -> str | None:
    """Return why nothing can be done with an account; None: a worker has published it. Raises LedgerError."""
    known = ledger.run(verbs.directory()).accounts
    if account in known:
        return None
    if account in settings.accounts:
        return f"{account!r} was not published by a worker yet; start `sendline worker`"
    return f"{account!r} is not known; known: {', '.join(known) or 'none'}"
