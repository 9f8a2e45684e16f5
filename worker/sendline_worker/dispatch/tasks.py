"""Ending tasks that run for ever."""

import asyncio
from typing import Any, Final

AGAIN: Final = 0.1
"""Seconds after which a task that goes on is told once more."""


async def end(*tasks: "asyncio.Task[Any]") -> None:
    """Cancel `tasks` and return when all have ended.

    A cancellation may be swallowed: by what a hook calls, by `asyncio.wait_for` before Python 3.12 where it
    comes just when what is waited for has ended. So each is told until it heeds.
    """
    while going := {task for task in tasks if not task.done()}:
        for task in going:
            task.cancel()
        await asyncio.wait(going, timeout=AGAIN)
