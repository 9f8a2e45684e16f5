"""Opening a source of recipients, whatever it is."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import IO, Any, Final, cast

from sendline.campaigns.recipients.columns import Columns
from sendline.campaigns.recipients.encodings import Encoding, cleaned, encoding_of, texts
from sendline.campaigns.recipients.files import Chunks, File, open_path, wrap
from sendline.campaigns.recipients.items import json_items, read_items
from sendline.campaigns.recipients.lines import lines_of
from sendline.campaigns.recipients.parquet import Parquet
from sendline.campaigns.recipients.rows import BadRow, Row
from sendline.campaigns.recipients.source import Source
from sendline.campaigns.recipients.tables import read_table
from sendline.contract.errors import InvalidCampaign

CSV: Final = "csv"
JSON_LINES: Final = "jsonl"
PARQUET: Final = "parquet"
FORMATS: Final = (CSV, JSON_LINES, PARQUET)

_BY_SUFFIX: Final = {
    ".csv": CSV,
    ".tsv": CSV,
    ".txt": CSV,
    ".jsonl": JSON_LINES,
    ".ndjson": JSON_LINES,
    ".json": JSON_LINES,
    ".parquet": PARQUET,
}
_MAGIC: Final = b"PAR1"

Openable = str | os.PathLike[str] | IO[bytes] | IO[str] | Iterable[str | Mapping[str, object]]
Rows = Iterator[Row | BadRow]


def open_source(
    source: Openable,
    columns: Columns | None = None,
    *,
    format: str | None = None,  # noqa: A002 - the word for it
    encoding: str | None = None,
    name: str | None = None,
) -> Source:
    """Open `source` and read as far as its first row.

    `source` is a path ("-" is standard input), a file that is open for reading, or an iterable of numbers or
    of mappings from column to value. Of files, `format` is one of FORMATS (None: by the name's ending, else
    by the first bytes) and `encoding` a codec of Python (None: UTF-8, or as the byte order mark says, else
    guessed). `name` is what errors call it. A file that was open already is left open.

    Raises InvalidCampaign where no recipients can be read from it, or its columns can't be told apart.
    """
    columns = columns or Columns()
    if format is not None and format not in FORMATS:
        raise InvalidCampaign("format", f"there is none called {format[:40]!a}; use {', '.join(FORMATS)}")
    if isinstance(source, str | os.PathLike):
        file = open_path(source, name)
    elif hasattr(source, "read"):
        file = wrap(cast("IO[Any]", source), name)
    else:
        return _open_items(source, columns, name or "the list")
    try:
        return _open_file(file, columns, format, encoding)
    except BaseException:
        file.close()
        raise


def _open_items(source: object, columns: Columns, name: str) -> Source:
    if isinstance(source, bytes | bytearray | Mapping) or not isinstance(source, Iterable):
        raise InvalidCampaign(
            "recipients", "pass a path, an open file, or an iterable of numbers or mappings"
        )
    return Source(_begun(read_items(source, columns), name), name=name)


def _open_file(file: File, columns: Columns, form: str | None, named: str | None) -> Source:
    form = form or _BY_SUFFIX.get(Path(file.name).suffix.lower())
    chunks = Chunks(file)
    if form == PARQUET or (form is None and chunks.head[:4] == _MAGIC):
        if isinstance(chunks.head, str):
            raise InvalidCampaign(
                "recipients", f"{file.name} is open as text; open it as binary to read Parquet"
            )
        return _open_parquet(file, columns)
    if isinstance(chunks.head, str):
        encoding = Encoding(getattr(file.stream, "encoding", None) or "unicode")
        text = cleaned(chunks)
    else:
        encoding = encoding_of(chunks.head, file.name, named)
        text = texts(chunks, encoding.name)
    first = next(text, "")
    form = form or (JSON_LINES if first.lstrip().startswith(("{", "[")) else CSV)
    lines = lines_of(chain([first], text))
    variables = None
    if form == JSON_LINES:
        _refuse_array(first, file.name)
        rows = read_items(json_items(lines, encoding.name), columns)
    else:
        layout, rows = read_table(lines, columns, file.name, encoding.name)
        variables = layout.variables
    return _source(file, rows, lambda: chunks.taken, variables, encoding)


def _open_parquet(file: File, columns: Columns) -> Source:
    parquet = Parquet(file, columns)
    return _source(file, iter(parquet), parquet.read, parquet.layout.variables)


def _source(
    file: File,
    rows: Rows,
    read: Callable[[], int],
    variables: tuple[str, ...] | None,
    encoding: Encoding | None = None,
) -> Source:
    return Source(
        _begun(rows, file.name),
        name=file.name,
        variables=variables,
        encoding=None if encoding is None else encoding.name,
        guessed=encoding is not None and encoding.guessed,
        size=file.size,
        fingerprint=file.fingerprint,
        read=read,
        close=file.close,
    )


def _begun(rows: Rows, name: str) -> Rows:
    """Return `rows`, the first of which is read. Raises InvalidCampaign where there is none."""
    first = next(rows, None)
    if first is None:
        raise InvalidCampaign("recipients", f"{name} holds no recipients")
    return chain([first], rows)


def _refuse_array(first: str, name: str) -> None:
    begin = first.lstrip()
    if begin.startswith("[") or begin.partition("\n")[0].strip() == "{":
        raise InvalidCampaign(
            "recipients", f"{name} is not JSON lines: write one object per line, without a list around them"
        )
