"""The rate of a key: messages are taken out of it, and its answers say what is left."""

import asyncio
import contextlib
import math
from typing import TYPE_CHECKING, Final

from sendline.contract.errors import LedgerError
from sendline.ledger.api_keys import Admission, admit
from sendline_worker.api.auth import CALLER, Caller
from sendline_worker.api.bounds import exchange_of
from sendline_worker.api.problems import refuse

if TYPE_CHECKING:
    from starlette.types import Scope

    from sendline_worker.api.context import Context

TELL_SECONDS: Final = 0.5
"""How long an answer waits for what is left of the rate: with a ledger that is away it comes without."""
_POLICY: Final = b"ratelimit-policy"


async def take(context: "Context", scope: "Scope", caller: Caller, messages: int) -> None:
    """Take `messages` out of the key's rate, all or none; raises ProblemError where too few are left.

    Raises LedgerError.
    """
    if caller.key.rate is None or not messages:
        return
    admission = await context.ledger.run(admit(context.limits, caller.key.id, caller.key.rate, messages))
    _tell(scope, admission, caller.key.rate)
    if not admission.allowed:
        wait = max(1, math.ceil(admission.retry_after_s))
        raise refuse(
            "rate-limited",
            f"{caller.key.rate:g} messages a second at most: try again in {wait} s",
            retry_after=str(wait),
        )


async def tell(context: "Context", scope: "Scope") -> None:
    """Let the answer say what is left of the key's rate, where it has one and nothing said so yet."""
    caller: Caller | None = scope.get(CALLER)
    if caller is None or caller.key.rate is None or _is_told(scope):
        return
    with contextlib.suppress(LedgerError, TimeoutError):
        async with asyncio.timeout(TELL_SECONDS):
            left = await context.ledger.run(admit(context.limits, caller.key.id, caller.key.rate, 0))
        _tell(scope, left, caller.key.rate)


def _is_told(scope: "Scope") -> bool:
    return any(name == _POLICY for name, _ in exchange_of(scope).headers)


def _tell(scope: "Scope", left: Admission, rate: float) -> None:
    policy = f'"default";q={left.limit};w={math.ceil(left.limit / rate)}'
    now = f'"default";r={left.remaining};t={math.ceil(left.reset_s)}'
    exchange_of(scope).headers += [(_POLICY, policy.encode()), (b"ratelimit", now.encode())]
