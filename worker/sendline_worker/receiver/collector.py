"""Gathers what arrives while a call to the ledger is under way, and stores it with the next one."""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sendline.ledger.work import receive

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sendline.ledger.connection import AsyncLedger
    from sendline.ledger.limits import Limits
    from sendline.ledger.work import Received, Reported

MOST: Final = 512
"""Reports in one call: a few milliseconds of the server's time."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """What goes into one call together, and where its answer goes."""

    reports: "Sequence[Reported]"
    answer: "asyncio.Future[list[Received]]"


class Collector:
    """Stores reports, many requests' in one call; at most one call is under way. For one event loop."""

    def __init__(self, ledger: "AsyncLedger", limits: "Limits") -> None:
        self._ledger = ledger
        self._limits = limits
        self._waiting: deque[_Piece] = deque()
        self._task: asyncio.Task[None] | None = None

    async def store(self, reports: "Sequence[Reported]") -> "list[Received]":
        """Return what became of each report once all are in the ledger; raises LedgerError.

        To store again what was stored before, wholly or in part, does no harm.
        """
        answers = [self._put(reports[start : start + MOST]) for start in range(0, len(reports), MOST)]
        return [word for answer in await asyncio.gather(*answers) for word in answer]

    async def aclose(self) -> None:
        """Wait until everything that was put in is stored, or has failed."""
        if self._task is not None:
            await self._task

    def _put(self, reports: "Sequence[Reported]") -> "asyncio.Future[list[Received]]":
        loop = asyncio.get_running_loop()
        piece = _Piece(reports, loop.create_future())
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

    def _take(self) -> list[_Piece]:
        """Take, in the order of their arrival, the pieces that fit into one call."""
        taken: list[_Piece] = []
        room = MOST
        while self._waiting and len(self._waiting[0].reports) <= room:
            taken.append(self._waiting.popleft())
            room -= len(taken[-1].reports)
        return taken

    async def _call(self, pieces: list[_Piece]) -> None:
        reports = [report for piece in pieces for report in piece.reports]
        try:
            words = await self._ledger.run(receive(self._limits, reports))
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            for piece in pieces:
                if not piece.answer.done():
                    piece.answer.set_exception(error)
            return
        start = 0
        for piece in pieces:
            end = start + len(piece.reports)
            if not piece.answer.done():  # its request may have run out of time
                piece.answer.set_result(words[start:end])
            start = end
