"""Tells the endpoints of apps what happened: takes notices out of the ledger, carries them, writes back."""

import asyncio
import logging
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ClassVar, Final

from sendline.contract.errors import LedgerError
from sendline.ledger import notices
from sendline.ledger.connection import AsyncLedger
from sendline.ledger.limits import Limits
from sendline.ledger.notices import Outcome
from sendline.settings import bounds, ledger_url
from sendline_worker.dispatch.bell import Bell
from sendline_worker.dispatch.tasks import end
from sendline_worker.webhooks.addresses import Allowed
from sendline_worker.webhooks.carrying import CARRIED_FOR, Carriage
from sendline_worker.webhooks.sending import TOTAL, Sender

if TYPE_CHECKING:
    from sendline.ledger.notices import Parcel, Taken
    from sendline.settings import Settings

log = logging.getLogger("sendline.webhooks")

MOST: Final = 256
"""Parcels under way from one worker: room for many endpoints that hang."""
HOST_MOST: Final = 32
"""Calls under way from one worker to one host: it may have many endpoints, and all of them may hang."""
LOOK_UPS: Final = 64
"""Hosts' names looked up at the same time: some name servers hang, too."""
MOST_EACH: Final = 8
"""Parcels under way to one endpoint, from all workers: a slow one leaves room for the others."""
LEASE: Final = 120.0
"""Seconds for which a parcel is claimed: longer than one takes to carry (see carrying.py) and to settle."""
LOOK_EVERY: Final = 5.0
"""Seconds after which is looked again, though nothing rang and nothing was to be due."""
UNWRITTEN: Final = 600_000
"""Milliseconds until it is tried again to write a webhook that could not be written."""
AWAY: Final = 1.0
"""Seconds between two tries while the ledger is away."""
STOP_WITHIN: Final = 5.0
"""Seconds for which what is under way may end when the worker shuts down; the rest is told again later."""


class Teller:
    """One worker's telling: an event loop in a thread of the worker's parent. Tests shorten its times."""

    lease: ClassVar[float] = LEASE
    carried_for: ClassVar[float] = CARRIED_FOR
    call_within: ClassVar[float] = TOTAL

    def __init__(self, settings: "Settings") -> None:
        """Prepare, without connecting."""
        self._settings = settings
        self._thread = threading.Thread(target=self._run, name="sendline-webhooks", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._begun = threading.Event()

    def start(self) -> None:
        """Begin to tell."""
        self._thread.start()
        self._begun.wait()

    def stop(self) -> None:
        """Tell what is under way to its end, for STOP_WITHIN seconds, and end."""
        if self._loop is not None and self._stopping is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(STOP_WITHIN + 2)

    def _run(self) -> None:
        asyncio.run(self._tell())

    async def _tell(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(LOOK_UPS, thread_name_prefix="sendline-names"))
        self._stopping = asyncio.Event()
        self._begun.set()
        ledger = AsyncLedger(ledger_url(self._settings), timeout=bounds.LEDGER_ANSWER)
        allowed = Allowed.of(self._settings.webhook_allow)
        sender = Sender(allowed, self._settings.webhook_secret, total=self.call_within)
        try:
            await _Round(self, ledger, sender, self._settings).run(self._stopping)
        finally:
            await sender.aclose()
            await ledger.aclose()


class _Round:
    """Takes, carries and settles, until it is told to stop."""

    def __init__(self, times: Teller, ledger: AsyncLedger, sender: Sender, settings: "Settings") -> None:
        self._times = times
        self._ledger = ledger
        urls = {name: a.callback_url for name, a in settings.accounts.items() if a.callback_url}
        self._is_stopping = False
        self._carriage = Carriage(sender, urls, lambda: self._is_stopping, times.carried_for)
        self._under_way: Counter[str] = Counter()
        self._limits = Limits.of(settings)
        self._kept_for = settings.webhook_for
        self._look = asyncio.Event()
        self._carrying: set[asyncio.Task[None]] = set()
        self._ended: list[Outcome] = []
        self._failing: dict[str, str] = {}
        self._away = False

    async def run(self, stopping: asyncio.Event) -> None:
        """Tell until `stopping` is set."""
        bell = Bell(self._ledger, self._look.set, notices.bell)
        bell.go_on()
        told_to_stop = asyncio.create_task(self._await_stop(stopping))
        try:
            while not stopping.is_set():
                self._look.clear()
                wait = await self._once()
                try:
                    async with asyncio.timeout(wait):
                        await self._look.wait()
                except TimeoutError:
                    pass
        finally:
            await bell.pause()
            await end(told_to_stop)
            await self._finish()

    async def _await_stop(self, stopping: asyncio.Event) -> None:
        await stopping.wait()
        self._is_stopping = True
        self._look.set()

    async def _once(self) -> float:
        """Settle what ended, take what may be told; return in how many seconds to look again."""
        try:
            await self._settle()
            room = MOST - len(self._carrying)
            if room <= 0:
                return LOOK_EVERY
            call = notices.take_notices(
                self._limits,
                most=room,
                lease=self._times.lease,
                most_each=MOST_EACH,
                host_most=HOST_MOST,
                under_way=self._under_way,
            )
            taken = await self._ledger.run(call)
        except LedgerError as error:
            if not self._away:
                log.warning("webhooks wait for the ledger: %s", error)
            self._away = True
            return AWAY
        except Exception as error:  # noqa: BLE001 - such as a record of a later release; the thread lives on
            log.error("webhooks could not be taken or settled: %s; that is tried again", type(error).__name__)
            return AWAY
        self._away = False
        for parcel in taken.parcels:
            task = asyncio.create_task(self._carry(taken, parcel))
            self._carrying.add(task)
            task.add_done_callback(self._carrying.discard)
        if not taken.next_ms:
            return LOOK_EVERY
        return min(max((taken.next_ms - taken.now_ms) / 1000, 0), LOOK_EVERY)

    async def _carry(self, taken: "Taken", parcel: "Parcel") -> None:
        host = notices.host_of(parcel.url)
        self._under_way[host] += 1
        try:
            outcome = await self._carriage.carry(taken.born, parcel)
        except Exception as error:  # noqa: BLE001 - what can't be written must not be claimed for ever
            outcome = Outcome(
                parcel, 0, "failed", UNWRITTEN, f"the webhook could not be written: {type(error).__name__}"
            )
        finally:
            self._under_way[host] -= 1
            if not self._under_way[host]:
                del self._under_way[host]
        self._ended.append(outcome)
        self._look.set()

    async def _settle(self) -> None:
        while self._ended:
            batch = self._ended[:MOST]
            told = await self._ledger.run(notices.told(self._limits, batch, kept_for=self._kept_for))
            del self._ended[: len(batch)]
            for outcome, became in zip(batch, told, strict=True):
                self._say(outcome, became)

    def _say(self, outcome: "Outcome", became: notices.Told) -> None:
        """Tell people of endpoints that begin to fail, are stopped, or are back: once each."""
        mark = outcome.parcel.mark
        if became in ("rests", "stopped"):
            if self._failing.get(mark) != became:
                what = "is stopped: run `sendline webhooks resume`" if became == "stopped" else "fails"
                log.warning("endpoint %s %s: %s", mark, what, outcome.reason)
            self._failing[mark] = became
        elif outcome.verdict == "taken" and mark in self._failing:
            del self._failing[mark]
            log.info("endpoint %s takes webhooks again", mark)

    async def _finish(self) -> None:
        if self._carrying:
            await asyncio.wait(self._carrying, timeout=STOP_WITHIN)
        await end(*self._carrying)
        try:
            await self._settle()
        except LedgerError as error:
            log.warning(
                "what became of the last webhooks could not be written, they are told again: %s", error
            )
