"""What our HTTP servers share: a port of their own or one clear line, bounds on clients, an orderly end."""

import asyncio
import contextlib
import errno
import re
import signal
import socket
import threading
from typing import TYPE_CHECKING, Any, ClassVar, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sendline.contract.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

BACKLOG: Final = 2048
PORTS: Final = range(65536)
START_SECONDS: Final = 10.0


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
        if self._taken > (self.head_bytes if self._in_head else self.request_bytes):
            self.transport.close()
        elif self._in_head and self._timer is None and not self.transport.is_closing():
            self._arm()

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


class Server(uvicorn.Server):
    """uvicorn's server, which says when it listens and ends by a signal without raising it again."""

    def __init__(self, config: uvicorn.Config, on_ready: "Callable[[int], None]" = lambda _: None) -> None:
        """`on_ready` gets the port once it listens."""
        super().__init__(config)
        self._on_ready = on_ready
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        self.ready.set()
        if sockets:
            self._on_ready(sockets[0].getsockname()[1])

    @contextlib.contextmanager
    def capture_signals(self) -> "Iterator[None]":
        """End in order on SIGINT and SIGTERM, where this is the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def end(_number: int, _frame: "FrameType | None") -> None:
            self.should_exit = True

        before = {each: signal.signal(each, end) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


@contextlib.contextmanager
def running(server: Server, listener: socket.socket) -> "Iterator[str]":
    """Serve in a thread of this process for the time of a with block; yields the base URL."""
    thread = threading.Thread(target=server.run, args=([listener],), name="serving", daemon=True)
    thread.start()
    try:
        if not server.ready.wait(START_SECONDS):
            raise TimeoutError(f"the server did not start within {START_SECONDS:g} s")
        yield base_url(listener)
    finally:
        server.should_exit = True
        thread.join()


def base_url(listener: socket.socket) -> str:
    """Return the http URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def listening(host: str, port: int) -> socket.socket:
    """Return a listening socket; raises ConfigurationError with the fix. Port 0 takes a free one."""
    if port not in PORTS:
        raise ConfigurationError(f"port {port} does not exist: choose one from 1 to 65535")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            line = f"port {port} on {host} is taken: choose another with --port"
        else:
            why = error.strerror or "unknown host"
            line = f"port {port} on {host} can't be used ({why}): choose another with --port or --host"
        raise ConfigurationError(line) from None
