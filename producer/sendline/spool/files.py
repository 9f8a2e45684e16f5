"""Single files of a spool, and its directory: written onto the disk, read within bounds, kept private."""

import os
import stat
from typing import TYPE_CHECKING, Final

from sendline.contract.errors import ConfigurationError
from sendline.spool import batch
from sendline.spool.entry import LARGEST, Entry

if TYPE_CHECKING:
    from pathlib import Path

LEFT_BEHIND: Final = 3600.0
"""Seconds after which a file that is still being written belongs to a process that died."""


class NoRoom(OSError):
    """The spool holds as much as it may."""


def write(path: "Path", content: bytes) -> None:
    """Write a new file of our user's, onto the disk. Raises OSError."""
    if len(content) > LARGEST:
        raise OSError(f"a message takes more than {LARGEST // 1024} KiB")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        written = 0
        while written < len(content):
            written += file.write(content[written:]) or 0
        os.fsync(descriptor)


def read(path: "Path", field: str, value: str) -> Entry | None:
    """Return the entry in a file; of several, the one whose `field` ("id", "idempotency_key") is `value`.

    None where there is no such file. Raises Damaged, Newer or OSError.
    """
    raw = read_raw(path)
    if raw is None:
        return None
    return batch.find(raw, field, value) if batch.is_batch(raw) else Entry.unpack(raw)


def read_raw(path: "Path") -> bytes | None:
    """Return what a file holds, LARGEST bytes and one more at most; None: there is none. Raises OSError."""
    try:
        with path.open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size  # else room is made for the largest, which takes longer
            return file.read(min(size, LARGEST) + 1) or b""
    except FileNotFoundError:
        return None


def sync(directory: "Path") -> None:
    """Bring the names in a directory onto the disk. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_left_behind(file: "Path", now: float) -> bool:
    """Return whether a file is old, and no message that waits or was kept aside is another name of it."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return False
    return now - found.st_mtime > LEFT_BEHIND and (file.suffix == ".new" or found.st_nlink == 1)


def demand_private(path: "Path", *, create: bool) -> None:
    """Raise ConfigurationError unless the directory is there, ours, and nobody else can write to it."""
    try:
        if create:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.stat()
    except OSError as error:
        why = (error.strerror or "can't be opened").lower()
        raise ConfigurationError(f"spool_dir: {path}: {why}; create it, or correct the setting") from None
    if not stat.S_ISDIR(found.st_mode):
        raise ConfigurationError(f"spool_dir: {path} is no directory; name another one")
    if found.st_uid != os.geteuid():
        raise ConfigurationError(
            f"spool_dir: {path} belongs to another user (uid {found.st_uid}); "
            "run this as that user, or name another one"
        )
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigurationError(f"spool_dir: others may write to {path}; run chmod 700 on it")
