"""What temporary files take of this machine's disk: bounded, each of them and all together."""

import asyncio
import contextlib
import io
import tempfile
import threading
from typing import IO, TYPE_CHECKING, Final, cast

from sendline_worker.api.problems import ProblemError, refuse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from _typeshed import ReadableBuffer

WRITTEN_AT_ONCE: Final = 1024 * 1024
"""Bytes that are held in memory before they are written."""


class Room:
    """Bytes of disk that the files of one process share. Safe in threads."""

    def __init__(self, most: int) -> None:
        """Begin with none of `most` taken."""
        self.most = most
        self._taken = 0
        self._lock = threading.Lock()

    def take(self, number: int) -> None:
        """Take so many bytes; raises ProblemError where they are not free."""
        with self._lock:
            if self._taken + number > self.most:
                why = f"temporary files take {self.most} bytes together, and no more; send it again later"
                raise refuse("busy", why, retry_after="30")
            self._taken += number

    def give(self, number: int) -> None:
        """Return what take() took."""
        with self._lock:
            self._taken -= number

    @contextlib.contextmanager
    def file(self) -> "Iterator[Incoming]":
        """Open a file that is gone, with what it took, behind the block. Raises ProblemError."""
        try:
            made = tempfile.TemporaryFile(prefix="sendline-", buffering=0)  # noqa: SIM115 - closed below
        except OSError:
            raise no_room() from None
        with made:
            incoming = Incoming(self, made)
            try:
                yield incoming
            finally:
                self.give(incoming.taken)

    @contextlib.contextmanager
    def own_file(self) -> "Iterator[Growing]":
        """Open a file that the server itself writes, gone, with what it took, behind the block.

        Raises ProblemError, also where it is written; OSError.
        """
        made = tempfile.TemporaryFile(prefix="sendline-", buffering=0)  # noqa: SIM115 - closed with what is around it
        growing = Growing(self, made)
        try:
            with growing:
                yield growing
        finally:
            self.give(growing.taken)


class Growing(io.BufferedRandom):
    """A file without a name that takes its room as it is written, from its beginning to its end."""

    def __init__(self, room: Room, made: IO[bytes]) -> None:
        super().__init__(cast("io.FileIO", made))
        self.taken = 0
        """Bytes of the room that are its own."""
        self._room = room

    def write(self, piece: "ReadableBuffer", /) -> int:
        """Add to it; raises ProblemError where there is no room."""
        size = memoryview(piece).nbytes
        self._room.take(size)
        self.taken += size
        return super().write(piece)


class Incoming:
    """A file without a name: nothing stays of it, also where the process is killed."""

    def __init__(self, room: Room, file: IO[bytes]) -> None:
        self.file = file
        self.taken = 0
        """Bytes of the room that are its own."""
        self._room = room
        self._pieces: list[bytes] = []
        self._held = self._size = 0

    def expect(self, size: int) -> None:
        """Take the room for so many bytes at once; raises ProblemError where there is none."""
        more = max(0, size - self.taken)
        self._room.take(more)
        self.taken += more

    async def add(self, piece: bytes) -> None:
        """Add to it; raises ProblemError where there is no room."""
        self._pieces.append(piece)
        self._held += len(piece)
        if self._held >= WRITTEN_AT_ONCE:
            await self.finish()

    async def finish(self) -> None:
        """Write what is held; raises ProblemError where there is no room."""
        pieces, self._pieces = self._pieces, []
        self._size, self._held = self._size + self._held, 0
        self.expect(self._size)
        try:
            await asyncio.to_thread(_write, self.file, pieces)
        except OSError:
            raise no_room() from None


def no_room() -> ProblemError:
    """Return what ends a request where the disk takes no more."""
    return refuse("no-room", "the disk takes no more: send the file again later", retry_after="60")


def _write(file: IO[bytes], pieces: "Sequence[bytes]") -> None:
    for piece in pieces:
        rest = memoryview(piece)
        while rest:
            rest = rest[file.write(rest) :]
