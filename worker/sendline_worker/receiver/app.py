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
from sendline.contract.keywords import Keywords
from sendline.ledger.durability import ping
from sendline_worker.receiver.collector import Collector
from sendline_worker.receiver.receipts import REQUEST_SECONDS, Receipts
from sendline_worker.tokens import PATH

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from starlette.requests import Request

    from sendline.ledger.connection import AsyncLedger
    from sendline.ledger.limits import Limits
    from sendline_worker.accounts import Account
    from sendline_worker.receiver.authentication import Authenticator
    from sendline_worker.tokens import CallbackUrls

HEALTH_SECONDS: Final = 3.0
"""How long the ledger may take to answer a PING."""
_KEYWORDS: Final = Keywords()


def create_app(
    accounts: "Mapping[str, Account]",
    urls: "CallbackUrls",
    ledger_factory: "Callable[[], AsyncLedger]",
    limits: "Limits",
    *,
    demands: "Mapping[str, Sequence[Authenticator]] | None" = None,
    keywords: Keywords = _KEYWORDS,
    request_seconds: float = REQUEST_SECONDS,
) -> Starlette:
    """Return the application: `POST` or `GET /receipts/{account}/{token}`, `GET /health`, else 404.

    `ledger_factory` is called in the event loop that serves it. `demands` says what accounts demand of who
    reports, by their names, besides the token in the path. `keywords` are what people answer with. A
    request is answered within `request_seconds`. Its `state.counts` is a Counter of what became of receipts,
    of messages that came in, and of requests.
    """
    counts: Counter[str] = Counter()
    endpoint = Receipts(
        accounts, urls, demands=demands or {}, keywords=keywords, counts=counts, seconds=request_seconds
    )

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> "AsyncIterator[dict[str, object]]":
        ledger = ledger_factory()
        collector = Collector(ledger, limits)
        try:
            yield {"ledger": ledger, "collector": collector}
        finally:
            await collector.aclose()
            await ledger.aclose()

    app = Starlette(
        routes=[
            Route(f"{PATH}/{{account}}/{{token}}", endpoint),
            Route("/health", _health),
        ],
        exception_handlers={HTTPException: _not_found},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # a redirect would repeat the token
    app.state.counts = counts
    return app


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
