"""Host names to addresses: one look-up for all who ask at the same time, remembered for seconds."""

import asyncio
import ipaddress
import socket
from typing import TYPE_CHECKING, Final

from aiohappyeyeballs import AddrInfoType, addr_to_addr_infos

from sendline_worker.wire.faults import NoConnection

if TYPE_CHECKING:
    from collections.abc import Sequence

REMEMBERED: Final = 10.0
"""Seconds for which addresses are used again without another look-up."""


class Lookup:
    """Looks hosts up with the system's resolver, for one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Prepare, without looking anything up."""
        self._loop = loop
        self._found: dict[tuple[str, int], asyncio.Task[list[AddrInfoType]]] = {}

    async def addresses(self, host: str, port: int) -> "Sequence[AddrInfoType]":
        """Return where `host` is, at least one address; raises OSError, UnicodeError."""
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return await self._named(host, port)
        return addr_to_addr_infos((host, port)) or []

    def close(self) -> None:
        """Wait no longer for answers."""
        for asking in self._found.values():
            asking.cancel()

    async def _named(self, host: str, port: int) -> "Sequence[AddrInfoType]":
        key = (host, port)
        asking = self._found.get(key)
        if asking is None:
            asking = self._found[key] = self._loop.create_task(self._ask(host, port))
            asking.add_done_callback(lambda done: self._remember(key, done))
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            if asking.cancelled():  # it was closed; nobody cancelled who waits
                raise NoConnection("the connections are closed") from None
            raise

    async def _ask(self, host: str, port: int) -> list[AddrInfoType]:
        infos = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        if not infos:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        return list(infos)

    def _remember(self, key: tuple[str, int], done: "asyncio.Task[list[AddrInfoType]]") -> None:
        failed = done.cancelled() or done.exception() is not None
        self._loop.call_later(0 if failed else REMEMBERED, self._found.pop, key, None)
