"""The people the demo writes to, and what must become of each message."""

import csv
from dataclasses import dataclass
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sendline.contract.draft import Fields
from sendline.contract.errors import ConfigurationError
from sendline.contract.lane import Lane
from sendline.contract.numbers import parse_number
from sendline.contract.status import Status
from sendline_worker.simulator.behaviours import expected

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST: Final = 10_000
"""Rows at most: it is a demo."""
URGENT_TO: Final = "+13115552367"
"""Whom the one urgent message goes to."""


@dataclass(frozen=True, slots=True)
class Person:
    """One row of the file."""

    name: str
    number: str

    @property
    def fields(self) -> Fields:
        """The message to them, as send_many() takes it."""
        text = f"Hi {self.name}, your order is ready. We are open from 9 to 18."
        return {"to": self.number, "text": text, "lane": Lane.BULK}

    @property
    def status(self) -> Status:
        """What must become of it: the simulator misbehaves towards some numbers."""
        return expected(self.number)


def default_file() -> Path:
    """Return the file that comes with Sendline: installed beside this module, or in its repository."""
    installed = Path(str(files("sendline_worker.demo") / "people.csv"))
    return installed if installed.exists() else Path(__file__).parents[3] / "examples" / "people.csv"


def read_people(path: Path) -> list[Person]:
    """Return the rows of a CSV with the columns name and number.

    Raises ConfigurationError with the line of the first row that can't be written to.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            missing = {"name", "number"} - set(rows.fieldnames or ())
            if missing:
                raise ConfigurationError(f"{path}: has no column {' and '.join(sorted(missing))}")
            people = list(islice(_people(path, rows), MOST))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error):
        raise ConfigurationError(f"{path}: is not a CSV in UTF-8") from None
    if not people:
        raise ConfigurationError(f"{path}: holds no people")
    return people


def _people(path: Path, rows: "csv.DictReader[str]") -> "Iterator[Person]":
    line_of = {URGENT_TO: 0}
    for row in rows:
        place = f"{path}: line {rows.line_num}"
        if row["name"] is None or row["number"] is None:
            raise ConfigurationError(f"{place}: has too few columns; write name and number")
        try:
            number = parse_number(row["number"], None)
        except ValueError as error:
            problem = str(error).removesuffix(" or set default_region")  # the demo reads no settings
            raise ConfigurationError(f"{place}: number: {problem}") from None
        before = line_of.setdefault(number, rows.line_num)
        if number == URGENT_TO:
            raise ConfigurationError(f"{place}: the number of the demo's urgent message; remove the row")
        if before != rows.line_num:
            raise ConfigurationError(f"{place}: the same number as in line {before}; leave one")
        yield Person(row["name"], number)
