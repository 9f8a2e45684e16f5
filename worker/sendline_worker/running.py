"""Runs a worker: a Celery parent with its tick, and a child for each core."""

import logging
import os
from contextlib import closing
from typing import TYPE_CHECKING, Any

from celery import signals
from celery.apps.worker import install_worker_term_handler  # type: ignore[attr-defined]

from sendline.contract.errors import ConfigurationError
from sendline.ledger.connection import Ledger
from sendline.ledger.durability import demand, persistence, ping
from sendline.settings import ledger_url
from sendline_worker.accounts import load_accounts
from sendline_worker.celery_app import Fleet, make_app

if TYPE_CHECKING:
    from collections.abc import Callable

    from sendline.settings import Settings


def run_worker(settings: "Settings", *, on_ready: "Callable[[], None]" = lambda: None) -> int:
    """Work until SIGTERM or SIGINT; return the exit code. Raises ConfigurationError, LedgerError.

    `on_ready` is called when the worker takes wakes.
    """
    accounts = load_accounts(settings)
    if not accounts:
        raise ConfigurationError(
            "accounts: none configured, so nothing can be sent; add [accounts.NAME] to sendline.toml"
        )
    _demand_durability(settings)
    processes = settings.processes or os.cpu_count() or 1
    app = make_app(Fleet(settings, accounts))
    logging.getLogger("celery").setLevel(logging.WARNING)
    signals.worker_ready.connect(lambda **_: on_ready(), weak=False)
    worker = _quiet(app.Worker)(
        pool_cls="prefork",
        concurrency=processes,
        without_gossip=True,
        without_mingle=True,
        quiet=True,
        loglevel="WARNING",
    )
    worker.start()
    return int(worker.exitcode or 0)


def _quiet(base: "type[Any]") -> "type[Any]":
    """Return Celery's worker, but to it Ctrl-C is as SIGTERM, however often; only the log tells of it."""

    class QuietWorker(base):  # type: ignore[misc]
        def install_platform_tweaks(self, worker: Any) -> None:
            super().install_platform_tweaks(worker)
            for name in ("SIGTERM", "SIGINT"):
                install_worker_term_handler(worker, sig=name, verbose=False)

    return QuietWorker


def _demand_durability(settings: "Settings") -> None:
    """Say what is wrong with the ledger, before Celery meets it. Raises LedgerError."""
    with closing(Ledger(ledger_url(settings), timeout=settings.redis_timeout)) as ledger:
        ledger.run(ping())
        if settings.durability == "disk":
            demand(ledger.run(persistence()))
