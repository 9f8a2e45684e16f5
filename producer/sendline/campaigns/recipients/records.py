"""Records of a CSV file: bounded, so that a quote without an end can't swallow the rest of a file."""

import csv
from collections import deque
from collections.abc import Iterator
from typing import Final

from sendline.campaigns.recipients.dialects import Dialect
from sendline.campaigns.recipients.encodings import MARK
from sendline.campaigns.recipients.lines import OVERLONG, flaw_of_line
from sendline.campaigns.recipients.rows import (
    MAX_LINE,
    MAX_VALUE,
    TOO_LONG_A_LINE,
    TOO_LONG_A_VALUE,
    BadRow,
)

_BAD_QUOTES: Final = "its quotes don't match; a quote inside a quoted cell is written twice"

Record = tuple[int, list[str]]
"""The line where it begins, and its cells."""


class Records:
    """Iterates over the records of a CSV file, blank lines left out.

    A record that fails is told as the line where it began, and reading goes on at the line behind that one.
    """

    def __init__(self, lines: Iterator[str], dialect: Dialect, encoding: str) -> None:
        self._lines = lines
        self._dialect = dialect
        self._encoding = encoding
        self._line = 0
        self._held: list[str] = []
        """The lines of the record that is being read."""
        self._again: deque[str] = deque()
        """Lines of a record that failed, to be read again, each by itself but the last."""
        self._suspect = False
        """Whether the record is to be looked at: it is long, or not all of it is text."""
        self._flaw: str | None = None

    def __iter__(self) -> Iterator[Record | BadRow]:
        held, dialect = self._held, self._dialect
        while True:
            reader = csv.reader(
                self._feed(),
                delimiter=dialect.delimiter,
                skipinitialspace=dialect.skip_spaces,
                strict=True,
            )
            try:
                for cells in reader:
                    line = self._line - len(held) + 1
                    held.clear()
                    if self._suspect:
                        yield self._judged(line, cells)
                    elif cells:
                        yield line, cells
            except csv.Error:
                yield self._failed()
            else:
                return

    def _feed(self) -> Iterator[str]:
        """Yield lines. Ending while a record is open makes the reader fail, which is how it is stopped.

        What is held when the next line is asked for belongs to a record that is open.
        """
        held, again = self._held, self._again
        while again:
            if held:
                return
            line = again.popleft()
            self._line += 1
            held.append(line)
            if len(line) > MAX_VALUE or MARK in line:
                self._stops(len(line))
            yield line
        size = sum(map(len, held))
        for line in self._lines:
            self._line += 1
            size = size + len(line) if held else len(line)
            held.append(line)
            if (size > MAX_VALUE or MARK in line) and self._stops(size):
                return
            yield line

    def _stops(self, size: int) -> bool:
        """Look at the record so far, of `size` characters; return whether it can't go on."""
        self._suspect = True
        line = self._held[-1]
        self._flaw = self._flaw or (
            TOO_LONG_A_LINE if size > MAX_LINE else flaw_of_line(line, self._encoding)
        )
        return len(self._held) > 1 and (size > MAX_LINE or line is OVERLONG)

    def _judged(self, line: int, cells: list[str]) -> Record | BadRow:
        flaw = self._flaw or (TOO_LONG_A_VALUE if max(map(len, cells), default=0) > MAX_VALUE else None)
        self._suspect, self._flaw = False, None
        return (line, cells) if flaw is None else BadRow(line, flaw)

    def _failed(self) -> BadRow:
        first = self._line - len(self._held) + 1
        bad = BadRow(first, self._flaw or _BAD_QUOTES)
        self._again.extendleft(reversed(self._held[1:]))
        self._line = first
        self._held.clear()
        self._suspect, self._flaw = False, None
        return bad
