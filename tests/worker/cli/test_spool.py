"""`sendline spool`: what waits on this machine's disk, and delivering it by hand."""

import shutil
import time
from datetime import UTC, datetime

import pytest

from sendline.contract import ids
from sendline.contract.draft import Rules, draft
from sendline.ledger import verbs
from sendline.settings import Settings
from sendline.spool import Entry, SpoolDirectory
from sendline_worker.checks.spool import check_spool

COMMAND = "spool"
TO = "+13115552367"


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setenv("SENDLINE_SPOOL_DIR", str(tmp_path / "spool"))
    return tmp_path / "spool"


@pytest.fixture
def spool(path):
    return SpoolDirectory(path, 10)


def keep(spool, *, ago=0.0, **fields):
    """Keep a message that was sent `ago` seconds ago; returns its id."""
    at = round((time.time() - ago) * 1000)
    fields = {"to": TO, "text": "Hello"} | fields
    message_id = at.to_bytes(6) + ids.new_id()[6:]
    [kept] = spool.keep([Entry(draft(message_id, fields, Rules(), datetime.now(UTC)), at)])
    return ids.to_text(kept.draft.id)


def test_without_a_spool_it_says_so(run):
    code, out, err = run()
    assert (code, out) == (2, "")
    assert err.startswith("error: spool_dir: not set")


def test_a_spool_that_is_not_there_is_not_made_by_it(run, path):
    code, _, err = run()
    assert code == 2
    assert err.startswith("error: spool_dir: ")
    assert not path.exists()


def test_an_empty_spool_is_well(run, read, spool):
    assert run() == (0, "0 messages waiting; 0 refused\n", "")
    assert read() == {"path": str(spool.path), "waiting": 0, "oldest": None, "refused": []}


def test_it_shows_how_many_wait_and_for_how_long(run, read, spool):
    keep(spool, ago=125)
    keep(spool)
    assert run()[1] == "2 messages waiting, the oldest for 2 min 5 s; 0 refused\n"
    found = read()
    assert found["waiting"] == 2
    assert 120 < time.time() - datetime.fromisoformat(found["oldest"]).timestamp() < 130


def test_it_delivers_and_tells_what_became_of_each(run, read, spool, ledger):
    keep(spool)
    keep(spool, ago=120, valid_for=60)
    keep(spool, idempotency_key="k")
    assert run("deliver") == (0, "ok 2 accepted, 1 expired\n", "")
    assert read("deliver") == {"accepted": 0, "expired": 0, "answered": 0, "refused": 0, "left": 0}
    assert ledger.run(verbs.counts())["accepted"] == 3
    keep(spool, idempotency_key="k")
    assert run("deliver")[1] == "ok 0 accepted, 1 answered\n"


def test_what_was_refused_is_named_with_the_reason(run, read, spool):
    stale = keep(spool, ago=40 * 86_400)
    damaged = keep(spool)
    spool._name(ids.to_bytes(damaged)).write_text("sendline-spool 1 abc\n{}")
    code, out, _ = run("deliver")
    assert (code, out) == (1, "WRONG 0 accepted, 2 refused\n")
    shown = run()[1]
    assert shown.startswith("0 messages waiting; 2 refused\n")
    assert f"{stale}  stale" in shown
    assert f"{damaged}  damaged" in shown
    assert {each["id"]: each["why"] for each in read()["refused"]} == {stale: "stale", damaged: "damaged"}
    assert TO not in shown


def test_what_a_later_release_wrote_is_left(run, spool):
    kept = keep(spool)
    name = spool._name(ids.to_bytes(kept))
    name.write_bytes(name.read_bytes().replace(b"spool 1", b"spool 9", 1))
    assert run("deliver")[:2] == (1, "WRONG 0 accepted, 1 left\n")
    assert run()[1].startswith("1 message waiting")


def test_while_another_process_delivers_it_says_so(run, spool):
    keep(spool)
    with spool.delivering():
        code, _, err = run("deliver")
    assert (code, err) == (1, "error: spool_dir: another process is delivering it at this moment\n")
    assert run("deliver")[0] == 0


def test_while_redis_is_away_it_says_so_and_everything_waits(run, spool, monkeypatch, tmp_path):
    keep(spool)
    monkeypatch.setenv("SENDLINE_REDIS_URL", f"unix://{tmp_path}/none")
    code, _, err = run("deliver")
    assert code == 2
    assert err.startswith("error: redis_url: ")
    assert run()[1].startswith("1 message waiting")


def test_options_come_after_the_command(run, spool):
    assert run("--json", "deliver")[0] == 2


def test_no_command_keeps_anything_in_the_spool(run, spool, monkeypatch, tmp_path):
    monkeypatch.setenv("SENDLINE_REDIS_URL", f"unix://{tmp_path}/none")
    code, _, err = run("--to", TO, "--text", "Hello", command="send")
    assert code == 2
    assert err.startswith("error: redis_url: ")
    assert spool.is_empty()


# What `sendline check` says of it


def checked(path):
    return [(each.level, each.message) for each in check_spool(Settings(spool_dir=path))]


def test_check_is_silent_without_a_spool():
    assert list(check_spool(Settings())) == []


def test_check_is_content_with_an_empty_spool(path):
    assert checked(path) == [("ok", "nothing was ever kept in spool_dir")]
    SpoolDirectory(path, 10)
    assert checked(path) == [("ok", "0 messages waiting in spool_dir")]


def test_check_warns_of_what_waits_for_long_and_of_what_was_refused(spool, path):
    keep(spool)
    assert checked(path) == [("ok", "1 message waiting in spool_dir")]
    keep(spool, ago=600)
    spool.set_aside(ids.to_bytes(keep(spool)), "conflict")
    assert checked(path) == [
        ("warn", "2 messages waiting in spool_dir, the oldest for 10 min"),
        ("warn", "1 message refused and kept aside"),
    ]


def test_check_fails_where_others_may_write_to_it(spool, path):
    path.chmod(0o770)
    [(level, message)] = checked(path)
    assert level == "FAIL"
    assert "chmod 700" in message
    shutil.rmtree(path)


def test_erase_reaches_the_spool_and_tells_how_many(run, read, spool):
    keep(spool)
    keep(spool, to="+13115552369")
    code, out, _ = run(TO, "--yes", command="erase")
    assert (code, len(spool.waiting())) == (0, 1)
    assert "messages to it: 1, of which 1 had waited" in out
    assert "taken out of this machine's spool: 1" in out


def test_erase_fails_where_something_of_the_spool_cannot_be_read(run, spool):
    name = spool._name(ids.to_bytes(keep(spool, to="+13115552369")))
    name.write_bytes(name.read_bytes().replace(b"spool 1", b"spool 9", 1))
    code, out, _ = run(TO, "--yes", command="erase")
    assert code == 1
    assert "WRONG files of the spool that may hold it still: 1" in out


def test_erase_makes_no_spool_and_refuses_one_that_it_may_not_read(run, path):
    assert run(TO, "--yes", command="erase")[0] == 0
    assert not path.exists()
    path.mkdir()
    path.chmod(0o777)
    code, _, err = run(TO, "--yes", command="erase")
    assert code == 2
    assert err.startswith("error: spool_dir: others may write to ")
