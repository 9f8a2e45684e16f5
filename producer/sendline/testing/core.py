"""The producers' own logic, over a memory: nothing in it waits."""

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sendline.contract.errors import NotFinal, NotFinished
from sendline.ledger.limits import Limits
from sendline.ledger.record import unpack
from sendline.producer.campaign import CampaignPlans
from sendline.producer.core import Core
from sendline.producer.finding import search_for
from sendline.testing.erasing import erase
from sendline.testing.finding import page
from sendline.testing.moves import NO_ACCOUNT
from sendline.testing.sharing import MemorySharing, Once

if TYPE_CHECKING:
    from sendline.contract.campaign import Progress
    from sendline.contract.erased import Erased
    from sendline.contract.message import Message
    from sendline.contract.page import Filters, Page
    from sendline.producer.campaign import Until
    from sendline.producer.plan import Plan
    from sendline.producer.sharing import Share, Sharing
    from sendline.settings import Settings
    from sendline.testing.steering import Steering


class RecordingCore(Core):
    """Checks and answers as the real one does; what would wait says at once that it is not so yet."""

    def __init__(self, settings: "Settings", outbox: "Steering") -> None:
        """Follow `settings`, without a spool, and what `outbox` declares of accounts."""
        super().__init__(settings, time.monotonic)
        self._outbox = outbox
        outbox._heed(settings)
        bounds = unpack(Limits.of(settings).packed)
        outbox._memory.deadline, outbox._memory.max_attempts = bounds[1], bounds[3]

    def wait(self, message_id: str, timeout: float) -> "Plan[Message]":
        """Read one message; raise NotFinal at once where it is not final."""
        message = yield from self.get(message_id)
        if not message.final:
            raise NotFinal(message, timeout)
        return message

    def campaign(self, name: str, *arguments: Any, **named: Any) -> "Plan[CampaignPlans]":
        """Found a campaign, or find one. Where no account is known it goes by one that takes everything."""
        yield from self.refresh()
        known = self._rules
        if not known.accounts:
            fields = arguments[0] if arguments else {}
            self._rules = replace(known, accounts={fields.get("account") or NO_ACCOUNT: None})
        try:
            yield from super().campaign(name, *arguments, **named)
        finally:
            self._rules = known
        return _RecordedCampaign(name, self._limits, self._clock, self.campaign)

    def find_page(self, asked: "Filters", limit: int, cursor: str | None) -> "Plan[Page]":
        """Find messages, a page at a time."""
        yield from ()
        search = search_for(self._settings.default_region, asked)
        return page(self._outbox._memory, search, limit, cursor)

    def erase(self, number: str, *, keep_opt_out: bool) -> "Plan[Erased]":
        """Erase all that is kept of a number."""
        memory = self._outbox._memory
        return (yield from erase(self._settings, self._limits, memory, number, keep_opt_out=keep_opt_out))

    def group_events(self, share: "Share", timeout: float | None) -> "Sharing":
        """Read the events together with others."""
        return MemorySharing(self._outbox._memory, share, self._patience(timeout), self._names)

    def _patience(self, timeout: float | None) -> Once:
        return Once(self._clock)


class _RecordedCampaign(CampaignPlans):
    """What can be done with one campaign."""

    def wait(self, timeout: float | None, until: "Until") -> "Plan[Progress]":
        """Read where it stands; raise NotFinished at once where it has not ended."""
        try:
            return (yield from super().wait(0, until))
        except NotFinished as late:
            raise NotFinished(late.progress, timeout or 0) from None
