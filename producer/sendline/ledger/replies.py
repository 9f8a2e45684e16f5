"""The words of Redis' protocol: commands packed, replies read, by hiredis.

Why not redis-py: it bounds each read of an answer and not the whole call, so a server that answers a byte a
second holds a request for ever; and its way of a command costs more CPU than all else of a send().
"""

from typing import TYPE_CHECKING, Any, Final

import hiredis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sendline.ledger.call import Argument

CHUNK: Final = 65_536
"""Bytes that one read takes, at most."""
NOTHING: Final = object()
"""There is no whole reply yet."""
_MOVED: Final = ("READONLY", "MASTERDOWN", "UNBLOCKED")


class ErrorReply(Exception):
    """The server answered with an error. The arguments that it may quote are left out: they may be secret."""

    def __init__(self, text: str) -> None:
        super().__init__(text.partition(", with args")[0])


class Cut(ConnectionError):
    """The server closed the connection."""

    def __init__(self) -> None:
        super().__init__("closed by the server")


class Garbled(Exception):
    """What came is no answer of a Redis."""


def packed(command: "Sequence[Argument]") -> bytes:
    """Return `command` as it goes over the wire.

    hiredis gets no numbers: it has Python write them, and crashes where a signal's handler raises meanwhile.
    """
    words = [each if isinstance(each, (bytes, str)) else str(each) for each in command]
    made: bytes = hiredis.pack_command(tuple(words))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    return made


def has_moved(reply: Any) -> bool:
    """Return whether the server is no primary any longer; a new connection may lead to the one that is."""
    return isinstance(reply, ErrorReply) and str(reply).startswith(_MOVED)


def is_unknown(reply: Any) -> bool:
    """Return whether the server does not know the function that was called."""
    return isinstance(reply, ErrorReply) and str(reply).startswith("ERR Function not found")


def is_full(reply: Any) -> bool:
    """Return whether the server has no memory left."""
    return isinstance(reply, ErrorReply) and str(reply).startswith("OOM")


def accepted(reply: Any) -> Any:
    """Return `reply`. Raises it where it is an ErrorReply."""
    if isinstance(reply, ErrorReply):
        raise reply
    return reply


class Replies:
    """Reads the replies of one connection, one command at a time."""

    __slots__ = ("_feed", "_gets", "_has_more")

    def __init__(self) -> None:
        reader = hiredis.Reader(protocolError=Garbled, replyError=ErrorReply, notEnoughData=NOTHING)
        self._feed = reader.feed
        self._gets = reader.gets
        self._has_more = reader.has_data

    def take(self, data: bytes) -> Any:
        """Return the reply that `data` completes (an ErrorReply where it is one), or NOTHING.

        Raises Cut where `data` is empty, Garbled where it is no reply, or more than one.
        """
        if not data:
            raise Cut
        self._feed(data)
        reply = self._gets()
        if reply is not NOTHING and self._has_more():
            raise Garbled("more than was asked for")
        return reply
