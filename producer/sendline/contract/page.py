"""What was found: messages, some at a time."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

from sendline.contract.message import Message
from sendline.contract.status import Status


class Filters(TypedDict, total=False):
    """What messages are looked for by; None: whatever it is."""

    status: Status | str | None
    campaign: str | None
    to: str | None
    after: datetime | None
    """Accepted then or later; aware."""
    before: datetime | None
    """Accepted earlier; aware."""
    owner: str | None
    """The name of the API key that sent them, or founded their campaign."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the messages that were looked for, the newest first."""

    messages: tuple[Message, ...]
    next: str | None
    """The cursor of what follows; None: nothing does. A page may be empty and have one."""
