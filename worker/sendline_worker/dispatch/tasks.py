"""Ending tasks that run for ever."""

import asyncio
from typing import Any, Final

AGAIN: Final = 0.1
"""Seconds after which a task that goes on is told once more."""


async def end(*tasks: "asyncio.Task[Any]") -> None:
    """Cancel `tasks` and return when all have ended.

    Before Python 3.12 `asyncio.wait_for`, which the Redis client sends by, swallows a cancellation that comes
    just when what it waits for has ended. So each is told until it heeds.
    """
    while going := {task for task in tasks if not task.done()}:
        for task in going:
            task.cancel()
        await asyncio.wait(going, timeout=AGAIN)
