"""Any table reads back as it was written, and any bytes lead to rows, bad rows or one clear error."""

import csv
import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from sendline.campaigns.recipients import BadRow, Row, files, open_source
from sendline.contract.errors import InvalidCampaign

NUMBERS = st.integers(10**7, 10**14).map("+{}".format)
NAMES = st.lists(
    st.from_regex(r"[A-Za-zéЖ][A-Za-z0-9 _é]{0,10}[a-z]", fullmatch=True), max_size=4, unique=True
)
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
VALUES = st.text(CHARACTERS | st.sampled_from(',;\t|"\r\n \u2028'), max_size=12)
DIALECTS = st.fixed_dictionaries(
    {
        "delimiter": st.sampled_from(",;\t|"),
        "lineterminator": st.sampled_from(["\n", "\r\n", "\r"]),
        "quoting": st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC]),
    }
)
ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"])
PIECES = st.sampled_from(
    [b"\xe9", b"to", b"name", b"+13115552301", b",", b";", b"\t", b"|", b'"', b'""', b"\n", b"\r", b"\r\n",
     b"\xff", b"\0",
     b"\xef\xbb\xbf", b"\xff\xfe", b"{", b"}", b'{"to":"1"}', b"[", b":", b"x" * 1601, b"x" * 65_530,
     b" ", b"PAR1", b"\x81", b"sep=;", b"1e999"]
)  # fmt: skip
BYTES = st.binary(max_size=300) | st.lists(PIECES, max_size=30).map(b"".join)
FORMATS = st.sampled_from([None, "csv", "jsonl", "parquet"])
NAMED = st.sampled_from(
    [None, "utf-8", "cp1252", "utf-16", "utf-32-be", "gb18030", "shift_jis", "iso2022_jp", "hz"]
)


def check_line(text):
    assert "\n" not in text
    assert len(text) < 2_000


def written(table, dialect):
    """Write `table`; Python 3.11 leaves line breaks unquoted that aren't its own, so those go then."""
    if dialect["quoting"] == csv.QUOTE_MINIMAL:
        for row in table:
            row[:] = ["".join(cell.split()) if not cell.isprintable() else cell for cell in row]
    text = io.StringIO(newline="")
    csv.writer(text, **dialect).writerows(table)
    return text.getvalue()


@st.composite
def tables(draw):
    names = draw(NAMES)
    assume(not {"to", "sender", "not_before"} & set(names))
    place = draw(st.integers(0, len(names)))
    header = [*names[:place], "to", *names[place:]]
    cells = [NUMBERS if name == "to" else VALUES for name in header]
    return header, draw(st.lists(st.tuples(*cells).map(list), min_size=1, max_size=8))


def lines_of_records(text, dialect):
    """Count with Python's own reader where each record of `text` begins."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=dialect["delimiter"])
    begins, before = [], 0
    for cells in reader:
        if cells:
            begins.append(before + 1)
        before = reader.line_num
    return begins[1:]


@given(tables(), DIALECTS, ENCODINGS, st.booleans())
def test_any_table_reads_back_as_it_was_written(table, dialect, encoding, as_text):
    header, rows = table
    text = written([header, *rows], dialect)
    stream = io.StringIO(text, newline="") if as_text else io.BytesIO(text.encode(encoding))
    with open_source(stream, format="csv") as source:
        found = list(source)
    place = header.index("to")
    names = [name for name in header if name != "to"]
    expected = [
        Row(line, row[place], dict(zip(names, row[:place] + row[place + 1 :], strict=True)))
        for line, row in zip(lines_of_records(text, dialect), rows, strict=True)
    ]
    assert found == expected


@given(st.lists(st.tuples(NUMBERS, VALUES).map(list), min_size=1, max_size=50), DIALECTS, st.data())
def test_it_makes_no_difference_how_a_stream_is_cut(rows, dialect, data):
    text = written([["to", "text"], *rows], dialect).encode()
    whole = io.BytesIO(text)

    class Dripping(io.RawIOBase):
        def read(self, size=-1):
            return whole.read(data.draw(st.integers(1, 40)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "HEAD", 20)
        with open_source(Dripping(), format="csv", encoding="utf-8") as source:
            dripped = list(source)
    with open_source(io.BytesIO(text), format="csv") as source:
        assert list(source) == dripped
    assert [row.variables["text"] for row in dripped] == [value for _, value in rows]


@given(BYTES, FORMATS, NAMED)
@example(b'to,text\n+1,"' + b"x" * 70_000, "csv", None)
@example(b"to\n" + b"\r" * 70_000, "csv", None)
@example(b'"' * 70_000, None, None)
@example(b"[" * 70_000, "jsonl", None)
@example(b'{"to":"1"}\n' + b"[" * 60_000, "jsonl", None)
def test_any_bytes_lead_to_rows_bad_rows_or_one_clear_error(data, form, encoding):
    try:
        with open_source(io.BytesIO(data), format=form, encoding=encoding) as source:
            rows = list(source)
    except InvalidCampaign as error:
        check_line(str(error))
        return
    assert rows
    assert [row.line for row in rows] == sorted({row.line for row in rows})
    for row in rows:
        if isinstance(row, BadRow):
            assert len(row.reason) < 100
        else:
            text = "".join([row.to, *row.variables, *row.variables.values()])
            assert "\0" not in text
            text.encode()


@given(st.lists(BYTES, max_size=6))
def test_good_rows_around_any_damage_within_its_line_are_read(pieces):
    damage = [b"".join(piece.split()).replace(b'"', b"") for piece in pieces]
    good = [b"+1311555%04d,fine\n" % number for number in range(len(damage) + 1)]
    lines = [line for pair in zip(good, [piece + b"\n" for piece in damage], strict=False) for line in pair]
    data = b"to,text\n+13115550000,\xc3\xa9" + b"\xc3\xa9" * 1000 + b"\n" + b"".join([*lines, good[-1]])
    assume(b"\0" not in data)
    with open_source(io.BytesIO(data), encoding="utf-8", format="csv") as source:
        found = {row.to for row in source if isinstance(row, Row)}
    assert {line.split(b",")[0].decode() for line in good} <= found


@given(st.binary(min_size=1, max_size=40), st.integers(0, 10**6))
def test_a_damaged_parquet_file_leads_to_rows_or_one_clear_error(damage, where):
    whole = io.BytesIO()
    pq.write_table(pa.table({"to": ["1"] * 50, "x": [str(n) for n in range(50)]}), whole)
    data = bytearray(whole.getvalue())
    where %= len(data)
    data[where : where + len(damage)] = damage
    try:
        with open_source(io.BytesIO(bytes(data)), format="parquet") as source:
            assert all(isinstance(row, Row | BadRow) for row in source)
    except InvalidCampaign as error:
        check_line(str(error))
