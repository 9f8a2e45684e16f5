"""Whom the demo writes to: every row is checked before anything starts."""

import pytest

from sendline.contract.errors import ConfigurationError
from sendline_worker.demo.people import Person, default_file, read_people


@pytest.fixture
def file(tmp_path):
    return tmp_path / "people.csv"


@pytest.mark.parametrize(
    ("row", "line"),
    [
        ("Bo,12", "line 3: number: has no country code; write it with +"),
        ("Bo,", "line 3: number: "),
        ("Bo", "line 3: has too few columns; write name and number"),
        ("Bo,+1 311 555 0001", "line 3: the same number as in line 2; leave one"),
        ("Bo,+13115552367", "line 3: the number of the demo's urgent message; remove the row"),
    ],
)
def test_a_row_that_can_not_be_written_to_is_named_by_file_and_line(file, row, line):
    file.write_text(f"name,number\nAda,+13115550001\n{row}\n")
    with pytest.raises(ConfigurationError) as told:
        read_people(file)
    assert str(told.value).startswith(f"{file}: {line}")
    assert "default_region" not in str(told.value)


def test_numbers_are_read_as_they_are_sent(file):
    file.write_text("name,number,more\nAda,+1 (311) 555-0001,x\n\nBo,+13115550002\n")
    assert read_people(file) == [Person("Ada", "+13115550001"), Person("Bo", "+13115550002")]


def test_the_file_that_comes_with_it_is_whole():
    assert len(read_people(default_file())) == 1000
