"""The HTTP transport: httpx over aiohttp, with a flag that says whether a request was begun.

`Wire.call` is what the dispatch uses: it answers with data, whatever the network does. As an
`httpx.AsyncBaseTransport` the same core also carries an `httpx.AsyncClient`.

The flag stands in `request.extensions["on_wire"]`, also when the call is cancelled. It is set just before the
first byte is written and never after it: unset, the provider certainly saw nothing of the request; set, it
may have seen all of it.

A request may have an instant after which it is not begun any more. A connection that is there too late for
its request goes back into the pool, so that the next one finds it, however long connecting takes.
"""

import math
import os
import ssl
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import httpx
from yarl import URL

from sendline_worker import elapsed
from sendline_worker.providers.base import Answer

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from types import SimpleNamespace

ANSWER_LIMIT: Final = 64 * 1024
"""The bytes of an answer's body that `call` reads."""
TRANSPORT_LIMIT: Final = 16 * 1024 * 1024
"""The bytes of a body that the httpx transport reads before it gives up."""
IDLE: Final = 5.0
"""The seconds after which an unused connection is not used again: below what servers commonly allow."""
STALE_TRIES: Final = 3

_SKIPPED: Final = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")
"""Headers that aiohttp would add by itself."""
_begin_by: Final = ContextVar("begin_by", default=math.inf)
"""The instant by which the request of this call must be begun: aiohttp's pool is not told of it otherwise."""


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
    `connect` bounds the wait for a connection (pool, DNS, TCP, TLS) and `total` the whole call; a connection
    unused for `idle` is not used again. All in seconds.
    """

    def __init__(
        self,
        *,
        connections: int = 100,
        connect: float = 5.0,
        total: float = 20.0,
        idle: float = IDLE,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(_begin)
        self._total = total
        self._connect = connect
        self._session = aiohttp.ClientSession(
            connector=_Connector(
                limit=connections,
                keepalive_timeout=idle,
                ssl=True if ssl_context is None else ssl_context,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=total, connect=connect, ceil_threshold=math.inf),
            skip_auto_headers=_SKIPPED,
            auto_decompress=False,
            trust_env=False,
            trace_configs=[trace],
        )

    async def call(self, request: httpx.Request, *, begin_by: float = math.inf) -> Answer | Broken:
        """Send `request` once and return what came of it; raises nothing but CancelledError.

        Its first byte is not written later than `begin_by`, an instant of `elapsed.now`.
        """
        try:
            response, body = await self._exchange(request, ANSWER_LIMIT, begin_by)
        except _TooLateError:
            return Broken(on_wire=False, reason="it could not be begun in time", too_late=True)
        except Exception as error:  # noqa: BLE001 - whatever it was, the flag says what it means
            return Broken(request.extensions["on_wire"], self._reason(error))
        headers: dict[str, str] = {}
        for name, value in response.raw_headers:
            headers.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
        return Answer(response.status, headers, body[:ANSWER_LIMIT], truncated=len(body) > ANSWER_LIMIT)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request` once; raises ConnectError or ConnectTimeout only if it was not begun."""
        await request.aread()
        try:
            response, body = await self._exchange(request, TRANSPORT_LIMIT)
        except Exception as error:
            kind = _as_httpx(error, on_wire=request.extensions["on_wire"])
            raise kind(self._reason(error), request=request) from error
        if len(body) > TRANSPORT_LIMIT:
            raise httpx.ReadError(f"the answer is longer than {TRANSPORT_LIMIT} bytes", request=request)
        return httpx.Response(
            response.status, headers=response.raw_headers, stream=httpx.ByteStream(body), request=request
        )

    async def aclose(self) -> None:
        """Close every connection, those in use as well."""
        await self._session.close()

    async def _exchange(
        self, request: httpx.Request, limit: int, begin_by: float = math.inf
    ) -> tuple[aiohttp.ClientResponse, bytes]:
        """Return the answer's head and its body; past `limit` bytes the rest is left unread."""
        _begin_by.set(begin_by)
        request.extensions["on_wire"] = False
        headers = [(name.decode(), value.decode()) for name, value in request.headers.raw]
        if "accept-encoding" not in request.headers:
            headers.append(("Accept-Encoding", "identity"))
        response = await self._session.request(
            request.method,
            URL(str(request.url), encoded=True),
            headers=headers,
            data=request.content or None,
            allow_redirects=False,
            trace_request_ctx=request.extensions,
        )
        body = bytearray()
        try:
            while len(body) <= limit and (chunk := await response.content.readany()):
                body += chunk
        except BaseException:
            response.close()
            raise
        if len(body) > limit:
            response.close()
        return response, bytes(body)

    def _reason(self, error: Exception) -> str:
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            return f"no connection within {self._connect:g} s"
        if isinstance(error, TimeoutError):
            return f"no complete answer within {self._total:g} s"
        if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLCertVerificationError):
            return "the TLS certificate does not verify"
        for kinds, text in _REASONS:
            if isinstance(error, kinds):
                return text
        if isinstance(error, OSError):
            return f"connection failed: {os.strerror(error.errno) if error.errno else 'cut off'}"
        return f"the call failed: {type(error).__name__}"


class _Connector(aiohttp.TCPConnector):
    """A pool that hands out no connection on which the server has spoken unasked, and none too late.

    aiohttp would take such words (many a server says 408 before it closes an idle connection) for the answer
    to the next request. A connection that is there too late is kept for the next request.
    """

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,
    ) -> Any:
        """Return a connection that is free and silent; raises _TooLateError where it is there too late."""
        for _ in range(STALE_TRIES):
            connection = await super().connect(req, traces, timeout)
            if _is_too_late():
                connection.release()
                raise _TooLateError
            if connection.protocol is not None and not connection.protocol.should_close:
                return connection
            connection.close()
        raise aiohttp.ClientConnectionError("the server spoke unasked")


class _TooLateError(Exception):
    """The request was not begun by its instant."""


def _is_too_late() -> bool:
    return elapsed.now() > _begin_by.get()


async def _begin(_session: aiohttp.ClientSession, context: "SimpleNamespace", _params: Any) -> None:
    """Set the flag. aiohttp awaits this right before the first byte; a second time it would be a re-send."""
    extensions: MutableMapping[str, Any] = context.trace_request_ctx
    if extensions["on_wire"]:
        raise aiohttp.ServerDisconnectedError
    if _is_too_late():
        raise _TooLateError
    extensions["on_wire"] = True


_REASONS: Final[tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...]] = (
    (aiohttp.ClientConnectorDNSError, "the host name can't be resolved"),
    ((aiohttp.ClientSSLError, ssl.SSLError), "the TLS handshake failed"),
    (aiohttp.ServerDisconnectedError, "the server closed the connection without an answer"),
    (aiohttp.ClientPayloadError, "the answer broke off"),
    (aiohttp.ClientResponseError, "the answer is not HTTP"),
    ((aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError), "the address is not an HTTP address"),
)
"""What each kind of error is called, the first that fits."""


def _as_httpx(error: Exception, *, on_wire: bool) -> type[httpx.TransportError]:
    if not on_wire:
        return httpx.ConnectTimeout if isinstance(error, TimeoutError) else httpx.ConnectError
    if isinstance(error, TimeoutError):
        return httpx.ReadTimeout
    if isinstance(
        error, aiohttp.ServerDisconnectedError | aiohttp.ClientResponseError | aiohttp.ClientPayloadError
    ):
        return httpx.RemoteProtocolError
    return httpx.ReadError
