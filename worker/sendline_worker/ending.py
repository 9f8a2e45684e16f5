"""Ends a worker at once from any of its threads, its children with it, even where its main thread hangs."""

import contextlib
import logging
import os
import signal
import sys
import threading
from typing import Final, NoReturn

from billiard.process import active_children

log = logging.getLogger("sendline.worker")

UNHEALTHY: Final = 1
"""The exit code of a worker that must be replaced."""
TELL: Final = 2.0
"""Seconds for which the last line of the log may take: whoever reads it may hang too."""


def end_at_once(last_words: str) -> NoReturn:
    """Log `last_words`, kill the children, and end with UNHEALTHY. Nothing that hangs holds it up.

    SIGKILL also ends a child that is stopped. One that is being forked at this moment ends by
    `end_without`.
    """
    try:
        with contextlib.suppress(RuntimeError):  # no thread to be had: then without a word
            telling = threading.Thread(target=_tell, args=(last_words,), name="sendline-end", daemon=True)
            telling.start()
            telling.join(TELL)
        for child in active_children():
            if child.pid:
                with contextlib.suppress(OSError):
                    os.kill(child.pid, signal.SIGKILL)
    finally:
        os._exit(UNHEALTHY)


def end_without(parent: int) -> None:
    """In a child that starts: end where `parent` is gone already."""
    if os.getppid() != parent:
        os._exit(UNHEALTHY)


def _tell(last_words: str) -> None:
    log.error("%s", last_words)
    for each in (*logging.getLogger().handlers, sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            each.flush()
