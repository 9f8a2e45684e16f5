"""A lock between processes, which forks neither inherit nor keep held."""

import contextlib
import fcntl
import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_opening = threading.Lock()
_descriptors: set[int] = set()


@contextlib.contextmanager
def held(path: "Path") -> "Iterator[bool]":
    """Hold the lock `path` while a block lasts; False, at once, where somebody has it. Raises OSError."""
    with _opening:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        _descriptors.add(descriptor)
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
        with _opening:
            _descriptors.discard(descriptor)
            os.close(descriptor)


def _let_go() -> None:
    """Close, in a forked child, what its parent holds: else the lock would outlive the parent."""
    for descriptor in _descriptors:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _descriptors.clear()
    _opening.release()


os.register_at_fork(before=_opening.acquire, after_in_parent=_opening.release, after_in_child=_let_go)
