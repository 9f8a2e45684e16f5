"""What tests run as a stack's parts: parts that end too soon, and a worker that loses its patience early."""

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sendline.settings import Settings
    from sendline_worker.stack.part import Ready

PATIENCE = 4.0
"""Seconds after which impatient_worker() ends where nobody claims what may go."""


def impatient_worker(settings: "Settings", *, on_ready: "Ready") -> int:
    """Run the worker with a watch that waits less long."""
    from sendline_worker.stack import targets
    from sendline_worker.tick import Ticker

    Ticker.patience = PATIENCE
    return targets.worker(settings, on_ready=on_ready)


def wedged_worker(settings: "Settings", *, on_ready: "Ready") -> int:
    """Run a worker whose main thread hangs as soon as it is ready: it takes no wake, and hears no SIGTERM."""
    from sendline_worker.running import run_worker
    from sendline_worker.tick import Ticker

    Ticker.patience = PATIENCE

    def hang() -> None:
        on_ready()
        threading.Event().wait()

    return run_worker(settings, on_ready=hang)


def ends_at_once(*, on_ready: "Ready") -> int:
    """Be ready, and end with a failure."""
    on_ready()
    return 7


def runs(*_: object, on_ready: "Ready") -> int:
    """Be ready, whatever is asked for, and run until SIGTERM."""
    on_ready()
    while True:
        time.sleep(60)


def refuses(*, on_ready: "Ready") -> int:
    """Say what must be mended first."""
    from sendline.contract.errors import ConfigurationError

    raise ConfigurationError("redis_url: wrong")


def waits(*, on_ready: "Ready") -> int:
    """Wait for another part for ever."""
    on_ready.waits()
    while True:
        time.sleep(60)


def silent(*, on_ready: "Ready") -> int:
    """Never be ready."""
    while True:
        time.sleep(60)
