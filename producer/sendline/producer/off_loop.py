"""Plans whose own steps take long, such as imports: for event loops, whose other tasks go on meanwhile."""

import asyncio
import atexit
import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Any, Final, Generic, TypeVar

from sendline.campaigns.heeding import Stopped, heeding
from sendline.contract.campaign import Imported
from sendline.contract.errors import LedgerError
from sendline.ledger.call import Call
from sendline.producer.plan import Aside, Pause, Plan

T = TypeVar("T")

GRACE: Final = 1.0
"""Seconds for which an interpreter that ends waits for all threads that are at a step."""

log = logging.getLogger("sendline.campaigns")


class Hearer:
    """Takes how far an import has come, in its thread, and tells it in the event loop."""

    def __init__(self, tell: Callable[[Imported], None] | None) -> None:
        """`tell` is the app's own, if it asked to hear."""
        self._tell = tell
        self._heard: deque[Imported] = deque()

    def __call__(self, imported: Imported) -> None:
        """Keep `imported` until it can be told."""
        if self._tell is not None:
            self._heard.append(imported)

    def pass_on(self) -> None:
        """Tell what was kept."""
        while self._tell is not None and self._heard:
            self._tell(self._heard.popleft())


class _Thread:
    """A thread for one plan. It is no reason for an interpreter that ends to go on."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        """Set once nobody waits for what it does: it ends between two rows, or behind its step."""
        self._asked: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._live, name="sendline-import", daemon=True)
        self._thread.start()
        _threads.add(self)

    async def do(self, what: Callable[[], T]) -> T:
        """Return what `what` returns, there; who is canceled waits for nothing."""
        done: Future[T] = Future()
        self._asked.put((done, what))
        return await asyncio.wrap_future(done)

    def end(self, last: Callable[[], None]) -> None:
        """End it: behind the step that it is at, and behind `last`."""
        self.stop.set()
        self._asked.put((Future(), last))
        self._asked.put(None)

    def leave(self, timeout: float) -> None:
        """Let it end behind what it was asked for, and wait for that, `timeout` seconds at most."""
        self.stop.set()
        self._asked.put(None)
        self._thread.join(timeout)

    def _live(self) -> None:
        while (asked := self._asked.get()) is not None:
            done, what = asked
            if not done.set_running_or_notify_cancel():
                continue
            try:
                result = what()
            except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
                done.set_exception(error)
                if self.stop.is_set() and not isinstance(error, Stopped):
                    log.error("an import that nobody waits for ended badly: %s", type(error).__name__)
            else:
                done.set_result(result)
            del asked, done, what


@dataclass(frozen=True, slots=True)
class _Done(Generic[T]):
    result: T


async def carry_out(
    plan: Plan[T], run: Callable[[Call[Any]], Awaitable[Any]], after_step: Callable[[], None]
) -> T:
    """Carry out `plan`, each of its steps in one thread of its own, its calls by `run` in the event loop.

    `after_step` is called in the event loop behind each step. Who is canceled waits for nothing: a step that
    is under way ends at its next row, and what the plan has open is closed behind it, in its thread.
    """
    context, thread = copy_context(), _Thread()

    async def do(what: Callable[[], Any]) -> Any:
        def heedful() -> Any:
            with heeding(thread.stop):
                return what()

        return await thread.do(lambda: context.run(heedful))

    reply: Any = None
    error: LedgerError | None = None
    try:
        while True:
            step = await do(partial(_advance, plan, reply, error))
            after_step()
            reply = error = None
            if isinstance(step, _Done):
                return step.result  # type: ignore[no-any-return]
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
            elif isinstance(step, Aside):
                reply = await do(step.do)
            else:
                try:
                    reply = await run(step)
                except LedgerError as fault:
                    error = fault
    finally:
        thread.end(plan.close)


def _advance(plan: Plan[T], reply: Any, error: LedgerError | None) -> Call[Any] | Pause | Aside | _Done[T]:
    try:
        return plan.send(reply) if error is None else plan.throw(error)
    except StopIteration as done:
        return _Done(done.value)


_threads: "weakref.WeakSet[_Thread]" = weakref.WeakSet()


def _end_threads() -> None:
    """Let those that are at a step close what they have open; one that hangs holds up no interpreter."""
    until = time.monotonic() + GRACE
    for thread in list(_threads):
        thread.leave(max(0.0, until - time.monotonic()))


atexit.register(_end_threads)
