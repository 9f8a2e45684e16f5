"""Names of hosts looked up within a bound, though the system's resolver knows none."""

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Final

Resolved = Sequence[tuple[int, int, int, str, tuple[object, ...]]]
"""What getaddrinfo() returns."""

_under_way: Final[dict[tuple[str, int], "Future[Resolved]"]] = {}


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


def forget() -> None:
    """Forget what is under way: after a fork its threads are not there."""
    _under_way.clear()


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _begun(host: str, port: int) -> "Future[Resolved]":
    """Return the look-up of this name; all who ask while one hangs wait for the same one."""
    made: Future[Resolved] = Future()
    found = _under_way.setdefault((host, port), made)
    if found is made:
        threading.Thread(target=_run, args=(host, port, made), name="sendline-dns", daemon=True).start()
    return found


def _run(host: str, port: int, future: "Future[Resolved]") -> None:
    try:
        addresses = _look_up(host, port)
    except Exception as error:  # noqa: BLE001 - whatever it is, those who wait are told
        _under_way.pop((host, port), None)
        future.set_exception(error)
    else:
        _under_way.pop((host, port), None)
        future.set_result(addresses)


def _look_up(host: str, port: int) -> Resolved:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
