"""Claims what may go and carries it, for a slice of time. One per worker process."""

import asyncio
import logging
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sendline.contract import ids
from sendline.contract.errors import LedgerError
from sendline.ledger import work
from sendline_worker.dispatch.policy import RetryPolicy, handed_back, settlement

if TYPE_CHECKING:
    from collections.abc import Callable

    from sendline.ledger.connection import AsyncLedger
    from sendline.ledger.limits import Limits
    from sendline_worker.dispatch.attempt import Carrier
    from sendline_worker.dispatch.settler import Settler

log = logging.getLogger("sendline.dispatch")

LINGER: Final = 2.0
"""Seconds for which a dispatcher with nothing to do stays awake; work due within it is waited for."""
PROMISE: Final = 3.0
"""It claims again within this time: LINGER and a reserve."""
SHORT: Final = 0.02
"""Up to this many seconds a plain sleep is cheaper than waiting for the bell."""
BELL: Final = 0.5
"""The longest wait for the bell, so that an orderly shutdown is seen soon."""
STALE: Final = 1.0
"""A claim that is older is handed back: its rate slot has passed."""
MOST: Final = 64
"""Messages a claim: small, so that limits are shared evenly and little is on hand when a process dies."""
URGENT_SHARE: Final = 0.1
"""The part of the connections that only urgent messages may use."""
AWAY: Final = 0.5
"""Seconds between two tries while the ledger is away."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much one process carries. Times in seconds."""

    connections: int = 100
    lease: float = 90.0

    @property
    def kept_for_urgent(self) -> int:
        """Connections that only urgent messages may use."""
        return max(1, round(self.connections * URGENT_SHARE)) if self.connections > 1 else 0


class Dispatcher:
    """Claims and carries. Calls under way outlive a slice; `drain` waits for them."""

    def __init__(
        self,
        *,
        name: str,
        ledger: "AsyncLedger",
        limits: "Limits",
        carrier: "Carrier",
        settler: "Settler",
        policy: RetryPolicy,
        bounds: Bounds,
        is_stopping: "Callable[[], bool]",
    ) -> None:
        """`name` is unique among all dispatchers of the ledger."""
        self._name = name
        self._ledger = ledger
        self._limits = limits
        self._carrier = carrier
        self._settler = settler
        self._policy = policy
        self._bounds = bounds
        self._is_stopping = is_stopping
        self._number = 0
        self._carrying: set[asyncio.Task[None]] = set()
        self._slot = asyncio.Event()

    async def run(self, slice_seconds: float) -> None:
        """Claim until nothing may go within LINGER, the slice ends, or the worker stops."""
        end = time.monotonic() + slice_seconds
        busy_at = time.monotonic()
        while time.monotonic() < end and not self._is_stopping():
            if self._room() <= 0:
                await self._await_slot(BELL)
                continue
            lingered = time.monotonic() - busy_at >= LINGER
            claimed = await self._claim(may_sign_off=lingered, until=end)
            if claimed is None:
                return
            if claimed.signed_off:
                return
            if claimed.claims:
                busy_at = time.monotonic()
            await self._rest(claimed)
        await self._sign_off()

    async def drain(self, timeout: float) -> int:
        """Wait for the calls under way, at most `timeout` seconds; return how many did not end."""
        if self._carrying:
            await asyncio.wait(self._carrying, timeout=timeout)
        return len(self._carrying)

    def _room(self) -> int:
        return self._bounds.connections - len(self._carrying)

    async def _await_slot(self, most: float) -> None:
        """Return when a call ends, at the latest after `most` seconds."""
        self._slot.clear()
        try:
            async with asyncio.timeout(most):
                await self._slot.wait()
        except TimeoutError:
            pass

    async def _claim(self, *, may_sign_off: bool, until: float) -> work.Claimed | None:
        """Claim once, the same call again while the ledger is away; None where the slice ends first."""
        self._number += 1
        room = self._room()
        request = work.ClaimRequest(
            dispatcher=self._name,
            number=self._number,
            room=min(room, MOST),
            room_below_urgent=min(room - self._bounds.kept_for_urgent, MOST),
            lease=self._bounds.lease,
            horizon=LINGER,
            promise=PROMISE,
            may_sign_off=may_sign_off,
        )
        asked_at = time.monotonic()
        while True:
            try:
                claimed = await self._ledger.run(work.claim(self._limits, request))
                break
            except LedgerError as error:
                log.warning("claiming waits: %s", error)
                if self._is_stopping() or time.monotonic() + AWAY > until:
                    return None
                await asyncio.sleep(AWAY)
        for claim in claimed.claims:
            self._start(claim, asked_at)
        return claimed

    async def _rest(self, claimed: work.Claimed) -> None:
        """Sleep until something may go, arrives, or, where only urgent ones have room, a call ends."""
        if self._room() <= self._bounds.kept_for_urgent:
            await self._await_slot(SHORT)
            return
        pause = LINGER
        if claimed.next_at is not None:
            pause = (claimed.next_at - claimed.now) / 1_000_000
        if pause <= 0:
            await asyncio.sleep(0)  # more may go now: let the calls just begun come first
        elif pause <= SHORT:
            await asyncio.sleep(pause)
        else:
            try:
                await self._ledger.run(work.bell(min(pause, BELL)))
            except LedgerError:
                await asyncio.sleep(SHORT)  # the next claim tells of it

    async def _sign_off(self) -> None:
        try:
            await self._ledger.run(work.sign_off(self._limits, self._name, LINGER))
        except LedgerError as error:
            log.warning("signing off failed, the tick will wake somebody: %s", error)

    def _start(self, claim: work.Claim, asked_at: float) -> None:
        task = asyncio.create_task(self._carry(claim, asked_at))
        self._carrying.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._carrying.discard(task)
        self._slot.set()
        if not task.cancelled() and task.exception() is not None:
            log.error("an attempt ended in a fault", exc_info=task.exception())

    async def _carry(self, claim: work.Claim, asked_at: float) -> None:
        if time.monotonic() - asked_at > STALE:
            self._settler.put(handed_back(claim, "the claim grew too old"))
            return
        if self._is_stopping():
            self._settler.put(handed_back(claim, "the worker is shutting down"))
            return
        outcome = await self._carrier.attempt(claim)
        account = self._carrier.accounts.get(claim.account)
        receipts = account.capabilities.receipts if account else True
        settled = settlement(claim, outcome, self._policy, receipts=receipts, random=random.random)
        if settled.code:
            log.info(
                "message %s: attempt %d by account %s: %s: %s",
                ids.to_text(claim.message_id),
                claim.record.attempts,
                claim.account,
                settled.code,
                settled.reason,
            )
        self._settler.put(settled)
