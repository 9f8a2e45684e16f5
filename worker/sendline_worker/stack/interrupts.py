"""Keeps Ctrl-C and SIGTERM from cutting off what must not be left half done."""

import contextlib
import signal
import threading
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

INTERRUPTS: Final = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def deferred() -> "Iterator[None]":
    """Let an interrupt wait until the with block has ended. Python handles them in the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    before = {each: signal.signal(each, lambda number, _: caught.append(number)) for each in INTERRUPTS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        if caught:
            signal.raise_signal(caught[0])


@contextlib.contextmanager
def kept_from_children() -> "Iterator[None]":
    """Let processes that are started meanwhile begin with interrupts blocked: they call admit()."""
    resource_tracker.ensure_running()  # the first start would do it, and unblock them
    before = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def admit() -> None:
    """Take SIGTERM again, also one that came meanwhile; SIGINT only once somebody handles it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTS)


def once() -> None:
    """Let the first interrupt raise KeyboardInterrupt, and ignore all that follow."""
    for each in INTERRUPTS:
        signal.signal(each, _interrupt)  # also where a shell lets its background jobs ignore it


def _interrupt(_number: int, _frame: object) -> None:
    for each in INTERRUPTS:
        signal.signal(each, _ignore)
    raise KeyboardInterrupt


def _ignore(_number: int, _frame: object) -> None:
    """Do nothing. SIG_IGN would make Python complain of a signal that had just arrived."""
