"""Recipients of iterables and of JSON lines: each row is a number, or an object with columns of its own."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from sendline.campaigns.recipients.columns import Columns, Layout, lay_out
from sendline.campaigns.recipients.lines import flaw_of_line
from sendline.campaigns.recipients.rows import MAX_COLUMNS, MAX_NAME, BadRow, Row, flaw_of
from sendline.campaigns.recipients.values import checked_text

_NEITHER: Final = "neither a number in quotes nor an object with columns"
_NOT_JSON: Final = "not JSON, one object in a line"

_SENDER: Final = "sender"
_NOT_BEFORE: Final = "not_before"
_BLANK: Final = object()


def read_items(items: Iterable[object], columns: Columns) -> Iterator[Row | BadRow]:
    """Yield a row for each item. Raises InvalidCampaign where the first lacks a column that is asked for."""
    layout: Layout | None = None
    for line, item in enumerate(items, 1):
        if item is _BLANK:
            continue
        if not isinstance(item, str | Mapping):
            yield item if isinstance(item, BadRow) else BadRow(line, _NEITHER)
            continue
        values = {"to": item} if isinstance(item, str) else item
        layout = layout or lay_out(columns, [name for name in values if isinstance(name, str)])
        yield _row(line, values, layout)


def json_items(lines: Iterable[str], encoding: str) -> Iterator[object]:
    """Yield what each line of JSON means: or BadRow."""
    for number, line in enumerate(lines, 1):
        reason = flaw_of_line(line, encoding)
        if reason is not None:
            yield BadRow(number, reason)
        elif line.isspace():
            yield _BLANK
        else:
            yield _parsed(number, line)


def _parsed(number: int, line: str) -> object:
    try:
        return json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return BadRow(number, _NOT_JSON)


def _refuse(constant: str) -> float:
    raise ValueError(constant)  # NaN and Infinity are no JSON


def _row(line: int, item: Mapping[str, object], layout: Layout) -> Row | BadRow:
    if len(item) > MAX_COLUMNS:
        return BadRow(line, f"has more than {MAX_COLUMNS} columns")
    if layout.to not in item:
        return BadRow(line, "lacks the column of the recipient")
    values: dict[str, str] = {}
    for name, value in item.items():
        reason = _flaw_of_name(name)
        if reason is not None:
            return BadRow(line, reason)
        try:
            values[name] = checked_text(value)
        except ValueError as error:
            return BadRow(line, str(error))
    to = values.pop(layout.to)
    sender = values.pop(layout.sender or _SENDER, None) or None
    not_before = values.pop(layout.not_before or _NOT_BEFORE, None) or None
    return Row(line, to, values, sender, not_before)


def _flaw_of_name(name: object) -> str | None:
    if not isinstance(name, str) or not name:
        return "a column has no name"
    if len(name) > MAX_NAME:
        return f"the name of a column is longer than {MAX_NAME} characters"
    return flaw_of(name)
