"""One connection to the ledger, for an event loop. Whoever calls bounds the time of each step."""

import asyncio
import socket
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sendline.ledger.link import left, new_socket
from sendline.ledger.replies import CHUNK, NOTHING, Replies, accepted, packed
from sendline.ledger.resolving import resolve_async

if TYPE_CHECKING:
    import ssl

    from sendline.ledger.address import Address


class AsyncLink:
    """A connection that one task uses at a time. Whoever gets an error from it, or is canceled, closes it.

    It has a socket, no transport and no loop: nothing of it stays in a loop that ends, nor keeps one from
    ending, and it can be closed anywhere.
    """

    __slots__ = ("_replies", "_socket", "_tls")

    def __init__(self, made: socket.socket) -> None:
        """Take over a connected socket; begin() comes next."""
        self._replies = Replies()
        self._socket = made
        self._tls: _Tls | None = None

    @classmethod
    async def open(cls, address: "Address", until: float) -> "AsyncLink":
        """Connect and greet; `until` only shares out the time. Raises OSError, Garbled, ErrorReply."""
        link = cls(await _connected(address, until))
        try:
            await link._begin(address)
        except BaseException:
            link.close()
            raise
        return link

    async def ask(self, command: bytes) -> Any:
        """Return the reply to a packed command; an ErrorReply where it is one. Raises OSError, Garbled."""
        if self._tls is not None:
            return await self._ask_secretly(self._tls, command)
        loop, connection, take = asyncio.get_running_loop(), self._socket, self._replies.take
        try:  # noqa: SIM105 - suppress() costs time at each call
            await loop.sock_sendall(connection, command)
        except BrokenPipeError:
            pass  # it may have said why
        while (reply := take(await loop.sock_recv(connection, CHUNK))) is NOTHING:
            pass
        return reply

    def close(self) -> None:
        """Close it. In the child of a fork, the parent's stays open."""
        self._socket.close()

    def __del__(self) -> None:
        if hasattr(self, "_socket"):
            self.close()

    async def _begin(self, address: "Address") -> None:
        if address.tls is not None:
            self._tls = _Tls(address.context, address.host)
            while not self._tls.is_agreed():
                await self._exchange(self._tls)
        for command in address.greeting:
            accepted(await self.ask(packed(command)))

    async def _ask_secretly(self, tls: "_Tls", command: bytes) -> Any:
        tls.write(command)
        while (data := tls.read()) is None or (reply := self._replies.take(data)) is NOTHING:
            if data is None:
                await self._exchange(tls)
        return reply

    async def _exchange(self, tls: "_Tls") -> None:
        """Send what is to be sent, and read more."""
        loop = asyncio.get_running_loop()
        if data := tls.outgoing():
            await loop.sock_sendall(self._socket, data)
        tls.incoming(await loop.sock_recv(self._socket, CHUNK))


class LoopLinks:
    """The connections of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, most: int) -> None:
        """Begin without any; at most `most` are in use at a time."""
        self.of = weakref.ref(loop)
        self.free = asyncio.Semaphore(most)
        self.idle: list[AsyncLink] = []
        self.links: set[AsyncLink] = set()

    def is_over(self) -> bool:
        """Return whether its loop has ended."""
        loop = self.of()
        return loop is None or loop.is_closed()

    def drop(self, link: AsyncLink) -> None:
        """Close a connection."""
        self.links.discard(link)
        link.close()

    def close(self) -> None:
        """Close every connection; one that is in use, once its call has ended."""
        unused, self.idle = self.idle, []
        with suppress(IndexError):
            while True:
                self.drop(unused.pop())
        if self.is_over():
            for link in tuple(self.links):
                self.drop(link)

    def drop_idle(self) -> None:
        """Close the connections that nobody uses: what ails one ails the others."""
        with suppress(IndexError):
            while True:
                self.drop(self.idle.pop())


class _Tls:
    """TLS without a socket: loops offer none for plain sockets."""

    def __init__(self, context: "ssl.SSLContext", host: str) -> None:
        import ssl  # noqa: PLC0415 - few ledgers are reached by TLS

        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._more = ssl.SSLWantReadError
        self._object = context.wrap_bio(self._in, self._out, server_hostname=host)

    def is_agreed(self) -> bool:
        """Go on with the handshake; return whether it is over. Raises ssl.SSLError."""
        try:
            self._object.do_handshake()
        except self._more:
            return False
        return True

    def write(self, data: bytes) -> None:
        """Take what is to be sent."""
        self._object.write(data)

    def read(self) -> bytes | None:
        """Return what has come; None: nothing yet, b"": the other side has ended."""
        try:
            return self._object.read(CHUNK)
        except self._more:
            return None

    def outgoing(self) -> bytes:
        """Return what must be sent before more can come."""
        return self._out.read()

    def incoming(self, data: bytes) -> None:
        """Take what the connection brought."""
        if data:
            self._in.write(data)
        else:
            self._in.write_eof()


async def _connected(address: "Address", until: float) -> socket.socket:
    if address.path is not None:
        return await _reached(socket.AF_UNIX, address.path)
    found = await resolve_async(address.host, address.port)
    for more, (family, _, _, _, place) in zip(reversed(range(len(found))), found, strict=True):
        try:
            async with asyncio.timeout(left(until) / (more + 1)):
                return await _reached(family, place)
        except OSError:
            if not more:
                raise
    raise OSError("the name has no address")


async def _reached(family: int, place: Any) -> socket.socket:
    made = new_socket(family)
    try:
        made.setblocking(False)
        await asyncio.get_running_loop().sock_connect(made, place)
    except BaseException:
        made.close()
        raise
    return made
