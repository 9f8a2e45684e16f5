"""One connection to a server: requests go over it one after the other, and their answers are read."""

import asyncio
import select
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httptools

from sendline_worker.wire.faults import BROKEN_OFF, DISCONNECTED, NOT_HTTP, NoAnswer, Unreadable
from sendline_worker.wire.resting import told

if TYPE_CHECKING:
    from collections.abc import Callable

    from sendline_worker.wire.pool import Origin

HEAD_LIMIT: Final = 64 * 1024
"""The bytes that an answer may have before its headers end."""
BESIDES: Final = 1024 * 1024
"""The bytes that an answer may have besides its body: heads, the marks of chunks, trailers."""
_FIRST_FINAL: Final = 200
"""Answers below it are interim: another one follows."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, whole or up to the bound."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    truncated: bool


class Connection(asyncio.Protocol):
    """Carries one exchange at a time. Whatever the server says unasked spoils it for the next one."""

    def __init__(self, origin: "Origin", loop: asyncio.AbstractEventLoop) -> None:
        """Prepare; the loop connects it."""
        self.origin = origin
        self.idle_since = 0.0
        self.rested: float | None = None
        """The seconds for which it idled before it was used last; None: it is new."""
        self.told: float | None = None
        """The seconds for which the server keeps it, by the first answer."""
        self.on_left: Callable[[Connection], None] | None = None
        """Called once when the server closes it, or speaks, while it idles."""
        self.was_cut = False
        """It ended under an exchange, before a byte of the answer."""
        self.was_mute = False
        """Its time for an exchange was over before a byte of the answer."""
        self._loop = loop
        self._transport: Any = None
        self._readable = select.poll()
        self._parser: Any = httptools.HttpResponseParser(self)
        self._waiting: asyncio.Future[Reply] | None = None
        self._is_spoiled = False
        self._is_bodiless = False
        self._has_answered = False
        self._limit = 0
        self._received = 0
        self._begin_answer()

    def is_open(self) -> bool:
        """Return whether it is open and silent as far as the loop knows."""
        return not (self._is_spoiled or self._transport.is_closing())

    def is_usable(self) -> bool:
        """Return whether it is open and silent as far as the kernel knows."""
        return self.is_open() and not self._readable.poll(0)

    async def exchange(self, request: bytes, *, until: float, limit: int, bodiless: bool = False) -> Reply:
        """Write `request` and return what is answered; past `limit` bytes the body is left unread.

        `until` is an instant of the loop's clock; a `bodiless` answer ends with its headers. Raises NoAnswer,
        Unreadable, OSError. After anything but a whole answer it is closed.
        """
        self._waiting = self._loop.create_future()
        self._limit = limit
        self._is_bodiless = bodiless
        self._begin_answer()
        self._received = 0
        timer = self._loop.call_at(until, self._time_out)
        try:
            self._transport.write(request)
            return await self._waiting
        except BaseException:
            self.abort()
            raise
        finally:
            timer.cancel()
            self._waiting = None

    def close(self) -> None:
        """Close it in order."""
        self._transport.close()

    def abort(self) -> bool:
        """Close it at once; return whether there was anything to close."""
        self._is_spoiled = True
        if self._transport is None:
            return False
        self._transport.abort()
        return True

    # What the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = transport
        self._readable.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if self._waiting is None:
            self._is_spoiled = True
            self._transport.close()
            self._leave()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(Unreadable(BROKEN_OFF if self._has_headers else NOT_HTTP))
            return
        self._received += len(data)
        if not self._has_headers and self._received > HEAD_LIMIT:
            self._fail(Unreadable(NOT_HTTP))
        elif self._received > self._limit + BESIDES:
            self._fail(Unreadable(BROKEN_OFF))

    def eof_received(self) -> None:
        """Let the loop close it: `connection_lost` follows."""
        self._leave()

    def connection_lost(self, exc: Exception | None) -> None:
        """End. A body that nothing delimits ends here too."""
        self._is_spoiled = True
        self.was_cut = not self._received and self._waiting is not None and not self._waiting.done()
        self._leave()
        if exc is not None:
            self._fail(exc)
        elif self._has_headers and not self._is_delimited:
            self._finish(truncated=False)
        else:
            self._fail(Unreadable(BROKEN_OFF if self._has_headers else DISCONNECTED))

    # What the parser calls

    def on_message_begin(self) -> None:
        """Begin an answer; one that follows a whole answer was not asked for."""
        if self._waiting is None or self._waiting.done():
            self._is_spoiled = True
        else:
            self._begin_answer()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; not what follows a body, or stands in another answer."""
        if not self._has_headers and not self._is_spoiled:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """End the head."""
        if self._parser.get_status_code() < _FIRST_FINAL:
            return
        self._has_headers = True
        self._is_delimited = any(_delimits(name.lower(), value.lower()) for name, value in self._headers)
        if self._is_bodiless:
            self._is_spoiled = True  # the parser waits for a body that does not come
            self._finish(truncated=False)

    def on_body(self, chunk: bytes) -> None:
        """Keep what fits."""
        self._size += len(chunk)
        self._chunks.append(chunk)
        if self._size > self._limit:
            self._is_spoiled = True
            self._finish(truncated=True)

    def on_message_complete(self) -> None:
        """End an answer, unless another one follows."""
        if self._has_headers:
            if not self._parser.should_keep_alive() or self._transport.get_write_buffer_size():
                self._is_spoiled = True
            self._finish(truncated=False)

    def _begin_answer(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._chunks: list[bytes] = []
        self._size = 0
        self._has_headers = False
        self._is_delimited = False

    def _finish(self, *, truncated: bool) -> None:
        if self._waiting is None or self._waiting.done():
            return
        if not self._has_answered:
            self._has_answered = True
            self.told = told(self._headers)
        status, body = self._parser.get_status_code(), b"".join(self._chunks)
        self._waiting.set_result(Reply(status, self._headers, body[: self._limit], truncated))

    def _leave(self) -> None:
        on_left, self.on_left = self.on_left, None
        if on_left is not None:
            on_left(self)

    def _time_out(self) -> None:
        self.was_mute = not self._received
        self._fail(NoAnswer("no complete answer in time"))

    def _fail(self, error: Exception) -> None:
        self._is_spoiled = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)


def _delimits(name: bytes, value: bytes) -> bool:
    """Return whether a header, in lower case, says where the body ends; else the server's end is its end."""
    return name == b"content-length" or (name == b"transfer-encoding" and value.strip().endswith(b"chunked"))
