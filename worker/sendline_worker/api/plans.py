"""Carrying out plans, and what blocks, beside the requests that the loop serves."""

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from sendline.contract.errors import LedgerError
from sendline.ledger.call import Call
from sendline.ledger.connection import Ledger
from sendline.producer import Producer
from sendline.settings import ledger_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from sendline.ledger.connection import AsyncLedger
    from sendline.producer.plan import Plan
    from sendline.settings import Settings
    from sendline_worker.api.context import Context

T = TypeVar("T")


async def carry_out(ledger: "AsyncLedger", plan: "Plan[T]") -> T:
    """Carry out a plan that asks the ledger and nothing else; raises what it raises, and LedgerError."""
    try:
        step = next(plan)
        while True:
            if not isinstance(step, Call):
                raise TypeError(step)
            try:
                reply: Any = await ledger.run(step)
            except LedgerError as error:
                step = plan.throw(error)
            else:
                step = plan.send(reply)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]


async def in_thread(here: "Context", do: "Callable[[Ledger, Settings], T]") -> T:
    """Return what `do` returns of what the command line reads, too; it may block. Raises LedgerError."""

    def opened() -> T:
        ledger = Ledger(ledger_url(here.settings), timeout=here.settings.redis_timeout)
        try:
            return do(ledger, here.settings)
        finally:
            ledger.close()

    return await asyncio.to_thread(opened)


class Importing(Producer):
    """The producer of a thread that imports recipients."""

    def carry_out(self, plan: "Plan[T]") -> T:
        """Carry out `plan`; raises what it raises, and LedgerError."""
        return self._do(plan)


def importing(settings: "Settings") -> Importing:
    """Return a producer of its own connections; close it."""
    return Importing(settings=settings.model_copy(update={"spool_dir": None}))
