"""One connection to the ledger, for threads: each wait on it ends at the caller's deadline."""

import socket
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from sendline.ledger.replies import CHUNK, NOTHING, Replies, accepted, packed
from sendline.ledger.resolving import resolve

if TYPE_CHECKING:
    from sendline.ledger.address import Address

_KEEPALIVE: Final = {
    getattr(socket, name): value
    for name, value in {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}.items()
    if hasattr(socket, name)
}
"""Seconds until an idle connection is probed, between two probes, and how many stay unanswered."""


def left(until: float) -> float:
    """Return the seconds until the instant `until` of the monotonic clock. Raises TimeoutError: none."""
    seconds = until - monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


class Link:
    """A connection that one thread uses at a time. Whoever gets an error from it closes it."""

    __slots__ = ("__weakref__", "_replies", "_socket")

    def __init__(self, address: "Address", until: float) -> None:
        """Connect and greet. Raises OSError, Garbled, ErrorReply."""
        self._replies = Replies()
        self._socket = _connected(address, until)
        try:
            for command in address.greeting:
                accepted(self.ask(packed(command), until))
        except BaseException:
            self.close()
            raise

    def ask(self, command: bytes, until: float) -> Any:
        """Return the reply to a packed command; an ErrorReply where it is one.

        Raises TimeoutError, OSError, Garbled. An answer that trickles is waited for until `until`, no longer.
        """
        self._send(command, until)
        connection, take = self._socket, self._replies.take
        while True:
            connection.settimeout(left(until))
            if (reply := take(connection.recv(CHUNK))) is not NOTHING:
                return reply

    def _send(self, command: bytes, until: float) -> None:
        connection, rest = self._socket, memoryview(command)
        try:
            while rest:  # sendall() of TLS bounds each piece, and not the whole
                connection.settimeout(left(until))
                rest = rest[connection.send(rest) :]
        except BrokenPipeError:
            pass  # it may have said why

    def close(self) -> None:
        """Close it. In the child of a fork, the parent's stays open."""
        self._socket.close()

    def __del__(self) -> None:
        if hasattr(self, "_socket"):
            self.close()


def _connected(address: "Address", until: float) -> socket.socket:
    if address.path is not None:
        return _reached(socket.AF_UNIX, address.path, left(until))
    found = resolve(address.host, address.port, left(until))
    for more, (family, _, _, _, place) in zip(reversed(range(len(found))), found, strict=True):
        try:
            made = _reached(family, place, left(until) / (more + 1))
        except OSError:
            if not more:
                raise
        else:
            return _secured(made, address, until)
    raise OSError("the name has no address")


def _reached(family: int, place: Any, seconds: float) -> socket.socket:
    made = new_socket(family)
    try:
        made.settimeout(seconds)
        made.connect(place)
    except BaseException:
        made.close()
        raise
    return made


def new_socket(family: int) -> socket.socket:
    """Return a socket that sends at once, and notices in time that the other side is gone."""
    made = socket.socket(family, socket.SOCK_STREAM)
    if family != socket.AF_UNIX:
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE.items():
            made.setsockopt(socket.IPPROTO_TCP, option, value)
    return made


def _secured(made: socket.socket, address: "Address", until: float) -> socket.socket:
    if address.tls is None:
        return made
    try:
        made.settimeout(left(until))
        return address.context.wrap_socket(made, server_hostname=address.host)
    except BaseException:
        made.close()
        raise
