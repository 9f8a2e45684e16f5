"""What most commands begin with: the settings, and the ways to the ledger."""

import contextlib
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from sendline.ledger.connection import Ledger
from sendline.producer import Producer
from sendline.settings import Settings, ledger_url
from sendline.settings.instances import instance_dir, running_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sendline.ledger.directory import Directory


def load(config: str | None, **overrides: Any) -> Settings:
    """Return the settings in force. Raises ConfigurationError."""
    return Settings.load(config, **overrides)


@contextlib.contextmanager
def producer(settings: Settings, *, reaches_spool: bool = False) -> "Iterator[Producer]":
    """Open a producer that knows the configured accounts even before a worker has published them.

    It keeps nothing in a spool: a person is told that Redis is away. One that `reaches_spool`, for erase(),
    knows what is kept in one that is there.
    """

    def configured() -> "Directory":
        from sendline_worker.accounts import directory_of, load_accounts

        return directory_of(load_accounts(settings), settings)

    if not reaches_spool or settings.spool_dir is None or not settings.spool_dir.expanduser().exists():
        settings = settings.model_copy(update={"spool_dir": None})
    with Producer(settings=settings, directory=configured if settings.accounts else None) as opened:
        yield opened


@contextlib.contextmanager
def ledger_at_rest(settings: Settings) -> "Iterator[Ledger]":
    """Open the ledger; an embedded server that does not run is started, alone, while this lasts."""
    if settings.redis_url is not None or running_server(settings) is not None:
        with ledger(settings) as opened:
            yield opened
        return
    from sendline_worker.embedded import EmbeddedServer

    with contextlib.ExitStack() as stack:
        server = stack.enter_context(EmbeddedServer(instance_dir(settings), settings.durability))
        started = settings.model_copy(update={"redis_url": SecretStr(server.url)})
        yield stack.enter_context(ledger(started))


@contextlib.contextmanager
def ledger(settings: Settings) -> "Iterator[Ledger]":
    """Open the ledger for reading."""
    opened = Ledger(ledger_url(settings), timeout=settings.redis_timeout)
    try:
        yield opened
    finally:
        opened.close()
