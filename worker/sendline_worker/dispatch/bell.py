"""Listens for a bell of the ledger: such as rings when something may go and a dispatcher is awake."""

import asyncio
from typing import TYPE_CHECKING, Final

from sendline.contract.errors import LedgerError
from sendline.ledger import work
from sendline_worker.dispatch.tasks import end

if TYPE_CHECKING:
    from collections.abc import Callable

    from sendline.ledger.call import Call
    from sendline.ledger.connection import AsyncLedger

WAIT: Final = 1.0
"""Seconds one call waits. The server ends such waits up to 0.1 s late, so nothing is timed by them."""
AWAY: Final = 0.5
"""Seconds between two tries while the ledger is away."""


class Bell:
    """Calls `ring` each time the bell rings, while it is listened for."""

    def __init__(
        self,
        ledger: "AsyncLedger",
        ring: "Callable[[], None]",
        wait: "Callable[[float], Call[bool]]" = work.bell,
    ) -> None:
        """Prepare, without listening. `wait` makes the call that returns when it rings, or after so long."""
        self._ledger = ledger
        self._ring = ring
        self._wait = wait
        self._task: asyncio.Task[None] | None = None

    def go_on(self) -> None:
        """Listen, if it is not listened for already."""
        if self._task is None:
            self._task = asyncio.create_task(self._listen())

    async def pause(self) -> None:
        """Stop listening. A bell that was just heard has called `ring`, or calls it no more."""
        task, self._task = self._task, None
        if task is not None:
            await end(task)

    async def _listen(self) -> None:
        while True:
            try:
                if await self._ledger.run(self._wait(WAIT)):
                    self._ring()
            except LedgerError:
                await asyncio.sleep(AWAY)  # the next claim tells of it
