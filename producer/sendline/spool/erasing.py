"""What a spool holds of one number, and how that is taken out: for a privacy request."""

import contextlib
import logging
import re
import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from sendline.contract.errors import ConfigurationError
from sendline.ledger import verbs
from sendline.producer.core import BATCH
from sendline.producer.plan import Aside
from sendline.spool import batch, files
from sendline.spool.entry import PAST, Damaged, Entry, Newer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sendline.contract.draft import Draft
    from sendline.ledger.limits import Limits
    from sendline.producer.plan import Plan
    from sendline.spool.directory import SpoolDirectory

log = logging.getLogger("sendline.spool")

SHELVED_MS: Final = 600_000
"""For so long nobody could claim what the ledger is given, to be canceled there; then it expires."""
UNFINISHED: Final = 60.0
"""Seconds after which a file that is still being written belongs to a process that died."""
_NAME: Final = re.compile(r"[0-9a-f]{20,32}\.")
"""What a file that may hold a message is called by: an id, or the digest of a key. Of whatever kind it is."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What was taken out of a spool."""

    messages: int
    left: int
    """Files that may hold the number, and could not be read, or not be written anew without it."""


@dataclass(slots=True)
class _Found:
    waiting: list[Entry] = field(default_factory=list)
    """Messages to the number."""
    others: list[tuple[Entry, str]] = field(default_factory=list)
    """Messages to others, and of what kind their files are; some may stand in one file with them."""
    aside: "list[Path]" = field(default_factory=list)
    """Messages to the number, or damaged ones that hold it, that nobody will deliver."""
    unfinished: "list[Path]" = field(default_factory=list)
    """Files that were never finished."""


def take_out(directory: "SpoolDirectory", limits: "Limits", number: str, retention: float) -> "Plan[Taken]":
    """Take the messages to `number` out of the spool. Raises LedgerError, ConfigurationError.

    What waits goes to the ledger first, as nobody can claim it, so that it is canceled there: its id is known
    then, and who is delivering it at this moment, or a file from a backup, brings it back no more.
    """
    found: _Found | OSError = yield Aside(lambda: _look(directory.path, number))
    if isinstance(found, OSError):
        why = (found.strerror or type(found).__name__).lower()
        raise ConfigurationError(f"spool_dir: {directory.path}: {why}; nothing was erased")
    now_ms = round(time.time() * 1000)
    known = [entry for entry in found.waiting if not entry.is_stale(now_ms, retention)]
    for start in range(0, len(known), BATCH):
        yield verbs.accept(limits, [_shelved(each, now_ms) for each in known[start : start + BATCH]])
    left: int = yield Aside(lambda: _remove(directory, number, found))
    return Taken(len(found.waiting) + len(found.aside), left)


def _shelved(entry: Entry, now_ms: int) -> "Draft":
    """Return a message as one that is due later than it is valid."""
    return replace(entry.draft, not_before_ms=now_ms + SHELVED_MS, valid_for_ms=PAST)


def _look(path: "Path", number: str) -> _Found | OSError:
    found = _Found()
    try:
        for file, holds in _files(path, number):
            if holds and file.suffix != ".key":
                with contextlib.suppress(FileNotFoundError):  # it was delivered meanwhile
                    _judge(file, number, found)
    except OSError as error:
        return error
    return found


def _files(path: "Path", number: str) -> "Iterator[tuple[Path, bool | None]]":
    """Yield the files of a spool, and whether each holds the number: see _holds(). Raises OSError."""
    holds: dict[int, bool | None] = {}
    for file in sorted(path.iterdir()):
        if _NAME.match(file.name):
            try:
                inode = file.stat().st_ino
            except FileNotFoundError:
                continue
            if inode not in holds:
                holds[inode] = _holds(file, number)
            yield file, holds[inode]


def _holds(file: "Path", number: str) -> bool | None:
    """Return whether a file holds the number; None where this release can't tell."""
    try:
        raw = files.read_raw(file) or b""
        if number.encode() in raw:
            return True
        if not batch.is_batch(raw):
            Entry.unpack(raw)
    except Damaged:
        return False
    except (Newer, OSError):
        return None
    return False


def _judge(file: "Path", number: str, found: _Found) -> None:
    if file.suffix == ".new":
        if time.time() - file.stat().st_mtime > UNFINISHED:
            found.unfinished.append(file)
        return
    try:
        entry = files.read(file, "id", file.stem)
    except Damaged:
        found.aside.append(file)
    except (Newer, OSError):
        return  # it is counted afterwards
    else:
        if entry is None:
            return
        if entry.draft.to != number:
            found.others.append((entry, file.name.partition(".")[2]))
        elif file.suffix == ".sms":
            found.waiting.append(entry)
        else:
            found.aside.append(file)


def _remove(directory: "SpoolDirectory", number: str, found: _Found) -> int:
    """Remove what was found; return how many files hold the number still, or may hold it."""
    for entry in found.waiting:
        directory.remove(entry)
    for entry, kind in found.others:
        _try(partial(directory.set_apart, entry, kind))
    for file in (*found.aside, *found.unfinished):
        _try(partial(file.unlink, missing_ok=True))
    for file in directory.path.glob("*.key"):
        if _holds(file, number) and not _is_anothers(file, number):
            _try(partial(file.unlink, missing_ok=True))
    _try(partial(files.sync, directory.path))
    return _count_left(directory.path, number)


def _count_left(path: "Path", number: str) -> int:
    """Count the files that hold the number, or may: those that were looked at may have other names by now."""
    left: set[int] = set()
    try:
        for file, holds in _files(path, number):
            if holds is None or (holds and not _is_anothers(file, number)):
                with contextlib.suppress(FileNotFoundError):
                    left.add(file.stat().st_ino)
    except OSError as error:
        log.error("the spool can't be read: %s", error.strerror or type(error).__name__)
        return len(left) + 1
    return len(left)


def _is_anothers(file: "Path", number: str) -> bool:
    """Return whether a file holds one message alone, to somebody else."""
    try:
        return Entry.unpack(files.read_raw(file) or b"").draft.to != number
    except (ValueError, OSError):
        return False  # several, or a damaged one: those that wait have other files by now


def _try(do: "Callable[[], None]") -> None:
    try:
        do()
    except OSError as error:
        log.error("the spool can't be changed: %s", error.strerror or type(error).__name__)
