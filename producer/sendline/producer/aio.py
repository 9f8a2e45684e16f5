"""The producer of event loops: FastAPI and other asyncio apps. The same verbs, awaited."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar, Unpack

from sendline.contract.draft import Draft, Fields, Options
from sendline.contract.erased import Erased
from sendline.contract.errors import LedgerError
from sendline.contract.inbound import InboundMessage
from sendline.contract.lane import Lane, OnUncertain
from sendline.contract.message import Event, Message
from sendline.ledger.connection import AsyncLedger
from sendline.producer.core import Core
from sendline.producer.following import Reader
from sendline.producer.opening import open_settings, open_spool
from sendline.producer.plan import Aside, Pause, Plan
from sendline.producer.sharing import IDLE, Share

if TYPE_CHECKING:
    from collections.abc import Callable

    from sendline.campaigns.fields import CampaignFields
    from sendline.contract.campaign import Imported
    from sendline.contract.page import Filters, Page
    from sendline.ledger.directory import Directory
    from sendline.producer.campaign import AsyncCampaign, CampaignPlans
    from sendline.settings import Settings

T = TypeVar("T")


class AsyncProducer:
    """Hands messages to Sendline and tells what became of them, within one event loop.

    producer = AsyncProducer()
    message = await producer.send(to="+13115552367", text="Hello, world!", sender="+13115552368")
    """

    def __init__(
        self,
        redis_url: str | None = None,
        *,
        settings: "Settings | None" = None,
        directory: "Callable[[], Directory] | None" = None,
    ) -> None:
        """Read the settings (environment, sendline.toml); `redis_url` overrides theirs. Connects when used.

        `directory` tells the accounts while no worker has published them. Raises ConfigurationError.
        """
        opened = open_settings(redis_url, settings)
        self._core = Core(opened.settings, time.monotonic, directory, open_spool(opened))
        self._ledger = AsyncLedger(opened.url, timeout=opened.settings.redis_timeout)

    async def send(
        self,
        to: str,
        text: str | None = None,
        sender: str | None = None,
        *,
        account: str | None = None,
        lane: Lane | str = Lane.NORMAL,
        idempotency_key: str | None = None,
        not_before: datetime | None = None,
        valid_for: timedelta | float | None = None,
        on_uncertain: OnUncertain | str | None = None,
        callback_url: str | None = None,
        metadata: Mapping[str, str] | None = None,
        campaign: str | None = None,
    ) -> Message:
        """Accept one message: when this returns, it is never lost. See Producer.send()."""
        fields: Fields = {
            "to": to,
            "text": text,
            "sender": sender,
            "account": account,
            "lane": lane,
            "idempotency_key": idempotency_key,
            "not_before": not_before,
            "valid_for": valid_for,
            "on_uncertain": on_uncertain,
            "callback_url": callback_url,
            "metadata": metadata,
            "campaign": campaign,
        }
        return await self._soon(self._core.send(fields))

    async def send_many(self, messages: Iterable[Fields]) -> list[Message]:
        """Accept many messages, one round trip per few hundred. See Producer.send_many()."""
        return await self._do(self._core.send_many(messages))

    async def check(self, to: str, text: str | None = None, **fields: "Unpack[Options]") -> Draft:
        """Check a message without sending it. See Producer.check()."""
        return await self._soon(self._core.checked({"to": to, "text": text, **fields}))

    async def get(self, message_id: str) -> Message:
        """Return the message as it stands. Raises UnknownMessage."""
        return await self._soon(self._core.get(message_id))

    async def wait(self, message_id: str, timeout: float = 30) -> Message:
        """Return the message once it is final. Raises NotFinal after `timeout` seconds, UnknownMessage."""
        return await self._do(self._core.wait(message_id, timeout))

    async def cancel(self, message_id: str) -> Message:
        """Cancel a message that waits, or ask for it. See Producer.cancel()."""
        return await self._soon(self._core.cancel(message_id))

    async def campaign(self, name: str, **fields: "Unpack[CampaignFields]") -> "AsyncCampaign":
        """Found a campaign and import its recipients; with the name alone, find one that is there.

        campaign = await producer.campaign("black-friday", text="Hi {{ name }}, ...", recipients="people.csv")
        await campaign.start()

        The arguments are those of CampaignFields. An import that was cut off goes on when the same call is
        made again: every recipient gets one message. Nothing is sent before `start()`.

        The recipients are read and checked in a thread, so that the event loop's other tasks go on; so an
        iterable of them is run through there. `on_progress` is called in the event loop.

        Raises InvalidCampaign (naming the field), of which UnknownCampaign, CampaignExists and other
        CampaignConflicts are kinds; LedgerUnavailable, LedgerRefused.
        """
        from sendline.producer.campaign import AsyncCampaign  # noqa: PLC0415 - few apps have campaigns

        if not fields:
            return AsyncCampaign(await self._do(self._core.campaign(name, fields)), self._do, self._off_loop)

        def plan(hear: "Callable[[Imported], None]") -> "Plan[CampaignPlans]":
            return self._core.campaign(name, {**fields, "on_progress": hear})

        plans = await self._off_loop(plan, fields.get("on_progress"))
        return AsyncCampaign(plans, self._do, self._off_loop)

    def events(self, after: int | None = None, *, timeout: float | None = None) -> AsyncIterator[Event]:
        """Yield every change of status, in order, as it happens. See Producer.events().

        With `after=None` it starts when the first event is asked for.
        """
        return self._follow(self._core.events(after, timeout))

    def group_events(
        self,
        group: str,
        *,
        consumer: str | None = None,
        after: int | None = None,
        timeout: float | None = None,
        idle: float = IDLE,
    ) -> AsyncGenerator[Event, None]:
        """Yield the changes of status that fall to this reader of `group`. See Producer.group_events().

        async with contextlib.aclosing(producer.group_events("billing")) as events:
            async for event in events:
                await book(event)

        The group is made when the first event is asked for. What is not finished goes to others at once when
        the iterator is closed, as aclosing() does: left open, it is closed only once the loop comes to it.
        """
        return self._follow(self._core.group_events(Share(group, consumer, after, idle), timeout))

    def inbound(
        self, after: int | None = None, *, timeout: float | None = None
    ) -> AsyncIterator[InboundMessage]:
        """Yield every message that people wrote to our numbers, in order. See Producer.inbound().

        With `after=None` it starts when the first one is asked for.
        """
        return self._follow(self._core.inbound(after, timeout))

    async def find_page(
        self, *, limit: int = 100, cursor: str | None = None, **filters: "Unpack[Filters]"
    ) -> "Page":
        """Return messages that are kept, the newest first, a page at a time. See Producer.find_page()."""
        return await self._do(self._core.find_page(filters, limit, cursor))

    async def find(self, **filters: "Unpack[Filters]") -> AsyncGenerator[Message, None]:
        """Yield all messages that are kept and that fit, the newest first. See Producer.find_page()."""
        cursor: str | None = None
        while True:
            page = await self.find_page(cursor=cursor, **filters)
            for message in page.messages:
                yield message
            cursor = page.next
            if cursor is None:
                return

    async def erase(self, number: str, *, keep_opt_out: bool = False) -> Erased:
        """Erase all that is kept of a number. See Producer.erase()."""
        return await self._do(self._core.erase(number, keep_opt_out=keep_opt_out))

    async def counts(self) -> dict[str, int]:
        """Return how many messages were accepted, and how many have each status: one consistent view."""
        return await self._soon(self._core.counts())

    async def close(self) -> None:
        """Close the connections; the producer may be used again and opens new ones. See Producer.close()."""
        if self._core.has_spool:
            await asyncio.to_thread(self._core.close_spool)
        await self._ledger.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _follow(self, reader: Reader[T]) -> AsyncGenerator[T, None]:
        await self._do(reader.begin())
        try:
            while (one := await self._do(reader.next())) is not None:
                yield one
        finally:
            await self._do(reader.end())

    async def _soon(self, plan: Plan[T]) -> T:
        """Carry out the whole plan within `redis_timeout`."""
        return await self._do(plan, time.monotonic() + self._ledger.timeout)

    async def _off_loop(
        self,
        plan: "Callable[[Callable[[Imported], None]], Plan[T]]",
        on_progress: "Callable[[Imported], None] | None",
    ) -> T:
        """Carry out the plan of an import, which tells how far it has come, without holding the loop up."""
        from sendline.producer.off_loop import Hearer, carry_out  # noqa: PLC0415 - few apps have campaigns

        hearer = Hearer(on_progress)
        return await carry_out(plan(hearer), self._ledger.run, hearer.pass_on)

    async def _do(self, plan: Plan[T], until: float | None = None) -> T:
        """Carry out the plan, each of its calls within `redis_timeout`, and none after `until`."""
        try:
            step = next(plan)
            while True:
                if isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                    step = next(plan)
                    continue
                if isinstance(step, Aside):
                    step = plan.send(await asyncio.to_thread(step.do))
                    continue
                try:
                    reply = await self._ledger.run(step, until)
                except LedgerError as error:
                    step = plan.throw(error)
                else:
                    step = plan.send(reply)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
