"""Where recipients come from: paths, streams, encodings, and files that are something else."""

import gzip
import io
import os
import sys
import zipfile

import pytest

from sendline.campaigns.recipients import Row, open_source
from sendline.contract.errors import InvalidCampaign

ADA, BOB = "+13115552301", "+13115552302"
TEXT = f"to,name\n{ADA},Ada\n"
ROWS = [Row(2, ADA, {"name": "Ada"})]


def refusal(source, **options):
    with pytest.raises(InvalidCampaign) as caught, open_source(source, **options) as opened:
        list(opened)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def people(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text(TEXT)
    return path


def test_a_path_is_read_and_closed(people):
    with open_source(people) as source:
        assert list(source) == ROWS
        assert source.read == source.size == len(TEXT)
        assert source.name == str(people)
    with open_source(str(people)) as source:
        assert next(source) == ROWS[0]
        assert next(source, None) is None


def test_a_dash_is_standard_input(monkeypatch, people):
    with people.open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        with open_source("-") as source:
            assert (source.name, source.size) == ("standard input", len(TEXT))
            assert list(source) == ROWS
        assert not stdin.closed
        monkeypatch.setattr(sys, "stdin", None)
        assert refusal("-") == "recipients: standard input is closed"


def test_open_files_are_read_and_left_open(people):
    with people.open("rb") as binary, people.open() as text:
        for stream in (
            binary,
            text,
            io.BytesIO(TEXT.encode()),
            io.StringIO(TEXT),
            io.StringIO("\ufeff" + TEXT),
        ):
            with open_source(stream) as source:
                assert list(source) == ROWS
            assert not stream.closed


def test_what_a_text_file_could_not_decode_costs_its_line(people):
    people.write_bytes(TEXT.encode() + b"+13115552302,\xff\n")
    with people.open(encoding="utf-8", errors="surrogateescape") as text, open_source(text) as source:
        assert [type(row).__name__ for row in source] == ["Row", "BadRow"]
    with people.open(encoding="utf-8") as text:
        assert refusal(text) == (f"recipients: {people} is not text in the encoding that it was opened with")


def test_a_fingerprint_tells_a_file_from_another(people, tmp_path):
    def fingerprint(text):
        people.write_bytes(text)
        with open_source(people) as source, people.open("rb") as stream, open_source(stream) as again:
            assert source.fingerprint == again.fingerprint
            return source.fingerprint

    long = TEXT.encode() + b"+13115552302,b\n" * 20_000
    texts = [TEXT.encode(), TEXT.encode() + b"\n", long, long[:-2] + b"c\n", long.replace(b"Ada", b"Eva")]
    assert len({fingerprint(text) for text in texts}) == len(texts)
    assert fingerprint(long) == fingerprint(bytes(long))
    with open_source(io.BytesIO(long)) as source:
        assert (source.fingerprint, source.size) == (None, None)


def test_a_file_that_was_read_before_is_a_stream(people):
    people.write_text("a title\n" + TEXT)
    with people.open("rb") as stream:
        stream.readline()
        with open_source(stream) as source:
            assert (source.size, source.fingerprint) == (None, None)
            assert list(source) == ROWS


def test_paths_that_cannot_be_read_say_why(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    loop = tmp_path / "loop.csv"
    loop.symlink_to(loop)
    assert refusal("nobody.csv") == "recipients: there is no file nobody.csv"
    assert refusal(tmp_path) == f"recipients: {tmp_path} is a directory; name a file"
    assert refusal("loop.csv").startswith("recipients: loop.csv can't be read: too many levels of symbolic")
    assert refusal("a\0b") == r"recipients: 'a\x00b' can't be read: it is damaged"
    assert refusal("a\nb") == r"recipients: there is no file 'a\nb'"
    assert refusal(ADA) == "recipients: this is a number, not a file: pass numbers in a list"


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_file_without_permission_says_so(people):
    people.chmod(0)
    assert refusal(people) == f"recipients: {people} can't be read: permission denied"


def test_a_file_that_fails_while_it_is_read_says_so():
    class Failing(io.RawIOBase):
        given = False

        def read(self, size=-1):
            if self.given:
                raise PermissionError(13, "Permission denied")
            self.given = True
            return TEXT.encode() * 20_000

    assert refusal(Failing(), name="disk.csv") == "recipients: disk.csv can't be read: permission denied"


def test_a_stream_that_does_not_wait_is_never_taken_for_one_that_ended():
    class Impatient(io.RawIOBase):
        pieces = iter((TEXT.encode() * 20_000, None))

        def read(self, size=-1):
            return next(self.pieces)

    assert refusal(Impatient(), name="pipe") == (
        "recipients: pipe does not wait for what comes: make it block"
    )


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (gzip.compress(TEXT.encode(), mtime=0), "a gzip file; unpack it first"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "an image"),
        (b"%PDF-1.7\n%\xe2\xe3", "a PDF; save its table as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0", "an Excel or Word file; save it as CSV"),
        (b"PAR1\x15\x04", "a Parquet file; call it .parquet, or say that its format is parquet"),
        (b"to,name\n\0\0\0\n", "not text, or in another encoding: save it as CSV in UTF-8, or name it"),
        (b"t\0o\0,\0n\0\0\0", "not text, or in another encoding: save it as CSV in UTF-8, or name it"),
        (
            (TEXT + f"{BOB},田中\n").encode("iso2022_jp"),
            "not text, or in another encoding: save it as CSV in UTF-8, or name it",
        ),
        (TEXT.encode("cp037"), "in an encoding that can't be told: name it (--encoding)"),
        (TEXT.encode("cp500"), "in an encoding that can't be told: name it (--encoding)"),
    ],
    ids=[
        *("gzip", "image", "pdf", "excel", "parquet", "zeros", "zeros in utf-16"),
        *("of 7 bits", "EBCDIC", "EBCDIC of another country"),
    ],
)
def test_a_file_that_is_something_else_says_what(data, what):
    assert refusal(io.BytesIO(data), name="people.csv") == f"recipients: people.csv is {what}"


def test_an_excel_file_is_to_be_saved_as_csv(tmp_path):
    path = tmp_path / "people.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    assert refusal(path) == f"recipients: {path} is a zip or Excel file; save it as CSV"


UNMARKED = ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", *UNMARKED])
def test_unicode_is_told_by_its_mark_or_by_its_zeros(encoding):
    text = f"to;name\r\n{ADA};Zoë Жук 漢字 😀\r\n"
    with open_source(io.BytesIO(text.encode(encoding))) as source:
        assert not source.guessed
        assert list(source) == [Row(2, ADA, {"name": "Zoë Жук 漢字 😀"})]


UNICODE = ["utf-8", "utf-16-le", "utf-16-be", "utf-32-be"]


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [(encoding, "") for encoding in ("cp1252", "latin-1", "cp037", "mac_roman", "utf-16", "utf-32", *UNICODE)]
    + [(encoding, "\ufeff") for encoding in UNICODE],
)
def test_an_encoding_may_be_named(encoding, mark):
    data = (mark + f"to,name\n{ADA},José Müller\n").encode(encoding)
    with open_source(io.BytesIO(data), encoding=encoding) as source:
        assert not source.guessed
        assert list(source) == [Row(2, ADA, {"name": "José Müller"})]


@pytest.mark.parametrize(
    "encoding", ["utf-9", "", "hex", "rot13", "idna", "undefined", "utf-7", "a\0b", "x" * 999]
)
def test_an_encoding_that_no_text_is_in_is_refused(encoding, people):
    found = refusal(people, encoding=encoding)
    assert found.startswith("encoding: there is none called '")
    assert len(found) < 140


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("cp1252", "José Muñoz"),
        ("cp1252", "Zoë Grüße"),
        ("cp1251", "Дмитрий Иванов"),
        ("cp932", "田中さくら"),
    ],
)
def test_other_encodings_are_guessed_and_the_source_says_so(encoding, name):
    data = (f"to,name\n{ADA},{name}\n" * 3).encode(encoding)
    with open_source(io.BytesIO(data)) as source:
        assert (source.encoding, source.guessed) == (encoding, True)
        assert next(source) == Row(2, ADA, {"name": name})


def test_an_encoding_is_guessed_by_more_than_a_pipe_gives_at_once():
    class Dripping(io.BytesIO):
        def read1(self, size=-1):
            return super().read1(1_000)

    data = f"to,name\n{ADA},Ada\n" + f"{ADA},x\n" * 5_000 + f"{BOB},José Muñoz\n" * 100
    with open_source(Dripping(data.encode("cp1252"))) as source:
        assert (source.encoding, source.guessed) == ("cp1252", True)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("people.csv", f"to,name\n{ADA},Ada\n"),
        ("people.TSV", f"to\tname\n{ADA}\tAda\n"),
        ("people.txt", f"to|name\n{ADA}|Ada\n"),
        ("people", f"to|name\n{ADA}|Ada\n"),
        ("people.jsonl", f'\n{{"to": "{ADA}", "name": "Ada"}}\n'),
        ("people.ndjson", f'\n{{"to": "{ADA}", "name": "Ada"}}\n'),
        ("people.json", f'\n{{"to": "{ADA}", "name": "Ada"}}\n'),
        ("people", f'\n{{"to": "{ADA}", "name": "Ada"}}\n'),
    ],
)
def test_the_format_is_told_by_the_name_or_the_first_bytes(tmp_path, name, data):
    path = tmp_path / name
    path.write_text(data)
    with open_source(path) as source:
        assert list(source) == ROWS
    with open_source(io.StringIO(data), name=name) as source:
        assert list(source) == ROWS


def test_a_format_may_be_named_and_must_exist(people):
    with open_source(io.StringIO('{"to"\n1\n'), format="csv") as source:
        assert list(source) == [Row(2, "1", {})]
    assert refusal(people, format="xml") == "format: there is none called 'xml'; use csv, jsonl, parquet"


@pytest.mark.parametrize("source", [b"to", {"to": ADA}, 7, None])
def test_what_is_no_source_is_refused(source):
    assert refusal(source) == "recipients: pass a path, an open file, or an iterable of numbers or mappings"


@pytest.mark.parametrize("order", ["le", "be"])
def test_the_mark_tells_the_byte_order_of_an_encoding_named_without_one(order):
    data = ("\ufeff" + TEXT).encode(f"utf-16-{order}")
    with open_source(io.BytesIO(data), encoding="utf-16") as source:
        assert list(source) == ROWS
    if order == "le":
        with open_source(io.BytesIO(TEXT.encode("utf-16-le")), encoding="utf-16") as source:
            assert list(source) == ROWS
