"""Connections that lead only where they may: the address that was checked is the one connected to.

Two gates over the same `Allowed`. The resolver drops addresses that are not permitted. And each socket is
made only for a permitted address, right before it is connected, whatever brought that address there: aiohttp
asks no resolver for IP literals. Nothing is looked up in between.
"""

import socket
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from sendline_worker.webhooks.addresses import PRIVATE, ForbiddenError

if TYPE_CHECKING:
    import ssl

    from sendline_worker.webhooks.addresses import Allowed

IDLE: Final = 1.5
"""Seconds after which an unused connection is not used again: below what common servers allow (2 to 5)."""
STALE_TRIES: Final = 3

_called_host: Final = ContextVar("called_host", default="")
"""The host of the URL that this task calls: a socket's factory is told an address only."""


class CheckedResolver(AbstractResolver):
    """Answers with the permitted ones of another resolver's addresses."""

    def __init__(self, allowed: "Allowed", resolver: AbstractResolver | None = None) -> None:
        self._allowed = allowed
        self._resolver = resolver or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Look `host` up; raises ForbiddenError where no address that it leads to is permitted."""
        try:
            found = await self._resolver.resolve(host, port, family)
        except UnicodeError:  # a label that is empty or too long
            raise OSError("not the name of a host") from None
        permitted = [each for each in found if self._allowed.permits(host, each["host"])]
        if not found:
            raise OSError("no address")
        if not permitted:
            raise ForbiddenError(PRIVATE)
        return permitted

    async def close(self) -> None:
        """Close the other resolver."""
        await self._resolver.close()


class CheckedConnector(aiohttp.TCPConnector):
    """A pool of connections to permitted addresses. Make it inside a running event loop.

    It uses no proxy, verifies certificates, remembers no look-up, and hands out no connection on which the
    server has spoken unasked (aiohttp would take that for the answer to the next request).
    """

    def __init__(
        self,
        allowed: "Allowed",
        *,
        resolver: AbstractResolver | None = None,
        ssl_context: "ssl.SSLContext | None" = None,
    ) -> None:
        self._allowed = allowed
        self._checked = CheckedResolver(allowed, resolver)
        super().__init__(
            resolver=self._checked,
            use_dns_cache=False,
            socket_factory=self._open,
            limit=0,  # the caller bounds its calls; a wait for a connection would look like a fault
            keepalive_timeout=IDLE,
            ssl=True if ssl_context is None else ssl_context,
        )

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,
    ) -> Any:
        """Return a connection for `req`; raises ForbiddenError."""
        if req.proxy is not None:
            raise ForbiddenError("webhooks use no proxy")
        _called_host.set(req.url.raw_host or "")
        for _ in range(STALE_TRIES):
            connection = await super().connect(req, traces, timeout)
            if connection.protocol is not None and not connection.protocol.should_close:
                return connection
            connection.close()
        raise aiohttp.ClientConnectionError("the server spoke unasked")

    async def close(self, *, abort_ssl: bool = False) -> None:
        """Close every connection, those in use as well, and the resolver."""
        await super().close(abort_ssl=abort_ssl)
        await self._checked.close()

    def _open(self, info: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        if not self._allowed.permits(_called_host.get(), address[0]):
            raise ForbiddenError(PRIVATE)
        return socket.socket(family, kind, protocol)
