"""The events of the ledger as one process reads them: once for all of its streams, each at its own pace."""

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from sendline.contract import ids
from sendline.contract.errors import EventsLost, LedgerError
from sendline.ledger import finding, verbs
from sendline.producer.finding import owner_of
from sendline.producer.following import EVENTS, LONGEST_BLOCK, starting_point
from sendline.producer.trails import Campaigns
from sendline_worker.api.plans import carry_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sendline.contract.message import Event
    from sendline.ledger.connection import AsyncLedger
    from sendline.ledger.record import Record
    from sendline.producer.plan import Plan

KEPT: Final = 5000
"""Events that are kept for streams that are a little behind; others read the ledger themselves."""
AT_ONCE: Final = 500
"""Events that are looked at at once."""
_POLL: Final = 0.05


@dataclass(frozen=True, slots=True)
class Told:
    """An event, and what decides who may hear of it."""

    event: "Event"
    owner: str | None
    """The name of the key that the message belongs to; None: nobody's, or it is no longer kept."""
    campaign: str | None

    @property
    def seq(self) -> int:
        """Return the event's number."""
        return self.event.seq


class Feed:
    """Reads the events while anybody waits for them. For one event loop."""

    def __init__(self, ledger: "AsyncLedger") -> None:
        self._ledger = ledger
        self._block_ms = round(min(LONGEST_BLOCK, ledger.timeout / 2) * 1000)
        self._kept: deque[Told] = deque(maxlen=KEPT)
        self._seq = 0
        """The number of the last event that was read."""
        self._waiting = 0
        self._reading: asyncio.Task[None] | None = None
        self._news = asyncio.get_running_loop().create_future()

    async def begin(self, after: int | None) -> int:
        """Return the number behind which a stream begins: `after`, or the newest.

        Raises EventsLost, InvalidMessage, LedgerError.
        """
        return await carry_out(self._ledger, starting_point(EVENTS, after))

    async def behind(self, seq: int) -> "Sequence[Told]":
        """Return events behind number `seq`, as soon as there are any. Raises EventsLost, LedgerError."""
        found = self._remembered(seq)
        if not found:
            found = await self._read(seq, None)
        while not found:
            await self._wait(seq)
            found = self._remembered(seq) or await self._read(seq, None)
        if found[0].seq != seq + 1:
            raise EventsLost(seq, found[0].seq)
        return found

    def _remembered(self, seq: int) -> "Sequence[Told]":
        """Return events behind `seq` that were read already, where none between is missing."""
        if not self._kept or not self._kept[0].seq <= seq + 1 <= self._kept[-1].seq:
            return ()
        first = seq + 1 - self._kept[0].seq
        return list(islice(self._kept, first, first + AT_ONCE))

    async def _wait(self, seq: int) -> None:
        """Wait until something was read behind `seq`; raises LedgerError."""
        if self._reading is None or self._reading.done():
            self._seq = seq
            self._reading = asyncio.create_task(self._follow())
        elif self._seq > seq:  # it came while we looked; or the ledger is an older one, and this polls
            return await asyncio.sleep(_POLL)
        self._waiting += 1
        try:
            await asyncio.shield(self._news)
        finally:
            self._waiting -= 1
        return None

    async def _follow(self) -> None:
        """Read on as long as anybody waits."""
        try:
            while self._waiting:
                new = await self._read(self._seq, self._block_ms)
                if new:
                    self._keep(new)
        except LedgerError as error:
            self._tell(error)
        except BaseException:
            self._tell(None)
            raise

    def _keep(self, new: "Sequence[Told]") -> None:
        if self._kept and self._kept[-1].seq + 1 != new[0].seq:
            self._kept.clear()
        self._kept.extend(new)
        self._seq = new[-1].seq
        self._tell(None)

    def _tell(self, error: LedgerError | None) -> None:
        """Wake all who wait."""
        news, self._news = self._news, asyncio.get_running_loop().create_future()
        if error is None:
            news.set_result(None)
        else:
            news.set_exception(error)
            news.exception()  # there may be nobody left who asks

    async def _read(self, seq: int, block_ms: int | None) -> list[Told]:
        read = await self._ledger.run(verbs.events_after(seq, block_ms=block_ms))
        told: list[Told] = []
        for start in range(0, len(read), AT_ONCE):
            told += await carry_out(self._ledger, _told(read[start : start + AT_ONCE]))
        return told

    async def aclose(self) -> None:
        """End the reading."""
        if self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError, LedgerError):
                await self._reading


def _told(read: "Sequence[Event]") -> "Plan[list[Told]]":
    """Return the events with whose they are."""
    messages = list(dict.fromkeys(each.message_id for each in read))
    found: list[Record | None] = yield finding.records([ids.to_bytes(each) or b"" for each in messages])
    records = dict(zip(messages, found, strict=True))
    campaigns = Campaigns()
    told = []
    for event in read:
        record = records[event.message_id]
        raw = ids.to_bytes(event.message_id) or b""
        owner = None if record is None else (yield from owner_of(raw, record, campaigns))
        campaign = None if record is None else record.campaign.decode() or None
        told.append(Told(event, owner, campaign))
    return told
