"""Claims what may go and carries it, for a slice of time. One per worker process."""

import asyncio
import contextlib
import logging
import random
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from sendline.contract import ids
from sendline.contract.errors import LedgerError
from sendline.ledger import work
from sendline_worker import elapsed
from sendline_worker.dispatch.bell import Bell
from sendline_worker.dispatch.connections import Connections, Freed
from sendline_worker.dispatch.latest import latest
from sendline_worker.dispatch.policy import RetryPolicy, not_ours, settlement
from sendline_worker.dispatch.tasks import end
from sendline_worker.outcomes import NotBegun, Outcome
from sendline_worker.wait import Wait

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sendline.ledger.connection import AsyncLedger
    from sendline.ledger.limits import Limits
    from sendline_worker.accounts import Account
    from sendline_worker.dispatch.attempt import Carrier
    from sendline_worker.dispatch.latest import Latest
    from sendline_worker.dispatch.settler import Settler

log = logging.getLogger("sendline.dispatch")

LINGER: Final = 15.0
"""Seconds for which a dispatcher with nothing to do stays awake while another one is, too."""
NEAR: Final = 2.0
"""Seconds within which work that is due keeps it awake for longer."""
PROMISE: Final = 1.5
"""It claims again within this time, as long as it is awake: LOOK and a reserve. Who is late is replaced."""
LOOK: Final = 0.5
"""The longest rest, so that an orderly shutdown is seen soon."""
AWAY: Final = 0.5
"""Seconds between two tries while the ledger is away."""
GATHER: Final = 0.012
"""Seconds for which connections that come free are gathered: one claim for several messages."""
LAST_TRIES: Final = 3.0
"""Seconds for which a worker that ends tries to give back what a claim without an answer may have taken."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much one process carries. Times in seconds."""

    connections: int = 100
    lease: float = 90.0
    shares: tuple[float, float] = (0.05, 0.05)
    """The parts of an account's rate that are kept for `normal` and for `bulk` messages."""


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
        self._connections = Connections(bounds.connections, accounts=len(carrier.accounts))
        self._news = asyncio.Event()
        self._claiming = Wait(log, "claiming")
        self._gathering: asyncio.TimerHandle | None = None
        """Tells of connections that came free since the last claim."""

    async def run(self, slice_seconds: float) -> None:
        """Claim until the slice ends, the worker stops, or nothing is to be done while another is awake.

        Somebody is always awake, so that a message that comes alone needs no task of Celery.
        """
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
                self._forget_news()
                if self._connections.free <= 0:
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
                if claimed.claims or may_sign_off:  # the only one that is awake: it asks again after LINGER
                    busy_at = time.monotonic()
                await self._rest(self._pause(claimed))
        await self._sign_off()

    async def drain(self, timeout: float) -> int:
        """Wait for the calls under way, at most `timeout` seconds; return how many did not end."""
        if self._carrying:
            await asyncio.wait(self._carrying, timeout=timeout)
        if self._resolving is not None:
            await asyncio.wait({self._resolving}, timeout=min(timeout, LAST_TRIES))
            await end(self._resolving)  # the ledger is still away: what was claimed is judged
        return len(self._carrying)

    async def _claim(self, *, may_sign_off: bool, until: float) -> work.Claimed | None:
        """Claim once, the same call again while the ledger is away; None where the slice ends first."""
        asked = self._unanswered = self._ask(may_sign_off=may_sign_off)
        while True:
            try:
                claimed = await self._ledger.run(work.claim(self._limits, asked.request))
                break
            except LedgerError as error:
                self._claiming.must_wait(error)
                if self._is_stopping() or time.monotonic() + AWAY > until:
                    return None
                await asyncio.sleep(AWAY)
        self._claiming.is_over()
        self._unanswered = None
        for claim in claimed.claims:
            self._start(claim, latest(claim.record, asked_at=asked.at, now=claimed.now))
        self._connections.answered(claimed.full)
        return claimed

    def _ask(self, *, may_sign_off: bool) -> "_Asked":
        self._number += 1
        room = self._connections.room()
        request = work.ClaimRequest(
            dispatcher=self._name,
            number=self._number,
            room=room.most,
            room_below_urgent=room.not_urgent,
            lease=self._bounds.lease,
            horizon=NEAR,
            promise=PROMISE,
            may_sign_off=may_sign_off,
            shares=self._bounds.shares,
            sharing=room.sharing,
        )
        return _Asked(request, elapsed.now())

    def _pause(self, claimed: work.Claimed) -> float:
        """Return for how long nothing is to be done, if there is no news."""
        if self._connections.free <= self._connections.kept_for_urgent:
            return LOOK  # only a call that ends, or an urgent message, which rings, makes a difference
        if claimed.next_at is None:
            return LOOK
        least = 0.0 if self._connections.are_many_free else GATHER
        return max(least, min((claimed.next_at - claimed.now) / 1_000_000, LOOK))

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

    def _forget_news(self) -> None:
        """Begin anew with what a claim takes into account: what it is made for was told."""
        self._news.clear()
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None

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
        call = work.sign_off(self._limits, self._name, self._number, horizon=NEAR, unanswered=unanswered)
        try:
            await self._ledger.run(call)
        except LedgerError as error:
            self._claiming.must_wait(error)
            return False
        return True

    def _start(self, claim: work.Claim, latest: "Latest") -> None:
        task = asyncio.create_task(self._carry(claim, latest))
        self._carrying.add(task)
        self._connections.begin(claim.account)
        task.add_done_callback(partial(self._ended, claim.account))

    def _ended(self, account: str, task: "asyncio.Task[None]") -> None:
        self._carrying.discard(task)
        freed = self._connections.end(account)
        if freed is Freed.AT_ONCE:
            self._news.set()
        elif freed is Freed.SOME and self._gathering is None:
            self._gathering = task.get_loop().call_later(GATHER, self._news.set)
        if not task.cancelled() and task.exception() is not None:
            log.error("an attempt ended in a fault: %s", type(task.exception()).__name__)

    async def _carry(self, claim: work.Claim, latest: "Latest") -> None:
        account = self._carrier.accounts.get(claim.account)
        if account is None:
            self._settler.put(not_ours(claim))
            return
        outcome = await self._outcome(account, claim, latest)
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

    async def _outcome(self, account: "Account", claim: work.Claim, latest: "Latest") -> Outcome:
        if elapsed.now() > latest.at:
            return NotBegun(latest.otherwise)
        if self._is_stopping():
            return NotBegun("the worker is shutting down")
        return await self._carrier.attempt(account, claim, latest)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A claim call, and the instant (elapsed.now) at which it was first made."""

    request: work.ClaimRequest
    at: float
