"""The report of a campaign: a row for each recipient, as CSV or Parquet, written while it is read."""

import csv
import errno
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, Protocol, Self

from sendline.campaigns.arrow import load_arrow
from sendline.campaigns.defuse import defuse
from sendline.contract import ids
from sendline.contract.errors import InvalidCampaign
from sendline.contract.message import instant, is_final, stamp
from sendline.contract.status import CODES, Status
from sendline.ledger.call import Call
from sendline.ledger.recall import recall
from sendline.ledger.record import UNREADABLE, Record, unpack_provider_id

_SENT: Final = CODES[Status.SENT]
UNREADABLE_ERROR: Final = "unreadable"
"""The error of a message whose record is damaged, as the counts of its campaign have it."""


class ReportRow(NamedTuple):
    """What a report tells of one message. Times are UTC.

    Of one whose record can't be read it is the id, and the error `unreadable`.
    """

    id: str
    to: str
    status: str
    error: str
    reason: str
    segments: int
    attempts: int
    account: str
    provider_id: str
    created_at: datetime | None
    sent_at: datetime | None
    final_at: datetime | None

    def __repr__(self) -> str:
        return f"ReportRow(id={self.id!r}, status={self.status!r})"  # it holds a phone number


COLUMNS: Final = ReportRow._fields


def report_row(message_id: bytes, record: Record) -> ReportRow:
    """Return what a report tells of the message behind `record`."""
    created, status = record.created, record.state
    steps = record.steps
    _, last_at, _, reason = steps[-1] if steps else (0, 0, b"", b"")
    sent_at = next((after for code, after, *_ in steps if code == _SENT), None)
    is_over = bool(steps) and is_final(status, record.at(record.due))
    return ReportRow(
        id=ids.to_text(message_id),
        to=record.to.decode(),
        status=status.value,
        error=record.error.decode(),
        reason=reason.decode(),
        segments=record.segments,
        attempts=record.attempts,
        account=record.account.decode(),
        provider_id=unpack_provider_id(record.provider_id) or "",
        created_at=instant(created),
        sent_at=None if sent_at is None else instant(created + sent_at),
        final_at=instant(created + last_at) if is_over else None,
    )


def read_rows(message_ids: Sequence[bytes]) -> Call[list[ReportRow]]:
    """Read what a report tells of messages, 1 to 1,000 of them; what is no longer kept is left out."""

    def read(raws: list[bytes | None]) -> list[ReportRow]:
        return [_row(each, raw) for each, raw in zip(message_ids, raws, strict=True) if raw is not None]

    return recall(message_ids, read)


def _row(message_id: bytes, raw: bytes) -> ReportRow:
    try:
        return report_row(message_id, Record(raw))
    except UNREADABLE:
        return ReportRow(
            id=ids.to_text(message_id),
            to="",
            status="",
            error=UNREADABLE_ERROR,
            reason="",
            segments=0,
            attempts=0,
            account="",
            provider_id="",
            created_at=None,
            sent_at=None,
            final_at=None,
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
        raise InvalidCampaign("report", f"can't be written: {(error.strerror or '').lower()}") from None
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
        raise InvalidCampaign("report", f"can't be written: {(error.strerror or '').lower()}") from None
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
        self._csv.writerows(map(_cells, rows))


def _cells(row: ReportRow) -> tuple[object, ...]:
    made, to, status, error, reason, segments, attempts, account, provider_id, *times = row
    return (
        made,
        defuse(to),
        status,
        defuse(error),
        defuse(reason),
        segments,
        attempts,
        defuse(account),
        defuse(provider_id),
        *map(stamp, times),
    )


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
        plain = [row._asdict() for row in rows]
        self._writer.write_table(self._table.from_pylist(plain, schema=self._schema))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()
