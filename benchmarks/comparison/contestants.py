"""Who is compared: each is started over so many worker processes, filled with messages and let go."""

import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from comparison.house import House, house
from comparison.places import Provider, Server
from comparison.plain.sending import QUEUE, WebApp
from comparison.processes import Command
from comparison.work import SENDER, Request, numbered

BIN: Final = Path(sys.executable).parent


class Run(ABC):
    """A contestant that runs. It sends nothing before `release`."""

    commands: Sequence[Command] = ()
    """Its worker processes."""

    @abstractmethod
    def fill(self, first: int, number: int) -> None:
        """Hand in messages, as many at a time as it can take."""

    @abstractmethod
    def release(self) -> None:
        """Let it send."""

    @abstractmethod
    def kept(self) -> int:
        """Return of how many messages the status says that they were sent."""


class SendlineRun(Run):
    """Sendline: `sendline worker`; its account is halted until all are handed in."""

    def __init__(self, running: House) -> None:
        self._house = running
        self.commands = (running.worker,)

    def fill(self, first: int, number: int) -> None:
        self._house.send_many(numbered("m", first, number))

    def release(self) -> None:
        self._house.resume()

    def kept(self) -> int:
        return self._house.producer.counts()["sent"]


class PlainRun(Run):
    """The plain Celery program; its workers are started when all are handed in."""

    def __init__(self, app: WebApp, commands: Sequence[Command], exits: ExitStack) -> None:
        self._app = app
        self._waiting = commands
        self._exits = exits
        self._ids: list[str] = []

    def fill(self, first: int, number: int) -> None:
        for place, (to, text) in enumerate(numbered("m", first, number), first):
            self._ids.append(str(place))
            self._app.send(str(place), to, SENDER, text)

    def release(self) -> None:
        self.commands = [self._exits.enter_context(each) for each in self._waiting]

    def kept(self) -> int:
        pipeline = self._app.redis.pipeline(transaction=False)
        for each in self._ids:
            pipeline.hget(f"sms:{each}", "status")
        return sum(status == b"sent" for status in pipeline.execute())


class BareRun(Run):
    """The bare client: a program in each process, each with its part of the messages."""

    def __init__(self, mode: str, processes: int, at: Request, place: Path, exits: ExitStack) -> None:
        self._mode = mode
        self._processes = processes
        self._at = at
        self._place = place
        self._exits = exits
        self._parts: list[tuple[int, int]] = []

    def fill(self, first: int, number: int) -> None:
        share = number // self._processes
        for part in range(self._processes):
            own = share + (number % self._processes if part == 0 else 0)
            self._parts.append((first, own))
            first += own

    def release(self) -> None:
        self.commands = [
            self._exits.enter_context(
                Command(
                    bare_arguments(self._mode, self._at, first, number), self._place / f"bare-{first}.log"
                )
            )
            for first, number in self._parts
        ]

    def kept(self) -> int:
        return sum(number for _, number in self._parts)


def bare_arguments(mode: str, at: Request, first: int, number: int) -> list[str]:
    """Return the command of a bare client."""
    given = ["--url", at.url, "--headers", json.dumps(at.headers), "--first", str(first)]
    return [sys.executable, "-m", "comparison.bare", mode, *given, "--messages", str(number)]


@dataclass(frozen=True, slots=True)
class Celery:
    """The settings of a Celery worker."""

    pool: str
    concurrency: int
    queue: str = QUEUE

    def arguments(self, name: str) -> list[str]:
        """Return the command of one worker."""
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"]
        size = ["--pool", self.pool, "--concurrency", str(self.concurrency)]
        return [
            *(str(BIN / "celery"), "-A", "comparison.plain.worker", "worker", "-n", name),
            *("-Q", self.queue, *size, *quiet),
        ]

    def command(self, name: str, server: Server, at: Request, place: Path) -> Command:
        """Return one worker, not yet started."""
        known = {"REDIS_URL": server.url, "SMS_URL": at.url, "SMS_HEADERS": json.dumps(at.headers)}
        return Command(self.arguments(name), place / f"{name}.log", environment=known)


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a turn takes place."""

    place: Path
    provider: Provider
    at: Request
    server: Server


class Contestant(ABC):
    """Somebody to compare."""

    name: str
    settings: str = ""

    @abstractmethod
    def running(self, stage: Stage, processes: int) -> AbstractContextManager[Run]:
        """Run over so many worker processes."""


class Sendline(Contestant):
    """Sendline as it is started in production."""

    name = "Sendline"
    settings = "`sendline worker --processes N`, 100 connections each (the default)"

    @contextmanager
    def running(self, stage: Stage, processes: int) -> Iterator[Run]:
        with house(stage.place, stage.provider.url, stage.server, processes=processes) as running:
            running.halt()
            yield SendlineRun(running)


class Plain(Contestant):
    """The plain Celery program, each worker process a `celery worker`."""

    def __init__(self, celery: Celery) -> None:
        self.celery = celery
        self.name = f"Celery, {celery.pool}"
        self.settings = f"`celery worker --pool {celery.pool} --concurrency {celery.concurrency}`, N of them"

    @contextmanager
    def running(self, stage: Stage, processes: int) -> Iterator[Run]:
        with ExitStack() as exits, closing(WebApp(stage.server.url)) as app:
            commands = [
                self.celery.command(f"celery{number}", stage.server, stage.at, stage.place)
                for number in range(processes)
            ]
            yield PlainRun(app, commands, exits)
            for each in commands:
                each.ask_to_end()  # all at once


class Bare(Contestant):
    """The bare client."""

    TOLD: Final = {
        "client": "bare, httpx over aiohttp",
        "transport": "bare, its transport alone",
        "aiohttp": "bare, aiohttp",
        "wire": "bare, Sendline's transport",
    }

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.name = self.TOLD[mode]
        self.settings = f"`python -m comparison.bare {mode}`, N of them, 100 calls at a time each"

    @contextmanager
    def running(self, stage: Stage, processes: int) -> Iterator[Run]:
        with ExitStack() as exits:
            yield BareRun(self.mode, processes, stage.at, stage.place, exits)
