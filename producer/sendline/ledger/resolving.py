"""Names of hosts looked up within a bound, though the system's resolver knows none."""

import asyncio
import errno
import ipaddress
import os
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Final

Resolved = Sequence[tuple[int, int, int, str, tuple[object, ...]]]
"""What getaddrinfo() returns."""

_under_way: Final[dict[tuple[int, str, int], "Future[Resolved]"]] = {}
"""By process, host and port: after a fork the threads of the parent are not there."""


def resolve(host: str, port: int, seconds: float) -> Resolved:
    """Return the addresses of `host`. Raises OSError, TimeoutError after `seconds`."""
    if _is_literal(host):
        return _look_up(host, port)
    return _begun(host, port).result(seconds)


async def resolve_async(host: str, port: int) -> Resolved:
    """Do the same for an event loop, whose caller bounds it."""
    if _is_literal(host):
        return _look_up(host, port)
    return await asyncio.shield(asyncio.wrap_future(_begun(host, port)))


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _begun(host: str, port: int) -> "Future[Resolved]":
    """Return the look-up of this name; all who ask while one hangs wait for the same one."""
    asked = (os.getpid(), host, port)
    made: Future[Resolved] = Future()
    found = _under_way.setdefault(asked, made)
    if found is made:
        thread = threading.Thread(target=_run, args=(asked, made), name="sendline-dns", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            _under_way.pop(asked, None)
            made.set_exception(OSError(errno.EAGAIN, "no thread can be started to look up its name"))
    return found


def _run(asked: tuple[int, str, int], future: "Future[Resolved]") -> None:
    _, host, port = asked
    try:
        addresses = _look_up(host, port)
    except Exception as error:  # noqa: BLE001 - whatever it is, those who wait are told
        _under_way.pop(asked, None)
        future.set_exception(error)
    else:
        _under_way.pop(asked, None)
        future.set_result(addresses)


def _look_up(host: str, port: int) -> Resolved:
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise OSError(errno.EINVAL, "not the name of a host") from None
