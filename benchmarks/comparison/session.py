"""What the parts of a session share: the provider, the request, and how large all is."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from comparison.house import request_at
from comparison.places import Provider, provider
from comparison.work import Request


@dataclass(frozen=True, slots=True)
class Asked:
    """How large the parts are."""

    rounds: int
    scale: float
    """Multiplies messages, samples and seconds."""
    processes: tuple[int, ...] = (1, 2)
    tries: bool = True
    """Whether Celery's concurrencies are tried."""
    most: int = 1_000_000
    """Messages of the largest line of `flat`."""


@dataclass(frozen=True, slots=True)
class Session:
    """One run of the benchmark."""

    place: Path
    provider: Provider
    at: Request
    began: float = field(default_factory=time.monotonic)

    def say(self, line: str) -> None:
        """Tell what is done now."""
        print(f"{time.monotonic() - self.began:6.0f} s  {line}", file=sys.stderr, flush=True)


@contextmanager
def session(place: Path) -> Iterator[Session]:
    """Run the provider for a session."""
    with provider(place) as running:
        yield Session(place, running, request_at(running.url))
