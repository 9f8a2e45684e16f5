"""Gathers what arrives while a call to the ledger is under way, and stores it with the next one."""

import asyncio
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from sendline.ledger.inbound import inbound
from sendline.ledger.rejected import reject
from sendline.ledger.work import receive

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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

    At most one call of each kind is under way. For one event loop. To store again what was stored before,
    wholly or in part, does no harm.
    """

    def __init__(self, ledger: "AsyncLedger", limits: "Limits") -> None:
        self._reports: _Gatherer[Reported, Received] = _Gatherer(ledger, partial(receive, limits), MOST)
        self._arrivals: _Gatherer[Arrival, Arrived] = _Gatherer(ledger, partial(inbound, limits), MOST)
        self._rejected: _Gatherer[Rejected, int] = _Gatherer(ledger, partial(reject, limits), MOST_REJECTED)

    async def store(self, reports: "Sequence[Reported]") -> "list[Received]":
        """Return what became of each report once all are in the ledger; raises LedgerError."""
        return await self._reports.store(reports)

    async def take_in(self, arrivals: "Sequence[Arrival]") -> "list[Arrived]":
        """Return what became of each message that came in; raises LedgerError."""
        return await self._arrivals.store(arrivals)

    async def keep(self, request: "Rejected") -> None:
        """Keep a request that could not be read; raises LedgerError."""
        await self._rejected.store([request])

    async def aclose(self) -> None:
        """Wait until everything that was put in is stored, or has failed."""
        await asyncio.gather(self._reports.aclose(), self._arrivals.aclose(), self._rejected.aclose())


@dataclass(frozen=True, slots=True)
class _Piece(Generic[T, R]):
    """What goes into one call together, and where its answer goes."""

    things: "Sequence[T]"
    answer: "asyncio.Future[list[R]]"


class _Gatherer(Generic[T, R]):
    """Stores things of one kind, in the order of their arrival."""

    def __init__(
        self, ledger: "AsyncLedger", call: "Callable[[Sequence[T]], Call[list[R]]]", most: int
    ) -> None:
        self._ledger = ledger
        self._call_of = call
        self._most = most
        self._waiting: deque[_Piece[T, R]] = deque()
        self._task: asyncio.Task[None] | None = None

    async def store(self, things: "Sequence[T]") -> list[R]:
        """Return the ledger's word for each."""
        starts = range(0, len(things), self._most)
        answers = [self._put(things[start : start + self._most]) for start in starts]
        return [word for answer in await asyncio.gather(*answers) for word in answer]

    async def aclose(self) -> None:
        """Wait for what was put in."""
        if self._task is not None:
            await self._task

    def _put(self, things: "Sequence[T]") -> "asyncio.Future[list[R]]":
        loop = asyncio.get_running_loop()
        piece = _Piece(things, loop.create_future())
        self._waiting.append(piece)
        if self._task is None:
            self._task = loop.create_task(self._work())
        return piece.answer

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._call(self._take())
        finally:
            self._task = None

    def _take(self) -> list[_Piece[T, R]]:
        """Take, in the order of their arrival, the pieces that fit into one call."""
        taken: list[_Piece[T, R]] = []
        room = self._most
        while self._waiting and len(self._waiting[0].things) <= room:
            taken.append(self._waiting.popleft())
            room -= len(taken[-1].things)
        return taken

    async def _call(self, pieces: list[_Piece[T, R]]) -> None:
        things = [thing for piece in pieces for thing in piece.things]
        try:
            words = await self._ledger.run(self._call_of(things))
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            for piece in pieces:
                if not piece.answer.done():
                    piece.answer.set_exception(error)
            return
        start = 0
        for piece in pieces:
            end = start + len(piece.things)
            if not piece.answer.done():  # its request may have run out of time
                piece.answer.set_result(words[start:end])
            start = end
