"""A pool of connections: those in use are bounded, those that idle are used again while that is safe."""

import asyncio
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiohappyeyeballs import start_connection

from sendline_worker.wire.connection import Connection
from sendline_worker.wire.faults import NoConnection
from sendline_worker.wire.idle import Idle
from sendline_worker.wire.lookup import Lookup

if TYPE_CHECKING:
    import socket

HEAD_START: Final = 0.25
"""Seconds that an address has before the next one is tried beside it (RFC 8305, section 8)."""
CLOSED: Final = "the connections are closed"
SHUTDOWN: Final = 1.0
"""Seconds that a server has to agree to the end of a TLS connection."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where connections lead."""

    host: str
    port: int
    is_tls: bool


class Pool:
    """Hands out connections that are open and silent. Make it inside a running event loop."""

    def __init__(
        self, *, connections: int, idle: float, longest: float, ssl_context: ssl.SSLContext | None
    ) -> None:
        """Prepare, without connecting.

        `idle`: seconds after which an unused one is not used again, until more is known; `longest`: the most
        that this can come to.
        """
        self._loop = asyncio.get_running_loop()
        self._slots = asyncio.Semaphore(connections)
        self._ssl_context = ssl_context
        self._lookup = Lookup(self._loop)
        self._used: set[Connection] = set()
        self._idle = Idle(self._loop, start=idle, longest=longest)
        self._is_closed = False

    async def acquire(self, origin: Origin, *, within: float) -> Connection:
        """Return a connection to `origin`, to be given back by `release`.

        Raises NoConnection after `within` seconds; OSError, UnicodeError.
        """
        try:
            async with asyncio.timeout(within):
                await self._slots.acquire()
                try:
                    connection = self._take(origin) or await self._connect(origin)
                except BaseException:
                    self._slots.release()
                    raise
        except TimeoutError as error:
            if error.errno is not None:
                raise  # the system's own, of the connection
            raise NoConnection(f"no connection within {within:g} s") from None
        self._used.add(connection)
        return connection

    def release(self, connection: Connection) -> None:
        """Take `connection` back; it is kept where it can be used again."""
        self._slots.release()
        self._used.discard(connection)
        if not self._is_closed and connection.is_usable():
            self._idle.put(connection)
            return
        if not self._is_closed:
            self._idle.failed(connection)
        connection.close()

    def close(self) -> None:
        """Close every connection at once, those in use as well."""
        self._is_closed = True
        for connection in list(self._used):
            connection.abort()
        self._idle.close()
        self._lookup.close()

    def _take(self, origin: Origin) -> Connection | None:
        if self._is_closed:
            raise NoConnection(CLOSED)
        return self._idle.take(origin)

    async def _connect(self, origin: Origin) -> Connection:
        addresses = await self._lookup.addresses(origin.host, origin.port)
        sock = await start_connection(
            addresses, happy_eyeballs_delay=HEAD_START, interleave=1, loop=self._loop
        )
        connection = Connection(origin, self._loop)
        try:
            await self._begin(origin, sock, connection)
        except BaseException:
            if not connection.abort():
                sock.close()
            raise
        if self._is_closed or not connection.is_open():
            connection.abort()
            raise NoConnection(CLOSED if self._is_closed else "the server spoke unasked, or went away")
        return connection

    async def _begin(self, origin: Origin, sock: "socket.socket", connection: Connection) -> None:
        if origin.is_tls:
            await self._loop.create_connection(
                lambda: connection,
                sock=sock,
                ssl=self._context(),
                server_hostname=origin.host,
                ssl_shutdown_timeout=SHUTDOWN,
            )
        else:
            await self._loop.create_connection(lambda: connection, sock=sock)

    def _context(self) -> ssl.SSLContext:
        if self._ssl_context is None:
            self._ssl_context = ssl.create_default_context()
            self._ssl_context.set_alpn_protocols(["http/1.1"])
        return self._ssl_context
