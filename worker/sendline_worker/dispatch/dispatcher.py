"""Claims what may go and carries it, for a slice of time. One per worker process."""

import asyncio
import contextlib
import logging
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sendline.contract import ids
from sendline.contract.errors import LedgerError
from sendline.ledger import work
from sendline_worker import elapsed
from sendline_worker.dispatch.bell import Bell
from sendline_worker.dispatch.policy import RetryPolicy, not_ours, settlement
from sendline_worker.dispatch.tasks import end
from sendline_worker.outcomes import NotBegun, Outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sendline.ledger.connection import AsyncLedger
    from sendline.ledger.limits import Limits
    from sendline_worker.accounts import Account
    from sendline_worker.dispatch.attempt import Carrier
    from sendline_worker.dispatch.settler import Settler

log = logging.getLogger("sendline.dispatch")

LINGER: Final = 2.0
"""Seconds for which a dispatcher with nothing to do stays awake; work due within it is waited for."""
PROMISE: Final = 3.0
"""It claims again within this time: LINGER and a reserve."""
LOOK: Final = 0.5
"""The longest rest, so that an orderly shutdown is seen soon."""
STALE: Final = 1.0
"""A claim that is older is handed back: its rate slot has passed."""
BEGIN_WITHIN: Final = 15.0
"""So long after its claim a call is not begun any more: no connection was free, or the process was frozen."""
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
    longest_call: float = 20.0

    @property
    def begin_within(self) -> float:
        """The time after a claim within which its call must begin, so that it ends well within the lease."""
        return min(BEGIN_WITHIN, (self.lease - self.longest_call) / 2)

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
        self._unanswered: _Asked | None = None
        self._resolving: asyncio.Task[None] | None = None
        self._carrying: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()

    async def run(self, slice_seconds: float) -> None:
        """Claim until nothing may go within LINGER, the slice ends, or the worker stops."""
        ends_at = time.monotonic() + slice_seconds
        if self._unanswered is not None and self._resolving is None:
            await self._sign_off()  # a fault had ended the slice before
        if self._resolving is not None:
            await asyncio.wait({self._resolving}, timeout=slice_seconds)
            if not self._resolving.done():
                return  # the ledger is still away
            self._resolving = None
        busy_at = time.monotonic()
        async with self._listening() as bell:
            while time.monotonic() < ends_at and not self._is_stopping():
                self._news.clear()
                if self._room() <= 0:
                    await self._rest(LOOK)
                    continue
                may_sign_off = time.monotonic() - busy_at >= LINGER
                if may_sign_off:
                    await bell.pause()  # a bell that rings from here on is not for this dispatcher
                claimed = await self._claim(may_sign_off=may_sign_off, until=ends_at)
                if claimed is None:
                    break
                if claimed.signed_off or claimed.behind:
                    return
                bell.go_on()
                if claimed.claims:
                    busy_at = time.monotonic()
                await self._rest(self._pause(claimed))
        await self._sign_off()

    async def drain(self, timeout: float) -> int:
        """Wait for the calls under way, at most `timeout` seconds; return how many did not end."""
        last = {*self._carrying, *filter(None, [self._resolving])}
        if last:
            await asyncio.wait(last, timeout=timeout)
        if self._resolving is not None:
            await end(self._resolving)  # the ledger is still away: what was claimed is judged
        return len(self._carrying)

    def _room(self) -> int:
        return self._bounds.connections - len(self._carrying)

    async def _claim(self, *, may_sign_off: bool, until: float) -> work.Claimed | None:
        """Claim once, the same call again while the ledger is away; None where the slice ends first."""
        asked = self._unanswered = self._ask(may_sign_off=may_sign_off)
        while True:
            try:
                claimed = await self._ledger.run(work.claim(self._limits, asked.request))
                break
            except LedgerError as error:
                log.warning("claiming waits: %s", error)
                if self._is_stopping() or time.monotonic() + AWAY > until:
                    return None
                await asyncio.sleep(AWAY)
        self._unanswered = None
        for claim in claimed.claims:
            self._start(claim, asked.at)
        return claimed

    def _ask(self, *, may_sign_off: bool) -> "_Asked":
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
        return _Asked(request, elapsed.now())

    def _pause(self, claimed: work.Claimed) -> float:
        """Return for how long nothing is to be done, if there is no news."""
        if self._room() <= self._bounds.kept_for_urgent:
            return LOOK  # only a call that ends, or an urgent message, which rings, makes a difference
        if claimed.next_at is None:
            return LOOK
        return min((claimed.next_at - claimed.now) / 1_000_000, LOOK)

    async def _rest(self, seconds: float) -> None:
        """Return when a message arrives or a call ends, at the latest after `seconds`."""
        if seconds <= 0:
            await asyncio.sleep(0)  # more may go now: let the calls just begun come first
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()

    @contextlib.asynccontextmanager
    async def _listening(self) -> "AsyncIterator[Bell]":
        bell = Bell(self._ledger, self._ring)
        bell.go_on()
        try:
            yield bell
        finally:
            await bell.pause()

    def _ring(self) -> None:
        self._news.set()

    async def _sign_off(self) -> None:
        """End the slice. What a claim without an answer may have taken goes back, however long that takes."""
        self._number += 1
        if await self._signed_off():
            self._unanswered = None
        elif self._unanswered is not None:
            self._resolving = asyncio.create_task(self._resolve())

    async def _resolve(self) -> None:
        while True:
            await asyncio.sleep(AWAY)
            if await self._signed_off():
                break
        self._unanswered = None

    async def _signed_off(self) -> bool:
        unanswered = self._unanswered.request.number if self._unanswered else 0
        call = work.sign_off(self._limits, self._name, self._number, horizon=LINGER, unanswered=unanswered)
        try:
            await self._ledger.run(call)
        except LedgerError as error:
            log.warning("signing off waits, the tick will wake somebody: %s", error)
            return False
        return True

    def _start(self, claim: work.Claim, asked_at: float) -> None:
        task = asyncio.create_task(self._carry(claim, asked_at))
        self._carrying.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._carrying.discard(task)
        if self._room() == 1 or self._room() == self._bounds.kept_for_urgent + 1:
            self._news.set()  # there was no room, for any or for those that are not urgent; now there is
        if not task.cancelled() and task.exception() is not None:
            log.error("an attempt ended in a fault: %s", type(task.exception()).__name__)

    async def _carry(self, claim: work.Claim, asked_at: float) -> None:
        account = self._carrier.accounts.get(claim.account)
        if account is None:
            self._settler.put(not_ours(claim))
            return
        outcome = await self._outcome(account, claim, asked_at)
        receipts = account.capabilities.receipts
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

    async def _outcome(self, account: "Account", claim: work.Claim, asked_at: float) -> Outcome:
        if elapsed.now() - asked_at > STALE:
            return NotBegun("its claim grew too old")
        if self._is_stopping():
            return NotBegun("the worker is shutting down")
        return await self._carrier.attempt(account, claim, asked_at + self._bounds.begin_within)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A claim call, and the instant (elapsed.now) at which it was first made."""

    request: work.ClaimRequest
    at: float
