"""What handing in costs: one by one beside apply_async, in bulk beside a bare pipeline. No worker runs."""

import itertools
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from comparison.figures import Book
from comparison.house import BATCH, VALID_FOR
from comparison.places import Server, server
from comparison.plain.sending import WebApp
from comparison.session import Asked, Session
from comparison.turns import TINY
from comparison.work import ACCOUNT, SENDER, numbered
from sendline import Producer
from sendline.contract.accounts import AccountCard, Capabilities
from sendline.contract.draft import Fields
from sendline.ledger.accounts import AccountLimits, Wake, configure
from sendline.ledger.connection import Ledger
from sendline.ledger.directory import Directory
from sendline.ledger.limits import Limits
from sendline.settings import Settings

ONE, BULK = "handing in one by one", "handing in in bulk"
SINGLE: Final = 400
"""Messages of a turn, one by one."""
ROWS: Final = 5_000
"""Rows of a turn, in bulk."""
TURNS: Final = 3
"""Turns of a round."""

Messages = Iterator[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Way:
    """A way to hand in messages."""

    part: str
    who: str
    hand_in: Callable[[Messages], None]


def measure(session: Session, book: Book, asked: Asked) -> None:
    """Let all ways take turns."""
    with (
        tempfile.TemporaryDirectory(prefix="sl") as folder,
        server(Path(folder), "v") as valkey,
        producer(valkey) as sendline,
        closing(WebApp(valkey.url)) as app,
    ):
        ways = ways_of(sendline, app, valkey)
        for way in ways:
            way.hand_in(numbered("warm", 0, 50))
        for number in range(asked.rounds):
            session.say(f"round {number + 1}: handing in")
            for _, way in itertools.product(range(TURNS), ways):
                take_turn(way, valkey, book, size_of(way, asked.scale))
    book.note(ONE, "Celery: `apply_async` of one task and one HSET, over kept connections")
    book.note(ONE, "Sendline: `Producer.send()`")
    book.note(BULK, f"Sendline: `Producer.send_many()`, {BATCH} rows a call")
    book.note(
        BULK, f"bare pipeline: redis-py, {BATCH} rows a call, one HSET of five fields and one RPUSH a row"
    )
    for part in (ONE, BULK):
        book.note(part, "CPU is that of the process that hands in, Redis CPU that of the server's process")


def size_of(way: Way, scale: float) -> int:
    """Return the messages of a turn, no less than half of what is usual where it shall mean something."""
    usual = SINGLE if way.part == ONE else ROWS
    return max(usual // 2 if scale >= TINY else 100, round(usual * scale))


def ways_of(sendline: Producer, app: WebApp, valkey: Server) -> list[Way]:
    """Return all ways, each beside what it is held against."""

    places = itertools.count()

    def send(messages: Messages) -> None:
        for to, text in messages:
            sendline.send(to, text, SENDER)

    def apply(messages: Messages) -> None:
        for to, text in messages:
            app.send(str(next(places)), to, SENDER, text)

    def send_many(messages: Messages) -> None:
        while batch := [
            Fields(to=to, text=text, sender=SENDER) for to, text in itertools.islice(messages, BATCH)
        ]:
            sendline.send_many(batch)

    def pipeline(messages: Messages) -> None:
        while batch := list(itertools.islice(messages, BATCH)):
            pipe = valkey.raw.pipeline(transaction=False)
            for place, (to, text) in zip(places, batch, strict=False):
                row: dict[Any, Any] = {
                    "to": to,
                    "sender": SENDER,
                    "text": text,
                    "status": "created",
                    "lane": "bulk",
                }
                pipe.hset(f"row:{place}", mapping=row)
                pipe.rpush("rows", place)
            pipe.execute()

    return [
        Way(ONE, "Celery", apply),
        Way(ONE, "Sendline", send),
        Way(BULK, "bare pipeline", pipeline),
        Way(BULK, "Sendline", send_many),
    ]


def take_turn(way: Way, valkey: Server, book: Book, number: int) -> None:
    """Hand in messages once, and write down what that came to."""
    redis, began, own = valkey.spent(), time.perf_counter(), time.process_time()
    way.hand_in(numbered("m", 0, number))
    own, wall = time.process_time() - own, time.perf_counter() - began
    redis = valkey.spent() - redis
    book.add(way.part, way.who, "CPU a message", "µs", own / number * 1e6)
    book.add(way.part, way.who, "Redis CPU a message", "µs", redis / number * 1e6)
    book.add(way.part, way.who, "CPU together", "µs", (own + redis) / number * 1e6)
    book.add(way.part, way.who, "messages a second", "", number / wall)


@contextmanager
def producer(valkey: Server) -> Iterator[Producer]:
    """A producer, and a ledger that knows one account though no worker runs."""
    settings = Settings.model_construct(
        _fields_set=set(), redis_url=SecretStr(valkey.url), redis_timeout=30.0, valid_for=VALID_FOR
    )
    with closing(Ledger(valkey.url, timeout=30)) as ledger, Producer(settings=settings) as made:
        directory = Directory({ACCOUNT: AccountCard(ACCOUNT, Capabilities(), (SENDER,))}, ())
        limits = AccountLimits(ACCOUNT, 10_000.0, 10_000)
        ledger.run(
            configure(Limits(), json.dumps(directory.to_plain()), Wake("wakes", b"envelope"), [limits])
        )
        yield made
