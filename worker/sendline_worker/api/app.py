"""The HTTP API as an application: its routers, its parts, and what every request passes through."""

import asyncio
import contextlib
import logging
import time
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from sendline.ledger.connection import AsyncLedger
from sendline.ledger.limits import Limits
from sendline.settings import ledger_url
from sendline_worker.api import (
    access,
    accounts,
    campaigns,
    campaigns_report,
    campaigns_steering,
    direct,
    drop_ins,
    events,
    health,
    listing,
    messages,
    reference,
    suppressions,
    uploads,
)
from sendline_worker.api.accepting import Accepting
from sendline_worker.api.auth import Keys
from sendline_worker.api.bounds import EXCHANGE, Exchange
from sendline_worker.api.context import Context
from sendline_worker.api.documented import PROBLEM_SCHEMA, SECURITY_SCHEMES
from sendline_worker.api.events import Streams
from sendline_worker.api.gathering import Accepts
from sendline_worker.api.handlers import FAULT, handle_errors
from sendline_worker.api.importing import Imports
from sendline_worker.api.models import schemas

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.routing import BaseRoute
    from starlette.types import Receive, Scope, Send

    from sendline.settings import Settings

ROUTERS: Final = (
    messages.router,
    listing.router,
    campaigns.router,
    uploads.router,
    campaigns_steering.router,
    campaigns_report.router,
    events.router,
    accounts.router,
    suppressions.router,
    drop_ins.drop_in_router(),
    health.router,
    reference.router,
)
"""The chapters of the API, in the order of its documentation."""

TITLE: Final = "Sendline"
DESCRIPTION: Final = """\
SMS for web apps and bulk campaigns: nothing lost, nothing sent twice.

Every request gives an API key (`sendline keys create`), in `Authorization: Bearer` or in `X-API-Key`. What \
goes wrong is told as a problem (RFC 9457): programs go by its `type`.
"""

log = logging.getLogger("sendline.api")


class Api(FastAPI):
    """FastAPI, with bounds on what a request may cost, and a line in the log for each."""

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self.ending = asyncio.Event()
        """Set once the server shall end."""

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Serve a request."""
        if scope["type"] != "http":
            return await super().__call__(scope, receive, send)
        begun = time.perf_counter()
        exchange = scope[EXCHANGE] = Exchange(scope, receive, send)
        try:
            if direct.is_direct(scope):
                await direct.serve(exchange)
            else:
                await super().__call__(scope, exchange.receive, exchange.send)
        except Exception as error:  # noqa: BLE001 - it was answered; a traceback could quote a message
            log.error("%s %s: %s", scope["method"], access.template(scope), type(error).__name__)
            if not exchange.status:
                await FAULT.response()(scope, exchange.receive, exchange.send)
        finally:
            access.note(scope, exchange.status, begun)
        return None

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        if self.openapi_schema is None:
            made = get_openapi(
                title=self.title,
                version=self.version,
                openapi_version=self.openapi_version,
                description=self.description,
                routes=self.routes,
                tags=self.openapi_tags,
            )
            parts = made.setdefault("components", {})
            parts["schemas"] = {**parts.get("schemas", {}), **schemas(), "Problem": PROBLEM_SCHEMA}
            parts["securitySchemes"] = SECURITY_SCHEMES
            self.openapi_schema = made
        return self.openapi_schema


def create_app(settings: "Settings") -> Api:
    """Return the application that `settings` describe; raises ConfigurationError.

    It connects to the ledger in the event loop that serves it, when it is first asked.
    """
    url = ledger_url(settings)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> "AsyncIterator[dict[str, Any]]":
        context = _context(settings, url, app.ending)
        imports, streams = Imports(settings), Streams(context)
        try:
            yield {"context": context, "imports": imports, "streams": streams}
        finally:
            await streams.aclose()
            await imports.aclose()
            await context.aclose()

    app = Api(
        title=TITLE,
        description=DESCRIPTION,
        version=metadata.version("sendline"),
        lifespan=lifespan,
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    for each in ROUTERS:
        app.include_router(each)
    handle_errors(app, _routes)
    return app


def _routes() -> "list[BaseRoute]":
    return [route for each in ROUTERS for route in each.routes]


def _context(settings: "Settings", url: str, ending: asyncio.Event) -> Context:
    ledger = AsyncLedger(url, timeout=settings.redis_timeout)
    producer = Accepting(settings=settings.model_copy(update={"spool_dir": None}))  # 202 means in the ledger
    accepts = Accepts(producer, settings.redis_timeout)
    return Context(settings, Limits.of(settings), ledger, producer, Keys(ledger), accepts, ending)
