"""Cells of a CSV file that a spreadsheet would run as a formula, made plain text (OWASP: CSV injection)."""

import re
from typing import Final

from sendline.contract.numbers import is_number

_FORMULA: Final = re.compile(r"[\s\x00-\x20\u00ad\u180e\u200b-\u200f\u2060\ufeff]*[=+\-@\t\r\n＝＋－＠]")  # noqa: RUF001 - full-width forms count too


def defuse(text: str) -> str:
    """Return `text` such that no spreadsheet runs it: an apostrophe goes before what would begin a formula.

    That is = + - @, tab, carriage return and line feed, also in their full-width forms and behind spaces or
    invisible characters. NULs, which readers of CSV stumble over, are removed; line breaks stay: csv quotes
    them.

    A phone number in E.164 (+13115552367 exactly) stays as it is: a sign and digits are a number to a
    spreadsheet, with no function, reference or operator that could run, and an apostrophe would spoil the
    column for everything that reads it as numbers.
    """
    if "\0" in text:
        text = text.replace("\0", "")
    if text[:1].isalnum():
        return text  # what most cells are
    if _FORMULA.match(text) is None or is_number(text):
        return text
    return f"'{text}"
