"""Gathers what arrives while calls to the ledger are under way, and stores it with the next one."""

import asyncio
import logging
import math
from collections import Counter
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from sendline.ledger.inbound import inbound
from sendline.ledger.rejected import reject
from sendline.ledger.work import receive
from sendline_worker.gathering import Gatherer

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


class _OfAccount(Protocol):
    @property
    def account(self) -> str: ...


_account_of = attrgetter("account")


T = TypeVar("T")
R = TypeVar("R")

log = logging.getLogger("sendline.receiver")


class Collector:
    """Stores what requests tell, many requests' in one call, each kind in calls of its own.

    For one event loop. To store again what was stored before, wholly or in part, does no harm. Each kind has
    one call under way at a time, so it keeps its order, as STOP and START must; and what arrives meanwhile
    makes the next call the larger: two at a time would make more and smaller ones. What became of them is
    counted in `counts`, and logged in one line for each call and account. Whoever waits beyond `until`, by
    the loop's clock, gets LedgerUnavailable within 0.1 s; what he gave may be stored even so.
    """

    def __init__(self, ledger: "AsyncLedger", limits: "Limits", counts: "Counter[str] | None" = None) -> None:
        counts = Counter() if counts is None else counts
        self._reports: Gatherer[Reported, Received] = _gatherer(
            ledger, partial(receive, limits), MOST, partial(_tell, counts, "receipts", "")
        )
        self._arrivals: Gatherer[Arrival, Arrived] = _gatherer(
            ledger, partial(inbound, limits), MOST, partial(_tell, counts, "inbound messages", "inbound_")
        )
        self._rejected: Gatherer[Rejected, int] = _gatherer(
            ledger, partial(reject, limits), MOST_REJECTED, lambda _requests, _ones: None
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


def _tell(
    counts: Counter[str], what: str, prefix: str, things: "Sequence[_OfAccount]", words: "Sequence[str]"
) -> None:
    """Count and log what became of `things`."""
    accounts: dict[str, Counter[str]] = {}
    for (account, word), number in Counter(zip(map(_account_of, things), words, strict=True)).items():
        accounts.setdefault(account, Counter())[word] = number
    for account, found in accounts.items():
        summary = ", ".join(f"{number} {word}" for word, number in sorted(found.items()))
        log.info("account %s: %s: %s", account, what, summary)
        counts.update({f"{prefix}{word}": number for word, number in found.items()})


def _gatherer(
    ledger: "AsyncLedger",
    call: "Callable[[Sequence[T]], Call[list[R]]]",
    most: int,
    tell: "Callable[[Sequence[T], Sequence[R]], None]",
) -> "Gatherer[T, R]":
    """Return what stores things of one kind, and tells what became of them."""

    async def store(things: "Sequence[T]") -> "list[R]":
        words = await ledger.run(call(things))
        tell(things, words)
        return words

    return Gatherer(store, most)
