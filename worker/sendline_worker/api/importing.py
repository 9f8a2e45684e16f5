"""Imports of recipients, each in a thread, some at a time: the loop goes on with its other requests."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Annotated, Final, TypeVar

from fastapi import Depends, Request

from sendline.settings import Settings
from sendline_worker.api.plans import Importing, importing
from sendline_worker.api.problems import ProblemError, refuse

T = TypeVar("T")

AT_ONCE: Final = 4
"""Uploads and imports of one process."""
AGAIN: Final = "the very same request goes on where it stopped: nothing is doubled or skipped"


async def unless_ending(ending: asyncio.Event, doing: Coroutine[None, None, T]) -> T:
    """Return what `doing` returns; raises ProblemError at once where the server is `ending`."""
    work, ended = asyncio.ensure_future(doing), asyncio.ensure_future(ending.wait())
    try:
        await asyncio.wait((work, ended), return_when=asyncio.FIRST_COMPLETED)
    finally:
        ended.cancel()
        if not work.done():
            work.cancel()
            await asyncio.wait((work,))
    if work.cancelled():
        raise ending_now()
    return work.result()


def ending_now() -> ProblemError:
    """Return what ends a request where the server ends."""
    return refuse("busy", f"the server ends; {AGAIN}", retry_after="5")


class _Stopped(Exception):
    """The server ends, and so does the import, behind what it has accepted."""


class Imports:
    """The imports of one process. For one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._free = AT_ONCE
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="importing")

    @contextlib.asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Take part in what the process does at once; raises ProblemError where that is too much."""
        if not self._free:
            raise refuse("busy", f"{AT_ONCE} files are being imported: try again later", retry_after="5")
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1

    async def run(self, ending: asyncio.Event, do: Callable[[Importing, Callable[[], None]], T]) -> T:
        """Return what `do` returns, in a thread; it calls what it gets beside a producer now and then.

        Where the server is `ending` meanwhile, that ends it. Raises ProblemError then, and what `do` raises.
        """
        stop = threading.Event()
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._threads, partial(_run, self._settings, do, stop))
        ended = asyncio.ensure_future(ending.wait())
        try:
            await asyncio.wait((work, ended), return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
            if not work.done():
                stop.set()
        try:
            return await work
        except _Stopped:
            raise ending_now() from None

    async def aclose(self) -> None:
        """Wait for the threads."""
        await asyncio.to_thread(self._threads.shutdown)


def _run(settings: Settings, do: Callable[[Importing, Callable[[], None]], T], stop: threading.Event) -> T:
    def check() -> None:
        if stop.is_set():
            raise _Stopped

    with importing(settings) as producer:
        return do(producer, check)


async def _imports(request: Request) -> Imports:
    found: Imports = request.scope["state"]["imports"]
    return found


Working = Annotated[Imports, Depends(_imports)]
"""A parameter of an endpoint that gets the imports of its process."""
