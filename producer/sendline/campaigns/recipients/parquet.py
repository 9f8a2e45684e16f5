"""Recipients of Parquet files, a batch of rows at a time. pyarrow is imported when one is read."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from sendline.campaigns.arrow import load_arrow
from sendline.campaigns.recipients.columns import Columns, Layout, checked_names, lay_out
from sendline.campaigns.recipients.files import CHUNK, File
from sendline.campaigns.recipients.rows import BadRow, Row
from sendline.campaigns.recipients.values import checked_text
from sendline.contract.errors import InvalidCampaign

_BATCH_CELLS: Final = 8_192
_FEWEST_ROWS: Final = 16
_UNREADABLE: Final = b"\xff"
"""Stands for a value that pyarrow can't give: a string that is no UTF-8, a year past 9999."""


class Parquet:
    """Reads the rows of a Parquet file. Raises InvalidCampaign where it is damaged, or pyarrow is missing."""

    def __init__(self, file: File, columns: Columns) -> None:
        self._arrow, parquet = load_arrow("recipients", "reading Parquet")
        self._file = file
        self._errors = (self._arrow.ArrowException, OSError, ValueError, LookupError, EOFError, OverflowError)
        try:
            file.stream.seek(0)
        except (OSError, ValueError):
            raise InvalidCampaign(
                "recipients", f"{file.name} is a stream: Parquet is read from files, so save it as one"
            ) from None
        try:
            self._reader: Any = parquet.ParquetFile(file.stream, buffer_size=CHUNK)
            self._names = checked_names(self._reader.schema_arrow.names)
        except self._errors as error:
            raise self._damaged(error) from None
        self.layout: Layout = lay_out(columns, self._names)
        self._done = 0

    def read(self) -> int:
        """Return how many of the file's bytes are read, judged by its rows."""
        rows = int(self._reader.metadata.num_rows)
        return (self._file.size or 0) * self._done // max(1, rows)

    def __iter__(self) -> Iterator[Row | BadRow]:
        for batch in self._batches():
            values = [self._values(column) for column in batch.columns[: len(self._names)]]
            for cells in zip(*values, strict=True):
                self._done += 1
                yield _row(self._done, cells, self.layout)

    def _batches(self) -> Iterator[Any]:
        size = max(_FEWEST_ROWS, _BATCH_CELLS // len(self._names))
        try:
            yield from self._reader.iter_batches(batch_size=size, use_threads=False)
        except self._errors as error:
            raise self._damaged(error) from None

    def _damaged(self, error: Exception) -> InvalidCampaign:
        return InvalidCampaign(
            "recipients", f"{self._file.name} is no Parquet file, or it is damaged ({type(error).__name__})"
        )

    def _values(self, column: Any) -> list[object]:
        """Return the column's values as Python has them."""
        types = self._arrow.types
        try:
            if types.is_timestamp(column.type) and column.type.unit == "ns":
                column = column.cast(self._arrow.timestamp("us", column.type.tz), safe=False)
            if types.is_float32(column.type):  # by its text, or 0.1 would be 0.10000000149011612
                return [None if text is None else float(text) for text in column.cast("string").to_pylist()]
            return list(column.to_pylist())
        except self._errors:
            return [self._value(cell) for cell in column]

    def _value(self, cell: Any) -> object:
        try:
            return cell.as_py()
        except self._errors:
            return _UNREADABLE


def _row(line: int, cells: Iterable[object], layout: Layout) -> Row | BadRow:
    try:
        values = {name: checked_text(cell) for name, cell in zip(layout.names, cells, strict=True)}
    except ValueError as error:
        return BadRow(line, str(error))
    to = values.pop(layout.to)
    sender = values.pop(layout.sender) or None if layout.sender is not None else None
    not_before = values.pop(layout.not_before) or None if layout.not_before is not None else None
    return Row(line, to, values, sender, not_before)
