"""Writes outcomes back: gathered for a few milliseconds, one call to the ledger."""

import asyncio
import logging
from collections import Counter
from typing import TYPE_CHECKING, Final

from sendline.contract import ids
from sendline.contract.errors import LedgerError, LedgerUnavailable
from sendline.ledger import work
from sendline_worker.wait import Wait

if TYPE_CHECKING:
    from sendline.ledger.connection import AsyncLedger
    from sendline.ledger.limits import Limits
    from sendline.ledger.work import Settlement

log = logging.getLogger("sendline.dispatch")

GATHER: Final = 0.008
"""Seconds for which outcomes are gathered before they are written."""
MOST: Final = 128
"""Outcomes a call."""
RETRY_EVERY: Final = 0.5


class Settler:
    """Takes settlements at once and writes them soon; keeps them while the ledger is away."""

    def __init__(self, name: str, ledger: "AsyncLedger", limits: "Limits") -> None:
        """Prepare, for the dispatcher `name`. `run` must be running for anything to be written."""
        self._name = name
        self._number = 0
        self._ledger = ledger
        self._limits = limits
        self._waiting: list[Settlement] = []
        self._batch: list[Settlement] = []
        """What is being written, until that is answered."""
        self._arrived = asyncio.Event()
        self._hurry = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._writing = Wait(log, "the writing of outcomes")

    def put(self, settlement: "Settlement") -> None:
        """Take `settlement` over. One that slows its account is written at once."""
        self._waiting.append(settlement)
        self._empty.clear()
        self._arrived.set()
        if settlement.effect in ("pause", "stop") or len(self._waiting) >= MOST:
            self._hurry.set()

    async def run(self) -> None:
        """Write what arrives, for ever."""
        while True:
            await self._arrived.wait()
            try:
                async with asyncio.timeout(GATHER):
                    await self._hurry.wait()
            except TimeoutError:
                pass
            self._hurry.clear()
            self._arrived.clear()
            await self._write_all()

    async def flush(self, timeout: float) -> bool:
        """Return whether everything was written within `timeout` seconds."""
        self._hurry.set()
        try:
            async with asyncio.timeout(timeout):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True

    async def _write_all(self) -> None:
        while self._batch or self._waiting:
            if not self._batch:
                self._batch = in_order(self._waiting[:MOST])
                del self._waiting[: len(self._batch)]
                self._number += 1
            try:
                await self._write(self._batch)
            except LedgerUnavailable as error:
                self._writing.must_wait(error)
                await asyncio.sleep(RETRY_EVERY)  # then the same call again: it may have been executed
                continue
            except Exception as error:  # noqa: BLE001 - what is wrong with one must not end the writing of all
                await self._take_apart(self._batch, error)
            self._batch = []
        self._empty.set()

    async def _write(self, batch: "list[Settlement]") -> None:
        results = await self._ledger.run(work.settle(self._limits, self._name, self._number, batch))
        self._writing.is_over()
        _report(batch, results)

    async def _take_apart(self, batch: "list[Settlement]", error: Exception) -> None:
        """Write one by one what was refused together; what is refused alone waits behind all others."""
        if len(batch) > 1:
            for each in batch:
                self._number += 1
                try:
                    await self._write([each])
                except Exception as error_of_one:  # noqa: BLE001 - as above
                    await self._take_apart([each], error_of_one)
        elif isinstance(error, LedgerError):
            log.warning("message %s: its outcome waits to be written: %s", _id(batch[0]), error)
            self._waiting += batch
            await asyncio.sleep(RETRY_EVERY)
        else:
            log.error("message %s: its outcome can't be written: %s", _id(batch[0]), type(error).__name__)


def in_order(batch: "list[Settlement]") -> "list[Settlement]":
    """Return `batch` so ordered that what goes back to the head of a line keeps its order there."""
    back = sorted((s for s in batch if s.delay == work.HEAD), key=lambda s: -s.token)
    return [s for s in batch if s.delay != work.HEAD] + back


def _report(batch: "list[Settlement]", results: "list[work.Settled]") -> None:
    for settlement, result in zip(batch, results, strict=True):
        if result in ("dead", "unknown", "late"):
            log.warning(
                "message %s: outcome %s came after its claim had ended (%s); nothing was changed",
                _id(settlement),
                settlement.target,
                result,
            )
    stopped = Counter((s.account, s.effect, s.reason) for s in batch if s.effect in ("pause", "stop"))
    for (account, effect, reason), number in stopped.items():
        what = "is paused" if effect == "pause" else "is stopped"
        log.warning("account %s %s (%d in this batch): %s", account, what, number, reason)


def _id(settlement: "Settlement") -> str:
    return ids.to_text(settlement.message_id)
