"""The directory of a spool: one name for each message, whole or not there at all.

ID.sms      a message that waits; ID in 32 hex digits, so that names sort by time. Messages that were kept at
            once are names of one file, which goes with the last of them
ID.new      a file that is being written, or was when its process died: never delivered
DIGEST.key  the same file as the ID.sms of the message that has this idempotency key: another name of it
ID.WHY      a message that was not accepted, kept aside for a person: conflict, stale or damaged
lock        who delivers holds it (flock); its time is when the ledger last took something

A file gets its name ID.sms once it is on the disk (fsync), and send() returns once that name is, too.
"""

import contextlib
import errno
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sendline.contract import ids
from sendline.contract.errors import IdempotencyConflict
from sendline.ledger.record import digest
from sendline.spool import batch, files, locking
from sendline.spool.entry import Damaged, Entry
from sendline.spool.files import LEFT_BEHIND, NoRoom

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

REFUSED: Final = ("conflict", "stale", "damaged")
"""Why a message was kept aside: its key was used for other content; it is so old that the ledger may have had
it and not know; its file is not what was written."""
COUNT_AGE: Final = 1.0
"""Seconds after which the files are counted again: other processes write, too."""

NAME: Final = re.compile(r"[0-9a-f]{32}")
"""What a file of the spool is called, before its kind."""

_NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS})
"""How a file system says that a file can have no second name."""
_TRIES: Final = 5


class SpoolDirectory:
    """The files of a spool. Safe in threads, forks and several processes."""

    def __init__(self, path: Path, most: int, *, create: bool = True) -> None:
        """Open it; `most` messages fit. Raises ConfigurationError."""
        self.path = path.expanduser().absolute()
        self._lock = self.path / "lock"
        self._most = most
        self._counted_at = -COUNT_AGE
        self._count = 0
        files.demand_private(self.path, create=create)

    def keep(self, entries: "Sequence[Entry]") -> "list[Entry | OSError | IdempotencyConflict]":
        """Write messages to the disk. Each gets the entry that stands for it, or its own error.

        Another entry stands for it where that has the same idempotency key and content.
        """
        full = None
        fitting: list[Entry] = []
        for entry in entries:
            try:
                self._demand_room()
            except OSError as error:
                full = error
                break
            fitting.append(entry)
        answers: list[Entry | OSError | IdempotencyConflict] = []
        if len(fitting) == 1:
            answers.append(self._keep_alone(fitting[0]))
        else:
            for some, content in batch.batches(fitting):
                answers += self._keep_together(some, content)
        answers += [full for _ in entries[len(fitting) :] if full]
        try:
            files.sync(self.path)
        except OSError as error:
            for entry in entries:
                self.remove(entry)
            return [error for _ in entries]
        return answers

    def waiting(self) -> list[bytes]:
        """Return the ids of the messages that wait, the oldest first. Raises OSError."""
        return sorted(message_id for message_id, kind in self._files() if kind == "sms")

    def is_empty(self) -> bool:
        """Return whether no message waits; also where the directory can't be read."""
        try:
            return not any(kind == "sms" for _, kind in self._files())
        except OSError:
            return True

    def refused(self) -> dict[bytes, str]:
        """Return the ids of the messages that were kept aside, and why. Raises OSError."""
        return dict(sorted((message_id, kind) for message_id, kind in self._files() if kind in REFUSED))

    def read(self, message_id: bytes) -> Entry | None:
        """Return a message that waits; None where it does not. Raises Damaged, Newer or OSError."""
        entry = files.read(self._name(message_id), "id", message_id.hex())
        if entry is not None and entry.draft.id != message_id:
            raise Damaged("it holds another message than its name says")
        return entry

    def find(self, message_id: bytes) -> Entry | None:
        """Return a message that waits, and can be read; else None."""
        with contextlib.suppress(OSError, ValueError):
            return self.read(message_id)
        return None

    def has_key(self, key: str) -> bool:
        """Return whether a message with this idempotency key may wait: quickly, without opening a file."""
        name = f"{self.path}/{digest(key).hex()}.key"
        try:
            os.stat(name)  # noqa: PTH116 - asked at every send() with a key, where nearly always nothing waits
        except OSError:
            return False
        return True

    def with_key(self, key: str) -> Entry | None:
        """Return the message that waits and has this idempotency key; None where there is none."""
        try:
            entry = files.read(self._key_name(key), "idempotency_key", key)
        except (OSError, ValueError):
            return None
        return entry if entry and self.holds(entry.draft.id) else None

    def holds(self, message_id: bytes) -> bool:
        """Return whether a message waits."""
        return self._name(message_id).exists()

    def remove(self, entry: Entry) -> None:
        """Let go of a message. Where the disk hinders that, it is delivered again, which does no harm."""
        with contextlib.suppress(OSError):
            self._forget_key(entry)
        with contextlib.suppress(OSError):
            self._name(entry.draft.id).unlink(missing_ok=True)

    def set_aside(self, message_id: bytes, why: str, entry: Entry | None = None) -> None:
        """Keep a message, to be delivered no more, for a person to see. Raises OSError."""
        if entry is not None:
            with contextlib.suppress(OSError):
                self._forget_key(entry)
                self.set_apart(entry)
        with contextlib.suppress(FileNotFoundError):
            self._name(message_id).rename(self._name(message_id, why))

    def set_apart(self, entry: Entry, kind: str = "sms") -> None:
        """Give a message that was kept with others a file of its own. Raises OSError.

        `kind` is what its name ends with: it waits, or was kept aside.
        """
        name, draft = self._name(entry.draft.id, kind), self._name(entry.draft.id, "new")
        if not batch.is_batch(files.read_raw(name) or b""):
            return
        try:
            files.write(draft, entry.pack())
            if entry.draft.idempotency_key:
                self._move_key(name, draft, entry.draft.idempotency_key)
            draft.rename(name)
        finally:
            draft.unlink(missing_ok=True)

    def sweep(self, now: float) -> None:
        """Remove what processes that died left behind; `now` in seconds since the epoch."""
        with contextlib.suppress(OSError):
            for file in sorted(self.path.iterdir(), key=lambda path: path.suffix == ".key"):
                if file.suffix in {".new", ".key"} and files.is_left_behind(file, now):
                    file.unlink(missing_ok=True)

    @contextlib.contextmanager
    def delivering(self) -> "Iterator[bool]":
        """Hold the lock of who delivers; False where somebody else holds it. Raises OSError."""
        with locking.held(self._lock) as is_held:
            yield is_held

    def note_reached(self) -> None:
        """Let every process know that the ledger has taken something at this instant."""
        with contextlib.suppress(OSError):
            now = time.time()
            os.utime(self._lock, (now, now))

    def reached_at(self) -> float:
        """Return when the ledger has last taken something: seconds since the epoch; 0 where it never has.

        Also 0 where that is to come: the clock was set, or it is the time of a file that was copied.
        """
        try:
            found = self._lock.stat().st_mtime
        except OSError:
            return 0.0
        return found if found <= time.time() else 0.0

    def _keep_together(
        self, entries: "Sequence[Entry]", content: bytes
    ) -> "list[Entry | OSError | IdempotencyConflict]":
        draft = self._name(entries[0].draft.id, "many.new")
        try:
            files.write(draft, content)
        except OSError as error:
            return [error for _ in entries]
        else:
            return [self._give_name(draft, entry) for entry in entries]
        finally:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)

    def _give_name(self, draft: Path, entry: Entry) -> Entry | OSError | IdempotencyConflict:
        """Let a message of the file `draft` wait; return what stands for it, or why it can't."""
        try:
            standing = self._claim_key(draft, entry) if entry.draft.idempotency_key else entry
            if standing is entry:
                with contextlib.suppress(FileExistsError):
                    self._name(entry.draft.id).hardlink_to(draft)
        except (OSError, IdempotencyConflict) as error:
            is_hindered = isinstance(error, OSError) and error.errno in _NO_LINKS
            return self._keep_alone(entry) if is_hindered else error
        return standing

    def _keep_alone(self, entry: Entry) -> Entry | OSError | IdempotencyConflict:
        draft = self._name(entry.draft.id, "new")
        try:
            files.write(draft, entry.pack())
            standing = self._claim_key(draft, entry) if entry.draft.idempotency_key else entry
            if standing is entry:
                draft.rename(self._name(entry.draft.id))
        except (OSError, IdempotencyConflict) as error:
            return error
        finally:
            # A rename onto another name of the same file leaves both; else there is nothing any more.
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
        return standing

    def _claim_key(self, draft: Path, entry: Entry) -> Entry:
        """Give the file `draft` its second name, by its key. Return who has that: it, or an earlier one."""
        key = entry.draft.idempotency_key or ""
        name = self._key_name(key)
        for _ in range(_TRIES):
            try:
                name.hardlink_to(draft)
            except FileExistsError:
                pass
            except OSError as error:
                if error.errno in _NO_LINKS:
                    return entry  # its key is then looked at when it is delivered
                raise
            else:
                return entry
            with contextlib.suppress(FileNotFoundError):
                earlier = self._adopt(name, key)
                if earlier is None:
                    name.unlink()
                elif earlier.draft.fingerprint != entry.draft.fingerprint:
                    raise IdempotencyConflict(ids.to_text(earlier.draft.id))
                else:
                    return earlier
        raise OSError("others are at the same idempotency key all the time")

    def _adopt(self, name: Path, key: str) -> Entry | None:
        """Return the message that has a key, and see to it that it waits; None where it does not count.

        Who wrote it may have died before it had its own name, or be just about to give it that.
        """
        try:
            entry = files.read(name, "idempotency_key", key)
        except ValueError:
            return None
        if entry is None:
            raise FileNotFoundError
        if not self.holds(entry.draft.id):
            if time.time() - entry.at_ms / 1000 > LEFT_BEHIND:
                return None
            with contextlib.suppress(FileExistsError):
                self._name(entry.draft.id).hardlink_to(name)
        return entry

    def _move_key(self, name: Path, draft: Path, key: str) -> None:
        """Let the name that a message has by its key be one of the file `draft`, if it has one."""
        by_key = self._key_name(key)
        with contextlib.suppress(FileNotFoundError):
            if by_key.samefile(name):
                passing = by_key.with_suffix(".new")
                passing.unlink(missing_ok=True)
                passing.hardlink_to(draft)
                passing.rename(by_key)

    def _forget_key(self, entry: Entry) -> None:
        if entry.draft.idempotency_key:
            name = self._key_name(entry.draft.idempotency_key)
            with contextlib.suppress(FileNotFoundError):
                if name.samefile(self._name(entry.draft.id)):
                    name.unlink()

    def _demand_room(self) -> None:
        now = time.monotonic()
        if now - self._counted_at > (COUNT_AGE if self._count < self._most else COUNT_AGE / 4):
            self._count = sum(kind == "sms" for _, kind in self._files())
            self._counted_at = now
        if self._count >= self._most:
            raise NoRoom(f"{self._most} messages are in it, as many as spool_most allows")
        self._count += 1

    def _files(self) -> "Iterator[tuple[bytes, str]]":
        with os.scandir(self.path) as entries:
            for entry in entries:
                stem, _, kind = entry.name.partition(".")
                if kind != "key" and NAME.fullmatch(stem):
                    yield bytes.fromhex(stem), kind

    def _name(self, message_id: bytes, kind: str = "sms") -> Path:
        return self.path / f"{message_id.hex()}.{kind}"

    def _key_name(self, key: str) -> Path:
        return self._name(digest(key), "key")
