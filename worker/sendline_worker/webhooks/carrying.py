"""Carries one parcel: all that one endpoint is to be told of one message, in order."""

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sendline.contract.message import Event
from sendline.ledger.notices import Outcome, mark_of
from sendline_worker.webhooks import backoff
from sendline_worker.webhooks.body import of_event, of_inbound
from sendline_worker.webhooks.sending import Failed, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sendline.ledger.notices import Notice, Parcel
    from sendline_worker.webhooks.sending import Sender

CARRIED_FOR: Final = 60.0
"""Seconds after which no further notice of a parcel is begun: its claim shall not end meanwhile."""


@dataclass(frozen=True, slots=True)
class Carriage:
    """What carries parcels: a sender, and the URLs that accounts name now."""

    sender: "Sender"
    account_urls: "Mapping[str, str]"
    is_stopping: "Callable[[], bool]"
    carried_for: float = CARRIED_FOR

    async def carry(self, born: int, parcel: "Parcel") -> Outcome:
        """Tell the endpoint one notice after the other, up to the first that it does not take.

        What is canceled, when the worker ends, goes back: the endpoint may have taken it, and is told again.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + self.carried_for
        url = self._url(parcel)
        for taken, notice in enumerate(parcel.notices):
            if taken and (loop.time() >= until or self.is_stopping()):
                return Outcome(parcel, taken, "taken")
            try:
                told = await self.sender.send(url, event_id(born, notice), _body(parcel, notice))
            except asyncio.CancelledError:
                return Outcome(parcel, taken, "back")
            if isinstance(told, Refused):
                return Outcome(parcel, taken, "gone", reason=told.reason)
            if isinstance(told, Failed):
                tries = 1 if taken else parcel.tries + 1
                delay = backoff.seconds(tries, random.random(), told.retry_after)
                return Outcome(parcel, taken, "failed", round(delay * 1000), told.reason)
        return Outcome(parcel, len(parcel.notices), "taken")

    def _url(self, parcel: "Parcel") -> str:
        """Return the URL that the message or the account names, with its query; else that of the endpoint."""
        message = parcel.message
        account = message.account if message else _account_of(parcel)
        own = (message and message.callback_url) or self.account_urls.get(account or "")
        return own if own and mark_of(own) == parcel.mark else parcel.url


def event_id(born: int, notice: "Notice") -> str:
    """Return what names the notice to its endpoint: the same on every try, and for no other of any ledger.

    The instant is in it because a ledger that was brought back from an older state gives numbers out again.
    """
    kind = "evt" if isinstance(notice.event, Event) else "in"
    return f"{kind}_{born:x}_{notice.number:x}_{round(notice.event.at.timestamp() * 1000):x}"


def _account_of(parcel: "Parcel") -> str | None:
    events = [notice.event for notice in parcel.notices[:1]]
    return next((each.account for each in events if not isinstance(each, Event)), None)


def _body(parcel: "Parcel", notice: "Notice") -> bytes:
    if isinstance(notice.event, Event):
        return of_event(notice.event, parcel.message)
    return of_inbound(notice.event)
