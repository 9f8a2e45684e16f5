"""A file of the spool that several messages were written to at once, so that one fsync serves them all.

A line that names the format, its version and a digest of the rest; then a line for each message: a digest and
the message as JSON. Each of its messages has a name of its own: they are all names of this one file.
"""

import json
from typing import TYPE_CHECKING, Final

from sendline.spool.entry import FORMAT, LARGEST, Damaged, Entry, digest_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

VERSION: Final = 2
"""A release that knows single messages only takes it for a later one's, and leaves it alone."""

_HEAD: Final = f"{FORMAT} {VERSION} ".encode()
_ROOM: Final = LARGEST - 128
"""Bytes of its lines, at most."""


def is_batch(raw: bytes) -> bool:
    """Return whether a file that begins so holds several messages."""
    return raw.startswith(_HEAD)


def batches(entries: "Iterable[Entry]") -> "Iterator[tuple[list[Entry], bytes]]":
    """Divide messages into as few files as they fit into; yield with them what their file holds."""
    some: list[Entry] = []
    lines: list[bytes] = []
    size = 0
    for entry in entries:
        line = _line(entry)
        if some and size + len(line) > _ROOM:
            yield some, _content(lines)
            some, lines, size = [], [], 0
        some.append(entry)
        lines.append(line)
        size += len(line)
    if some:
        yield some, _content(lines)


def find(raw: bytes, field: str, value: str) -> Entry:
    """Return the first message of a file whose `field` is `value`. Raises Damaged or Newer."""
    mark = json.dumps({field: value})[1:-1].encode()
    at = raw.find(mark)
    while at >= 0:
        begin, end = raw.rfind(b"\n", 0, at) + 1, raw.find(b"\n", at)
        entry = _read(raw[begin:] if end < 0 else raw[begin:end])
        if entry.is_marked(field, value):  # else it stands among somebody's notes
            return entry
        at = raw.find(mark, at + 1)
    raise Damaged("the message is not in it")


def _content(lines: "Sequence[bytes]") -> bytes:
    rest = b"".join(lines)
    return _HEAD + f"{digest_of(rest)}\n".encode() + rest


def _line(entry: Entry) -> bytes:
    body = entry.body()
    return f"{digest_of(body)} ".encode() + body + b"\n"


def _read(line: bytes) -> Entry:
    digest, _, body = line.partition(b" ")
    if digest != digest_of(body).encode():
        raise Damaged("it was not written whole, or was changed since")
    return Entry.of_body(body)
