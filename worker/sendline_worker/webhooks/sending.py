"""One webhook, sent once: what the endpoint said comes back as data, whatever it does."""

import asyncio
import math
import os
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Self

import aiohttp

from sendline_worker.providers.base import Answer
from sendline_worker.providers.judgement import retry_after
from sendline_worker.webhooks.addresses import ForbiddenError
from sendline_worker.webhooks.connecting import CheckedConnector
from sendline_worker.webhooks.signing import Signer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from aiohttp.abc import AbstractResolver
    from pydantic import SecretStr

    from sendline_worker.webhooks.addresses import Allowed

CONNECT: Final = 5.0
"""Seconds until there must be a connection: a free one, or look-up, TCP and TLS."""
TOTAL: Final = 15.0
"""Seconds that a whole call may take, the answer's body included."""
BODY_LIMIT: Final = 4096
"""The bytes of an answer's body that are read, and dropped, so that the connection can be used again."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The endpoint answered 2xx: it has the event."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The endpoint answered 410: it is gone for good, and wants nothing more."""

    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Not taken, or not known to be: to be tried again. `reason` is short, for people, without the URL."""

    reason: str
    retry_after: float | None = None
    """The seconds that the endpoint asks to wait (1 to 3600); None: it asks for nothing."""


Told = Taken | Refused | Failed


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Sender:
    """Sends webhooks. Make it inside a running event loop, and `aclose` it there; or use `async with`.

    It follows no redirect, keeps no cookie, reads no proxy variable and sends nothing twice. `resolver` looks
    hosts up (None: the system's), `ssl_context` verifies certificates (None: the system's authorities),
    `connect` and `total` are seconds.
    """

    def __init__(
        self,
        allowed: "Allowed",
        secrets: "Sequence[SecretStr]" = (),
        *,
        connect: float = CONNECT,
        total: float = TOTAL,
        resolver: "AbstractResolver | None" = None,
        ssl_context: ssl.SSLContext | None = None,
        now: "Callable[[], datetime]" = _utc_now,
    ) -> None:
        self._allowed = allowed
        self._signer = Signer(secrets)
        self._connect = connect
        self._total = total
        self._now = now
        self._session = aiohttp.ClientSession(
            connector=CheckedConnector(allowed, resolver=resolver, ssl_context=ssl_context),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, connect=connect, ceil_threshold=math.inf),
            headers={"accept-encoding": "identity"},
            auto_decompress=False,
            trust_env=False,
        )

    async def send(self, url: str, event_id: str, body: bytes) -> Told:
        """Post `body` once and return what came of it; raises nothing but CancelledError.

        The answer's status decides. A body that hangs or breaks off after it changes nothing.
        """
        told: Told | None = None
        try:
            async with asyncio.timeout(self._total):
                response = await self._post(url, event_id, body)
                told = _told(response)
                await _drop_body(response)
        except Exception as error:  # noqa: BLE001 - whatever it was, the endpoint is tried again
            return told or Failed(self._reason(error))
        return told

    async def aclose(self) -> None:
        """Close every connection, those in use as well."""
        await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        await self.aclose()

    async def _post(self, url: str, event_id: str, body: bytes) -> aiohttp.ClientResponse:
        return await self._session.post(
            self._allowed.target(url),
            data=body,
            headers=self._signer.headers(event_id, body, self._now()),
            allow_redirects=False,
        )

    def _reason(self, error: Exception) -> str:
        if (forbidden := _forbidden(error)) is not None:
            return f"not called: {forbidden}"
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            return f"no connection within {self._connect:g} s"
        if isinstance(error, TimeoutError):
            return f"no answer within {self._total:g} s"
        for kinds, text in _REASONS:
            if isinstance(error, kinds):
                return text
        if isinstance(error, OSError):
            return f"connection failed: {os.strerror(error.errno) if error.errno else 'cut off'}"
        return f"the call failed: {type(error).__name__}"


_REASONS: Final[tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...]] = (
    (
        (aiohttp.ClientConnectorCertificateError, ssl.SSLCertVerificationError),
        "the TLS certificate does not verify",
    ),
    (aiohttp.ClientConnectorDNSError, "the host name can't be resolved"),
    ((aiohttp.ClientSSLError, ssl.SSLError), "the TLS handshake failed"),
    (aiohttp.ServerDisconnectedError, "the connection was closed without an answer"),
    (aiohttp.ClientResponseError, "the answer is not HTTP"),
)
"""What each kind of error is called, the first that fits."""


def _told(response: aiohttp.ClientResponse) -> Told:
    status = response.status
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Taken()
    if status == HTTPStatus.GONE:
        return Refused("answered 410: it is gone for good")
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return Failed(f"answered {status}: redirects are not followed")
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Failed(f"answered {status}", retry_after(Answer(status, headers, b"", truncated=False)))


async def _drop_body(response: aiohttp.ClientResponse) -> None:
    """Read a short body to its end, so that the connection goes back into the pool; cut a longer one off."""
    size = 0
    try:
        while size <= BODY_LIMIT and (chunk := await response.content.readany()):
            size += len(chunk)
    finally:
        response.close()


def _forbidden(error: BaseException | None) -> ForbiddenError | None:
    """Return why an address was forbidden: aiohttp wraps what its connector raises."""
    while error is not None and not isinstance(error, ForbiddenError):
        error = error.__cause__
    return error
