"""The two ways to the ledger, sync and async: both run the same calls."""

from typing import TYPE_CHECKING, Any, TypeVar

import redis
import redis.asyncio
from redis import exceptions
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from sendline.ledger.faults import explain
from sendline.ledger.lineage import Lineage

if TYPE_CHECKING:
    from sendline.ledger.call import Call

T = TypeVar("T")

_TRIES_AGAIN = 1
"""Every verb has its effect once however often it arrives, so one retry on a cut connection is safe."""


def _options(url: str, timeout: float) -> dict[str, Any]:
    options = {"socket_timeout": timeout, "health_check_interval": 0, "protocol": 2}
    if not url.startswith("unix:"):
        options |= {"socket_connect_timeout": timeout, "socket_keepalive": True}
    return options


def _backoff() -> ExponentialBackoff:
    return ExponentialBackoff(cap=0.2, base=0.02)


class Ledger:
    """The sync way to the ledger. Safe across threads and forks."""

    def __init__(self, url: str, *, timeout: float = 2.0, max_connections: int = 50) -> None:
        """Prepare, without connecting. `timeout` in seconds bounds each try of a call."""
        self.url = url
        pool = redis.BlockingConnectionPool.from_url(
            url,
            max_connections=max_connections,
            timeout=timeout,
            retry=Retry(_backoff(), _TRIES_AGAIN, supported_errors=(exceptions.ConnectionError,)),
            **_options(url, timeout),
        )
        self._client: Any = redis.Redis(connection_pool=pool)
        self._client.response_callbacks.clear()  # calls read the replies as they are
        self._lineage = Lineage()

    def run(self, call: "Call[T]") -> T:
        """Run `call` and return what it reads.

        Raises LedgerUnavailable or LedgerRefused.
        """
        try:
            reply = self._send(call)
        except (exceptions.RedisError, OSError) as error:
            raise explain(error, self.url) from error
        return call.answer(reply, self._lineage)

    def _send(self, call: "Call[T]") -> Any:
        seen = self._lineage.packed
        try:
            return self._client.execute_command(*call.command(seen))
        except exceptions.NoScriptError:
            return self._client.execute_command(*call.command_with_source(seen))

    def close(self) -> None:
        """Close every connection."""
        self._client.close()
        self._client.connection_pool.disconnect()


class AsyncLedger:
    """The async way to the ledger, for one event loop."""

    def __init__(self, url: str, *, timeout: float = 2.0, max_connections: int = 50) -> None:
        """Prepare, without connecting. `timeout` in seconds bounds each try of a call."""
        self.url = url
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            url,
            max_connections=max_connections,
            timeout=timeout,
            retry=AsyncRetry(_backoff(), _TRIES_AGAIN, supported_errors=(exceptions.ConnectionError,)),
            **_options(url, timeout),
        )
        self._client: Any = redis.asyncio.Redis(connection_pool=pool)
        self._client.response_callbacks.clear()
        self._lineage = Lineage()

    async def run(self, call: "Call[T]") -> T:
        """Run `call` and return what it reads.

        Raises LedgerUnavailable or LedgerRefused.
        """
        try:
            reply = await self._send(call)
        except (TimeoutError, exceptions.RedisError, OSError) as error:
            raise explain(error, self.url) from error
        except RuntimeError as error:  # how an event loop says that the transport was closed meanwhile
            raise explain(exceptions.ConnectionError(type(error).__name__), self.url) from error
        return call.answer(reply, self._lineage)

    async def _send(self, call: "Call[T]") -> Any:
        seen = self._lineage.packed
        try:
            return await self._client.execute_command(*call.command(seen))
        except exceptions.NoScriptError:
            return await self._client.execute_command(*call.command_with_source(seen))

    async def aclose(self) -> None:
        """Close every connection."""
        await self._client.aclose()
        await self._client.connection_pool.disconnect()
