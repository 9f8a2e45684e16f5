"""Gathers what arrives while calls to the ledger are under way, and stores it with the next one."""

import asyncio
import math
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from sendline.ledger.inbound import inbound
from sendline.ledger.rejected import reject
from sendline.ledger.work import receive
from sendline_worker.gathering import Gatherer
from sendline_worker.receiver.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from sendline.ledger.call import Call
    from sendline.ledger.connection import AsyncLedger
    from sendline.ledger.inbound import Arrival, Arrived
    from sendline.ledger.limits import Limits
    from sendline.ledger.rejected import Rejected
    from sendline.ledger.work import Received, Reported

MOST: Final = 512
"""Reports in one call: a few milliseconds of the server's time."""
MOST_REJECTED: Final = 64
"""Rejected requests in one call: a megabyte."""

T = TypeVar("T")
R = TypeVar("R")


class Collector:
    """Stores what requests tell, many requests' in one call, each kind in calls of its own.

    For one event loop. To store again what was stored before, wholly or in part, does no harm. Each kind has
    one call under way at a time, so it keeps its order, as STOP and START must; and what arrives meanwhile
    makes the next call the larger: two at a time would make more and smaller ones. What became of them is
    counted in `counts`, and logged. Whoever waits beyond `until`, by the loop's clock, gets LedgerUnavailable
    within 0.1 s; what he gave may be stored even so.
    """

    def __init__(self, ledger: "AsyncLedger", limits: "Limits", counts: "Counter[str] | None" = None) -> None:
        counts = Counter() if counts is None else counts
        self._tallies = Tally(counts, "receipts"), Tally(counts, "inbound messages", prefix="inbound_")
        told, wrote = (each.add for each in self._tallies)
        self._reports: Gatherer[Reported, Received] = Gatherer(
            _call(ledger, partial(receive, limits), told), MOST
        )
        self._arrivals: Gatherer[Arrival, Arrived] = Gatherer(
            _call(ledger, partial(inbound, limits), wrote), MOST
        )
        self._rejected: Gatherer[Rejected, int] = Gatherer(
            _call(ledger, partial(reject, limits), lambda _requests, _ones: None), MOST_REJECTED
        )

    def store(self, reports: "Sequence[Reported]", until: float = math.inf) -> "Awaitable[list[Received]]":
        """Return what became of each report once all are in the ledger; raises LedgerError."""
        return self._reports.store(reports, until)

    def take_in(self, arrivals: "Sequence[Arrival]", until: float = math.inf) -> "Awaitable[list[Arrived]]":
        """Return what became of each message that came in; raises LedgerError."""
        return self._arrivals.store(arrivals, until)

    async def keep(self, request: "Rejected", until: float = math.inf) -> None:
        """Keep a request that could not be read; raises LedgerError."""
        await self._rejected.store([request], until)

    async def aclose(self) -> None:
        """Wait until everything that was put in is stored, or has failed."""
        await asyncio.gather(self._reports.aclose(), self._arrivals.aclose(), self._rejected.aclose())
        for tally in self._tallies:
            tally.close()


def _call(
    ledger: "AsyncLedger",
    call: "Callable[[Sequence[T]], Call[list[R]]]",
    tell: "Callable[[Sequence[T], Sequence[R]], None]",
) -> "Callable[[Sequence[T]], Awaitable[list[R]]]":
    """Return what stores things of one kind, and tells what became of them."""

    async def store(things: "Sequence[T]") -> "list[R]":
        words = await ledger.run(call(things))
        tell(things, words)
        return words

    return store
