"""HTTP/1.1 for calls that must never be made twice. It always knows whether a request was begun.

A connection is looked at right before the first byte: one that the server has closed, or on which it has
spoken unasked (many a server says 408 before it closes an idle connection), is not used.
"""

import asyncio
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httpx

from sendline_worker import elapsed
from sendline_worker.providers.base import Answer
from sendline_worker.wire.faults import NoAnswer, TooLate, Unwritable, as_httpx, reason_of
from sendline_worker.wire.pool import Origin, Pool
from sendline_worker.wire.resting import LONGEST

if TYPE_CHECKING:
    import ssl

    from sendline_worker.wire.connection import Reply

ANSWER_LIMIT: Final = 64 * 1024
"""The bytes of an answer's body that `call` reads."""
TRANSPORT_LIMIT: Final = 16 * 1024 * 1024
"""The bytes of a body that the httpx transport reads before it gives up."""
IDLE: Final = 5.0
"""The seconds after which an unused connection is not used again, as long as nothing is known of the server.

That is the limit of Node and Apache, which say so; of gunicorn, with 2 s, it is learned.
"""


@dataclass(frozen=True, slots=True)
class Broken:
    """A call that brought no answer. `reason` is one line without addresses, numbers or secrets."""

    on_wire: bool
    """The request was begun: the provider may have read and accepted it."""
    reason: str
    too_late: bool = False
    """It was not begun, because the instant by which it had to be had passed."""


class Wire(httpx.AsyncBaseTransport):
    """One pool of connections. Make it inside a running event loop, and `aclose` it there.

    It never sends a request twice, follows no redirect, keeps no cookie and reads no proxy variable.
    `connect` bounds the wait for a connection (pool, DNS, TCP, TLS) and `total` the whole call. A connection
    unused for `idle` is not used again until it is known that its server allows more, or less; never after
    `longest`. All in seconds.
    """

    def __init__(
        self,
        *,
        connections: int = 100,
        connect: float = 5.0,
        total: float = 20.0,
        idle: float = IDLE,
        longest: float = LONGEST,
        ssl_context: "ssl.SSLContext | None" = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._connect = min(connect, total)
        self._total = total
        self._pool = Pool(connections=connections, idle=idle, longest=longest, ssl_context=ssl_context)

    async def call(self, request: httpx.Request, *, begin_by: float = math.inf) -> Answer | Broken:
        """Send `request` once and return what came of it; raises nothing but CancelledError.

        Its first byte is not written later than `begin_by`, an instant of `elapsed.now`.
        """
        try:
            reply = await self._exchange(request, ANSWER_LIMIT, begin_by)
        except Exception as error:  # noqa: BLE001 - whatever it was, the flag says what it means
            too_late = isinstance(error, TooLate)
            return Broken(request.extensions["on_wire"], self._reason(error), too_late=too_late)
        headers: dict[str, str] = {}
        for name, value in reply.headers:
            headers.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
        return Answer(reply.status, headers, reply.body, truncated=reply.truncated)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` once; raises ConnectError or ConnectTimeout only if it was not begun."""
        await request.aread()
        if "transfer-encoding" in request.headers:
            del request.headers["transfer-encoding"]  # it is read whole, so its length is known
            request.headers["content-length"] = str(len(request.content))
        try:
            reply = await self._exchange(request, TRANSPORT_LIMIT, math.inf)
        except Exception as error:
            kind = as_httpx(error, on_wire=request.extensions["on_wire"])
            raise kind(self._reason(error), request=request) from error
        if reply.truncated:
            raise httpx.ReadError(f"the answer is longer than {TRANSPORT_LIMIT} bytes", request=request)
        return httpx.Response(
            reply.status, headers=reply.headers, stream=httpx.ByteStream(reply.body), request=request
        )

    async def aclose(self) -> None:
        """Close every connection, those in use as well."""
        self._pool.close()

    async def _exchange(self, request: httpx.Request, limit: int, begin_by: float) -> "Reply":
        request.extensions["on_wire"] = False
        _demand_in_time(begin_by)
        until = self._loop.time() + self._total
        written = _written(request)
        connection = await self._pool.acquire(_origin(request.url), within=self._connect)
        try:
            _begin(request, begin_by)
            return await connection.exchange(
                written, until=until, limit=limit, bodiless=request.method == "HEAD"
            )
        except TooLate:
            if connection.rested is not None:
                connection.close()  # it was not used: kept, it would seem to have been
            raise
        finally:
            self._pool.release(connection)

    def _reason(self, error: Exception) -> str:
        if isinstance(error, NoAnswer):
            return f"no complete answer within {self._total:g} s"
        return reason_of(error)


def _begin(request: httpx.Request, begin_by: float) -> None:
    """Set the flag: the first byte follows at once. Raises TooLate."""
    _demand_in_time(begin_by)
    request.extensions["on_wire"] = True


def _demand_in_time(begin_by: float) -> None:
    if elapsed.now() > begin_by:
        raise TooLate("it could not be begun in time")


def _origin(url: httpx.URL) -> Origin:
    is_tls = url.raw_scheme == b"https"
    if url.raw_scheme not in {b"http", b"https"} or not url.raw_host:
        raise Unwritable("the address is not an HTTP address")
    return Origin(url.raw_host.decode(), url.port or (443 if is_tls else 80), is_tls)


def _written(request: httpx.Request) -> bytes:
    """Return `request` as it is written; raises Unwritable where a header would begin a line of its own."""
    lines = [b"%b %b HTTP/1.1" % (request.method.encode(), request.url.raw_path)]
    lines += [b"%b: %b" % header for header in request.headers.raw]
    if "accept-encoding" not in request.headers:
        lines.append(b"Accept-Encoding: identity")
    head = b"\r\n".join(lines)
    if not head.count(b"\n") == head.count(b"\r") == len(lines) - 1 or b"\0" in head:
        raise Unwritable("the request can't be written as HTTP")
    return b"%b\r\n\r\n%b" % (head, request.content)
