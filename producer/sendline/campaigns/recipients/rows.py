"""What a source of recipients is read into: rows, and what could not be read as one."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

MAX_COLUMNS: Final = 200
MAX_NAME: Final = 64
"""The longest name of a column, in characters."""
MAX_VALUE: Final = 1_600
"""The longest value, in characters: as long as the longest text of a message."""
MAX_LINE: Final = 65_536
"""The longest line and record, line breaks included; in characters, which are no more than bytes."""

TOO_LONG_A_LINE: Final = f"longer than {MAX_LINE} bytes"
TOO_LONG_A_VALUE: Final = f"a value is longer than {MAX_VALUE:,} characters"
NOT_TEXT: Final = "holds characters that are not text (a NUL, or half a surrogate pair)"

_NOT_TEXT: Final = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True, slots=True, init=False)
class Row:
    """One recipient, as the source says it: nothing of it is checked yet."""

    line: int
    """The line of the file where the row begins, or the row's place in an iterable; the first is 1."""
    to: str = field(repr=False)
    variables: Mapping[str, str] = field(repr=False)
    """Every other column's value, by the column's name."""
    sender: str | None = None
    not_before: str | None = None

    def __init__(
        self,
        line: int,
        to: str,
        variables: Mapping[str, str],
        sender: str | None = None,
        not_before: str | None = None,
    ) -> None:
        _set_line(self, line)
        _set_to(self, to)
        _set_variables(self, variables)
        _set_sender(self, sender)
        _set_not_before(self, not_before)


# Half the time of what dataclass writes for a frozen class, in what is made once for each recipient.
_set_line, _set_to, _set_variables, _set_sender, _set_not_before = (
    vars(Row)[name].__set__ for name in ("line", "to", "variables", "sender", "not_before")
)


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that can't be read. `reason` says why and never quotes it."""

    line: int
    reason: str


def flaw_of(value: str) -> str | None:
    """Return why `value` can't be a value of a row, or None."""
    if len(value) > MAX_VALUE:
        return TOO_LONG_A_VALUE
    return NOT_TEXT if _NOT_TEXT.search(value) else None
