"""The people the demo writes to, and what must become of each message."""

import csv
from dataclasses import dataclass
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Final

from sendline.contract.draft import Fields
from sendline.contract.errors import ConfigurationError
from sendline.contract.lane import Lane
from sendline.contract.status import Status
from sendline_worker.simulator.behaviours import expected

MOST: Final = 10_000
"""Rows at most: it is a demo."""


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
    """Return the rows of a CSV with the columns name and number. Raises ConfigurationError."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            missing = {"name", "number"} - set(rows.fieldnames or ())
            if missing:
                raise ConfigurationError(f"{path}: has no column {' and '.join(sorted(missing))}")
            people = [Person(row["name"] or "", row["number"] or "") for row in islice(rows, MOST)]
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error):
        raise ConfigurationError(f"{path}: is not a CSV in UTF-8") from None
    if not people:
        raise ConfigurationError(f"{path}: holds no people")
    return people
