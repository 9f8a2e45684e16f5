"""Why a call brought no answer: what the wire raises, and the one line that is told of each."""

import os
import socket
import ssl
from typing import Final

import httpx


class Fault(Exception):
    """What the wire itself finds wrong; its text is what is told."""


class TooLate(Fault):
    """The request was not begun by its instant."""


class Unwritable(Fault):
    """The request can't be put into HTTP."""


class NoConnection(Fault):
    """There was no connection in time, or none to be had."""


class NoAnswer(Fault):
    """The whole call took too long."""


class Unreadable(Fault):
    """The server went away before its answer was complete, or what it said is no answer."""


DISCONNECTED: Final = "the server closed the connection without an answer"
BROKEN_OFF: Final = "the answer broke off"
NOT_HTTP: Final = "the answer is not HTTP"


def reason_of(error: BaseException) -> str:
    """Return what is told of `error`: one line without addresses, numbers or secrets."""
    if isinstance(error, Fault):
        return str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return "the TLS certificate does not verify"
    if isinstance(error, ssl.SSLError):
        return "the TLS handshake failed"
    if isinstance(error, socket.gaierror | UnicodeError):
        return "the host name can't be resolved"
    if isinstance(error, OSError):
        return f"connection failed: {os.strerror(error.errno) if error.errno else 'cut off'}"
    return f"the call failed: {type(error).__name__}"


def as_httpx(error: Exception, *, on_wire: bool) -> type[httpx.TransportError]:
    """Return which of httpx's errors says the same: one of connecting only if it was not begun."""
    if not on_wire:
        return httpx.ConnectTimeout if isinstance(error, NoConnection | TooLate) else httpx.ConnectError
    if isinstance(error, NoAnswer):
        return httpx.ReadTimeout
    return httpx.RemoteProtocolError if isinstance(error, Unreadable) else httpx.ReadError
