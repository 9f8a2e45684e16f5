"""Recipients of CSV files."""

from collections.abc import Iterator
from itertools import chain
from typing import Final

from sendline.campaigns.recipients.columns import (
    Columns,
    Layout,
    checked_names,
    is_to_name,
    lay_out,
    looks_like_a_number,
)
from sendline.campaigns.recipients.dialects import dialect_of
from sendline.campaigns.recipients.records import Record, Records
from sendline.campaigns.recipients.rows import BadRow, Row
from sendline.contract.errors import InvalidCampaign

_SAMPLE_LINES: Final = 50
_SAMPLE_SIZE: Final = 65_536


def read_table(
    lines: Iterator[str], columns: Columns, name: str, encoding: str
) -> tuple[Layout, Iterator[Row | BadRow]]:
    """Return the layout of a CSV file and its rows. Raises InvalidCampaign where its header can't be used."""
    sample = _sample(lines)
    dialect = dialect_of(sample, columns.to)
    records = iter(Records(chain(sample, lines), dialect, encoding))
    del sample
    if dialect.hinted:
        next(records)
    first = next(
        (record for record in records if isinstance(record, BadRow) or any(map(str.strip, record[1]))), None
    )
    if first is None:
        raise InvalidCampaign("recipients", f"{name} holds no recipients")
    if isinstance(first, BadRow):
        raise InvalidCampaign("recipients", f"line {first.line} of {name}, its header: {first.reason}")
    layout, with_header = _layout(first[1], columns, name)
    return layout, _rows(records if with_header else chain([first], records), layout)


def _sample(lines: Iterator[str]) -> list[str]:
    sample: list[str] = []
    size = 0
    for line in lines:
        sample.append(line)
        size += len(line)
        if len(sample) == _SAMPLE_LINES or size >= _SAMPLE_SIZE:
            break
    return sample


def _layout(cells: list[str], columns: Columns, name: str) -> tuple[Layout, bool]:
    """Return the layout that the first record tells, and whether that record is a header."""
    named = any(is_to_name(cell) or cell.strip() == columns.to for cell in cells)
    if named or not any(map(looks_like_a_number, cells)):
        return lay_out(columns, checked_names(cells)), True
    if any(cell.strip() for cell in cells[1:]):
        raise InvalidCampaign(
            "recipients", f"{name} needs a header: a first line that names its columns, as in: to,name"
        )
    return lay_out(columns, ("to",)), False


def _rows(records: Iterator[Record | BadRow], layout: Layout) -> Iterator[Row | BadRow]:
    width, variables = len(layout.names), layout.variables
    places = {name: place for place, name in enumerate(layout.names)}
    to = places[layout.to]
    sender = None if layout.sender is None else places[layout.sender]
    not_before = None if layout.not_before is None else places[layout.not_before]
    taken = sorted((place for place in (to, sender, not_before) if place is not None), reverse=True)
    for record in records:
        if isinstance(record, BadRow):
            yield record
            continue
        line, cells = record
        given = len(cells)
        if given != width and not _fit(cells, width):
            yield BadRow(line, f"has {given} cells, and the header {width}")
            continue
        number = cells[to]
        if (not number or number.isspace()) and not "".join(cells).strip():
            continue
        sent_by = None if sender is None else cells[sender] or None
        earliest = None if not_before is None else cells[not_before] or None
        for place in taken:
            del cells[place]
        values = dict(zip(variables, cells))  # noqa: B905 - their lengths are equal by now, and it costs
        for name in layout.names[given:]:
            values.pop(name, None)  # what a row lacks is not empty
        yield Row(line, number, values, sent_by, earliest)


def _fit(cells: list[str], width: int) -> bool:
    """Make `cells` as wide as the header; return False where they are more, and those not all empty."""
    while len(cells) > width:
        if cells[-1]:
            return False
        cells.pop()
    cells.extend([""] * (width - len(cells)))
    return True
