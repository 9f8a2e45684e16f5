"""Recipients of JSON lines, of iterables and of Parquet."""

import io
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from types import MappingProxyType
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sendline.campaigns.recipients import BadRow, Columns, Row, open_source
from sendline.contract.errors import InvalidCampaign

ADA, BOB = "+13115552301", "+13115552302"
NOT_JSON = "not JSON, one object in a line"
NEITHER = "neither a number in quotes nor an object with columns"
NO_VALUE = "a value is neither text, a number, a date nor true or false"


def read(source, columns=None, **options):
    with open_source(source, columns, **options) as opened:
        return list(opened)


def lines(*texts):
    return io.BytesIO("\n".join(texts).encode())


def refusal(source, columns=None, **options):
    with pytest.raises(InvalidCampaign) as caught:
        read(source, columns, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def parquet(path, **columns):
    pq.write_table(pa.table(columns), path)
    return path


def test_each_line_of_json_has_columns_of_its_own():
    with open_source(
        lines(f'{{"phone": "{ADA}", "x": "1"}}', "", f'{{"y": "2", "phone": "{BOB}"}}')
    ) as source:
        assert source.variables is None
        assert list(source) == [Row(1, ADA, {"x": "1"}), Row(3, BOB, {"y": "2"})]


def test_a_line_of_json_may_be_a_number_in_quotes():
    assert read(lines(f'"{ADA}"', f'"{BOB}"'), format="jsonl") == [Row(1, ADA, {}), Row(2, BOB, {})]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("3", "3"), ("3.0", "3"), ("-0.0", "0"), ("0.1", "0.1"), ("1e3", "1000"), ("1e-7", "0.0000001"),
        ("13115552301.0", "13115552301"), ("true", "true"), ("false", "false"), ("null", ""),
        ('"\\u00e9"', "é"), ("1e22", "10000000000000000000000"), ('" a "', " a "),
    ],
)  # fmt: skip
def test_values_of_json_are_written_as_people_write_them(value, text):
    assert read(lines(f'{{"to": "{ADA}", "x": {value}}}')) == [Row(1, ADA, {"x": text})]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", NOT_JSON),
        ("to,name", NOT_JSON),
        ('{"to": NaN}', NOT_JSON),
        ('{"to": ' + "9" * 5000 + "}", NOT_JSON),
        ("[" * 30_000, NOT_JSON),
        ("[]", NEITHER),
        ("13115552301", NEITHER),
        ("null", NEITHER),
        ("{}", "lacks the column of the recipient"),
        ('{"phone": "1"}', "lacks the column of the recipient"),
        ('{"to": "1", "x": {"y": 1}}', NO_VALUE),
        ('{"to": ["1"]}', NO_VALUE),
        ('{"to": "1", "": "x"}', "a column has no name"),
        ('{"to": "1", "' + "x" * 65 + '": "x"}', "the name of a column is longer than 64 characters"),
        ('{"to": "1", "x": "' + "x" * 1601 + '"}', "a value is longer than 1,600 characters"),
        ('{"to": "1", "x": 1e999}', "a number is infinite"),
        (
            r'{"to": "1", "x": "\ud800"}',
            "holds characters that are not text (a NUL, or half a surrogate pair)",
        ),
        (
            r'{"to": "1", "x": "\u0000"}',
            "holds characters that are not text (a NUL, or half a surrogate pair)",
        ),
        (r'"\u0000"', "holds characters that are not text (a NUL, or half a surrogate pair)"),
        ('{"to": "1", ' + ",".join(f'"c{n}": 1' for n in range(200)) + "}", "has more than 200 columns"),
    ],
)
def test_a_line_of_json_that_cannot_be_read_is_a_bad_row(line, reason):
    good = f'{{"to": "{ADA}"}}'
    assert read(lines(good, line, good)) == [Row(1, ADA, {}), BadRow(2, reason), Row(3, ADA, {})]


@pytest.mark.parametrize("text", ['[{"to": "1"}]', '\n [\n{"to": "1"},\n{"to": "2"}]', '{\n "to": "1"\n}'])
def test_an_array_of_json_is_refused(text):
    assert refusal(lines(text), name="people.json") == (
        "recipients: people.json is not JSON lines: write one object per line, without a list around them"
    )


def test_columns_of_json_are_judged_by_the_first_object():
    assert "'name', 'city'" in refusal(lines('{"name": "Ada", "city": "x"}'))
    assert "there is no column 'cell'" in refusal(lines('{"to": "1"}'), Columns(to="cell"))
    assert "no columns" in refusal(lines("{}"))
    assert "there is no column 'cell'" in refusal(
        lines("oops", '{"to": "1"}'), Columns(to="cell"), format="jsonl"
    )


def test_overrides_are_found_in_each_row():
    rows = read([{"to": ADA}, {"to": BOB, "sender": "Acme", "not_before": datetime(2026, 1, 1, tzinfo=UTC)}])
    assert rows == [Row(1, ADA, {}), Row(2, BOB, {}, "Acme", "2026-01-01T00:00:00+00:00")]


def test_named_columns_of_mappings_are_taken():
    [row] = read(
        [{"cell": ADA, "from": "Acme", "when": None, "sender": "x"}], Columns("cell", "from", "when")
    )
    assert row == Row(1, ADA, {"sender": "x"}, "Acme", None)


def test_an_iterable_may_be_of_numbers_or_of_mappings():
    with open_source(iter([ADA, BOB])) as source:
        assert (source.variables, source.size, source.read, source.fingerprint) == (None, None, 0, None)
        assert list(source) == [Row(1, ADA, {}), Row(2, BOB, {})]
    assert read([MappingProxyType({"to": ADA, "x": "1"})]) == [Row(1, ADA, {"x": "1"})]


@pytest.mark.parametrize("item", [7, None, b"1", (ADA,), object()])
def test_an_item_that_is_neither_is_a_bad_row(item):
    assert read([ADA, item, BOB]) == [Row(1, ADA, {}), BadRow(2, NEITHER), Row(3, BOB, {})]


def test_columns_without_text_names_are_bad_rows():
    assert read([{"to": ADA}, {"to": BOB, 7: "x"}])[1] == BadRow(2, "a column has no name")


@pytest.mark.parametrize("items", [[], iter(()), (n for n in ())])
def test_an_iterable_without_items_is_refused(items):
    assert refusal(items) == "recipients: the list holds no recipients"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (date(2026, 1, 31), "2026-01-31"),
        (Decimal("3.50"), "3.50"),
        (Decimal("1e5"), "100000"),
        (Decimal("NaN"), ""),
        (float("nan"), ""),
        (b"abc", "abc"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
)
def test_values_of_python_are_written_as_people_write_them(value, text):
    assert read([{"to": ADA, "x": value}]) == [Row(1, ADA, {"x": text})]


@pytest.mark.parametrize("value", [object(), [1], {}, b"\xff", float("inf"), 10**1700, Decimal("1e9999999")])
def test_values_of_python_without_such_a_form_are_bad_rows(value):
    assert [type(row) for row in read([{"to": ADA, "x": value}])] == [BadRow]


def test_parquet_is_read_with_its_types(tmp_path):
    path = parquet(
        tmp_path / "people.parquet",
        to=pa.array([ADA, BOB, None]),
        amount=pa.array([3.0, 0.5, None]),
        small=pa.array([0.1, None, 3.0], pa.float32()),
        price=pa.array([Decimal("1.50"), None, None]),
        count=pa.array([1, 2, None]),
        day=pa.array([date(2026, 1, 31), None, None]),
        at=pa.array([1_700_000_000_123_456_789, None, None], pa.timestamp("ns", "UTC")),
        ok=pa.array([True, False, None]),
        sender=pa.array(["Acme", "", None]),
        kind=pa.array(["a", "b", None]).dictionary_encode(),
    )
    empty = dict.fromkeys(("price", "day", "at"), "")
    with open_source(path) as source:
        assert source.variables == ("amount", "small", "price", "count", "day", "at", "ok", "kind")
        assert list(source) == [
            Row(1, ADA, {"amount": "3", "small": "0.1", "price": "1.50", "count": "1", "day": "2026-01-31",
                         "at": "2023-11-14T22:13:20.123456+00:00", "ok": "true", "kind": "a"}, "Acme"),
            Row(2, BOB, {"amount": "0.5", "small": "", "count": "2", "ok": "false", "kind": "b"} | empty),
            Row(3, "", {"amount": "", "small": "3", "count": "", "ok": "", "kind": ""} | empty),
        ]  # fmt: skip
        assert source.read == source.size == path.stat().st_size
        assert source.fingerprint


def test_parquet_is_told_by_its_first_bytes_and_read_from_an_open_file(tmp_path):
    path = parquet(tmp_path / "people", to=[ADA])
    assert read(path) == read(io.BytesIO(path.read_bytes())) == [Row(1, ADA, {})]


def test_numbers_of_a_parquet_file_may_be_numbers(tmp_path):
    assert read(parquet(tmp_path / "a.parquet", to=[13115552301])) == [Row(1, "13115552301", {})]


def test_values_of_parquet_that_cannot_be_read_cost_their_row(tmp_path):
    broken = pa.Array.from_buffers(
        pa.string(), 2, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0"), pa.py_buffer(b"a\xff")]
    )
    path = parquet(tmp_path / "a.parquet", to=[ADA, BOB], x=broken, y=pa.array([None, [1]]))
    assert read(path) == [Row(1, ADA, {"x": "a", "y": ""}), BadRow(2, "a value is binary")]
    far = pa.array([2**50, 0], pa.timestamp("s"))
    path = parquet(tmp_path / "b.parquet", to=[ADA, BOB], at=far)
    assert read(path) == [BadRow(1, "a value is binary"), Row(2, BOB, {"at": "1970-01-01T00:00:00"})]
    path = parquet(tmp_path / "c.parquet", to=[ADA, BOB], y=pa.array([[1], None]))
    assert read(path) == [BadRow(1, NO_VALUE), Row(2, BOB, {"y": ""})]


def test_a_parquet_file_that_cannot_be_used_is_refused(tmp_path):
    path = parquet(tmp_path / "a.parquet", to=["1"] * 1000, x=[str(n) for n in range(1000)])
    whole = path.read_bytes()
    for data in (
        b"",
        b"to\n1\n",
        whole[:-1],
        whole[: len(whole) // 2],
        b"PAR1PAR1",
        whole[:-9] + b"\xff" + whole[-8:],
    ):
        path.write_bytes(data)
        assert refusal(path).startswith(f"recipients: {path} is no Parquet file, or it is damaged (")
    assert "no recipients" in refusal(parquet(path, to=pa.array([], pa.string())))
    assert "'name', 'x'" in refusal(parquet(path, name=["a"], x=["b"]))
    assert "called 'x'" in refusal(_repeated(path))
    assert "is open as text" in refusal(io.StringIO("PAR1"), format="parquet")


def _repeated(path):
    pq.write_table(pa.table([["1"], ["2"], ["3"]], names=["to", "x", "x"]), path)
    return path


def test_parquet_from_a_stream_is_refused(tmp_path):
    class Stream(io.BytesIO):
        def seek(self, *_):
            raise io.UnsupportedOperation("seek")

    path = parquet(tmp_path / "people", to=[ADA])
    assert refusal(Stream(path.read_bytes())) == (
        "recipients: the file is a stream: Parquet is read from files, so save it as one"
    )


def test_without_pyarrow_the_error_says_what_to_install(tmp_path, monkeypatch):
    path = parquet(tmp_path / "people.parquet", to=[ADA])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert refusal(path) == "recipients: reading Parquet needs pyarrow: pip install 'sendline[parquet]'"
