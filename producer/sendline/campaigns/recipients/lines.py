"""Lines of a text that comes in chunks, none longer than MAX_LINE: a longer one is dropped as it is read."""

import io
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from sendline.campaigns.recipients.encodings import MARK
from sendline.campaigns.recipients.rows import MAX_LINE, TOO_LONG_A_LINE

OVERLONG: Final = f"long{MARK}\n"
"""Stands in the place of a line that was too long."""


def lines_of(chunks: Iterable[str]) -> Iterator[str]:
    """Yield the lines of a text, with their line breaks as they are: LF, CR LF or CR.

    At most two chunks are held. Only characters that break lines in CSV do; others (U+2028, form feed) don't.
    """
    return chain.from_iterable(_blocks(chunks))


def flaw_of_line(line: str, encoding: str) -> str | None:
    """Return why `line` can't be read, or None."""
    if MARK not in line:
        return None
    return TOO_LONG_A_LINE if line is OVERLONG else f"holds bytes that are not text in {encoding}"


def _blocks(chunks: Iterable[str]) -> Iterator[Iterable[str]]:
    """Yield iterables of whole lines."""
    rest, skipping = "", False
    for chunk in chunks:
        text = rest + chunk
        if skipping:
            end = _first_line(text)
            if not end:
                rest = _last_cr(text)
                continue
            text, skipping = text[end:], False
        whole = _whole_lines(text)
        rest = text[whole:]
        if whole:
            yield from _bounded(text[:whole])
        if len(rest) > MAX_LINE:
            yield (OVERLONG,)
            rest, skipping = _last_cr(rest), True
    if rest:
        yield (rest,)


def _bounded(text: str) -> Iterator[Iterable[str]]:
    """Yield the lines of `text`; only the first, which began chunks ago, can be longer than a chunk."""
    end = _first_line(text) or len(text)
    if end > MAX_LINE:
        yield (OVERLONG,)
        text = text[end:]
    yield io.StringIO(text, newline="")


def _first_line(text: str) -> int:
    """Return where the first line ends, its break included; 0 if it may go on. A CR at the end may."""
    lf = text.find("\n")
    cr = text.find("\r", 0, lf if lf >= 0 else -1)
    if cr < 0 or cr + 1 == lf:
        return lf + 1
    return cr + 1


def _whole_lines(text: str) -> int:
    """Return where the last line that surely ended ends."""
    return max(text.rfind("\n"), text.rfind("\r", 0, -1)) + 1


def _last_cr(text: str) -> str:
    return text[-1:] if text.endswith("\r") else ""
