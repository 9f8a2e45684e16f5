"""Who asks, asked again once a body has come that was waited for: keys are revoked meanwhile."""

from typing import TYPE_CHECKING

from sendline_worker.serving import whole_body

if TYPE_CHECKING:
    from sendline_worker.api.auth import Caller, Keys, Requires
    from sendline_worker.api.bounds import Exchange


async def body_of(
    exchange: "Exchange", caller: "Caller", gate: "Requires", keys: "Keys"
) -> "tuple[Caller, bytes]":
    """Return who asks, and the whole body.

    `caller` was admitted when the head had come. Raises ProblemError, LedgerError, and ClientDisconnect.
    """
    waited = whole_body(exchange.scope) is None
    body = await exchange.body()
    return (await gate.admit(exchange.scope, keys) if waited else caller), body
