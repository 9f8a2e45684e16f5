"""How an answer, or what comes in place of one, is put on the wire."""

import asyncio
import functools
from typing import TYPE_CHECKING

from starlette.responses import Response

from sendline_worker.simulator.behaviours import BIG, Act, Behaviour, Body
from sendline_worker.simulator.connection import connection_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

JSON = "application/json"
TRAP = "/_simulator/trap"
GARBAGE = bytes((7 * n * n + 13 * n + 200) % 256 for n in range(64))
HTML = b"<!doctype html><title>Sign in</title><h1>Welcome to the network. Please sign in.</h1>"
BAD_UTF8 = b'{"success": true, "payload": {"uuid": "\xff\xfe\x80", "message": "\xc3\x28"}}'


@functools.cache
def big_body() -> bytes:
    """Return the body of `huge_body`: one long JSON string, which promises nothing when read whole either."""
    return b'"' + b"x" * (BIG - 2) + b'"'


class Ordinary(Response):
    """The provider's own JSON; Response would take longer over its two headers than we over its body."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status_code = status
        self.body = body
        self.raw_headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
        self.background = None


class Reset(Response):
    """A TCP reset in place of an answer."""

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Reset the connection and wait until the server has noticed."""
        connection_of(scope).reset()
        await until_gone(receive)


class Hang(Response):
    """No answer until the client goes away, the limit is over, or the simulator stops; then a reset."""

    def __init__(self, limit: float, stopping: asyncio.Event) -> None:
        super().__init__()
        self._limit = limit
        self._stopping = stopping

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Hold the connection."""
        waits = [asyncio.create_task(until_gone(receive)), asyncio.create_task(_set(self._stopping))]
        _, left = await asyncio.wait(waits, timeout=self._limit, return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        connection_of(scope).reset()
        await until_gone(receive)


class Cut(Response):
    """Half an answer, then an orderly close."""

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Promise the whole body, write the first half, close."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = bytes(self.body)[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        connection_of(scope).close()
        await until_gone(receive)


class Nothing(Response):
    """For a client that is no longer there."""

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Write nothing."""


def answer_for(request: "Request", behaviour: Behaviour, status: int, own: bytes) -> Response:
    """Return the answer of a behaviour that answers; `own` is the provider's own body for `status`."""
    headers = {}
    if behaviour.retry_after is not None:
        headers["retry-after"] = f"{behaviour.retry_after:g}"
    if 300 <= status < 400:  # noqa: PLR2004
        headers["location"] = str(request.base_url).rstrip("/") + TRAP
    match behaviour.body:
        case Body.OWN:
            body, media = own, JSON
        case Body.GARBAGE:
            body, media = GARBAGE, JSON
        case Body.HTML:
            body, media = HTML, "text/html"
        case Body.EMPTY:
            body, media = b"", JSON
        case Body.HUGE:
            body, media = big_body(), JSON
        case Body.BAD_UTF8:
            body, media = BAD_UTF8, JSON
    kind = Cut if behaviour.act is Act.CUT else Response
    return kind(body, status, headers, media)


async def until_gone(receive: "Receive") -> None:
    """Return once the client has gone away."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _set(event: asyncio.Event) -> None:
    await event.wait()
