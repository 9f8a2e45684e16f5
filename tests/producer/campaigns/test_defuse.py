"""No cell of a report runs in a spreadsheet."""

# ruff: noqa: RUF001 - full-width forms are meant

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sendline.campaigns.defuse import defuse


@pytest.mark.parametrize(
    "text",
    [
        "=1+1", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "=cmd|' /C calc'!A0", '=HYPERLINK("http://x")',
        "  =1", "\u00a0=1",
        "\u200b=1", "\ufeff@x", "\x01=1", "＝1+1", "＋1", "－1", "＠SUM(A1)", " ＝1", "-5", "+",
        "+13115552367 ", "+13115552367\n", "+1311555236x",
        "+1 311", "+١٣١١٥٥٥٢٣٦٧", "＋13115552367", "+1234567890123456",
    ],
)  # fmt: skip
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(text):
    assert defuse(text) == f"'{text}"


@pytest.mark.parametrize(
    "text",
    ["", "delivered", "+13115552367", "+4915112345678", "a=1", "5-3", "'=1", "two\nlines",
     "a,b", '"=1"', " ", "2026-01-02"],
)  # fmt: skip
def test_what_is_harmless_stays_as_it_is(text):
    assert defuse(text) == text


def test_nuls_are_removed_before_the_cell_is_judged():
    assert defuse("\0=1\0+1") == "'=1+1"
    assert defuse("a\0b") == "ab"
    assert defuse("+1311555\0002367") == "+13115552367"


@given(st.text() | st.text("=+-@\t\r\n \0'＝a1\u200b"))
@example("\t")
@example("\0\0=")
def test_no_cell_begins_with_what_runs(text):
    safe = defuse(text)
    assert "\0" not in safe
    assert safe.removeprefix("'") == text.replace("\0", "").removeprefix("'")
    assert safe.lstrip()[:1] not in set("=+-@＝＋－＠") or safe[1:].isdecimal()
    assert defuse(safe) == safe


@given(
    st.lists(
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=2, max_size=4
    )
)
def test_a_row_survives_csv(cells):
    row = [defuse(cell) for cell in cells]
    file = io.StringIO(newline="")
    csv.writer(file).writerow(row)
    file.seek(0)
    assert next(csv.reader(file)) == row
