"""A pool of connections: those in use are bounded, those that idle are used again while that is safe."""

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiohappyeyeballs import start_connection

from sendline_worker.wire.connection import Connection
from sendline_worker.wire.faults import NoConnection
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

    def __init__(self, *, connections: int, idle: float, ssl_context: ssl.SSLContext | None) -> None:
        """Prepare, without connecting. `idle`: seconds after which an unused one is not used again."""
        self._loop = asyncio.get_running_loop()
        self._most = connections
        self._slots = asyncio.Semaphore(connections)
        self._rest = idle
        self._ssl_context = ssl_context
        self._lookup = Lookup(self._loop)
        self._used: set[Connection] = set()
        self._idle: dict[Origin, deque[Connection]] = {}
        self._sweeping: asyncio.TimerHandle | None = None
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
        if self._is_closed or not connection.is_usable():
            connection.close()
            return
        connection.idle_since = self._loop.time()
        self._idle.setdefault(connection.origin, deque()).append(connection)
        if self._sweeping is None:
            self._sweeping = self._loop.call_later(self._rest, self._sweep)

    def close(self) -> None:
        """Close every connection at once, those in use as well."""
        self._is_closed = True
        if self._sweeping is not None:
            self._sweeping.cancel()
        for connection in [*self._used, *(each for idle in self._idle.values() for each in idle)]:
            connection.abort()
        self._idle.clear()
        self._lookup.close()

    def _take(self, origin: Origin) -> Connection | None:
        """Return the connection that was used last, if it can be used."""
        if self._is_closed:
            raise NoConnection(CLOSED)
        idle = self._idle.get(origin)
        since = self._loop.time() - self._rest
        while idle:
            connection = idle.pop()
            if connection.idle_since > since and connection.is_usable():
                return connection
            connection.close()
        return None

    def _sweep(self) -> None:
        """Close what has idled for too long."""
        since = self._loop.time() - self._rest
        for origin, idle in list(self._idle.items()):
            while idle and (idle[0].idle_since <= since or not idle[0].is_usable()):
                idle.popleft().close()
            if not idle:
                del self._idle[origin]
        oldest = min((idle[0].idle_since for idle in self._idle.values()), default=None)
        self._sweeping = None if oldest is None else self._loop.call_at(oldest + self._rest, self._sweep)

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
