"""What a provider's face is: the part of the simulator that knows one provider's API."""

import functools
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from starlette.requests import Request

    from sendline_worker.simulator.behaviours import Report
    from sendline_worker.simulator.entries import Entry
    from sendline_worker.simulator.options import Shape


@dataclass(frozen=True, slots=True)
class Submission:
    """One request to send a message that the provider's documentation allows."""

    recipient: str
    """E.164 with +."""
    sender: str
    text: str | None
    callback_url: str | None = None


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message that somebody wrote to one of the account's numbers. Numbers are E.164 with +."""

    provider_id: str
    sender: str
    to: str
    text: str


class RequestRefused(Exception):
    """The provider's documentation does not allow the request; `status` is what it is answered."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Face(Protocol):
    """One API of one provider, as its documentation has it."""

    @property
    def provider(self) -> str:
        """The provider's name, for the log."""
        ...

    @property
    def reporter(self) -> "Reporter | None":
        """What it calls back with; None: this API reports nothing."""
        ...

    def account(self, request: "Request") -> str:
        """Return the fingerprint of the request's credential; raises RequestRefused with 401."""
        ...

    def read(self, request: "Request", body: bytes) -> Submission:
        """Return what the request asks for; raises RequestRefused."""
        ...

    def accepted(self, entry: "Entry", provider_id: str) -> tuple[int, bytes]:
        """Return the status and the JSON with which the provider accepts."""
        ...

    def refused(self, status: int, reason: str) -> bytes:
        """Return the JSON with which the provider refuses."""
        ...


class Reporter(Protocol):
    """How a provider calls back."""

    def receipt(
        self, entry: "Entry", provider_id: str, report: "Report", shape: "Shape", now: float
    ) -> bytes:
        """Return the JSON of one receipt; `now` is unix seconds."""
        ...

    def incoming(self, message: Incoming, shape: "Shape", now: float) -> bytes:
        """Return the JSON that tells of a message that came in."""
        ...


@functools.lru_cache
def fingerprint(credential: str) -> str:
    """Return twelve hex digits that tell one credential from another and don't reveal it."""
    return hashlib.sha256(credential.encode()).hexdigest()[:12]
