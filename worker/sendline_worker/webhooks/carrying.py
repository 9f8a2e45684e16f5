"""Carries one parcel: all that one endpoint is to be told of one message, in order."""

import asyncio
import random
from typing import TYPE_CHECKING, Final

from sendline.contract.message import Event
from sendline.ledger.notices import Outcome
from sendline_worker.webhooks import backoff
from sendline_worker.webhooks.body import of_event, of_inbound
from sendline_worker.webhooks.sending import Failed, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from sendline.ledger.notices import Notice, Parcel
    from sendline_worker.webhooks.sending import Sender

CARRIED_FOR: Final = 60.0
"""Seconds after which no further notice of a parcel is begun: its claim shall not end meanwhile."""


async def carry(
    sender: "Sender",
    born: int,
    parcel: "Parcel",
    *,
    carried_for: float = CARRIED_FOR,
    is_stopping: "Callable[[], bool]" = lambda: False,
) -> Outcome:
    """Tell the endpoint one notice after the other, up to the first that it does not take.

    What is canceled, when the worker ends, goes back: the endpoint may have taken it, and is told again.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + carried_for
    last = 0
    for notice in parcel.notices:
        if last and (loop.time() >= until or is_stopping()):
            break
        try:
            told = await sender.send(parcel.url, event_id(born, notice), _body(parcel, notice))
        except asyncio.CancelledError:
            return Outcome(parcel, last, "back")
        if isinstance(told, Refused):
            return Outcome(parcel, last, "gone", reason=told.reason)
        if isinstance(told, Failed):
            tries = 0 if last else parcel.tries
            delay = backoff.seconds(tries + 1, random.random(), told.retry_after)
            return Outcome(parcel, last, "failed", round(delay * 1000), told.reason)
        last = notice.number
    return Outcome(parcel, last, "taken")


def event_id(born: int, notice: "Notice") -> str:
    """Return what names the notice to its endpoint: the same on every try, and for no other of any ledger."""
    kind = "evt" if isinstance(notice.event, Event) else "in"
    return f"{kind}_{born:x}_{notice.number}"


def _body(parcel: "Parcel", notice: "Notice") -> bytes:
    if isinstance(notice.event, Event):
        return of_event(notice.event, parcel.message)
    return of_inbound(notice.event)
