"""Runs a worker: a Celery parent with its tick, and a child for each core."""

import logging
import os
import signal
import threading
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Final

from celery import signals
from celery.apps.worker import install_worker_term_handler  # type: ignore[attr-defined]

from sendline.contract.errors import ConfigurationError, LedgerUnavailable
from sendline.ledger.connection import Ledger
from sendline.ledger.durability import demand_of, ping
from sendline.settings import ledger_url
from sendline_worker.accounts import load_accounts
from sendline_worker.celery_app import Fleet, make_app
from sendline_worker.ending import end_without

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sendline.settings import Settings

log = logging.getLogger("sendline.worker")

TRY_EVERY: Final = 1.0
"""Seconds between two tries to reach the ledger at the start."""
TELL_EVERY: Final = 60.0
"""Seconds after which the log tells again that the ledger is waited for."""


def run_worker(
    settings: "Settings",
    *,
    on_ready: "Callable[[], None]" = lambda: None,
    on_wait: "Callable[[], None]" = lambda: None,
) -> int:
    """Work until SIGTERM or SIGINT; return the exit code. Raises ConfigurationError, LedgerRefused.

    `on_ready` is called when the worker takes wakes, `on_wait` once before where the ledger is away: it is
    waited for, however long that takes.
    """
    accounts = load_accounts(settings)
    if not accounts:
        raise ConfigurationError(
            "accounts: none configured, so nothing can be sent; add [accounts.NAME] to sendline.toml"
        )
    if not _await_ledger(settings, on_wait):
        return 0
    processes = settings.processes or os.cpu_count() or 1
    parent = os.getpid()
    signals.worker_process_init.connect(lambda **_: end_without(parent), weak=False)
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


class _ToldToEnd(BaseException):
    """SIGTERM or SIGINT came before the worker was started."""


def _await_ledger(settings: "Settings", on_wait: "Callable[[], None]") -> bool:
    """Wait until the ledger can be used; return False where the worker is to end. Raises LedgerRefused."""
    try:
        with _ending_at_a_signal():
            _try_until_reached(settings, on_wait)
    except _ToldToEnd:
        log.info("told to end while it waited for the ledger")
        return False
    return True


def _try_until_reached(settings: "Settings", on_wait: "Callable[[], None]") -> None:
    told_at: float | None = None
    while True:
        try:
            with closing(Ledger(ledger_url(settings), timeout=settings.redis_timeout)) as ledger:
                ledger.run(ping())
                if settings.durability == "disk":
                    demand_of(ledger)
        except LedgerUnavailable as error:
            now = time.monotonic()
            if told_at is None:
                on_wait()
            if told_at is None or now - told_at >= TELL_EVERY:
                log.warning("the worker waits for the ledger: %s", error)
                told_at = now
            time.sleep(TRY_EVERY)
        else:
            if told_at is not None:
                log.info("the ledger is there")
            return


@contextmanager
def _ending_at_a_signal() -> "Iterator[None]":
    """Raise _ToldToEnd at SIGTERM and SIGINT, until Celery takes them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ends = (signal.SIGTERM, signal.SIGINT)

    def end(_number: int, _frame: object) -> None:
        for each in ends:
            signal.signal(each, lambda *_: None)  # one is enough
        raise _ToldToEnd

    before = {each: signal.signal(each, end) for each in ends}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
