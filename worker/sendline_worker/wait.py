"""What waits for the ledger: said at once, then every minute, and once more when it goes on."""

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import logging

TELL_EVERY: Final = 60.0
"""Seconds between two lines about the same wait."""


class Wait:
    """One thing that may have to wait. For one thread."""

    def __init__(self, log: "logging.Logger", what: str) -> None:
        """Prepare: `what` is what waits, as in "claiming"."""
        self._log = log
        self._what = what
        self._told_at: float | None = None

    def must_wait(self, error: object) -> None:
        """Say that it waits, unless that was said less than a minute ago."""
        now = time.monotonic()
        if self._told_at is None or now - self._told_at >= TELL_EVERY:
            self._log.warning("%s waits: %s", self._what, error)
            self._told_at = now

    def is_over(self) -> None:
        """Say that it goes on, if it had to wait."""
        if self._told_at is not None:
            self._log.info("%s goes on", self._what)
            self._told_at = None
