"""Plans whose own steps take long, such as imports: for event loops, whose other tasks go on meanwhile."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from sendline.contract.campaign import Imported
from sendline.contract.errors import LedgerError
from sendline.ledger.call import Call
from sendline.producer.plan import Aside, Pause, Plan

T = TypeVar("T")


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


@dataclass(frozen=True, slots=True)
class _Done(Generic[T]):
    result: T


async def carry_out(
    plan: Plan[T], run: Callable[[Call[Any]], Awaitable[Any]], after_step: Callable[[], None]
) -> T:
    """Carry out `plan`, each of its steps in one thread of its own, its calls by `run` in the event loop.

    `after_step` is called in the event loop behind each step. Who is canceled waits for nothing: a step that
    is under way ends by itself, and then the plan is closed.
    """
    loop, context = asyncio.get_running_loop(), copy_context()
    thread = ThreadPoolExecutor(1, thread_name_prefix="sendline-import")

    async def do(what: Callable[..., Any], *arguments: Any) -> Any:
        return await loop.run_in_executor(thread, partial(context.run, what, *arguments))

    reply: Any = None
    error: LedgerError | None = None
    try:
        while True:
            step = await do(_advance, plan, reply, error)
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
        thread.submit(plan.close)
        thread.shutdown(wait=False)


def _advance(plan: Plan[T], reply: Any, error: LedgerError | None) -> Call[Any] | Pause | Aside | _Done[T]:
    try:
        return plan.send(reply) if error is None else plan.throw(error)
    except StopIteration as done:
        return _Done(done.value)
