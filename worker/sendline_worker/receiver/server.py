"""The receiver as a server: uvicorn, loopback unless told otherwise, behind whatever ends TLS."""

import gc
from typing import TYPE_CHECKING, Final

import uvicorn

from sendline.contract.errors import ConfigurationError
from sendline.contract.keywords import Keywords
from sendline.ledger.connection import AsyncLedger
from sendline.ledger.limits import Limits
from sendline.settings import ledger_url
from sendline_worker.accounts import load_accounts
from sendline_worker.receiver.app import create_app
from sendline_worker.receiver.authentication import authenticators_of
from sendline_worker.reports import Reading
from sendline_worker.serving import BACKLOG, Server, WholeProtocol, listening
from sendline_worker.tokens import CallbackUrls

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from starlette.types import ASGIApp

    from sendline.settings import Settings
    from sendline_worker.accounts import Account
    from sendline_worker.receiver.app import Receiver
    from sendline_worker.receiver.authentication import Authenticator

CONNECTIONS: Final = 1000
"""At the same time; what comes beyond is answered 503."""
KEEP_ALIVE: Final = 75
"""Seconds for which an idle connection is kept: longer than proxies keep theirs, so that they close first."""
OBJECTS: Final = 10_000
"""New ones, until garbage is looked for: requests leave none behind, and some hundred may wait at a time."""
STOP_SECONDS: Final = 12
"""How long requests that were begun may take to end: longer than a request may take."""


def serve(
    settings: "Settings",
    *,
    host: str | None = None,
    port: int | None = None,
    on_ready: "Callable[[int], None]" = lambda _: None,
) -> int:
    """Serve until SIGINT or SIGTERM, finish what was begun, and return 0.

    `host` and `port` are the settings' where None; `on_ready` gets the port once it listens. Raises
    ConfigurationError before anything is started.
    """
    host = settings.receiver_host if host is None else host
    app = app_of(settings)
    with listening(host, settings.receiver_port if port is None else port) as listener:
        return _serve(app, listener, on_ready)


def serve_on(
    settings: "Settings", listener: "socket.socket", *, on_ready: "Callable[[int], None]" = lambda _: None
) -> int:
    """Do the same on a socket that listens already; close it at the end."""
    with listener:
        return _serve(app_of(settings), listener, on_ready)


def _serve(app: "ASGIApp", listener: "socket.socket", on_ready: "Callable[[int], None]") -> int:
    gc.freeze()  # what is there now stays: no collection need look at it again
    gc.set_threshold(OBJECTS)
    Server(configuration(app), on_ready).run(sockets=[listener])
    return 0


def app_of(settings: "Settings") -> "Receiver":
    """Return the receiver that `settings` describe; raises ConfigurationError."""
    if not settings.secret_key:
        raise ConfigurationError(
            "secret_key: missing, so receipts can't be told from forgeries; set SENDLINE_SECRET_KEY to "
            'the key of the workers, or make one: python -c "import secrets; print(secrets.token_urlsafe())"'
        )
    url, accounts = ledger_url(settings), load_accounts(settings)
    return create_app(
        accounts,
        CallbackUrls(settings.public_url, settings.secret_key),
        lambda: AsyncLedger(url, timeout=settings.redis_timeout),
        Limits.of(settings),
        demands={name: _demands_of(account, settings) for name, account in accounts.items()},
        reading=_reading_of(settings),
    )


def _reading_of(settings: "Settings") -> Reading:
    words = (settings.stop_words, settings.start_words, settings.help_words)
    return Reading(Keywords(*map(frozenset, words)), settings.default_region)


def _demands_of(account: "Account", settings: "Settings") -> "tuple[Authenticator, ...]":
    try:
        return authenticators_of(
            account.settings, trusted_proxies=settings.trusted_proxies, public_url=settings.public_url
        )
    except ConfigurationError as error:
        raise ConfigurationError(f"accounts.{account.name}.{error}") from None


def configuration(app: "ASGIApp") -> uvicorn.Config:
    """Return how uvicorn shall serve `app`."""
    return uvicorn.Config(
        app,
        http=WholeProtocol,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=CONNECTIONS,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
