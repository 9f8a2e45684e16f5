"""Recipients of CSV: columns, dialects, headers, and rows that can't be read."""

import csv
import io

import pytest

from sendline.campaigns.recipients import BadRow, Columns, Row, open_source
from sendline.contract.errors import InvalidCampaign

ADA, BOB = "+13115552301", "+13115552302"


def read(text, columns=None, **options):
    data = text if isinstance(text, bytes) else text.encode()
    with open_source(io.BytesIO(data), columns, **options) as source:
        return list(source)


def refusal(text, columns=None, **options):
    with pytest.raises(InvalidCampaign) as caught:
        read(text, columns, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_row_has_its_line_its_recipient_and_every_other_column():
    assert read(f"to,name,city\n{ADA},Ada,London\n{BOB},Bob,\n") == [
        Row(2, ADA, {"name": "Ada", "city": "London"}),
        Row(3, BOB, {"name": "Bob", "city": ""}),
    ]


def test_nothing_of_a_person_is_in_the_repr_of_a_row():
    assert repr(Row(2, ADA, {"name": "Ada"})) == "Row(line=2, sender=None, not_before=None)"


@pytest.mark.parametrize(
    "header", ["to", "Phone", "PHONE_NUMBER", "number", "Mobile", "msisdn", "Tel", "recipient"]
)
def test_the_column_of_recipients_is_found_by_its_usual_names(header):
    assert read(f"name,{header}\nAda,{ADA}\n") == [Row(2, ADA, {"name": "Ada"})]


def test_to_wins_over_other_usual_names():
    assert read(f"number,To,to\n7,x,{ADA}\n") == [Row(2, ADA, {"number": "7", "To": "x"})]
    assert read(f"number,To\n7,{ADA}\n") == [Row(2, ADA, {"number": "7"})]


def test_two_columns_that_may_be_numbers_are_asked_about():
    assert refusal(f"phone,mobile\n{ADA},{BOB}\n") == (
        "recipients: columns 'phone', 'mobile' may all be phone numbers; there are 'phone', 'mobile': "
        "say which with --to-column, or Columns(to=...)"
    )


def test_no_column_of_numbers_names_those_there_are_and_the_fix():
    found = refusal("name,city\nAda,London\n")
    assert "'name', 'city'" in found
    assert "--to-column" in found


def test_the_only_column_is_the_recipients_whatever_its_name():
    assert read(f"Telefonnummer\n{ADA}\n") == [Row(2, ADA, {})]


def test_named_columns_are_taken_and_the_usual_ones_stay_variables():
    columns = Columns(to="cell", sender="from", not_before="when")
    [row] = read(f"to,cell,from,when,sender\nx,{ADA},Acme,2026-01-01T10:00Z,y\n", columns)
    assert row == Row(2, ADA, {"to": "x", "sender": "y"}, "Acme", "2026-01-01T10:00Z")


def test_overrides_are_found_by_their_exact_names_and_an_empty_one_is_none():
    assert read(f"to,sender,not_before,Sender\n{ADA},Acme,,x\n") == [
        Row(2, ADA, {"Sender": "x"}, "Acme", None)
    ]


@pytest.mark.parametrize("columns", [Columns(to="cell"), Columns(sender="cell"), Columns(not_before="cell")])
def test_a_named_column_that_is_not_there_is_refused_with_those_there_are(columns):
    assert refusal(f"to,name\n{ADA},Ada\n", columns) == (
        "recipients: there is no column 'cell'; there are 'to', 'name'"
    )


def test_one_column_cannot_mean_two_things():
    assert "two things" in refusal(f"to,x\n{ADA},1\n", Columns(to="x", sender="x"))


def test_the_source_says_which_variables_there_are():
    with open_source(io.BytesIO(f"to,name,sender\n{ADA},Ada,Acme\n".encode())) as source:
        assert source.variables == ("name",)
        assert (source.encoding, source.guessed) == ("utf-8", False)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
def test_every_delimiter_and_line_break_is_read(delimiter, line_break):
    lines = [["to", "text", "x"], [ADA, '"a, b; c\t| ""d"""', "1"], [BOB, "Hello, you; there", "2"]]
    if delimiter in ",;":
        lines[2][1] = f'"{lines[2][1]}"'
    text = line_break.join(delimiter.join(cells) for cells in lines)
    assert read(text) == [
        Row(2, ADA, {"text": 'a, b; c\t| "d"', "x": "1"}),
        Row(3, BOB, {"text": "Hello, you; there", "x": "2"}),
    ]


def test_the_delimiter_is_the_one_that_splits_header_and_rows_alike():
    assert read(f"name;note, if any;phone\nAda;a, b, c;{ADA}\n") == [
        Row(2, ADA, {"name": "Ada", "note, if any": "a, b, c"})
    ]


def test_the_delimiter_is_the_one_that_gives_the_recipients_column_its_name():
    assert read(f"to;a,b\n{ADA};1,2\n") == [Row(2, ADA, {"a,b": "1,2"})]
    assert read(f"cell;a,b\n{ADA};1,2\n", Columns(to="cell")) == [Row(2, ADA, {"a,b": "1,2"})]


def test_without_such_a_name_it_is_still_the_one_that_fits():
    assert "there are 'Name, first', 'Handy': say" in refusal(f"Name, first;Handy\nAda;{ADA}\nBob;{BOB}\n")


def test_excels_line_about_its_delimiter_is_believed():
    assert read(f"sep=|\r\nto|a,b\r\n{ADA}|1,2\r\n") == [Row(3, ADA, {"a,b": "1,2"})]


def test_a_quote_counts_behind_the_space_of_a_file_with_spaces_behind_its_delimiters():
    assert read(f'to, name, note\n{ADA}, "Lovelace, Ada", x\n') == [
        Row(2, ADA, {"name": "Lovelace, Ada", "note": "x"})
    ]


def test_a_quoted_cell_may_hold_line_breaks_and_the_next_row_knows_its_line():
    assert read(f'to,text\n{ADA},"a\r\nb\n\nc"\n\n{BOB},d\n') == [
        Row(2, ADA, {"text": "a\r\nb\n\nc"}),
        Row(7, BOB, {"text": "d"}),
    ]


def test_only_line_breaks_break_lines():
    assert read(f"to,text\n{ADA},a\u2028b\x0cc\x85d\n") == [Row(2, ADA, {"text": "a\u2028b\x0cc\x85d"})]


def test_blank_lines_and_rows_without_a_single_character_are_skipped():
    assert read(f"\n\nto,name\n\n{ADA},Ada\n,,\n   \n\n{BOB},Bob\n\n") == [
        Row(5, ADA, {"name": "Ada"}),
        Row(9, BOB, {"name": "Bob"}),
    ]


def test_missing_cells_are_lacking_and_empty_cells_at_the_end_are_dropped():
    assert read(f"to,name,city,,\n{ADA}\n{BOB},Bob,Bern,,,,\n") == [
        Row(2, ADA, {}),
        Row(3, BOB, {"name": "Bob", "city": "Bern"}),
    ]


def test_too_many_cells_are_a_bad_row_that_quotes_nothing():
    assert read(f"to,name\n{ADA},Ada,secret\n{BOB},Bob\n") == [
        BadRow(2, "has 3 cells, and the header 2"),
        Row(3, BOB, {"name": "Bob"}),
    ]


def test_names_are_stripped_and_values_are_not():
    assert read(f"to , name\n{ADA}, Ada \n", Columns(to="to"))[0].variables == {"name": "Ada "}
    assert read(f"to ,name\n{ADA}, Ada \n", Columns(to="to"))[0].variables == {"name": " Ada "}


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("to,,name", "column 2 has no name; give it one in the first line"),
        ("to,name,city,name", "more than one column is called 'name'; rename them"),
        ("to," + "x" * 65, "the name of column 2 is longer than 64 characters"),
        ("to," + ",".join(f"c{n}" for n in range(200)), "there are 201 columns; at most 200 can be used"),
        ('to,"name', "line 1 of the file, its header: its quotes don't match; a quote inside"),
    ],
)
def test_a_header_that_cannot_be_used_is_refused(header, problem):
    assert refusal(f"{header}\n{ADA},Ada\n").startswith(f"recipients: {problem}")


@pytest.mark.parametrize("first", [ADA, "(311) 555-2301", "0311 555 23 01", "311.555.2301", f"{ADA},,"])
def test_a_file_of_numbers_needs_no_header(first):
    number = first.rstrip(",")
    assert read(f"{first}\n{BOB}\n") == [Row(1, number, {}), Row(2, BOB, {})]
    assert refusal(f"{first}\n", Columns(to="cell")).endswith("there is no column 'cell'; there are 'to'")


def test_a_file_of_several_columns_needs_one():
    assert refusal(f"{ADA},Ada\n{BOB},Bob\n") == (
        "recipients: the file needs a header: a first line that names its columns, as in: to,name"
    )


def test_a_header_that_names_the_recipient_is_one_even_with_a_date_in_it():
    assert read(f"to,2026-01-31\n{ADA},x\n") == [Row(2, ADA, {"2026-01-31": "x"})]


def test_a_number_never_stands_in_an_error():
    assert ADA not in refusal(f"{ADA} x,name\n{BOB},Bob\n", Columns(to="name", sender=ADA))


@pytest.mark.parametrize("text", ["", "\n\n", "to,name\n", "to", "to,name\n\n,\n", " "])
def test_a_file_without_recipients_is_refused_when_it_is_opened(text):
    assert refusal(text, name="people.csv") == "recipients: people.csv holds no recipients"


def test_a_value_may_be_as_long_as_the_longest_text():
    assert read(f"to,text\n{ADA},{'x' * 1601}\n{BOB},{'é' * 1600}\n") == [
        BadRow(2, "a value is longer than 1,600 characters"),
        Row(3, BOB, {"text": "é" * 1600}),
    ]


def test_many_columns_of_long_values_are_read():
    values = {f"c{n}": "x" * 300 for n in range(199)}
    text = io.StringIO()
    writer = csv.writer(text, delimiter="|", quoting=csv.QUOTE_ALL)
    writer.writerows([["to", *values], [ADA, *values.values()]])
    assert read(text.getvalue()) == [Row(2, ADA, values)]
