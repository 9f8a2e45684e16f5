"""A plan: logic that says what to ask the ledger and for how long to pause, and does neither itself.

Both producers carry out the same plans, one by blocking, one by awaiting.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

from sendline.ledger.call import Call

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait this long before the next step."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Aside:
    """Do what may wait for this machine's disk, where no event loop has to wait for it, too."""

    do: Callable[[], Any]
    """Its result is sent in. It raises nothing on purpose."""


Plan = Generator[Call[Any] | Pause | Aside, Any, T]
"""Yields steps, gets each call's answer sent in (or its LedgerError thrown in), returns a result."""
