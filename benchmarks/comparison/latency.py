"""How long a message takes from send() to its arrival at the provider, on a system that is idle."""

import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from comparison.contestants import Celery, Stage
from comparison.figures import Book, percentile
from comparison.house import House, command, house
from comparison.places import server
from comparison.plain.sending import WebApp
from comparison.processes import wait
from comparison.session import Asked, Session
from comparison.work import SENDER, recipient, text
from sendline_worker.dispatch.dispatcher import LINGER

PART: Final = "idle: send() to arrival"
SAMPLES: Final = 120
"""Of each, in all rounds together."""
HOUSES: Final = 4
"""Of Sendline: each rests while the others are asked, so that no dispatcher is awake any more."""
REST: Final = LINGER + 0.7
APART: Final = 0.1
"""Seconds between two messages, of whomever."""
POOLS: Final = (Celery("threads", 16), Celery("prefork", 8))

Send = Callable[[tuple[str, str]], None]


@dataclass(frozen=True, slots=True)
class Way:
    """How to send a message, by turns to several houses."""

    who: str
    mark: str
    sends: Iterator[Send]


def measure(session: Session, book: Book, asked: Asked) -> None:
    """Send one message after the other, by turns, and look at the provider's log for their arrivals."""
    samples = max(8, round(SAMPLES * asked.scale))
    session.say(f"idle: {samples} messages of each")
    with ExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="sl")))
        ways = [
            *sendline_ways(session, exits, folder),
            *(plain_way(session, exits, folder, p) for p in POOLS),
        ]
        session.provider.reset()
        sent = probe(ways, samples)
        arrived = arrivals(session, ways, samples)
    for way in ways:
        took = [(arrived[key] - at) * 1000 for key, at in sent.items() if key.startswith(f"{way.mark} ")]
        write_down(book, PART, way.who, took)
    conditions(book)


def conditions(book: Book) -> None:
    """Tell how it was measured."""
    book.note(PART, f"Sendline, asleep: nothing was sent for {REST:g} s, so that a task of Celery must start")
    book.note(PART, "Sendline, awake: something was sent less than a second ago")
    book.note(PART, f"Sendline: `{' '.join(['sendline', *command(Path('sendline.toml'), 2)[1:]])}`")
    for pool in POOLS:
        book.note(PART, f"Celery, {pool.pool}: one `celery worker --concurrency {pool.concurrency}`")
    book.note(PART, f"one message at a time, {APART * 1000:.0f} ms apart; until the whole request was read")


def sendline_ways(session: Session, exits: ExitStack, folder: Path) -> list[Way]:
    """Return how to send by a Sendline that sleeps, and by one that is awake."""
    houses: list[House] = []

    def ask_to_end() -> None:
        for each in houses:
            each.worker.ask_to_end()  # all at once

    for number in range(HOUSES + 1):
        valkey = exits.enter_context(server(folder, f"v{number}"))
        where = (folder, session.provider.url, valkey)
        houses.append(exits.enter_context(house(*where, processes=2, name=f"sendline{number}")))
    exits.callback(ask_to_end)
    asleep = itertools.cycle(each.send for each in houses[:-1])
    awake = itertools.repeat(houses[-1].send)
    return [Way("Sendline, asleep", "asleep", asleep), Way("Sendline, awake", "awake", awake)]


def plain_way(session: Session, exits: ExitStack, folder: Path, celery: Celery) -> Way:
    """Return how to send by the plain program."""
    valkey = exits.enter_context(server(folder, celery.pool))
    stage = Stage(folder, session.provider, session.at, valkey)
    exits.enter_context(celery.command(celery.pool, valkey, stage.at, folder))
    app = exits.enter_context(closing(WebApp(valkey.url)))
    places = itertools.count()

    def send(message: tuple[str, str]) -> None:
        app.send(str(next(places)), message[0], SENDER, message[1])

    return Way(f"Celery, {celery.pool}", celery.pool, itertools.repeat(send))


def probe(ways: list[Way], samples: int) -> dict[str, float]:
    """Send `samples` messages each way; return when each was sent. The first ones only warm up."""
    sent: dict[str, float] = {}
    for number in range(-HOUSES, samples):
        began = time.monotonic()
        for way in ways:
            send, mark = next(way.sends), way.mark if number >= 0 else "warm"
            message = recipient(number), text(mark, number)
            at = time.monotonic()
            send(message)
            if number >= 0:
                sent[f"{mark} {number}"] = at
            time.sleep(APART)
        time.sleep(max(0.0, began + REST / HOUSES - time.monotonic()))
    return sent


def arrivals(session: Session, ways: list[Way], samples: int) -> dict[str, float]:
    """Return when all of them had arrived."""
    expected = (samples + HOUSES) * len(ways)
    wait(lambda: session.provider.count() >= expected, 20, "all messages of an idle system")
    found: dict[str, float] = {}
    for way in ways:
        found |= session.provider.arrivals(way.mark)
    return found


def write_down(book: Book, part: str, who: str, took: list[float]) -> None:
    """Write down the percentiles of milliseconds."""
    for name, at in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        book.add(part, who, name, "ms", percentile(took, at))
    book.add(part, who, "samples", "", len(took))
