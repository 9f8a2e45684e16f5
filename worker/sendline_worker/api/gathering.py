"""Concurrent requests share the calls that accept their messages."""

import asyncio
from collections.abc import Sequence
from typing import Final, cast

from sendline.contract.draft import Draft
from sendline.contract.errors import LedgerError, SendlineError
from sendline.contract.message import Message
from sendline.producer.core import BATCH
from sendline_worker.api.accepting import Accepting
from sendline_worker.gathering import Gatherer

PATIENCE: Final = 0.5
"""Seconds that a request waits for its turn, beyond those that a call may take."""

Accepted = Message | SendlineError
"""What became of one message: it was accepted, or why not."""


class Accepts:
    """Accepts the messages of all requests of one event loop, at most 256 in a call, one call at a time."""

    def __init__(self, producer: Accepting, call_seconds: float) -> None:
        """`call_seconds`: how long a call may take, whatever the ledger does."""
        self._patience = call_seconds + PATIENCE
        self._gatherer: Gatherer[Draft, Accepted] = Gatherer(producer.accept, BATCH)

    async def accept(self, drafts: Sequence[Draft]) -> list[Accepted]:
        """Return what became of each message once all are in the ledger; raises LedgerError."""
        return await self._gatherer.store(drafts, asyncio.get_running_loop().time() + self._patience)

    async def accept_parts(self, drafts: Sequence[Draft]) -> list[Accepted]:
        """Do the same for any number of messages; where a part fails, its messages get the LedgerError.

        Raises it where every part did.
        """
        parts = [drafts[start : start + BATCH] for start in range(0, len(drafts), BATCH)]
        answers = await asyncio.gather(*map(self.accept, parts), return_exceptions=True)
        failed = [each for each in answers if isinstance(each, BaseException)]
        if failed and (
            len(failed) == len(parts) or not all(isinstance(each, LedgerError) for each in failed)
        ):
            raise failed[0]
        found: list[Accepted] = []
        for part, answer in zip(parts, answers, strict=True):
            found += (
                [answer] * len(part) if isinstance(answer, SendlineError) else cast("list[Accepted]", answer)
            )
        return found

    async def aclose(self) -> None:
        """Wait for what was begun."""
        await self._gatherer.aclose()
