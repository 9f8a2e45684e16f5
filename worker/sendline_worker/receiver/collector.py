"""Gathers what arrives while calls to the ledger are under way, and stores it with the next one."""

import asyncio
import logging
import math
from collections import Counter, deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from sendline.contract.errors import LedgerUnavailable
from sendline.ledger.inbound import inbound
from sendline.ledger.rejected import reject
from sendline.ledger.work import receive

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

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
LOOK_SECONDS: Final = 0.1
"""How often is looked for who has waited too long: a timer for each request would cost more than its wait."""


class _OfAccount(Protocol):
    @property
    def account(self) -> str: ...


T = TypeVar("T", bound=_OfAccount)
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
        self._reports: _Gatherer[Reported, Received] = _Gatherer(
            ledger, partial(receive, limits), MOST, partial(_tell, counts, "receipts", "")
        )
        self._arrivals: _Gatherer[Arrival, Arrived] = _Gatherer(
            ledger, partial(inbound, limits), MOST, partial(_tell, counts, "inbound messages", "inbound_")
        )
        self._rejected: _Gatherer[Rejected, int] = _Gatherer(
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
    for (account, word), number in Counter(
        zip((each.account for each in things), words, strict=True)
    ).items():
        accounts.setdefault(account, Counter())[word] = number
    for account, found in accounts.items():
        summary = ", ".join(f"{number} {word}" for word, number in sorted(found.items()))
        log.info("account %s: %s: %s", account, what, summary)
        counts.update({f"{prefix}{word}": number for word, number in found.items()})


@dataclass(slots=True)
class _Piece(Generic[T, R]):
    """What goes into one call together, where its answer goes, and until when somebody waits for it."""

    things: "Sequence[T]"
    answer: "asyncio.Future[list[R]]"
    until: float

    def fail(self, error: Exception) -> None:
        """Tell whoever waits still."""
        if not self.answer.done():
            self.answer.set_exception(error)


class _Gatherer(Generic[T, R]):
    """Stores things of one kind; calls begin in the order of their arrival."""

    def __init__(
        self,
        ledger: "AsyncLedger",
        call: "Callable[[Sequence[T]], Call[list[R]]]",
        most: int,
        tell: "Callable[[Sequence[T], Sequence[R]], None]",
    ) -> None:
        self._ledger = ledger
        self._call_of = call
        self._most = most
        self._tell = tell
        self._waiting: deque[_Piece[T, R]] = deque()
        self._called: list[_Piece[T, R]] = []
        """The pieces of the call that is under way."""
        self._calling: asyncio.Task[None] | None = None
        self._look: asyncio.TimerHandle | None = None

    def store(self, things: "Sequence[T]", until: float) -> "Awaitable[list[R]]":
        """Return the ledger's word for each."""
        if 0 < len(things) <= self._most:
            return self._put(things, until)
        return self._put_parts(things, until)

    async def _put_parts(self, things: "Sequence[T]", until: float) -> list[R]:
        starts = range(0, len(things), self._most)
        answers = [self._put(things[start : start + self._most], until) for start in starts]
        return [word for answer in await asyncio.gather(*answers) for word in answer]

    async def aclose(self) -> None:
        """Wait for what was put in."""
        while self._calling is not None:
            await asyncio.wait([self._calling])
        if self._look is not None:
            self._look.cancel()

    def _put(self, things: "Sequence[T]", until: float) -> "asyncio.Future[list[R]]":
        loop = asyncio.get_running_loop()
        piece = _Piece(things, loop.create_future(), until)
        self._waiting.append(piece)
        if self._calling is None:
            self._calling = loop.create_task(self._work())
        if self._look is None:
            self._look = loop.call_later(LOOK_SECONDS, self._give_up)
        return piece.answer

    async def _work(self) -> None:
        try:
            while self._waiting:
                self._called = list(self._take())
                await self._call(self._called)
        finally:
            self._called, self._calling = [], None  # whoever puts something in now must begin a new one

    def _take(self) -> "Iterator[_Piece[T, R]]":
        """Take, in the order of their arrival, the pieces that fit into one call."""
        room = self._most
        while self._waiting and len(self._waiting[0].things) <= room:
            piece = self._waiting.popleft()
            room -= len(piece.things)
            yield piece

    async def _call(self, pieces: list[_Piece[T, R]]) -> None:
        things = [thing for piece in pieces for thing in piece.things]
        try:
            words = await self._ledger.run(self._call_of(things))
            self._tell(things, words)
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            for piece in pieces:
                piece.fail(error)
            return
        start = 0
        for piece in pieces:
            end = start + len(piece.things)
            if not piece.answer.done():  # its request may have run out of time
                piece.answer.set_result(words[start:end])
            start = end

    def _give_up(self) -> None:
        """Answer those who have waited too long, and come again while anybody waits."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for piece in (*self._called, *self._waiting):
            if piece.until <= now:
                piece.fail(LedgerUnavailable("the ledger is too slow"))
        self._waiting = deque(piece for piece in self._waiting if not piece.answer.done())
        self._look = loop.call_later(LOOK_SECONDS, self._give_up) if self._calling else None
