"""The statuses of a message and the table of moves between them: the one place where both stand.

The ledger's Lua scripts get this table generated into them; `docs/lifecycle.md` is tested against it.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final


class Status(StrEnum):
    """Where a message stands. The values are what users see, in code, JSON and on the screen."""

    CREATED = "created"
    """Accepted into the ledger: from now on it is never lost. It may carry `not_before`."""
    SENDING = "sending"
    """Claimed by a worker, which is calling the provider or is about to."""
    SENT = "sent"
    """The provider accepted it. Final where the account reports no deliveries, or past its deadline."""
    RETRYING = "retrying"
    """Certainly not accepted by the provider; waits for its next attempt."""
    UNCERTAIN = "uncertain"
    """The provider may or may not have accepted it. Final past its deadline."""
    DELIVERED = "delivered"
    """The provider reported that it reached the recipient."""
    UNDELIVERED = "undelivered"
    """The provider reported that it did not reach the recipient."""
    FAILED = "failed"
    """Refused for good, no attempt left, or no account left that could carry it."""
    EXPIRED = "expired"
    """Its validity ended before it could be sent."""
    CANCELED = "canceled"
    """A person said so before it was sent."""
    SUPPRESSED = "suppressed"
    """The recipient has opted out."""


class Cause(Enum):
    """What moves a message along an edge."""

    ACCEPT = "the ledger accepts it"
    CLAIM = "a worker claims it"
    SETTLE = "a worker settles its outcome"
    TIMER = "its time has come"
    PERSON = "a person says so"
    PROOF = "a receipt or a look-up proves it"


@dataclass(frozen=True, slots=True)
class Edge:
    """One allowed move. `source` is None where a message begins."""

    source: Status | None
    target: Status
    when: str
    cause: Cause


CODES: Final[dict[Status, int]] = {status: code for code, status in enumerate(Status)}
"""The number of each status in records and events. Part of the stored format: append, never renumber."""

FINAL: Final = frozenset(
    {
        Status.DELIVERED,
        Status.UNDELIVERED,
        Status.FAILED,
        Status.EXPIRED,
        Status.CANCELED,
        Status.SUPPRESSED,
    }
)
"""Always final. `sent` and `uncertain` become final with their deadline (see `Message.final`)."""

WAITING: Final = frozenset({Status.CREATED, Status.RETRYING})
"""Waits in a lane, or for an instant at which it enters one."""


def _edges() -> tuple[Edge, ...]:
    s = Status
    edges = [
        Edge(None, s.CREATED, "accepted into the ledger", Cause.ACCEPT),
        Edge(None, s.SUPPRESSED, "accepted, but the recipient has opted out", Cause.ACCEPT),
        Edge(s.CREATED, s.SENDING, "claimed by a worker", Cause.CLAIM),
        Edge(s.RETRYING, s.SENDING, "claimed by a worker", Cause.CLAIM),
        Edge(s.SENDING, s.SENT, "the provider accepted it", Cause.SETTLE),
        Edge(s.SENDING, s.RETRYING, "certainly not accepted, and an attempt is left", Cause.SETTLE),
        Edge(s.SENDING, s.CREATED, "handed back unsent, no attempt counted", Cause.SETTLE),
        Edge(s.SENDING, s.UNCERTAIN, "perhaps accepted, or its worker died", Cause.SETTLE),
        Edge(s.SENDING, s.FAILED, "refused for good, or no attempt left", Cause.SETTLE),
        Edge(s.SENDING, s.CANCELED, "canceled meanwhile, and certainly not accepted", Cause.SETTLE),
        Edge(s.UNCERTAIN, s.RETRYING, "its policy is to resend, or a person said so", Cause.PERSON),
        Edge(s.UNCERTAIN, s.FAILED, "a person, or the provider's look-up, said so", Cause.PERSON),
        Edge(s.SENT, s.DELIVERED, "a receipt proves it", Cause.PROOF),
        Edge(s.SENT, s.UNDELIVERED, "a receipt proves it", Cause.PROOF),
        Edge(s.UNDELIVERED, s.DELIVERED, "a later receipt corrected an earlier one", Cause.PROOF),
    ]
    for waiting in (s.CREATED, s.RETRYING):
        edges += [
            Edge(waiting, s.FAILED, "no account is left that could carry it", Cause.TIMER),
            Edge(waiting, s.EXPIRED, "its validity ended", Cause.TIMER),
            Edge(waiting, s.CANCELED, "a person said so", Cause.PERSON),
            Edge(
                waiting, s.UNCERTAIN, "it may have been sent earlier, and is not sent any more", Cause.TIMER
            ),
            Edge(waiting, s.SUPPRESSED, "the recipient opted out meanwhile", Cause.CLAIM),
        ]
    attempted = (s.SENDING, s.RETRYING, s.UNCERTAIN, s.FAILED, s.EXPIRED, s.CANCELED, s.SUPPRESSED)
    edges += [
        Edge(source, target, "attempted, and a receipt or a look-up proves it", Cause.PROOF)
        for source in attempted
        for target in (s.SENT, s.DELIVERED, s.UNDELIVERED)
        if (source, target) != (s.SENDING, s.SENT)
    ]
    return tuple(edges)


EDGES: Final[tuple[Edge, ...]] = _edges()
"""Every move there is. Anything else that tries to move a message changes nothing."""

MOVES: Final[dict[Status, frozenset[Status]]] = {
    status: frozenset(edge.target for edge in EDGES if edge.source is status) for status in Status
}
"""The same table, by source."""
