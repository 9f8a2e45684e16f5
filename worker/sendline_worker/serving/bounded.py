"""The HTTP protocol of our servers: bounds on what no application sees of a request."""

import asyncio
import sys
from typing import Any, ClassVar, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class TooManyHeaders(ValueError):
    """A request has more headers than any client of ours sends."""


class TooManyWaiting(ValueError):
    """A connection has sent more requests than any client of ours does before it reads an answer."""


class WrongHost(ValueError):
    """A request of HTTP/1.1 does not say once for which host it is."""


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, with bounds on what no application sees of a request; it logs no URL."""

    head_seconds: ClassVar[float] = 10.0
    """Within this a connection must have sent the head of its request."""
    head_bytes: ClassVar[int] = 32 * 1024
    """The most of a head; one read more than that may be taken in."""
    headers_most: ClassVar[int] = 100
    request_bytes: ClassVar[int] = 2 * 1024 * 1024
    """The most of a request on the wire, with chunk sizes and trailers."""
    waiting_most: ClassVar[int] = 32
    """Requests of one connection that wait for the answer before theirs."""
    unread_seconds: ClassVar[float] = 30.0
    """How long a client may leave unread what was written to it."""

    _in_head = True
    _taken = 0
    _headers = 0
    _timer: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _running: Any = None
    """The cycle of the request that is carried out; `cycle` is that of the newest."""
    _read = b""
    """What was read last."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.access_log = False  # uvicorn goes by whether its logger has a handler, whatever we told it

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(0)  # so that pause_writing() means that something is left unread
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """End a connection."""
        self._disarm()
        self.resume_writing()
        super().connection_lost(exc)
        if self._running is not None and not self._running.response_complete:
            _disconnect(self._running)  # uvicorn tells the newest only
        self.pipeline.clear()
        self._running = None

    def pause_writing(self) -> None:
        """Begin to wait for a client to read."""
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(self.unread_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: the client has read all."""
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Take in what was read, unless it is too much."""
        self._taken += len(data)
        self._read = data
        super().data_received(data)
        self._read = b""
        if self._in_head and self._taken > self.head_bytes:
            self.head_too_long()
        elif self._taken > self.request_bytes:
            self.transport.close()
        elif self._in_head and self._timer is None and not self.transport.is_closing():
            self._arm()

    def head_too_long(self) -> None:
        """End a connection whose request has too long a head."""
        self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, where that can be told."""
        if self.may_refuse():
            super().send_400_response(msg)
        else:
            self.transport.close()

    def may_refuse(self) -> bool:
        """Return whether an answer may be written now, and let nobody else write one.

        It may not while an earlier request is carried out: that one would be taken for refused.
        """
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            return True
        if cycle is not self._running or cycle.response_started or not cycle.more_body:
            return False
        _disconnect(cycle)
        return True

    def on_message_begin(self) -> None:
        """Begin a request."""
        if len(self.pipeline) >= self.waiting_most:
            raise TooManyWaiting
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
        hosts = [name for name, _ in self.headers].count(b"host")
        if hosts != 1 and (hosts or self.parser.get_http_version() == "1.1"):
            raise WrongHost
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

    # Offers to speak another protocol: the parser takes what follows for that, so it gets it without them

    def is_offer(self) -> bool:
        """Return whether the newest request offers another protocol, so that it is read again."""
        return bool(self.parser.should_upgrade() and self._should_upgrade())

    def _should_upgrade(self) -> bool:
        return self.scope.get("method") != "CONNECT"  # which offers nothing, and has no URL that we serve

    def handle_websocket_upgrade(self) -> None:
        """Read a request again, without its offer, and what follows it."""
        [behind] = getattr(sys.exception(), "args", (len(self._read),))
        self._read = b"".join((*self._head_without_offers(), self._read[behind:]))
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        super().data_received(self._read)

    def _head_without_offers(self) -> list[bytes]:
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, version)]
        lines += [b"%b: %b\r\n" % each for each in self.headers if each[0] not in _OFFERS]
        return [*lines, b"\r\n"]

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)


_OFFERS: Final = frozenset({b"upgrade", b"http2-settings"})


def _disconnect(cycle: Any) -> None:
    """Let whoever carries out a request know that nobody waits for its answer."""
    cycle.disconnected = True
    cycle.message_event.set()
