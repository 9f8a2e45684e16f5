"""What a worker process holds beyond its tasks: a loop in a thread, with one Redis and one HTTP client.

Made after the fork, because a thread does not survive one. Calls under way outlive the task that began them.
"""

import asyncio
import gc
import logging
import os
import secrets
import socket
import threading
from typing import TYPE_CHECKING, Any, Final, TypeVar

import uvloop

from sendline.ledger.connection import AsyncLedger
from sendline.ledger.limits import Limits
from sendline.settings import bounds, ledger_url
from sendline_worker.dispatch.attempt import Carrier
from sendline_worker.dispatch.dispatcher import Bounds, Dispatcher
from sendline_worker.dispatch.inquirer import Inquirer
from sendline_worker.dispatch.latest import BEGIN_WITHIN
from sendline_worker.dispatch.policy import RetryPolicy
from sendline_worker.dispatch.settler import Settler
from sendline_worker.dispatch.tasks import end
from sendline_worker.dispatch.texts import Texts
from sendline_worker.tokens import CallbackUrls
from sendline_worker.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from concurrent.futures import Future

    from sendline.settings import Settings
    from sendline_worker.accounts import Account

log = logging.getLogger("sendline.dispatch")

T = TypeVar("T")

SLICE: Final = 20.0
"""Seconds for which a task claims before it gives its place back."""
FLUSH: Final = 3.0
"""Seconds for which the last outcomes may take to be written at the end."""


class Runtime:
    """One worker process: its loop, its clients, its dispatcher."""

    def __init__(
        self,
        settings: "Settings",
        accounts: "Mapping[str, Account]",
        is_stopping: "Callable[[], bool]",
    ) -> None:
        """Start the loop and make what it needs. `is_stopping` tells that the worker shuts down."""
        gc.freeze()  # what is there now stays: calls need not wait until it has been gone through once more
        self.pid = os.getpid()
        self._settings = settings
        self._accounts = accounts
        self._is_stopping = is_stopping
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sendline-loop", daemon=True)
        self._thread.start()
        self._submit(self._open()).result()

    def run_slice(self) -> None:
        """Dispatch for one slice; returns when it ends. Called by the task, in its own thread."""
        self._submit(self._dispatcher.run(SLICE)).result()

    def close(self) -> None:
        """Finish what is on the wire, write its outcomes, and end the loop."""
        try:
            self._submit(self._close()).result()
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout=FLUSH)

    def _submit(self, coroutine: "Coroutine[Any, Any, T]") -> "Future[T]":
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    async def _open(self) -> None:
        s = self._settings
        limits = Limits.of(s)
        self._ledger = AsyncLedger(ledger_url(s), timeout=bounds.LEDGER_ANSWER)
        self._wire = Wire(connections=s.connections, total=s.call_timeout)
        name = f"{socket.gethostname()}:{self.pid}:{secrets.token_hex(4)}"
        self._settler = Settler(name, self._ledger, limits)
        urls = CallbackUrls(s.public_url, s.secret_key)
        carrier = Carrier(self._accounts, self._wire, urls, Texts(self._ledger))
        self._working = [
            asyncio.create_task(self._settler.run()),
            asyncio.create_task(Inquirer(self._ledger, limits, carrier).run()),
        ]
        self._dispatcher = Dispatcher(
            name=name,
            ledger=self._ledger,
            limits=limits,
            carrier=carrier,
            settler=self._settler,
            policy=RetryPolicy.of(s),
            bounds=Bounds(s.connections, s.lease, (s.normal_share, s.bulk_share)),
            is_stopping=self._is_stopping,
        )

    async def _close(self) -> None:
        left = await self._dispatcher.drain(self._settings.call_timeout + BEGIN_WITHIN + 1)
        if left:
            log.warning("%d calls did not end in time; their claims will be judged when the lease ends", left)
        if not await self._settler.flush(FLUSH):
            log.warning("the last outcomes could not be written; their claims will be judged")
        await end(*self._working)
        await self._wire.aclose()
        await self._ledger.aclose()
