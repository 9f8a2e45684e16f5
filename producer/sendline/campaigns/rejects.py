"""The file of rows that a campaign does not send to: line, reason and recipient, for its owner to mend."""

import csv
import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

from sendline.campaigns.checking import Rejected
from sendline.campaigns.defuse import defuse
from sendline.contract.errors import InvalidCampaign

HEADER: Final = ("line", "reason", "to")


class RejectsFile:
    """A CSV file that is written as an import goes on, and goes on itself where an earlier one stopped."""

    def __init__(self, path: str | os.PathLike[str], *, done: int) -> None:
        """Open `path`. Of what stands there, only rows up to line `done` are kept: the rest comes again.

        It holds phone numbers, so that only its owner may read it. Raises InvalidCampaign, also where
        `path` holds anything else than the rows of such a file.
        """
        self.path = Path(path)
        try:
            kept = _kept(self.path, done)
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else "it is no CSV file"
            raise InvalidCampaign("rejects", f"can't be written: {why}") from None
        self._file: IO[str] = os.fdopen(descriptor, "w", encoding="utf-8", newline="")
        self._csv: Any = csv.writer(self._file)
        self._csv.writerow(HEADER)
        self._csv.writerows(kept)

    def write(self, rejected: Iterable[Rejected]) -> None:
        """Add `rejected`; they are in the file when this returns."""
        self._csv.writerows((each.line, each.reason, defuse(each.to)) for each in rejected)
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _kept(path: Path, done: int) -> list[list[str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
    except FileNotFoundError:
        return []
    if rows and tuple(rows[0]) != HEADER:
        raise InvalidCampaign("rejects", "that file holds something else; name a new one")
    return [row for row in rows[1:] if row and row[0].isdigit() and int(row[0]) <= done]
