"""The end of a request that is refused before its body was read."""

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from starlette.types import Receive

LINGER_MOST: Final = 1024 * 1024
LINGER_SECONDS: Final = 1.0
"""How much of a refused body, and how long, is read and dropped, so that its sender can read our answer."""


async def linger(receive: "Receive") -> None:
    """Read on and drop it, within bounds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            await _drop(receive)


async def _drop(receive: "Receive") -> None:
    dropped = 0
    more = True
    while more and dropped <= LINGER_MOST:
        message = await receive()
        dropped += len(message.get("body", b""))
        more = message.get("more_body", False)
