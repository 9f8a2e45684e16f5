"""The receiver as an ASGI application: receipts come in here, and a load balancer asks for its health."""

import asyncio
import contextlib
from collections import Counter
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import Route

from sendline.contract.errors import LedgerError
from sendline.ledger.durability import ping
from sendline_worker.receiver.collector import Collector
from sendline_worker.receiver.receipts import REQUEST_SECONDS, Receipts
from sendline_worker.receiver.together import Together
from sendline_worker.reports import Reading
from sendline_worker.tokens import PATH

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from sendline.ledger.connection import AsyncLedger
    from sendline.ledger.limits import Limits
    from sendline_worker.accounts import Account
    from sendline_worker.receiver.authentication import Authenticator
    from sendline_worker.serving import GoOn
    from sendline_worker.tokens import CallbackUrls

HEALTH_SECONDS: Final = 3.0
"""How long the ledger may take to answer a PING."""
_READING: Final = Reading()
_PARTS: Final = [*PATH.split("/"), "account", "token"]


class Receiver(Starlette):
    """Starlette, but receipts go straight to their endpoint: its routing costs as much as a bare handler."""

    receipts: Receipts
    together: Together

    def begin(self, scope: "Scope", go_on: "GoOn") -> None:
        """Do the same with a request that came whole, without a task where that can be."""
        named = _named(scope["path"])
        if named is None:
            return go_on(self)
        return self.together.begin(*named, scope, go_on)

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Serve `/receipts/{account}/{token}`, and leave the rest to Starlette."""
        named = _named(scope["path"]) if scope["type"] == "http" else None
        if named is not None:
            return await self.receipts.serve(*named, scope, receive, send)
        return await super().__call__(scope, receive, send)


def create_app(
    accounts: "Mapping[str, Account]",
    urls: "CallbackUrls",
    ledger_factory: "Callable[[], AsyncLedger]",
    limits: "Limits",
    *,
    demands: "Mapping[str, Sequence[Authenticator]] | None" = None,
    reading: Reading = _READING,
    request_seconds: float = REQUEST_SECONDS,
) -> Receiver:
    """Return the application: `POST` or `GET /receipts/{account}/{token}`, `GET /health`, else 404.

    `ledger_factory` is called in the event loop that serves it. `demands` says what accounts demand of who
    reports, by their names, besides the token in the path. `reading` is how what they write is read. A
    request is answered within `request_seconds`. Its `state.counts` is a Counter of what became of receipts,
    of messages that came in, and of requests.
    """
    counts: Counter[str] = Counter()

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> "AsyncIterator[dict[str, object]]":
        ledger = ledger_factory()
        collector = Collector(ledger, limits, counts)
        try:
            yield {"ledger": ledger, "collector": collector}
        finally:
            await collector.aclose()
            await ledger.aclose()

    app = Receiver(
        routes=[Route("/health", _health)],
        exception_handlers={HTTPException: _not_found},
        lifespan=lifespan,
    )
    app.receipts = Receipts(
        accounts, urls, demands=demands or {}, reading=reading, counts=counts, seconds=request_seconds
    )
    app.together = Together(app.receipts)
    app.router.redirect_slashes = False  # a redirect would repeat the token
    app.state.counts = counts
    return app


def _named(path: str) -> tuple[str, str] | None:
    """Return the account and the token in the path of receipts."""
    parts = path.split("/")
    if len(parts) != len(_PARTS) or parts[:2] != _PARTS[:2]:
        return None
    return parts[2], parts[3]


async def _health(request: "Request") -> JSONResponse:
    ledger: AsyncLedger = request.state.ledger
    try:
        async with asyncio.timeout(HEALTH_SECONDS):
            await ledger.run(ping())
    except (LedgerError, TimeoutError):
        return JSONResponse({"error": "the ledger does not answer"}, 503)
    return JSONResponse({"status": "ok"})


async def _not_found(_request: "Request", _error: Exception) -> JSONResponse:
    """Answer whatever Starlette would tell of a path or a method: there is nothing here."""
    return JSONResponse({"error": "not found"}, 404)
