"""The HTTP protocol of our servers: bounds on what no application sees of a request."""

import asyncio
import re
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class TooManyHeaders(ValueError):
    """A request has more headers than any client of ours sends."""


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, with bounds on what no application sees of a request; it logs no URL."""

    head_seconds: ClassVar[float] = 10.0
    """Within this a connection must have sent the head of its request."""
    head_bytes: ClassVar[int] = 32 * 1024
    """The most of a head; one read more than that may be taken in."""
    headers_most: ClassVar[int] = 100
    request_bytes: ClassVar[int] = 2 * 1024 * 1024
    """The most of a request on the wire, with chunk sizes and trailers."""

    _in_head = True
    _taken = 0
    _headers = 0
    _timer: asyncio.TimerHandle | None = None

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.access_log = False  # uvicorn goes by whether its logger has a handler, whatever we told it

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection."""
        super().connection_made(transport)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """End a connection."""
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take in what was read, unless it is too much."""
        self._taken += len(data)
        super().data_received(_without_offers(data) if self._in_head else data)
        if self._in_head and self._taken > self.head_bytes:
            self.head_too_long()
        elif self._taken > self.request_bytes:
            self.transport.close()
        elif self._in_head and self._timer is None and not self.transport.is_closing():
            self._arm()

    def head_too_long(self) -> None:
        """End a connection whose request has too long a head."""
        self.transport.close()

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._in_head = True
        self._headers = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take in a header; a trailer only counts, for nobody has vouched for it."""
        self._headers += 1
        if self._headers > self.headers_most:
            raise TooManyHeaders
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """End the head of a request."""
        self._in_head = False
        self._disarm()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End a request; what comes now is the head of the next."""
        self._in_head = True
        self._taken = 0
        super().on_message_complete()

    def _arm(self) -> None:
        self._timer = self.loop.call_later(self.head_seconds, self._late)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        if self.cycle is not None and not self.cycle.response_complete:
            self._arm()
        elif self._taken or self.cycle is None:
            self.transport.close()


_OFFER: Final = re.compile(rb"(?i)\r\n(?:upgrade|http2-settings):[^\r\n]*")


def _without_offers(data: bytes) -> bytes:
    """Return `data` without offers to speak another protocol: the parser would take the body for that."""
    head, end, rest = data.partition(b"\r\n\r\n")
    return _OFFER.sub(b"", head) + end + rest if b"pgrade" in head else data
