"""Imports of recipients, each in a thread, some at a time: the loop goes on with its other requests."""

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Annotated, Final, TypeVar

from fastapi import Depends, Request

from sendline.campaigns.heeding import Stopped, heeding
from sendline.settings import Settings
from sendline_worker.api.plans import Importing, importing
from sendline_worker.api.problems import ProblemError, refuse
from sendline_worker.api.room import Room, no_room

T = TypeVar("T")

AT_ONCE: Final = 4
"""Imports of one process."""
RECEIVED_AT_ONCE: Final = 16
"""Files at the same time, until they are imported: slow senders keep nobody's import waiting."""
OF_ONE: Final = 2
"""Of both, those of one owner."""
PATIENCE: Final = 30.0
"""Seconds that an import waits for its turn: its file has come already."""
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


class Places:
    """What is done at once, by how many: some of all, and few of one owner. For one event loop."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._held: Counter[str] = Counter()
        self._changed = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def place(
        self, owner: str, patience: float = 0.0, ending: asyncio.Event | None = None
    ) -> AsyncIterator[None]:
        """Hold a place; raises ProblemError where none is free within `patience` seconds."""
        until = asyncio.get_running_loop().time() + patience
        while not self._is_free(owner):  # others may be quicker
            if not patience:
                raise _busy()
            waiting = self._wait(owner, until)
            await (waiting if ending is None else unless_ending(ending, waiting))
        self._free -= 1
        self._held[owner] += 1
        try:
            yield
        finally:
            self._free += 1
            self._held[owner] -= 1
            self._held += Counter()  # whoever holds nothing is forgotten
            async with self._changed:
                self._changed.notify_all()

    def _is_free(self, owner: str) -> bool:
        return self._free > 0 and self._held[owner] < OF_ONE

    async def _wait(self, owner: str, until: float) -> None:
        try:
            async with asyncio.timeout_at(until), self._changed:
                await self._changed.wait_for(lambda: self._is_free(owner))
        except TimeoutError:
            raise _busy() from None


def _busy() -> ProblemError:
    return refuse("busy", f"too many files come at once; {AGAIN}", retry_after="5")


class Imports:
    """The imports of one process. For one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.room = Room(settings.api_disk_most)
        self._receiving = Places(RECEIVED_AT_ONCE)
        self._importing = Places(AT_ONCE)
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="importing")

    @contextlib.asynccontextmanager
    async def receiving(self, owner: str) -> AsyncIterator[None]:
        """Take part in the files that the process has; raises ProblemError where they are too many."""
        async with self._receiving.place(owner):
            yield

    @contextlib.asynccontextmanager
    async def slot(self, owner: str, ending: asyncio.Event) -> AsyncIterator[None]:
        """Wait for a turn to import; raises ProblemError where none comes, or the server is `ending`."""
        async with self._importing.place(owner, PATIENCE, ending):
            yield

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
                await asyncio.wait((work,))  # so long it needs its file
                work.exception()  # nobody asks for it where the request was canceled
        try:
            return await work
        except OSError:
            raise no_room() from None
        except Stopped:  # behind what it has accepted
            raise ending_now() from None

    async def aclose(self) -> None:
        """Wait for the threads."""
        await asyncio.to_thread(self._threads.shutdown)


def _run(settings: Settings, do: Callable[[Importing, Callable[[], None]], T], stop: threading.Event) -> T:
    def check() -> None:
        if stop.is_set():
            raise Stopped

    with heeding(stop), importing(settings) as producer:
        return do(producer, check)


async def _imports(request: Request) -> Imports:
    found: Imports = request.scope["state"]["imports"]
    return found


Working = Annotated[Imports, Depends(_imports)]
"""A parameter of an endpoint that gets the imports of its process."""
