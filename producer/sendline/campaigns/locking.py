"""One writer of a file at a time: a lock that ends with the process that holds it, however that ends."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from sendline.contract.errors import CampaignConflict


@contextmanager
def only_writer(path: Path) -> Iterator[None]:
    """Hold the lock of `path`, which is a file beside it, while this lasts.

    Where the system has no such locks, that the file is there is the lock: who is killed leaves it behind.
    Raises CampaignConflict while another one holds it, OSError.
    """
    lock = path.with_name(f".{path.name}.lock")
    held = _locked(lock)
    try:
        yield
    finally:
        if os.name == "posix":
            lock.unlink(missing_ok=True)  # before it is free: who waits for this one sees that it is no more
            os.close(held)
        else:
            os.close(held)
            lock.unlink(missing_ok=True)


def _locked(lock: Path) -> int:
    """Return the lock's file, open."""
    while True:
        held, is_new = _opened(lock)
        try:
            locks: Any = import_module("fcntl")
            locks.flock(held, locks.LOCK_EX | locks.LOCK_NB)
            if os.path.samestat(os.fstat(held), lock.stat()):
                return held
        except BlockingIOError:
            os.close(held)
            raise _taken() from None
        except FileNotFoundError:  # who held it was done, and has removed it
            pass
        except (ImportError, OSError):  # neither the system nor this file system has any
            if is_new:
                return held
            os.close(held)
            raise _taken(f"; if none is, remove {lock}") from None
        os.close(held)


def _opened(lock: Path) -> tuple[int, bool]:
    """Return the file, and whether it is new."""
    while True:
        try:
            return os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), True
        except FileExistsError:
            pass
        try:
            return os.open(lock, os.O_RDWR), False
        except FileNotFoundError:  # it has just been removed
            continue


def _taken(more: str = "") -> CampaignConflict:
    return CampaignConflict("rejects", f"another import is writing this file; name another one{more}")
