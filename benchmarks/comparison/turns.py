"""Everybody's turns, in rounds; the plain Celery program at the settings that were best beforehand."""

from typing import Final

from comparison.contestants import Bare, Celery, Contestant, Plain, Sendline
from comparison.figures import Book
from comparison.session import Asked, Session
from comparison.throughput import BUSY, Turn, take_turn

POOLS: Final[dict[str, tuple[int, ...]]] = {"prefork": (8, 16, 32), "threads": (10, 20, 40)}
"""The concurrencies that are tried of each pool of Celery."""
USUAL: Final[dict[str, tuple[int, ...]]] = {"prefork": (16,), "threads": (20,)}
"""What is taken without trying."""
MESSAGES: Final = {"Sendline": (20_000, 8_000), "Celery": (2_000, 600), "bare": (10_000, 5_000)}
"""Messages of a turn over two processes, half over one; and the least that can be measured."""
TRIED: Final = 600
"""Messages of a try."""
TINY: Final = 0.05
"""Below this scale nothing is measured: it is only tried whether all runs."""
WHATS: Final = {
    "a_second": ("messages a second", ""),
    "cpu_us": ("CPU a message", "µs"),
    "resident_mb": ("resident memory", "MB"),
    "redis_cpu_us": ("Redis CPU a message", "µs"),
    "accept_cpu_us": ("CPU to hand in, a message", "µs"),
    "accept_redis_us": ("Redis CPU to hand in, a message", "µs"),
    "waiting_bytes": ("Redis memory, waiting", "B"),
    "final_bytes": ("Redis memory, sent", "B"),
    "scripts": ("scripts a message", ""),
    "script_us": ("time in scripts, a message", "µs"),
    "provider_cpu": ("provider's CPU", "% of a core"),
}
ALL: Final = ("a_second", "cpu_us", "resident_mb", "provider_cpu")
"""What a client without a queue has as well."""


def part_of(processes: int) -> str:
    """Return the name of the part over so many processes."""
    return f"{processes} worker process{'es' if processes > 1 else ''}"


def measure(session: Session, book: Book, asked: Asked) -> None:
    """Let all take their turns."""
    contestants = {each: contestants_of(session, book, asked, each) for each in asked.processes}
    for number in range(asked.rounds):
        for processes, everybody in contestants.items():
            for who in everybody:
                session.say(f"round {number + 1}: {who.name}, {part_of(processes)}")
                messages = messages_of(who, processes, asked.scale)
                turn = take_turn(who, session.provider, session.at, processes, messages)
                write_down(book, part_of(processes), who, turn)


def contestants_of(session: Session, book: Book, asked: Asked, processes: int) -> list[Contestant]:
    """Return all, Celery at its best settings."""
    part = part_of(processes)
    plain = [best(session, book, asked, processes, pool) for pool in POOLS]
    everybody = [Sendline(), *plain, *(Bare(mode) for mode in Bare.TOLD)]
    for who in everybody:
        messages = messages_of(who, processes, asked.scale)
        book.note(part, f"{who.name}: {settings_of(who, processes)}; {messages:,} messages a turn")
    return everybody


def best(session: Session, book: Book, asked: Asked, processes: int, pool: str) -> Plain:
    """Return the plain program over a pool, at the concurrency at which it sent most in a second."""
    tried: dict[int, float] = {}
    choices = POOLS[pool] if asked.tries else USUAL[pool] if asked.scale >= TINY else (4,)
    for concurrency in choices if asked.tries else ():
        who = Plain(Celery(pool, concurrency))
        session.say(f"trying {settings_of(who, processes)}")
        messages = max(400, round(TRIED * asked.scale))
        tried[concurrency] = take_turn(who, session.provider, session.at, processes, messages).a_second
    told = ", ".join(f"{concurrency}: {a_second:.0f}" for concurrency, a_second in tried.items())
    if told:
        book.note(part_of(processes), f"Celery, {pool}: messages a second by concurrency, tried once: {told}")
    return Plain(Celery(pool, max(tried, key=lambda each: tried[each]) if tried else choices[0]))


def settings_of(who: Contestant, processes: int) -> str:
    """Return how a contestant runs over so many processes."""
    return who.settings.replace(" N", f" {processes}")


def write_down(book: Book, part: str, who: Contestant, turn: Turn) -> None:
    """Write the figures of a turn down, and doubt them where the provider was what held it up."""
    for field, (what, unit) in WHATS.items():
        if isinstance(who, Bare) and field not in ALL:
            continue
        if field.startswith("script") and not isinstance(who, Sendline):
            continue
        value = getattr(turn, field)
        book.add(part, who.name, what, unit, value * 100 if field == "provider_cpu" else value)
    if turn.provider_cpu > BUSY:
        book.doubt(
            f"{part}, {who.name}: the provider used {turn.provider_cpu:.0%} of a core, so it was the bound"
        )


def messages_of(who: Contestant, processes: int, scale: float) -> int:
    """Return how many messages a contestant's turn has."""
    kind = "bare" if isinstance(who, Bare) else who.name.partition(",")[0]
    most, least = MESSAGES[kind]
    if scale < TINY:
        least = min(least, 1200)
    return max(least, round(most * scale)) * min(processes, 2) // 2
