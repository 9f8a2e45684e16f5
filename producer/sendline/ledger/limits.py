"""The bounds that every verb of the ledger gets with each call."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from sendline.ledger.record import pack

if TYPE_CHECKING:
    from sendline.settings import Settings


@dataclass(frozen=True)
class Limits:
    """How long and how much the ledger keeps. Times in seconds."""

    retention: float = 30 * 86400
    """How long a final message is kept."""
    deadline: float = 72 * 3600
    """How long `sent` and `uncertain` wait for news before they are final."""
    events_kept: int = 200_000
    """How many events the stream holds, at least."""
    max_attempts: int = 12
    """How many attempts a message gets."""
    idempotency_ttl: float = 24 * 3600
    """How long an idempotency key is remembered."""

    @classmethod
    def of(cls, settings: "Settings") -> "Limits":
        """Return the bounds that `settings` ask for."""
        return cls(
            retention=settings.retention,
            deadline=settings.deadline,
            events_kept=settings.events_kept,
            max_attempts=settings.max_attempts,
            idempotency_ttl=settings.idempotency_ttl,
        )

    @cached_property
    def packed(self) -> bytes:
        """The scripts' ARGV[1]."""
        times = [round(seconds * 1000) for seconds in (self.retention, self.deadline, self.idempotency_ttl)]
        return pack([times[0], times[1], self.events_kept, self.max_attempts, times[2]])
