"""The one thing ASGI has no word for: breaking off the TCP connection under a request."""

import socket
import struct
from typing import TYPE_CHECKING, Any, Protocol, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

    from starlette.types import Scope

EXTENSION = "sendline.connection"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class _SocketLike(Protocol):
    def setsockopt(self, level: int, name: int, value: bytes, /) -> None: ...


class Connection:
    """The connection that a request came over."""

    __slots__ = ("_transport",)

    def __init__(self, transport: "asyncio.Transport") -> None:
        self._transport = transport

    def reset(self) -> None:
        """Drop it with a TCP reset: the client sees its connection reset, not an orderly end."""
        sock = cast("_SocketLike | None", self._transport.get_extra_info("socket"))
        if sock is not None and not self._transport.is_closing():
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._transport.abort()

    def close(self) -> None:
        """Send what was written, then close it in order."""
        self._transport.close()


class DroppableProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, which also hands each request its connection, as an ASGI extension."""

    def connection_made(self, transport: "asyncio.Transport") -> None:  # type: ignore[override]
        """Begin a connection; its requests are not logged, whatever logging is set up: they hold numbers."""
        super().connection_made(transport)
        self.access_log = False
        self._extensions: dict[str, Any] = {EXTENSION: Connection(transport)}

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.scope["extensions"] = self._extensions


def connection_of(scope: "Scope") -> Connection:
    """Return the connection of a request that came through `DroppableProtocol`."""
    return cast("Connection", scope["extensions"][EXTENSION])
