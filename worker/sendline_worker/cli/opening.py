"""What most commands begin with: the settings, and the ways to the ledger."""

import contextlib
from typing import TYPE_CHECKING, Any

from sendline.ledger.connection import Ledger
from sendline.producer import Producer
from sendline.settings import Settings, ledger_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sendline.ledger.directory import Directory


def load(config: str | None, **overrides: Any) -> Settings:
    """Return the settings in force. Raises ConfigurationError."""
    return Settings.load(config, **overrides)


@contextlib.contextmanager
def producer(settings: Settings) -> "Iterator[Producer]":
    """Open a producer that knows the configured accounts even before a worker has published them."""

    def configured() -> "Directory":
        from sendline_worker.accounts import directory_of, load_accounts

        return directory_of(load_accounts(settings), settings)

    with Producer(settings=settings, directory=configured if settings.accounts else None) as opened:
        yield opened


@contextlib.contextmanager
def ledger(settings: Settings) -> "Iterator[Ledger]":
    """Open the ledger for reading."""
    opened = Ledger(ledger_url(settings), timeout=settings.redis_timeout)
    try:
        yield opened
    finally:
        opened.close()
