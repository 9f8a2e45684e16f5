"""What files that come in take of this machine's disk: bounded, each of them and all together."""

import asyncio
import contextlib
import tempfile
from typing import IO, TYPE_CHECKING, Final

from sendline_worker.api.problems import ProblemError, refuse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WRITTEN_AT_ONCE: Final = 1024 * 1024
"""Bytes that are held in memory before they are written."""


class Room:
    """Bytes of disk that the files of one process share. For one event loop."""

    def __init__(self, most: int) -> None:
        """Begin with none of `most` taken."""
        self.most = most
        self._taken = 0

    def take(self, number: int) -> None:
        """Take so many bytes; raises ProblemError where they are not free."""
        if self._taken + number > self.most:
            why = f"the files that come in take {self.most} bytes together, and no more; send it again later"
            raise refuse("busy", why, retry_after="30")
        self._taken += number

    def give(self, number: int) -> None:
        """Return what take() took."""
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
