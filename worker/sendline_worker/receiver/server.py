"""The receiver as a server: uvicorn, loopback unless told otherwise, behind whatever ends TLS."""

from typing import TYPE_CHECKING, Final

from sendline.contract.errors import ConfigurationError
from sendline.contract.keywords import Keywords
from sendline.ledger.connection import AsyncLedger
from sendline.ledger.limits import Limits
from sendline.settings import ledger_url
from sendline_worker.accounts import load_accounts
from sendline_worker.receiver.app import create_app
from sendline_worker.receiver.authentication import authenticators_of
from sendline_worker.reports import Reading
from sendline_worker.serving import Server, WholeProtocol, configuration, listening, run
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
        return run(server_of(app, on_ready), listener)


def serve_on(
    settings: "Settings", listener: "socket.socket", *, on_ready: "Callable[[int], None]" = lambda _: None
) -> int:
    """Do the same on a socket that listens already; close it at the end."""
    with listener:
        return run(server_of(app_of(settings), on_ready), listener)


def server_of(app: "ASGIApp", on_ready: "Callable[[int], None]" = lambda _: None) -> Server:
    """Return the server of `app`."""
    return Server(configuration(app, WholeProtocol, connections=CONNECTIONS), on_ready)


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
