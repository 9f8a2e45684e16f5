"""What is too long, damaged or without an end: told as bad rows, in bounded memory, never run ahead of."""

import io
import os
import threading
import tracemalloc

import pytest

from sendline.campaigns.recipients import BadRow, Columns, Row, open_source
from sendline.contract.errors import InvalidCampaign

ADA, BOB, EVE = "+13115552301", "+13115552302", "+13115552303"
TOO_LONG = "longer than 65536 bytes"
BAD_QUOTES = "its quotes don't match; a quote inside a quoted cell is written twice"


class Endless(io.RawIOBase):
    """A file that is made as it is read: `begin`, `size` bytes of `filling`, `end`."""

    def __init__(self, begin, filling, size, end):
        self.parts = [begin, end]
        self.block = filling * (65_536 // len(filling))
        self.left = size

    def readable(self):
        return True

    def read(self, size=-1):
        assert 0 <= size <= 65_536
        if len(self.parts) == 2:
            return self.parts.pop(0)
        if self.left > 0:
            self.left -= len(self.block)
            return self.block
        return self.parts.pop() if self.parts else b""


def read(data, **options):
    with open_source(io.BytesIO(data), **options) as source:
        return list(source)


def peak_of(work):
    tracemalloc.start()
    try:
        found = work()
        return found, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [64_000, 65_400, 65_530, 65_536, 65_537, 70_000, 131_072, 262_144, 400_000])
@pytest.mark.parametrize("line_break", [b"\n", b"\r\n", b"\r"])
def test_a_line_that_is_too_long_is_one_bad_row_and_reading_goes_on_behind_it(size, line_break):
    text = b"".join(
        line + line_break for line in (b"to,text", ADA.encode() + b",a", b"x" * size, BOB.encode() + b",b")
    )
    first, middle, last = read(text, format="csv")
    assert (first, last) == (Row(2, ADA, {"text": "a"}), Row(4, BOB, {"text": "b"}))
    whole = size + len(line_break) <= 65_536
    assert middle == BadRow(3, "a value is longer than 1,600 characters" if whole else TOO_LONG)


@pytest.mark.parametrize("size", [65_537, 70_000, 131_073])
def test_a_line_of_json_that_is_too_long_is_a_bad_row(size):
    good = b'{"to": "%s"}\n' % ADA.encode()
    text = good + good.strip().ljust(size - 1) + b"\n" + good
    assert read(text) == [Row(1, ADA, {}), BadRow(2, TOO_LONG), Row(3, ADA, {})]


def test_a_line_that_is_too_long_may_be_the_last():
    assert read(f"to\n{ADA}\n".encode() + b"x" * 300_000) == [Row(2, ADA, {}), BadRow(3, TOO_LONG)]


@pytest.mark.parametrize(
    ("begin", "filling", "end", "form"),
    [
        (b"to,text\n+13115552301,", b"x", b"\n+13115552302,b\n", "csv"),
        (b'to,text\n+13115552301,"', b"x", b'"\n+13115552302,b\n', "csv"),
        (b"to,text\n+13115552301,", "é".encode(), b"\n+13115552302,b\n", "csv"),
        (b'{"to":"+13115552301"}\n{"to":"', b"1", b'"}\n{"to":"+13115552302","text":"b"}\n', "jsonl"),
    ],
)
def test_a_line_of_twenty_megabytes_takes_the_memory_of_one_chunk(begin, filling, end, form):
    def work():
        with open_source(Endless(begin, filling, 20 << 20, end), format=form) as source:
            return list(source)

    rows, peak = peak_of(work)
    assert rows[-2:] == [BadRow(2, TOO_LONG), Row(3, BOB, {"text": "b"})]
    assert peak < 3_000_000


def test_a_header_that_never_ends_is_refused_without_being_read_whole():
    endless = Endless(b"", b"x", 100 << 20, b"")
    with pytest.raises(InvalidCampaign, match="line 1 of the file, its header: longer than 65536 bytes"):
        open_source(endless)


def test_many_rows_take_no_memory():
    def work():
        with open_source(Endless(b"to,text\n", f"{ADA},hello\n".encode() * 64, 800_000, b"")) as source:
            return sum(1 for _ in source)

    count, peak = peak_of(work)
    assert count > 40_000
    assert peak < 3_000_000


def test_a_quote_that_never_ends_costs_its_row_and_no_other():
    others = [f"+1311555{number:04d}" for number in range(9_000)]
    text = f'to,text\n{ADA},"hello\n' + "".join(f"{other},x\n" for other in others)
    rows = read(text.encode())
    assert rows[0] == BadRow(2, TOO_LONG)
    assert rows[1:] == [Row(line, other, {"text": "x"}) for line, other in enumerate(others, 3)]


def test_a_quote_that_ends_too_late_costs_its_row_and_the_one_that_ends_it():
    others = "".join(f"+1311555{number:04d},x\n" for number in range(5_000))
    rows = read(f'to,text\n{ADA},"hello\n{others}",x\n{BOB},b\n'.encode())
    assert len(rows) == 5_003
    assert rows[0] == BadRow(2, TOO_LONG)
    assert rows[-2:] == [BadRow(5_003, BAD_QUOTES), Row(5_004, BOB, {"text": "b"})]


def test_a_quote_that_never_ends_takes_no_memory():
    def work():
        with open_source(Endless(b'to,text\n1,"', f"{ADA},x\n".encode() * 64, 800_000, b"")) as source:
            return sum(1 for _ in source)

    count, peak = peak_of(work)
    assert count > 40_000
    assert peak < 3_000_000


@pytest.mark.parametrize("line_break", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("chunks", [1, 2, 4, 5])
@pytest.mark.parametrize("off", [0, 1, 2])
def test_a_line_that_is_too_long_may_end_where_a_chunk_does(line_break, chunks, off):
    begin = b"to" + line_break + ADA.encode() + line_break
    size = chunks * 65_536 + off - len(line_break) - len(begin)
    text = begin + b"x" * size + line_break + BOB.encode() + line_break + EVE.encode()
    rows = read(text, format="csv")
    assert [rows[0], *rows[2:]] == [Row(2, ADA, {}), Row(4, BOB, {}), Row(5, EVE, {})]
    assert isinstance(rows[1], BadRow)


def test_a_quote_that_the_end_of_the_file_leaves_open_costs_its_row():
    assert read(f'to,text\n{ADA},"hello\n{BOB},b\n{EVE},c'.encode()) == [
        BadRow(2, BAD_QUOTES),
        Row(3, BOB, {"text": "b"}),
        Row(4, EVE, {"text": "c"}),
    ]


def test_a_row_swallowed_by_a_stray_quote_is_never_sent_as_text():
    assert read(f'to,text\n{ADA},"hello\n{BOB},"Bob, really"\n{EVE},"two\nlines"\n'.encode()) == [
        BadRow(2, BAD_QUOTES),
        Row(3, BOB, {"text": "Bob, really"}),
        Row(4, EVE, {"text": "two\nlines"}),
    ]


def test_quotes_that_open_on_every_line_and_never_close_take_time_in_proportion():
    rows = read(b"to,text\n" + b'x","\n' * 60_000)
    assert len(rows) == 60_000
    assert {type(row) for row in rows} == {BadRow}
    assert [row.line for row in rows] == list(range(2, 60_002))


def test_a_quoted_text_of_blank_lines_without_an_end_takes_time_in_proportion():
    rows = read(f'to,text\n{ADA},"'.encode() + b"\n" * 300_000 + BOB.encode())
    assert rows == [BadRow(2, TOO_LONG), Row(300_002, BOB, {})]


@pytest.mark.parametrize("bad", [b"\xff", b"\xe2\x82", b"\xc0\xaf", b"\xed\xa0\x80", b"\x00"])
def test_bytes_that_are_no_text_cost_their_line_only(bad):
    before = b"".join(b"+1311555%04d,\xc3\xa9\n" % number for number in range(20_000))
    rows = read(b"to,text\n" + before + ADA.encode() + b",a" + bad + b"b\n" + BOB.encode() + b",b\n")
    assert len(rows) == 20_002
    assert rows[-2:] == [
        BadRow(20_002, "holds bytes that are not text in utf-8"),
        Row(20_003, BOB, {"text": "b"}),
    ]


def test_one_damaged_line_near_the_start_does_not_make_another_encoding_of_utf8():
    text = f"to,text\n{ADA},Zoë née Müller\n".encode() + BOB.encode() + b",\xff\n"
    assert read(text) == [
        Row(2, ADA, {"text": "Zoë née Müller"}),
        BadRow(3, "holds bytes that are not text in utf-8"),
    ]


def test_damage_inside_a_quoted_text_costs_the_whole_of_it():
    text = f'to,text\n{ADA},"é\n'.encode() + b"\xff" + f'\nx"\n{BOB},é\n'.encode()
    assert read(text) == [BadRow(2, "holds bytes that are not text in utf-8"), Row(5, BOB, {"text": "é"})]


def test_utf16_that_ends_in_half_a_character_costs_its_last_line():
    text = f"to,text\n{ADA},a\n{BOB},b".encode("utf-16") + b"\x00"
    assert read(text) == [
        Row(2, ADA, {"text": "a"}),
        BadRow(3, "holds bytes that are not text in utf-16-le"),
    ]


@pytest.mark.parametrize("kind", [str, lambda number: {"to": number}])
def test_a_generator_is_never_run_ahead_by_more_than_one_item(kind):
    taken = []

    def generate():
        for number in range(10_000):
            taken.append(number)
            yield kind(f"+1311555{number:04d}")

    with open_source(generate()) as source:
        for given, _ in enumerate(source):
            assert len(taken) <= given + 2
    assert len(taken) == 10_000


def test_a_pipe_is_read_as_it_comes():
    reading, writing = os.pipe()
    first = "".join(f"+1311555{number:04d}\n" for number in range(30_000)).encode()
    with open(reading, "rb") as pipe, open(writing, "wb", buffering=0) as hand:  # noqa: PTH123
        feeder = threading.Thread(target=hand.write, args=(first,))
        feeder.start()
        with open_source(pipe) as source:
            rows = [next(source) for _ in range(29_000)]  # the writer has not closed its end
            feeder.join()
            hand.close()
            rows += source
    assert len(rows) == 30_000
    assert (source.size, source.fingerprint) == (None, None)


def test_a_named_column_is_looked_for_before_anything_is_taken():
    items = iter([{"to": ADA}, {"to": BOB}])
    with pytest.raises(InvalidCampaign, match="there is no column 'cell'; there are 'to'"):
        open_source(items, Columns(to="cell"))
    assert next(items) == {"to": BOB}
