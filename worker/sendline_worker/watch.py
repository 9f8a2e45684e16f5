"""The worker's watch on itself: work may go, and nobody claims any."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sendline.settings import bounds

if TYPE_CHECKING:
    from sendline.ledger.standing import Flow

GAP: Final = 10.0
"""Seconds between two looks after which what was seen before tells nothing: this process, or its machine, was
frozen, and its children may have been so too."""


@dataclass(frozen=True, slots=True)
class Stuck:
    """Work may go, and nobody has claimed any for `seconds`."""

    seconds: float
    flow: "Flow"

    def __str__(self) -> str:
        """Tell what waits, and for how long."""
        waits = self.flow.waits or 0.0
        return (
            f"{self.flow.may_go} messages may go (the first, {self.flow.line}, for {waits:.0f} s), and none "
            f"was claimed for {self.seconds:.0f} s"
        )


class Watch:
    """Is told once a second how things flow, and says when they are stuck.

    Stuck is: something may go, no claim is made, and no claim call looks at the line that may go first (it
    would move the line's instant: a line that an account's limit holds is not stuck); all this through
    `patience` seconds without a break. It keeps no clock: `at` is a monotonic clock's, in seconds.
    """

    def __init__(self, patience: float = bounds.NO_CLAIM) -> None:
        """Begin with nothing seen."""
        self._patience = patience
        self._seen_at: float | None = None
        self._since: float | None = None
        self._claims = 0
        self._ready_at = 0

    def forget(self) -> None:
        """Begin anew: the ledger is away, so nobody could have claimed."""
        self._seen_at = None
        self._since = None

    def look(self, flow: "Flow", at: float) -> Stuck | None:
        """Take in what the ledger says; return what is wrong once it has been wrong for too long."""
        frozen = self._seen_at is not None and at - self._seen_at > GAP
        self._seen_at = at
        if flow.halted or flow.waits is None or flow.ready_at is None:
            self._since = None
            return None
        moves = flow.claims != self._claims or flow.ready_at > self._ready_at
        if self._since is None or frozen or moves:
            self._since = at
        self._claims, self._ready_at = flow.claims, flow.ready_at
        stuck_for = at - self._since
        return Stuck(stuck_for, flow) if stuck_for >= self._patience else None
