"""Gathers what many requests want stored while a call is under way, and stores it with the next one."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from sendline.contract.errors import LedgerUnavailable

LOOK_SECONDS: Final = 0.1
"""How often is looked for who has waited too long: a timer for each request would cost more than its wait."""

T = TypeVar("T")
R = TypeVar("R")


@dataclass(slots=True)
class _Piece(Generic[T, R]):
    """What goes into one call together, where its answer goes, and until when somebody waits for it."""

    things: Sequence[T]
    answer: "asyncio.Future[list[R]]"
    until: float

    def fail(self, error: Exception) -> None:
        """Tell whoever waits still."""
        if not self.answer.done():
            self.answer.set_exception(error)


class Gatherer(Generic[T, R]):
    """Stores things of one kind, many requests' in one call; calls begin in the order of their arrival.

    For one event loop. One call is under way at a time, so the order is kept; and what arrives meanwhile
    makes the next call the larger: two at a time would make more and smaller ones.
    """

    def __init__(self, call: Callable[[Sequence[T]], Awaitable[list[R]]], most: int) -> None:
        """`call` stores at most `most` things and returns a word for each."""
        self._store = call
        self._most = most
        self._waiting: deque[_Piece[T, R]] = deque()
        self._called: list[_Piece[T, R]] = []
        """The pieces of the call that is under way."""
        self._calling: asyncio.Task[None] | None = None
        self._look: asyncio.TimerHandle | None = None

    def store(self, things: Sequence[T], until: float) -> Awaitable[list[R]]:
        """Return the word for each thing; raises what the call raises.

        Whoever waits beyond `until`, by the loop's clock, gets LedgerUnavailable within 0.1 s; what he gave
        may be stored even so. Whoever stops waiting harms nobody.
        """
        if 0 < len(things) <= self._most:
            return self._put(things, until)
        return self._put_parts(things, until)

    async def _put_parts(self, things: Sequence[T], until: float) -> list[R]:
        starts = range(0, len(things), self._most)
        answers = [self._put(things[start : start + self._most], until) for start in starts]
        return [word for answer in await asyncio.gather(*answers) for word in answer]

    async def aclose(self) -> None:
        """Wait until everything that was put in is stored, or has failed."""
        while self._calling is not None:
            await asyncio.wait([self._calling])
        if self._look is not None:
            self._look.cancel()

    def _put(self, things: Sequence[T], until: float) -> "asyncio.Future[list[R]]":
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
        try:
            words = await self._store([thing for piece in pieces for thing in piece.things])
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            late = self._waiting if isinstance(error, LedgerUnavailable) else ()
            for piece in (*pieces, *late):  # the next call would wait as long, and the one behind it longer
                piece.fail(error)
            if late:
                self._waiting.clear()
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
