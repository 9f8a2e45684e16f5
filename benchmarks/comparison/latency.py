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
"""Of each, in all rounds together; of who has rested, a quarter: that takes its time."""
HOUSES: Final = 4
"""Of Sendline: each rests while the others are asked, so that one dispatcher alone is awake."""
REST: Final = LINGER + 0.7
APART: Final = 0.1
"""Seconds between two messages, of whomever, at least."""
POOLS: Final = (Celery("threads", 16), Celery("prefork", 8))

Send = Callable[[tuple[str, str]], None]


@dataclass(frozen=True, slots=True)
class Way:
    """How to send a message, by turns to several houses."""

    who: str
    mark: str
    sends: Iterator[Send]
    samples: int
    every: float
    """Seconds between two samples."""


def measure(session: Session, book: Book, asked: Asked) -> None:
    """Send one message after the other, by turns, and look at the provider's log for their arrivals."""
    samples = max(8, round(SAMPLES * asked.scale))
    seconds = time_for(samples)
    session.say(f"idle: {samples} messages of each, {rested(samples)} of who has rested: {seconds:.0f} s")
    with ExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="sl")))
        ways = [
            *sendline_ways(session, exits, folder, samples),
            *(plain_way(session, exits, folder, p, samples) for p in POOLS),
        ]
        session.provider.reset()
        sent = probe(ways)
        arrived = arrivals(session, ways)
    for way in ways:
        took = [(arrived[key] - at) * 1000 for key, at in sent.items() if key.startswith(f"{way.mark} ")]
        write_down(book, PART, way.who, took)
    conditions(book)


def conditions(book: Book) -> None:
    """Tell how it was measured."""
    book.note(PART, f"Sendline, rested: nothing was sent for {REST:g} s; one dispatcher alone is awake")
    book.note(PART, "Sendline, in use: something was sent less than a second ago")
    book.note(PART, f"Sendline: `{' '.join(['sendline', *command(Path('sendline.toml'), 2)[1:]])}`")
    for pool in POOLS:
        book.note(PART, f"Celery, {pool.pool}: one `celery worker --concurrency {pool.concurrency}`")
    book.note(
        PART, f"one message at a time, at least {APART * 1000:.0f} ms apart; until the whole request was read"
    )


def rested(samples: int) -> int:
    """Return how many samples are taken of who has rested, where others give `samples`."""
    return max(HOUSES, samples // 4)


def time_for(samples: int) -> float:
    """Return the seconds that all samples take."""
    return (HOUSES + rested(samples)) * REST / HOUSES


def sendline_ways(session: Session, exits: ExitStack, folder: Path, samples: int) -> list[Way]:
    """Return how to send by a Sendline that has rested, and by one that is in use."""
    houses: list[House] = []

    def ask_to_end() -> None:
        for each in houses:
            each.worker.ask_to_end()  # all at once

    for number in range(HOUSES + 1):
        valkey = exits.enter_context(server(folder, f"v{number}"))
        where = (folder, session.provider.url, valkey)
        houses.append(exits.enter_context(house(*where, processes=2, name=f"sendline{number}")))
    exits.callback(ask_to_end)
    resting = itertools.cycle(each.send for each in houses[:-1])
    used = itertools.repeat(houses[-1].send)
    return [
        Way("Sendline, rested", "rested", resting, rested(samples), REST / HOUSES),
        Way("Sendline, in use", "used", used, samples, time_for(samples) / (samples + HOUSES)),
    ]


def plain_way(session: Session, exits: ExitStack, folder: Path, celery: Celery, samples: int) -> Way:
    """Return how to send by the plain program."""
    valkey = exits.enter_context(server(folder, celery.pool))
    stage = Stage(folder, session.provider, session.at, valkey)
    exits.enter_context(celery.command(celery.pool, valkey, stage.at, folder))
    app = exits.enter_context(closing(WebApp(valkey.url)))
    places = itertools.count()

    def send(message: tuple[str, str]) -> None:
        app.send(str(next(places)), message[0], SENDER, message[1])

    every = time_for(samples) / (samples + HOUSES)
    return Way(f"Celery, {celery.pool}", celery.pool, itertools.repeat(send), samples, every)


def probe(ways: list[Way]) -> dict[str, float]:
    """Send one message after the other; return when each was sent. The first of each way only warm up."""
    sent: dict[str, float] = {}
    began = time.monotonic()
    for after, number, way in sorted(turns(ways), key=lambda turn: turn[:2]):
        time.sleep(max(APART, began + after - time.monotonic()))
        mark = way.mark if number >= 0 else "warm"
        send, message = next(way.sends), (recipient(number), text(mark, number))
        at = time.monotonic()
        send(message)
        if number >= 0:
            sent[f"{mark} {number}"] = at
    return sent


def turns(ways: list[Way]) -> Iterator[tuple[float, int, Way]]:
    """Yield for each message after how many seconds it is sent, its number, and how."""
    for way in ways:
        for number in range(-HOUSES, way.samples):
            yield (number + HOUSES) * way.every, number, way


def arrivals(session: Session, ways: list[Way]) -> dict[str, float]:
    """Return when all of them had arrived."""
    expected = sum(way.samples + HOUSES for way in ways)
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
