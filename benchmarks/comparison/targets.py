"""What is asked of Sendline, as ratios within one run, and whether that holds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from comparison import accepting, campaigning, flat, latency, urgent
from comparison.figures import Book, Middle
from comparison.others import RECEIPTS
from comparison.turns import part_of

SAME: Final = 1.2
"""The most by which costs that shall be the same may differ."""
BARE = "bare, httpx over aiohttp"
CELERY = ("Celery, prefork", "Celery, threads")


@dataclass(frozen=True, slots=True)
class Target:
    """One thing that is asked, and what was measured."""

    what: str
    asked: str
    measured: str
    kept: bool


def targets(book: Book, processes: tuple[int, ...]) -> list[Target]:
    """Return all that can be judged by what was measured."""
    found = list(_throughput(book, processes))
    found += _handing_in(book)
    found += _redis_cpu(book, processes)
    found += _latencies(book)
    found += _memory(book, processes)
    return found + list(_flat(book))


def _throughput(book: Book, processes: tuple[int, ...]) -> Iterator[Target]:
    for part in map(part_of, processes):
        cpu = book.ratio(part, "CPU a message", "Sendline", BARE)
        yield from at_most(f"CPU a message against the bare client, {part}", cpu, 1.25, " x")
        best = best_celery(book, part)
        if best is not None:
            rate = book.ratio(part, "messages a second", "Sendline", best)
            told = f"messages a second against the best plain Celery ({best.partition(', ')[2]}), {part}"
            yield from at_least(told, rate, 4, " x")


def best_celery(book: Book, part: str) -> str | None:
    """Return the pool with the most messages a second."""
    rates = {who: found.median for who in CELERY if (found := book.middle(part, who, "messages a second"))}
    return max(rates, key=lambda who: rates[who]) if rates else None


def _handing_in(book: Book) -> Iterator[Target]:
    one = book.ratio(accepting.ONE, "CPU a message", "Sendline", "Celery")
    yield from at_most("CPU of one `send()` against `apply_async` and status write", one, 1 / 3, " x")
    bulk = book.ratio(accepting.BULK, "CPU together", "Sendline", "bare pipeline")
    yield from at_most("bulk accept a row against a bare pipeline, CPU with Redis'", bulk, 3, " x")
    time = book.ratio(accepting.BULK, "messages a second", "bare pipeline", "Sendline")
    yield from at_most("bulk accept a row against a bare pipeline, time", time, 3, " x")


def _redis_cpu(book: Book, processes: tuple[int, ...]) -> Iterator[Target]:
    parts = (
        book.middle(accepting.BULK, "Sendline", "Redis CPU a message"),
        book.middle(part_of(max(processes)), "Sendline", "Redis CPU a message"),
        book.middle(RECEIPTS, "Sendline's receiver", "Redis CPU a receipt"),
    )
    known = [each for each in parts if each is not None]
    if len(known) < len(parts):
        return
    total = Middle(*(sum(getattr(each, name) for each in known) for name in ("median", "low", "high")))
    told = " + ".join(f"{each.median:.0f}" for each in known)
    yield from at_most(f"Redis CPU a message: accept + sending + receipt ({told})", total, 60, " µs")


def _latencies(book: Book) -> Iterator[Target]:
    """Judge latencies by their limits, and by what those are of the plain program's where they were set."""
    for part, who, name, most, celery in (
        (latency.PART, "Sendline, rested", "p50", 4, 3.3),
        (latency.PART, "Sendline, rested", "p99", 15, 4.7),
        (urgent.PART, "Sendline", "p50", 10, 7),
        (urgent.PART, "Sendline", "p95", 25, 10),
    ):
        yield from at_most(f"{part}, {name}", book.middle(part, who, name), most, " ms")
        against = fastest_celery(book, part, name)
        if against is not None:
            found = book.ratio(part, name, who, against)
            yield from at_most(f"{part}, {name}, against {against}", found, most / celery, " x")


def fastest_celery(book: Book, part: str, name: str) -> str | None:
    """Return the plain program whose percentile is the least."""
    took = {who: found.median for who in ("Celery", *CELERY) if (found := book.middle(part, who, name))}
    return min(took, key=lambda who: took[who]) if took else None


def _memory(book: Book, processes: tuple[int, ...]) -> Iterator[Target]:
    part = part_of(max(processes))
    campaign = partial(book.middle, campaigning.PART, "Sendline")
    for told, found, most in (
        ("Redis memory, a single message waits", book.middle(part, "Sendline", "Redis memory, waiting"), 600),
        ("Redis memory, a single message is final", book.middle(part, "Sendline", "Redis memory, sent"), 350),
        ("Redis memory, a recipient waits", campaign("Redis memory, waiting"), 250),
        ("Redis memory, a recipient is final", campaign("Redis memory, final"), 200),
    ):
        yield from at_most(told, found, most, " B")


def _flat(book: Book) -> Iterator[Target]:
    base, *others = book.whos(flat.PART) or [""]
    for who in others:
        for what in ("CPU a message", "Redis CPU a message"):
            found = book.ratio(flat.PART, what, who, base)
            yield from at_most(f"{what}, {who}, against {base}", found, SAME, " x")


def at_most(what: str, found: Middle | None, most: float, unit: str) -> Iterator[Target]:
    """Judge a figure that shall be small, where it was measured."""
    yield from _judged(what, found, f"at most {most:.3g}{unit}", lambda value: value <= most, unit)


def at_least(what: str, found: Middle | None, least: float, unit: str) -> Iterator[Target]:
    """Judge a figure that shall be large, where it was measured."""
    yield from _judged(what, found, f"at least {least:.3g}{unit}", lambda value: value >= least, unit)


def _judged(
    what: str, found: Middle | None, asked: str, holds: Callable[[float], bool], unit: str
) -> Iterator[Target]:
    if found is not None:
        yield Target(what, asked, f"{spread(found)}{unit}", holds(found.median))


def spread(found: Middle) -> str:
    """Tell a median, and the least and the most where they differ."""
    told = [number(each) for each in (found.median, found.low, found.high)]
    return told[0] if told[1] == told[2] else f"{told[0]} ({told[1]} to {told[2]})"


def number(value: float) -> str:
    """Return a number as it is told: three digits that mean something."""
    if abs(value) >= 100 or value == round(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
