"""The file of rejects never takes the place of another file, and goes on where an import stopped."""

import os
import subprocess
import sys

import pytest

from sendline.campaigns.checking import Rejected
from sendline.campaigns.rejects import RejectsFile
from sendline.contract.errors import CampaignConflict, InvalidCampaign

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


@pytest.fixture(params=["locks that end with their process", "no such locks"])
def locks(request, monkeypatch):
    """Systems of both kinds."""
    if request.param == "no such locks":
        monkeypatch.setitem(sys.modules, "fcntl", None)
    return request.param


def test_a_file_that_another_import_writes_is_refused_and_left_as_it_is(tmp_path, locks):
    path, link = tmp_path / "rejects.csv", tmp_path / "link.csv"
    link.symlink_to(path)
    with RejectsFile(path, "sale", done=None) as first:
        first.write([Rejected(2, "why", "a")])
        for name, there, done in (("sale", path, 0), ("sale", link, 5), ("other", path, None)):
            with pytest.raises(CampaignConflict, match="rejects: another import is writing this file"):
                RejectsFile(there, name, done=done)
        first.write([Rejected(7, "because", "b")])
        assert lines(path) == [HEADER, "2,why,a,sale", "7,because,b,sale"]
    with RejectsFile(path, "sale", done=2):
        assert lines(path) == [HEADER, "2,why,a,sale"]
    assert sorted(tmp_path.iterdir()) == [link, path]


def test_two_imports_at_one_time_lose_no_row(producer, tmp_path):
    """The second is refused before it changes anything, and the first one's file has every row."""
    path, seen = tmp_path / "rejects.csv", []
    rows = [{"to": "nonsense"} if place % 2 else {"to": f"+1311555{place:04}"} for place in range(1200)]

    def meanwhile(imported):
        seen.append(imported.rows)
        for name in ("second",) if imported.complete else ("sale", "second"):
            with pytest.raises(CampaignConflict, match="another import is writing this file"):
                producer.campaign(name, text="Hi", recipients=rows, rejects=path)

    producer.campaign("sale", text="Hi", recipients=rows, rejects=path, on_progress=meanwhile)
    assert len(seen) > 1
    assert [line.partition(",")[0] for line in lines(path)[1:]] == [str(n) for n in range(2, 1201, 2)]
    with pytest.raises(InvalidCampaign, match="there is no campaign called second"):
        producer.campaign("second")


HALF_BAD = [{"to": "nonsense"} if place % 2 else {"to": f"+1311555{place:04}"} for place in range(1200)]
ITS_REJECTS = [str(line) for line in range(2, 1201, 2)]


def import_half(producer, rejects, rows=500):
    """Import until `rows` are done with; then it is cut off."""

    def cut_off(imported):
        if imported.rows >= rows:
            raise KeyboardInterrupt

    how = {"rejects": rejects} if rejects else {}
    with pytest.raises(KeyboardInterrupt):
        producer.campaign("sale", text="Hi", recipients=HALF_BAD, on_progress=cut_off, **how)


@pytest.mark.parametrize("first", ["one.csv", None])
def test_an_import_that_goes_on_with_another_file_writes_what_was_rejected_before_too(
    producer, tmp_path, first
):
    """Cut off once more: then the file holds whatever it holds, and is completed."""
    earlier, path = tmp_path / "one.csv", tmp_path / "two.csv"
    import_half(producer, earlier if first else None)
    before = earlier.read_bytes() if first else b""
    import_half(producer, path, rows=1000)
    assert [line.partition(",")[0] for line in lines(path)[1:]] == ITS_REJECTS[:500]
    path.write_text("".join(f"{line}\r\n" for line in lines(path)[:100]))
    campaign = producer.campaign("sale", text="Hi", recipients=HALF_BAD, rejects=path)
    assert [line.partition(",")[0] for line in lines(path)[1:]] == ITS_REJECTS
    assert campaign.progress().imported.rejected == len(ITS_REJECTS)
    assert (earlier.read_bytes() if first else b"") == before


def test_of_many_that_want_a_file_at_one_time_one_has_it(tmp_path):
    """Each takes the lock again and again, and counts alone while it has it."""
    lock, count = tmp_path / "rejects.csv", tmp_path / "count"
    count.write_text("0")
    program = """if True:
        import sys
        from pathlib import Path
        from sendline.campaigns.locking import only_writer
        from sendline.contract.errors import CampaignConflict
        path, count, taken = Path(sys.argv[1]), Path(sys.argv[2]), 0
        while taken < 200:
            try:
                with only_writer(path):
                    count.write_text(str(int(count.read_text()) + 1))
                    taken += 1
            except CampaignConflict:
                pass
    """
    started = [subprocess.Popen([sys.executable, "-c", program, lock, count]) for _ in range(3)]
    assert [each.wait(30) for each in started] == [0, 0, 0]
    assert int(count.read_text()) == 600
    assert list(tmp_path.iterdir()) == [count]


def test_an_import_that_was_killed_holds_its_file_no_longer(tmp_path):
    path = tmp_path / "rejects.csv"
    program = "import os, sys; from sendline.campaigns.rejects import RejectsFile; "
    program += "RejectsFile(sys.argv[1], 'sale', done=None).__enter__(); os.kill(os.getpid(), 9)"
    ended = subprocess.run([sys.executable, "-c", program, path], check=False, timeout=30)
    assert ended.returncode == -9
    with RejectsFile(path, "sale", done=0):
        pass
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_system_without_such_locks_is_told_apart_by_the_file_itself(tmp_path, monkeypatch):
    import fcntl

    def unsupported(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    path = tmp_path / "rejects.csv"
    refused = pytest.raises(CampaignConflict, match=r"if none is, remove .*rejects\.csv\.lock")
    with RejectsFile(path, "sale", done=None), refused:
        RejectsFile(path, "sale", done=0)
    assert list(tmp_path.iterdir()) == [path]
