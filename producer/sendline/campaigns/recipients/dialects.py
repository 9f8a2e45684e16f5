"""Which delimiter a CSV file has: the one that splits its first lines into the same columns."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sendline.campaigns.recipients.columns import is_to_name

DELIMITERS: Final = ",;\t|"

_HINT: Final = re.compile(r'"?sep=([,;\t|])"?[\r\n]*', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a file separates its cells. `hinted`: its first line only says so, as Excel writes it (sep=;)."""

    delimiter: str
    skip_spaces: bool = False
    """Whether a space follows every delimiter: in such files a quote counts behind it."""
    hinted: bool = False


def dialect_of(sample: Sequence[str], to: str | None) -> Dialect:
    """Return the dialect of a file that begins with `sample`; `to` is the recipient's column, if named."""
    hint = _HINT.fullmatch(sample[0]) if sample else None
    if hint:
        return Dialect(hint[1], hinted=True)
    best = max(DELIMITERS, key=lambda delimiter: _fit(_cells(sample, delimiter), to))
    header = next(iter(_cells(sample, best)), [])
    spaced = len(header) > 1 and all(cell.startswith(" ") for cell in header[1:])
    return Dialect(best, spaced)


def _cells(sample: Sequence[str], delimiter: str) -> list[list[str]]:
    rows = []
    try:
        for cells in csv.reader(sample, delimiter=delimiter):
            if any(cells):
                rows.append(cells)  # noqa: PERF401 - what comes before an error counts
    except csv.Error:
        pass
    return rows


def _fit(rows: list[list[str]], to: str | None) -> tuple[bool, float, int]:
    """Return how well a delimiter fits: the header names the recipient, rows are as wide, it is wide."""
    if not rows or len(rows[0]) == 1:
        return False, 0.0, 0
    header, *others = rows
    named = any(cell.strip() == to if to is not None else is_to_name(cell) for cell in header)
    alike = sum(len(cells) == len(header) for cells in others)
    return named, alike / max(1, len(others)), len(header)
