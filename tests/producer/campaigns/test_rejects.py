"""The file of rejects never takes the place of another file, and goes on where an import stopped."""

import os

import pytest

from sendline.campaigns.checking import Rejected
from sendline.campaigns.rejects import RejectsFile
from sendline.contract.errors import InvalidCampaign

HEADER = "line,reason,to,campaign"


def lines(path):
    return path.read_text().splitlines()


def test_what_an_earlier_import_wrote_is_kept_as_far_as_that_came(tmp_path):
    path = tmp_path / "rejects.csv"
    with RejectsFile(path, "sale", done=None) as file:
        file.write([Rejected(2, "why", "a"), Rejected(7, "because", "b")])
    with RejectsFile(path, "sale", done=5) as file:
        file.write([Rejected(7, "because", "b")])
    assert lines(path) == [HEADER, "2,why,a,sale", "7,because,b,sale"]
    with RejectsFile(path, "sale", done=0):
        pass
    assert lines(path) == [HEADER]


def test_a_row_that_was_cut_off_is_written_anew(tmp_path):
    path = tmp_path / "rejects.csv"
    with RejectsFile(path, "sale", done=None) as file:
        file.write([Rejected(2, "why", "a"), Rejected(7, "because", "b")])
    path.write_bytes(path.read_bytes()[:-4])
    with RejectsFile(path, "sale", done=7) as file:
        file.write([Rejected(7, "because", "b")])
    assert lines(path) == [HEADER, "2,why,a,sale", "7,because,b,sale"]


@pytest.mark.parametrize(("name", "done"), [("other", None), ("other", 5), ("sale", None)])
def test_rows_of_another_campaign_are_left_alone(tmp_path, name, done):
    """One of the same name that was founded later is another campaign, too."""
    path = tmp_path / "rejects.csv"
    with RejectsFile(path, "sale", done=None) as file:
        file.write([Rejected(2, "why", "a"), Rejected(7, "because", "b")])
    before = path.read_bytes()
    with pytest.raises(InvalidCampaign, match="rejects: that file holds another campaign's rows"):
        RejectsFile(path, name, done=done)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_campaign_whose_rejects_would_take_anothers_place_is_not_founded(producer, tmp_path):
    path = tmp_path / "rejects.csv"
    rows = [{"to": "+13115550001"}, {"to": "nonsense"}]
    producer.campaign("first", text="Hi", recipients=rows, rejects=path)
    before = path.read_bytes()
    with pytest.raises(InvalidCampaign, match="rejects: that file holds another campaign's rows"):
        producer.campaign("second", text="Hi", recipients=rows, rejects=path)
    assert path.read_bytes() == before
    with pytest.raises(InvalidCampaign, match="there is no campaign called second"):
        producer.campaign("second")


def test_what_is_no_file_is_left_alone(tmp_path):
    path = tmp_path / "rejects.csv"
    os.mkfifo(path)
    with pytest.raises(InvalidCampaign, match="rejects: that is no file"):
        RejectsFile(path, "sale", done=None)
    assert path.is_fifo()


@pytest.mark.parametrize("held", ["to,name\n+13115550001,Ann\n", "something\n", "\xff\xfe"])
def test_a_file_that_holds_something_else_is_left_alone(tmp_path, held):
    path = tmp_path / "people.csv"
    path.write_text(held, encoding="latin-1")
    with pytest.raises(InvalidCampaign, match="rejects"):
        RejectsFile(path, "sale", done=None)
    assert path.read_text(encoding="latin-1") == held


def test_only_its_owner_may_read_it(tmp_path):
    with RejectsFile(tmp_path / "rejects.csv", "sale", done=None) as file:
        file.write([Rejected(1, "why", "=1+1")])
    assert (tmp_path / "rejects.csv").stat().st_mode & 0o077 == 0
    assert lines(tmp_path / "rejects.csv")[1] == "1,why,'=1+1,sale"
