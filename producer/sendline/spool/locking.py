"""A lock between processes, which forks neither inherit nor keep held."""

import contextlib
import fcntl
import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class _Opened:
    """The descriptors that this process has open, and what a thread holds while it changes them."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin anew: this is another process."""
        self.changing = threading.RLock()  # a handler of signals may interrupt what holds it, and fork
        self.descriptors: set[int] = set()
        self.pid = os.getpid()


_opened = _Opened()


@contextlib.contextmanager
def held(path: "Path") -> "Iterator[bool]":
    """Hold the lock `path` while a block lasts; False, at once, where somebody has it. Raises OSError."""
    if _opened.pid != os.getpid():  # C code has forked, and Python was not told
        _let_go()
    with _opened.changing:
        descriptor = _open(path)
        _opened.descriptors.add(descriptor)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        try:
            yield True
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        with _opened.changing:
            _opened.descriptors.discard(descriptor)
            os.close(descriptor)


def _open(path: "Path") -> int:
    """Open the file; make it with a time long ago, which nobody takes for one at which a lock was held."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return os.open(path, os.O_RDWR)
    with contextlib.suppress(OSError):
        os.utime(descriptor, (0, 0))
    return descriptor


def _acquire() -> None:
    _opened.changing.acquire()


def _release() -> None:
    _opened.changing.release()


def _let_go() -> None:
    """Close, in a forked child, what its parent holds: else the lock would outlive the parent."""
    for descriptor in _opened.descriptors:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _opened.begin()


os.register_at_fork(before=_acquire, after_in_parent=_release, after_in_child=_let_go)
