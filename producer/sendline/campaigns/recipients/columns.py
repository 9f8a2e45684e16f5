"""Which column of a source means what."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sendline.campaigns.recipients.rows import MAX_COLUMNS, MAX_NAME
from sendline.contract.errors import InvalidCampaign
from sendline.contract.numbers import mask

TO_NAMES: Final = (
    "to",
    "phone",
    "phone_number",
    "number",
    "mobile",
    "msisdn",
    "recipient",
    "telephone",
    "tel",
)
"""What a column of recipients is called when nobody says which it is, in any case."""

_SHOWN: Final = 20
_FEWEST_DIGITS, _MOST_DIGITS = 7, 15
_NUMBER: Final = re.compile(r"[+(\d][\d\s()./\u00ad\u2010-\u2015-]{5,40}\d?")


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column of a source means what; the others are variables of the text."""

    to: str | None = None
    """The column of the recipient; None: the one called `to`, else the one called by another of TO_NAMES,
    else the only one."""
    sender: str | None = None
    """The column of the sender; None: the one called `sender` exactly, if there is one."""
    not_before: str | None = None
    """The column of the earliest time; None: the one called `not_before` exactly, if there is one."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of one source, and what they mean."""

    names: tuple[str, ...]
    to: str
    sender: str | None
    not_before: str | None

    @property
    def variables(self) -> tuple[str, ...]:
        """The columns that are neither recipient nor override, in their order."""
        taken = {self.to, self.sender, self.not_before}
        return tuple(name for name in self.names if name not in taken)


def lay_out(columns: Columns, names: Sequence[str]) -> Layout:
    """Return what the columns `names` mean. Raises InvalidCampaign where that can't be told, with the fix."""
    if not names:
        raise InvalidCampaign("recipients", "there are no columns, and so no phone numbers")
    asked = [name for name in (columns.to, columns.sender, columns.not_before) if name is not None]
    for name in asked:
        if name not in names:
            raise InvalidCampaign(
                "recipients", f"there is no column {shown([name])}; there are {shown(names)}"
            )
    if len(set(asked)) < len(asked):
        raise InvalidCampaign("recipients", f"column {shown(asked[:1])} can't mean two things")
    to = columns.to if columns.to is not None else _find_to(names, asked)
    free = set(names) - {to, *asked}
    return Layout(
        tuple(names),
        to,
        columns.sender or ("sender" if "sender" in free else None),
        columns.not_before or ("not_before" if "not_before" in free else None),
    )


def checked_names(cells: Sequence[str]) -> tuple[str, ...]:
    """Return the names that a header gives its columns. Raises InvalidCampaign for unusable ones."""
    names = [cell.strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    if len(names) > MAX_COLUMNS:
        raise InvalidCampaign(
            "recipients", f"there are {len(names)} columns; at most {MAX_COLUMNS} can be used"
        )
    for position, name in enumerate(names, 1):
        if not name:
            raise InvalidCampaign(
                "recipients", f"column {position} has no name; give it one in the first line"
            )
        if len(name) > MAX_NAME:
            raise InvalidCampaign(
                "recipients", f"the name of column {position} is longer than {MAX_NAME} characters"
            )
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise InvalidCampaign("recipients", f"more than one column is called {shown(repeated)}; rename them")
    return tuple(names)


def is_to_name(cell: str) -> bool:
    """Return whether `cell` is a usual name of a column of recipients."""
    return cell.strip().casefold() in TO_NAMES


def looks_like_a_number(cell: str) -> bool:
    """Return whether `cell` is written like a phone number."""
    written = cell.strip()
    if _NUMBER.fullmatch(written) is None:
        return False
    return _FEWEST_DIGITS <= sum(char.isdecimal() for char in written) <= _MOST_DIGITS


def shown(names: Sequence[str]) -> str:
    """Return names of columns fit for an error's line; what looks like a phone number is masked."""
    short = [repr(_masked(name)) for name in list(names)[:_SHOWN]]
    more = len(names) - len(short)
    return ", ".join(short) + (f" and {more} more" if more else "")


def masked(name: str) -> str:
    """Return the name of a column as shown() does, without quotes where it can be printed."""
    found = _masked(name)
    return found if found.isprintable() else ascii(found)


def _masked(name: str) -> str:
    return _NUMBER.sub(lambda found: mask(found[0]), name[:MAX_NAME])


def _find_to(names: Sequence[str], taken: Sequence[str]) -> str:
    free = [name for name in names if name not in taken]
    usual = [name for name in free if is_to_name(name)]
    for called in ("to", *(name for name in usual if name.strip().casefold() == "to")):
        if called in free:
            return called
    if len(usual) == 1:
        return usual[0]
    if len(names) == 1 and free:
        return free[0]
    what = (
        f"columns {shown(usual)} may all be phone numbers" if usual else "no column is called 'to' or 'phone'"
    )
    raise InvalidCampaign(
        "recipients", f"{what}; there are {shown(names)}: say which with --to-column, or Columns(to=...)"
    )
