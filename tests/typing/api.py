"""How the public API is used: type-checked by mypy and pyright, never run."""

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Mapping
from contextlib import aclosing, closing
from datetime import UTC, datetime, timedelta
from typing import assert_type

from sendline import (
    AsyncProducer,
    Campaign,
    Erased,
    ErrorCode,
    Event,
    EventsLost,
    IdempotencyConflict,
    InvalidMessage,
    Lane,
    LedgerError,
    LedgerRefused,
    LedgerUnavailable,
    Message,
    NotFinal,
    OnUncertain,
    Page,
    PartlyAccepted,
    Producer,
    Progress,
    SendlineError,
    Status,
    TimelineEntry,
)
from sendline.contract.inbound import InboundMessage
from sendline.settings import Settings
from sendline.testing import Outbox


def make() -> Producer:
    """All ways to make a producer."""
    Producer()
    Producer("redis://localhost:6379/0")
    Producer(redis_url="redis://localhost:6379/0")
    return Producer(settings=Settings.load("sendline.toml", durability="memory"))


def send(producer: Producer) -> Message:
    """All arguments of send()."""
    producer.send("+13115552367", "Hello", "+13115552368")
    producer.send(
        to="+13115552367", text="Hello", lane=Lane.URGENT, valid_for=60, on_uncertain=OnUncertain.HOLD
    )
    return producer.send(
        to="+13115552367",
        text=None,
        sender=None,
        account="main",
        lane="bulk",
        idempotency_key="order-7",
        not_before=datetime.now(UTC) + timedelta(hours=1),
        valid_for=timedelta(minutes=5),
        on_uncertain="resend",
        callback_url="https://a.example/status",
        metadata={"order": "7"},
        campaign="spring",
    )


def send_many(producer: Producer) -> list[Message]:
    """Mappings of send()'s arguments, listed or generated."""
    producer.send_many([{"to": "+13115552367", "text": "Hello", "lane": Lane.BULK, "metadata": {"a": "b"}}])
    producer.send_many([{"to": "+13115552367", "text": "Hello", "campaign": "spring"}])
    return producer.send_many(
        {"to": f"+1311555{n:04}", "text": "Hello", "valid_for": 60.5} for n in range(10)
    )


def follow(producer: Producer, message: Message) -> None:
    """What can be asked of a message."""
    assert_type(producer.get(message.id), Message)
    assert_type(producer.wait(message.id, timeout=0.5), Message)
    assert_type(producer.cancel(message.id), Message)
    assert_type(producer.counts(), dict[str, int])
    assert_type(producer.events(), Iterator[Event])
    for event in producer.events(after=7, timeout=1.5):
        assert_type(event.seq, int)
        assert_type(event.status, Status)
        assert_type(event.code, ErrorCode | str | None)


def share(producer: Producer) -> None:
    """What the readers of a group, and readers of what came in, are told."""
    assert_type(producer.group_events("billing"), Generator[Event, None, None])
    with closing(producer.group_events("a", consumer="b", after=0, timeout=1.5, idle=90)) as events:
        for event in events:
            assert_type(event, Event)
    assert_type(producer.inbound(after=7, timeout=1), Iterator[InboundMessage])


def read(message: Message) -> None:
    """The fields of a message."""
    assert_type(message.status, Status)
    assert_type(message.lane, Lane)
    assert_type(message.route, tuple[str, ...])
    assert_type(message.provider_id, str | None)
    assert_type(message.created_at, datetime)
    assert_type(message.due_at, datetime | None)
    assert_type(message.timeline, tuple[TimelineEntry, ...])
    assert_type(message.final, bool)
    assert_type(message.metadata, dict[str, str])
    assert_type(message.campaign, str | None)
    if message.status is Status.FAILED and message.error is ErrorCode.BLOCKED:
        message.to_dict()


def fail(producer: Producer) -> str:
    """The errors and what they carry."""
    try:
        producer.send_many([])
    except InvalidMessage as error:
        return error.field + error.problem
    except IdempotencyConflict as error:
        return error.message_id
    except PartlyAccepted as error:
        return f"{assert_type(error.accepted, list[Message])} of {error.total}"
    except NotFinal as error:
        return error.message.id
    except EventsLost as error:
        return f"{error.after} {error.first}"
    except (LedgerUnavailable, LedgerRefused) as error:
        return str(assert_type(error, LedgerUnavailable | LedgerRefused))
    except LedgerError as error:
        return str(error)
    except SendlineError as error:
        return str(error)
    return ""


def find(producer: Producer) -> None:
    """Messages are found, and a number's are erased."""
    page = assert_type(producer.find_page(to="+13115552367", status="failed", limit=5), Page)
    assert_type(page.messages, tuple[Message, ...])
    assert_type(page.next, str | None)
    assert_type(producer.find(campaign="spring"), Iterator[Message])
    assert_type(producer.erase("+13115552367", keep_opt_out=True), Erased)
    producer.find(colour="red")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def campaign(producer: Producer) -> None:
    """A campaign is founded, steered and read."""
    made = producer.campaign("spring", text="Hi {{ name }}", recipients="people.csv", pause_at=0.1)
    assert_type(made, Campaign)
    assert_type(made.start(), Progress)
    assert_type(made.progress().statuses, Mapping[Status, int])
    assert_type(made.messages(), Iterator[Message])
    assert_type(made.retry_failed(), Campaign)


def tested(outbox: Outbox) -> None:
    """What tests of apps see."""
    assert_type(outbox.sent_to("+13115552367"), list[Message])
    assert_type(outbox.code_for("+13115552367"), str)


def close() -> None:
    """A producer is a context manager that knows its own type."""
    with make() as producer:
        assert_type(producer, Producer)
    producer.close()


async def awaited() -> None:
    """The same verbs, awaited."""
    async with AsyncProducer(redis_url="redis://localhost:6379/0") as producer:
        assert_type(producer, AsyncProducer)
        message = await producer.send(to="+13115552367", text="Hello", lane="urgent", account=None)
        await producer.send(to="+13115552367", text="Hello", lane="bulk", campaign="spring")
        assert_type(await producer.send_many([{"to": "+13115552367", "text": "Hello"}]), list[Message])
        assert_type(await producer.get(message.id), Message)
        assert_type(await producer.wait(message.id), Message)
        assert_type(await producer.cancel(message.id), Message)
        assert_type(await producer.counts(), dict[str, int])
        assert_type(producer.events(), AsyncIterator[Event])
        async for event in producer.events(after=0, timeout=1):
            assert_type(event, Event)
        assert_type(producer.group_events("billing"), AsyncGenerator[Event, None])
        async with aclosing(producer.group_events("billing", timeout=1)) as events:
            async for event in events:
                assert_type(event, Event)
        assert_type(producer.inbound(after=7, timeout=1), AsyncIterator[InboundMessage])
    await producer.close()


def wrong(producer: Producer) -> None:
    """What the types refuse; each ignore is needed, or the checkers complain."""
    producer.send(12)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    producer.send("+13115552367", colour="red")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    producer.send_many([{"to": 12}])  # type: ignore[typeddict-item]  # pyright: ignore[reportArgumentType]
    producer.get(7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
