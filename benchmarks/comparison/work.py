"""The work that all do: which messages, to whom, by which request."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

SENDER: Final = "+13115552368"
ACCOUNT: Final = "main"
TEXT_LENGTH: Final = 120
"""Characters of every text."""
DELAY: Final = 0.05
"""Seconds after which the provider answers."""
CONNECTIONS: Final = 100
"""Calls at the same time in each process of Sendline and of the bare client: Sendline's default."""
RECIPIENTS: Final = 8000


@dataclass(frozen=True, slots=True)
class Request:
    """Where a message is posted, and with which headers."""

    url: str
    headers: dict[str, str]


def recipient(number: int) -> str:
    """Return whom message `number` goes to."""
    return f"+1311{500_0000 + number % RECIPIENTS}"


def text(mark: str, number: int) -> str:
    """Return the text of message `number`: by mark and number the provider's log tells who arrived."""
    return f"{mark} {number} ".ljust(TEXT_LENGTH, ".")


def numbered(mark: str, first: int, number: int) -> Iterator[tuple[str, str]]:
    """Return recipient and text of messages."""
    return ((recipient(each), text(mark, each)) for each in range(first, first + number))
