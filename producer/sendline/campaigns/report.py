"""The report of a campaign: a row for each recipient, as CSV or Parquet, written while it is read."""

import csv
import errno
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final, Protocol, Self

from sendline.campaigns.arrow import load_arrow
from sendline.campaigns.defuse import defuse
from sendline.contract.errors import InvalidCampaign
from sendline.contract.message import Message, stamp
from sendline.contract.status import Status

COLUMNS: Final = (
    "id",
    "to",
    "status",
    "error",
    "reason",
    "segments",
    "attempts",
    "account",
    "provider_id",
    "created_at",
    "sent_at",
    "final_at",
)


@dataclass(frozen=True, slots=True)
class ReportRow:
    """What a report tells of one message. Times are UTC."""

    id: str
    to: str = field(repr=False)
    status: str
    error: str
    reason: str
    segments: int
    attempts: int
    account: str
    provider_id: str
    created_at: datetime
    sent_at: datetime | None
    final_at: datetime | None


def report_row(message: Message) -> ReportRow:
    """Return what a report tells of `message`."""
    last = message.timeline[-1] if message.timeline else None
    sent = next((entry.at for entry in message.timeline if entry.status is Status.SENT), None)
    return ReportRow(
        id=message.id,
        to=message.to,
        status=message.status.value,
        error=message.error or "",
        reason=last.reason if last else "",
        segments=message.segments,
        attempts=message.attempts,
        account=message.account or "",
        provider_id=message.provider_id or "",
        created_at=message.created_at,
        sent_at=sent,
        final_at=last.at if last and message.final else None,
    )


class ReportWriter(Protocol):
    """Takes rows, some at a time."""

    def write(self, rows: Iterable[ReportRow]) -> None:
        """Add `rows`."""
        ...


@contextmanager
def report_file(path: str | os.PathLike[str]) -> Iterator[ReportWriter]:
    """Write a report to `path`: Parquet where its name ends so, else CSV whose cells no spreadsheet runs.

    It is there whole, or not at all: what is written grows beside it under another name. It holds phone
    numbers, so only its owner may read it. Raises InvalidCampaign.
    """
    target = Path(path)
    try:
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        descriptor, made = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise InvalidCampaign("report", f"can't be written: {error.strerror}") from None
    growing = Path(made)
    try:
        if target.suffix.lower() == ".parquet":
            with os.fdopen(descriptor, "wb") as file, _Parquet(file) as parquet:
                yield parquet
        else:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as text:
                yield CsvReport(text)
        growing.replace(target)
    except OSError as error:
        raise InvalidCampaign("report", f"can't be written: {error.strerror}") from None
    finally:
        growing.unlink(missing_ok=True)


class CsvReport:
    """Writes a report as CSV to an open text file."""

    def __init__(self, file: IO[str]) -> None:
        """Write the header."""
        self._csv: Any = csv.writer(file)
        self._csv.writerow(COLUMNS)

    def write(self, rows: Iterable[ReportRow]) -> None:
        """Add `rows`."""
        self._csv.writerows([_cell(getattr(row, name)) for name in COLUMNS] for row in rows)


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return stamp(value)
    return defuse(value) if isinstance(value, str) else value


class _Parquet:
    """Writes a report as Parquet, a group of rows for each call."""

    def __init__(self, file: IO[bytes]) -> None:
        pa, parquet = load_arrow("report", "Parquet")
        time = pa.timestamp("ms", tz="UTC")
        numbers = {"segments": pa.int32(), "attempts": pa.int32()}
        times = dict.fromkeys(("created_at", "sent_at", "final_at"), time)
        kinds = {**dict.fromkeys(COLUMNS, pa.string()), **numbers, **times}
        self._schema = pa.schema(list(kinds.items()))
        self._table = pa.Table
        self._writer = parquet.ParquetWriter(file, self._schema)

    def write(self, rows: Iterable[ReportRow]) -> None:
        """Add `rows`."""
        plain = [{name: getattr(row, name) for name in COLUMNS} for row in rows]
        self._writer.write_table(self._table.from_pylist(plain, schema=self._schema))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()
