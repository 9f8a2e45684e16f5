"""The producer of threads and forks: Django, Flask, scripts."""

import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar, Unpack

from sendline.contract.draft import Draft, Fields, Options
from sendline.contract.erased import Erased
from sendline.contract.errors import LedgerError
from sendline.contract.inbound import InboundMessage
from sendline.contract.lane import Lane, OnUncertain
from sendline.contract.message import Event, Message
from sendline.ledger.connection import Ledger
from sendline.producer.core import Core
from sendline.producer.following import Reader
from sendline.producer.opening import open_settings, open_spool
from sendline.producer.plan import Aside, Pause, Plan
from sendline.producer.sharing import IDLE, Share

if TYPE_CHECKING:
    from collections.abc import Callable

    from sendline.campaigns.fields import CampaignFields
    from sendline.contract.page import Filters, Page
    from sendline.ledger.directory import Directory
    from sendline.producer.campaign import Campaign
    from sendline.settings import Settings

T = TypeVar("T")


class Producer:
    """Hands messages to Sendline and tells what became of them. Make one per app: thread- and fork-safe.

    producer = Producer()
    message = producer.send(to="+13115552367", text="Hello, world!", sender="+13115552368")
    producer.wait(message.id, timeout=30).status
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
        self._ledger = Ledger(opened.url, timeout=opened.settings.redis_timeout)

    def send(
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
        """Accept one message: when this returns, it is never lost.

        `to` and `sender` are E.164, or local with `default_region`; a sender may be a name where the
        account allows it. `account` binds it to one account. `not_before` is an aware datetime.
        `valid_for` (seconds or timedelta; default 72 h, `urgent` 10 min) ends its validity: it is never
        sent later. The same `idempotency_key` with the same content returns the first message again.
        Bulk messages of one `campaign` (a name) take turns with those of others.

        Raises InvalidMessage (naming the field), IdempotencyConflict, LedgerUnavailable, LedgerRefused.
        """
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
        return self._soon(self._core.send(fields))

    def send_many(self, messages: Iterable[Fields]) -> list[Message]:
        """Accept many messages, mappings of send()'s arguments, one round trip per few hundred.

        All are checked before any is accepted. Returns them in their order. Raises what send() raises, and
        PartlyAccepted where Redis failed, or an idempotency key was used for other content, after some were.
        """
        return self._do(self._core.send_many(messages))

    def check(self, to: str, text: str | None = None, **fields: "Unpack[Options]") -> Draft:
        """Check a message without sending it: what a form asks before it promises anything.

        The arguments are those of send(). Returns it as it would be sent: `to` in E.164, `segments`, `route`.
        Raises what send() raises but for IdempotencyConflict: opt-outs are known only when it is sent.
        """
        return self._soon(self._core.checked({"to": to, "text": text, **fields}))

    def get(self, message_id: str) -> Message:
        """Return the message as it stands. Raises UnknownMessage."""
        return self._soon(self._core.get(message_id))

    def wait(self, message_id: str, timeout: float = 30) -> Message:
        """Return the message once it is final. Raises NotFinal after `timeout` seconds, UnknownMessage."""
        return self._do(self._core.wait(message_id, timeout))

    def cancel(self, message_id: str) -> Message:
        """Cancel a message that waits. One that is being sent is canceled if the provider did not take it.

        Returns it as it then stands: `canceled`, or `sending` with `cancel_requested`, or as it was where
        it is too late. Raises UnknownMessage.
        """
        return self._soon(self._core.cancel(message_id))

    def campaign(self, name: str, **fields: "Unpack[CampaignFields]") -> "Campaign":
        """Found a campaign and import its recipients; with the name alone, find one that is there.

        campaign = producer.campaign("black-friday", text="Hi {{ name }}, ...", recipients="people.csv")
        campaign.start()

        The arguments are those of CampaignFields. An import that was cut off goes on when the same call is
        made again: every recipient gets one message. Nothing is sent before `start()`.

        Raises InvalidCampaign (naming the field), of which UnknownCampaign, CampaignExists and other
        CampaignConflicts are kinds; LedgerUnavailable, LedgerRefused.
        """
        from sendline.producer.campaign import Campaign  # noqa: PLC0415 - few apps have campaigns

        return Campaign(self._do(self._core.campaign(name, fields)), self._do)

    def events(self, after: int | None = None, *, timeout: float | None = None) -> Iterator[Event]:
        """Yield every change of status, in order, as it happens.

        `after` is the `seq` of the last event seen: reading goes on right behind it (0: from the first ever).
        None starts with what happens from this call on. Ends after `timeout` seconds without an event;
        None: never.
        Raises EventsLost where the stream was trimmed past `after`, InvalidMessage where that is negative.
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
    ) -> Generator[Event, None, None]:
        """Yield the changes of status that fall to this reader of `group`: its readers share them.

        with contextlib.closing(producer.group_events("billing")) as events:
            for event in events:
                book(event)

        Events come in entries of up to 100, those that one call wrote; each entry goes to one reader. It is
        finished when the event behind its last one is asked for. What is not finished is told again, whole:
        at once to another reader where the iterator was closed or let go, and to one that takes up this
        `consumer`'s name; `idle` seconds later to another where the process died or Redis was away. So every
        event is told at least once, and one whose handling raised is told again; after a crash so are up to
        ten entries that were finished just before. A reader that takes longer
        than three quarters of `idle` for *one* event may lose the rest of what it was given to others; all
        readers of a group should give the same.

        The events of an entry come in order. Between two entries a group promises no order: where the order
        of a message's events matters, compare their `seq`, have one reader, or use events().

        The group is made when it is first read in, and begins behind `after` (a `seq`; 0: with the first
        ever), or with what happens from then on; later, `after` means nothing. `consumer` names this reader
        in Redis: no two at a time may have the same name; None makes one. Ends after `timeout` seconds
        without an event; None: never.

        Raises InvalidMessage (naming the argument), and EventsLost where the stream was trimmed past what
        nobody had been given or had finished, or the group is gone. One reader is told, once: it begins again
        and goes on with what is left.
        """
        return self._follow(self._core.group_events(Share(group, consumer, after, idle), timeout))

    def inbound(self, after: int | None = None, *, timeout: float | None = None) -> Iterator[InboundMessage]:
        """Yield every message that people wrote to our numbers, in order, as it comes in.

        for message in producer.inbound(after=cursor.load()):
            answer(message)
            cursor.save(message.seq)

        `after`, `timeout` and what is raised are as for events(); `seq` counts what came in.
        """
        return self._follow(self._core.inbound(after, timeout))

    def find_page(
        self, *, limit: int = 100, cursor: str | None = None, **filters: "Unpack[Filters]"
    ) -> "Page":
        """Return messages that are kept, the newest first, a page at a time.

        The arguments are those of Filters: status, campaign, to, after, before, owner. `limit` (1 to 1000)
        messages at most; `cursor` is the `next` of the page before. A page may hold fewer, or none, and have
        a next one: what is rare takes several.

        Raises InvalidMessage (naming the argument), LedgerUnavailable, LedgerRefused.
        """
        return self._do(self._core.find_page(filters, limit, cursor))

    def find(self, **filters: "Unpack[Filters]") -> Iterator[Message]:
        """Yield all messages that are kept and that fit, the newest first. See find_page()."""
        cursor: str | None = None
        while True:
            page = self.find_page(cursor=cursor, **filters)
            yield from page.messages
            cursor = page.next
            if cursor is None:
                return

    def erase(self, number: str, *, keep_opt_out: bool = False) -> Erased:
        """Erase all that is kept of a number: in messages to it and from it, and on the suppression list.

        Ids, statuses and counts stay; what waited is canceled. With `keep_opt_out` a number that opted out
        stays on the suppression list, so that nothing is sent to it later. With a `spool_dir` it goes from
        there, too, on this machine; call it on every machine that has one.

        Raises InvalidMessage, LedgerUnavailable, LedgerRefused; what was erased until then stays erased.
        Raises ConfigurationError, and erases nothing, where `spool_dir` can't be read.
        """
        return self._do(self._core.erase(number, keep_opt_out=keep_opt_out))

    def counts(self) -> dict[str, int]:
        """Return how many messages were accepted, and how many have each status: one consistent view."""
        return self._soon(self._core.counts())

    def close(self) -> None:
        """Close the connections; the producer may be used again and opens new ones.

        What this process has left in the spool it tries once more to deliver, for `redis_timeout` at most.
        """
        self._core.close_spool()
        self._ledger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _follow(self, reader: Reader[T]) -> Generator[T, None, None]:
        self._do(reader.begin())
        return self._each(reader)

    def _each(self, reader: Reader[T]) -> Generator[T, None, None]:
        try:
            while (one := self._do(reader.next())) is not None:
                yield one
        finally:
            self._do(reader.end())

    def _soon(self, plan: Plan[T]) -> T:
        """Carry out the whole plan within `redis_timeout`."""
        return self._do(plan, time.monotonic() + self._ledger.timeout)

    def _do(self, plan: Plan[T], until: float | None = None) -> T:
        """Carry out the plan, each of its calls within `redis_timeout`, and none after `until`."""
        try:
            step = next(plan)
            while True:
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                    step = next(plan)
                    continue
                if isinstance(step, Aside):
                    step = plan.send(step.do())
                    continue
                try:
                    reply = self._ledger.run(step, until)
                except LedgerError as error:
                    step = plan.throw(error)
                else:
                    step = plan.send(reply)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
