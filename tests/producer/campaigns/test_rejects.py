"""The file of rejects never takes the place of another file, and goes on where an import stopped."""

import pytest

from sendline.campaigns.checking import Rejected
from sendline.campaigns.rejects import RejectsFile
from sendline.contract.errors import InvalidCampaign


def lines(path):
    return path.read_text().splitlines()


def test_what_an_earlier_import_wrote_is_kept_as_far_as_that_came(tmp_path):
    path = tmp_path / "rejects.csv"
    with RejectsFile(path, done=0) as file:
        file.write([Rejected(2, "why", "a"), Rejected(7, "because", "b")])
    with RejectsFile(path, done=5) as file:
        file.write([Rejected(7, "because", "b")])
    assert lines(path) == ["line,reason,to", "2,why,a", "7,because,b"]
    with RejectsFile(path, done=0):
        pass
    assert lines(path) == ["line,reason,to"]


@pytest.mark.parametrize("held", ["to,name\n+13115550001,Ann\n", "something\n", "\xff\xfe"])
def test_a_file_that_holds_something_else_is_left_alone(tmp_path, held):
    path = tmp_path / "people.csv"
    path.write_text(held, encoding="latin-1")
    with pytest.raises(InvalidCampaign, match="rejects"):
        RejectsFile(path, done=0)
    assert path.read_text(encoding="latin-1") == held


def test_only_its_owner_may_read_it(tmp_path):
    with RejectsFile(tmp_path / "rejects.csv", done=0) as file:
        file.write([Rejected(1, "why", "=1+1")])
    assert (tmp_path / "rejects.csv").stat().st_mode & 0o077 == 0
    assert lines(tmp_path / "rejects.csv")[1] == "1,why,'=1+1"
