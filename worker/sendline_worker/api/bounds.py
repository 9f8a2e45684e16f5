"""What a request may cost: its body's size, the time to read it, an orderly end where it is refused."""

import asyncio
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import ClientDisconnect

from sendline_worker.api.problems import refuse
from sendline_worker.serving import linger, whole_body

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

BODY_MOST: Final = 1024 * 1024
"""Bytes of a body, unless its route takes more."""
BODY_SECONDS: Final = 10.0
"""How long a body may take to come, unless its route waits longer."""
EXCHANGE: Final = "sendline.exchange"
"""In the scope of a request: its Exchange."""


class Exchange:
    """One request and its answer: what is read is bounded; what is answered can get headers, and is noted.

    `receive` raises ProblemError where the body is too large or too slow. What is answered before the body
    has come goes out with `Connection: close`, and the rest of the body is dropped.
    """

    __slots__ = ("_begun", "_lingers", "_receive", "_send", "ended", "headers", "most", "scope", "seconds",
                 "status", "taken", "until")  # fmt: skip

    def __init__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        self.scope = scope
        self._receive = receive
        self._send = send
        self.most = BODY_MOST
        """A route may set its own, before it reads."""
        self.seconds = BODY_SECONDS
        """Likewise."""
        self.headers: list[tuple[bytes, bytes]] = [(b"cache-control", b"no-store")]
        """What the answer gets besides its own."""
        self.status = 0
        """The answer's; 0: there was none."""
        self.taken = 0
        """Bytes of the body that were read."""
        self.ended = False
        """Whether the body was read to its end."""
        self.until = 0.0
        self._begun = False
        self._lingers = False

    async def receive(self) -> "Message":
        """Return the next part of the body, or that the client has gone."""
        if self.ended:
            return await self._receive()
        if not self._begun:
            self._begin()
        message = await self._next()
        if message["type"] == "http.request":
            self.taken += len(message.get("body", b""))
            if self.taken > self.most:
                raise self._too_large()
            self.ended = not message.get("more_body", False)
        else:
            self.ended = True
        return message

    async def body(self) -> bytes:
        """Return the whole body; raises ProblemError, and ClientDisconnect where the client has gone."""
        whole = None if self._begun else whole_body(self.scope)
        if whole is not None:
            if len(whole) > self.most:
                raise self._too_large()
            self.ended = True
            return whole
        body = bytearray()
        while not self.ended:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            body += message.get("body", b"")
        return bytes(body)

    def _begin(self) -> None:
        self._begun = True
        length = _header(self.scope, b"content-length")
        if length.isdigit() and int(length[:20]) > self.most:
            raise self._too_large()
        self.until = asyncio.get_running_loop().time() + self.seconds

    async def _next(self) -> "Message":
        if whole_body(self.scope) is not None:
            return await self._receive()  # it has come: a timer would cost more than its reading
        try:
            async with asyncio.timeout_at(self.until):
                return await self._receive()
        except TimeoutError:
            raise refuse("request-too-slow", f"a body must come within {self.seconds:g} s") from None

    def _too_large(self) -> Exception:
        return refuse("body-too-large", f"a body has at most {self.most} bytes here")

    async def send(self, message: "Message") -> None:
        """Pass on a part of the answer."""
        if message["type"] == "http.response.start":
            message = self._head(message)
        elif self._lingers and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            await linger(self._receive)
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)

    def _head(self, message: Any) -> "Message":
        self.status = message["status"]
        headers = [*message.get("headers", ()), *self.headers]
        if not self.ended and self._is_more_to_come():
            self._lingers = True
            headers.append((b"connection", b"close"))
        return {**message, "headers": headers}

    def _is_more_to_come(self) -> bool:
        has_body = _header(self.scope, b"content-length") not in {b"", b"0"} or _header(
            self.scope, b"transfer-encoding"
        )
        return bool(has_body) and whole_body(self.scope) is None


def exchange_of(scope: "Scope") -> Exchange:
    """Return the exchange that a request belongs to."""
    exchange: Exchange = scope[EXCHANGE]
    return exchange


def _header(scope: "Scope", wanted: bytes) -> bytes:
    return next((value for name, value in scope["headers"] if name == wanted), b"")
