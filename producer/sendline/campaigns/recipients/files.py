"""Files and streams that recipients are read from, whoever opened them."""

import hashlib
import io
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, cast

from sendline.campaigns.recipients.columns import looks_like_a_number
from sendline.contract.errors import InvalidCampaign

CHUNK: Final = 65_536
HEAD: Final = 4 * CHUNK
"""How much is looked at before the first row is read, in bytes."""


@dataclass(slots=True)
class File:
    """An open file. `size` (bytes) and `fingerprint` are None for what isn't a regular file."""

    stream: IO[Any]
    name: str
    owned: bool = False
    size: int | None = None
    fingerprint: str | None = None

    def close(self) -> None:
        """Close it, if it was opened here."""
        if self.owned:
            self.stream.close()


class Chunks:
    """Reads a file in chunks of at most CHUNK; less where a pipe has no more. Its head is read at once."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._read = getattr(file.stream, "read1", file.stream.read)
        self.taken = 0
        """Bytes handed out so far."""
        self.head = self._fill()
        """The first HEAD bytes, or all there are; text, where the file is open as text."""

    def __iter__(self) -> Iterator[Any]:
        head, self.head = self.head, self.head[:0]
        pieces = (head[start : start + CHUNK] for start in range(0, len(head), CHUNK))
        for piece in pieces:
            self.taken += len(piece)
            yield piece
        del head, pieces
        while piece := self._next(CHUNK):
            self.taken += len(piece)
            yield piece

    def _fill(self) -> Any:
        pieces = []
        missing = HEAD
        while missing > 0 and (piece := self._next(min(missing, CHUNK))):
            pieces.append(piece)
            missing -= len(piece)
        return pieces[0][:0].join(pieces) if pieces else b""

    def _next(self, size: int) -> Any:
        try:
            piece = self._read(size)
        except UnicodeError:
            raise InvalidCampaign(
                "recipients", f"{self._file.name} is not text in the encoding that it was opened with"
            ) from None
        except (OSError, EOFError) as error:
            raise unreadable(self._file.name, error) from None
        if piece is None:
            raise InvalidCampaign(
                "recipients", f"{self._file.name} does not wait for what comes: make it block"
            )
        return piece


def open_path(path: str | os.PathLike[str], name: str | None) -> File:
    """Open the file at `path`, or standard input for "-". Raises InvalidCampaign where that fails."""
    text = os.fsdecode(path)
    if text == "-":
        if sys.stdin is None:
            raise InvalidCampaign("recipients", "standard input is closed")
        return wrap(sys.stdin.buffer, name or "standard input")
    name = name or (text if text.isprintable() else ascii(text))
    try:
        stream = Path(text).open("rb")  # noqa: SIM115 - the source closes it
    except FileNotFoundError:
        if looks_like_a_number(text):
            raise InvalidCampaign(
                "recipients", "this is a number, not a file: pass numbers in a list"
            ) from None
        raise InvalidCampaign("recipients", f"there is no file {name}") from None
    except (OSError, ValueError) as error:
        raise unreadable(name, error) from None
    file = wrap(stream, name)
    file.owned = True
    return file


def wrap(stream: IO[Any], name: str | None) -> File:
    """Return `stream`, which somebody opened, with what can be known about it."""
    if not name:
        given = getattr(stream, "name", None)
        name = given if isinstance(given, str) and given.isprintable() and given else "the file"
    file = File(stream, name)
    if not isinstance(stream, io.BufferedReader | io.FileIO):
        return file
    try:
        found = os.fstat(stream.fileno())
        if stat.S_ISREG(found.st_mode) and stream.tell() == 0:
            file.size = found.st_size
            file.fingerprint = _fingerprint(stream.fileno(), found.st_size)
    except OSError:
        return file
    return file


def unreadable(name: str, error: Exception) -> InvalidCampaign:
    """Return the error that says why the file can't be read."""
    if isinstance(error, IsADirectoryError):
        return InvalidCampaign("recipients", f"{name} is a directory; name a file")
    why = error.strerror if isinstance(error, OSError) and error.strerror else "it is damaged"
    return InvalidCampaign("recipients", f"{name} can't be read: {why[:1].lower()}{why[1:]}")


def content_of(file: IO[bytes], reading: object) -> str:
    """Return what stands for every byte of `file`, and for `reading`, the way in which it is read.

    The file is left at its beginning.
    """
    file.seek(0)
    whole = hashlib.file_digest(cast("Any", file), lambda: hashlib.blake2b(digest_size=16))
    file.seek(0)
    whole.update(repr(reading).encode(errors="surrogatepass"))
    return whole.hexdigest()


def _fingerprint(descriptor: int, size: int) -> str:
    ends = (os.pread(descriptor, CHUNK, 0), os.pread(descriptor, CHUNK, max(0, size - CHUNK)))
    digest = hashlib.blake2b(size.to_bytes(8), digest_size=16)
    for end in ends:
        digest.update(end)
    return digest.hexdigest()
