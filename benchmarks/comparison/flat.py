"""Whether a message costs the same whatever waits, over however many accounts and campaigns."""

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from comparison.figures import Book
from comparison.house import House, house
from comparison.places import Server, server
from comparison.processes import spent, wait
from comparison.session import Asked, Session
from comparison.turns import TINY
from comparison.work import ACCOUNT, numbered

PART: Final = "flat: cost of a message by what waits"
LEAST: Final = 10_000
"""Messages that wait in the first case."""
WINDOW: Final = 5_000
"""Messages of one turn."""
HEAD: Final = 500
"""Messages of a turn before it is measured."""


@dataclass(frozen=True, slots=True)
class Case:
    """What waits."""

    waiting: int
    accounts: int = 1
    campaigns: int = 1

    @property
    def told(self) -> str:
        """Say it."""
        return f"{self.waiting:,} waiting, accounts: {self.accounts}, campaigns: {self.campaigns:,}"


@dataclass(slots=True)
class Running:
    """A case with its house, halted but for its turns."""

    case: Case
    house: House
    server: Server
    handed_in: int = 0

    def fill(self, number: int) -> None:
        """Hand in messages, spread over accounts and campaigns."""
        each = max(self.case.accounts, self.case.campaigns)
        for place in range(each):
            own = number // each + (place < number % each)
            messages = numbered("m", self.handed_in, own)
            self.handed_in += own
            name = self.house.accounts[place % self.case.accounts]
            campaign = f"c{place % self.case.campaigns}"
            self.house.send_many(messages, account=name, lane="bulk", campaign=campaign)


def cases(asked: Asked) -> list[Case]:
    """Return what is compared; the first is what the others are held against."""
    least = LEAST if asked.scale >= TINY else 1000
    most = max(asked.most, least)
    spread = Case(least, campaigns=min(1000, least // 2))
    return [Case(least), Case(most), Case(least, accounts=100), spread]


def measure(session: Session, book: Book, asked: Asked) -> None:
    """Let all cases take turns."""
    with ExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="sl")))
        running = []
        for number, case in enumerate(cases(asked)):
            session.say(f"flat: {case.told}")
            running.append(begin(session, exits, folder, number, case))
        window = max(2500 if asked.scale >= TINY else 200, round(WINDOW * asked.scale))
        for number in range(asked.rounds + 1):
            session.say(f"round {number}: flat" if number else "warming up: flat")
            for each in running:
                take_turn(session, book if number else Book(), each, window)
        for each in running:
            each.house.worker.ask_to_end()  # all at once
    book.note(PART, "Sendline: `sendline worker --processes 2`, a server and a worker for each case")
    book.note(
        PART, f"a turn: {window:,} messages go, then as many are handed in again, so that as much waits"
    )


def begin(session: Session, exits: ExitStack, folder: Path, number: int, case: Case) -> Running:
    """Start a case and hand in what shall wait."""
    valkey = exits.enter_context(server(folder, f"v{number}"))
    accounts = [f"a{each}" for each in range(case.accounts)] if case.accounts > 1 else [ACCOUNT]
    where = (folder, session.provider.url, valkey)
    made = exits.enter_context(house(*where, processes=2, accounts=accounts, name=f"flat{number}"))
    made.halt()
    running = Running(case, made, valkey)
    running.fill(case.waiting)
    return running


def take_turn(session: Session, book: Book, running: Running, window: int) -> None:
    """Let some of what waits go, and write down what each cost."""
    provider, workers = session.provider, [running.house.worker]
    provider.reset()
    head = min(HEAD, window // 4)
    running.house.resume()
    wait(lambda: provider.count() >= head, 60, f"messages of {running.case.told}", every=0.01)
    first, cpu, redis = provider.count(), spent(workers), running.server.spent()
    wait(lambda: provider.count() >= head + window, 60, f"messages of {running.case.told}", every=0.01)
    done, cpu = provider.count() - first, spent(workers) - cpu
    redis = running.server.spent() - redis
    running.house.halt()
    book.add(PART, running.case.told, "CPU a message", "µs", cpu / done * 1e6)
    book.add(PART, running.case.told, "Redis CPU a message", "µs", redis / done * 1e6)
    settled(session)
    running.fill(provider.count())


def settled(session: Session) -> None:
    """Return when nothing arrives any more."""
    seen = -1

    def still() -> bool:
        nonlocal seen
        before, seen = seen, session.provider.count()
        return seen == before

    wait(still, 20, "an account that was halted to be still", every=0.3)
