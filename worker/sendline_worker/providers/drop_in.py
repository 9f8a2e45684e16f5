"""What a provider's drop-in face is made of: apps that call the provider today call Sendline instead.

A face knows the shapes of its provider and nothing of the ledger or the API; the house does the rest.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import Response

from sendline.contract.message import Message


class Refusal(Exception):
    """The house refuses a request; the face tells it in its own shape."""

    def __init__(self, status: int, reason: str, headers: Mapping[str, str] | None = None) -> None:
        """`reason` is one line, which repeats nothing of the request."""
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = dict(headers or {})


class House(Protocol):
    """What a face may ask for; every verb raises Refusal.

    Of what may have been accepted the status is 504: who asks must not take it for refused.
    """

    async def send(self, request: Request, fields_of: Callable[[Any], Mapping[str, Any]]) -> Message:
        """Accept the message of a request; `fields_of` makes of its JSON what Producer.send() takes."""
        ...

    async def find(self, request: Request, message_id: str) -> Message:
        """Return a message of who asks."""
        ...


@dataclass(frozen=True, slots=True)
class FaceRoute:
    """One request that the provider answers, and that the house now does."""

    method: str
    path: str
    handle: Callable[[Request], Awaitable[Response]]
    summary: str
    operation_id: str
    responses: Mapping[int | str, dict[str, Any]] = field(repr=False)
    """What the OpenAPI document says of its answers."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What it says besides: the body."""


Face = Callable[[House], Sequence[FaceRoute]]
"""Makes the routes of a provider's face over a house."""
