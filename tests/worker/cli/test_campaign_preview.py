"""`sendline campaign preview`: what would be sent and what it comes to, with or without a ledger."""

import io
import sys

import pytest

from ledger_world import account_limits

COMMAND = "campaign"
TEXT = ("--text", "Hi {{ name }}")


@pytest.fixture
def nothing_made(raw):
    return lambda: raw.keys("sl:c*") == [] and raw.keys("sl:m:*") == []


def test_it_shows_texts_segments_encodings_cost_and_rejected_rows(run, people, hands, tmp_path, nothing_made):
    people(20)
    with (tmp_path / "people.csv").open("a") as file:
        file.write("+13115559999,Zoë\u2019s\n12,short\n,nobody\n")
    code, out, err = run(
        "preview", *TEXT, "--recipients", "people.csv", "--price", "0.0079", "--samples", "2"
    )
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[:5] == ["+13***00", "    Hi name 0", "+13***01", "    Hi name 1", ""]
    assert lines[5] == "recipients  21 of 23 rows"
    assert lines[6].startswith("segments    min 1, mean 1.00, max 1, total 21; the longest text has ")
    assert lines[7] == "encodings   GSM-7 20, UCS-2 1"
    assert any(
        line.startswith('    \u2019  U+2019 in 1 text, from variables; "\'" could stand there')
        for line in lines
    )
    assert "cost        0.1659 at 0.0079 a segment" in lines
    assert "rejected    2 rows, the first:" in lines
    assert [line.split(":")[0] for line in lines[-2:]] == ["    line 23", "    line 24"]
    assert nothing_made()


def test_json_holds_the_same(read, people, hands, nothing_made):
    found = read("preview", *TEXT, "--recipients", people(7), "--price", "0.5", "--rows", "5")
    assert (found["recipients"], found["rows"], found["rejected"]) == (5, 5, 0)
    assert found["segments"] == {"min": 1, "mean": 1.0, "max": 1, "total": 5}
    assert (found["cost"], len(found["samples"]), found["encodings"]["GSM-7"]) == ("2.5000", 3, 5)
    assert nothing_made()


def test_the_time_is_that_of_the_accounts_rate_in_its_unit(read, people, publish, hands):
    publish(account_limits("main", 5))
    assert read("preview", *TEXT, "--recipients", people(100))["seconds"] == 20
    publish(account_limits("main", 5, unit="segments"))
    found = read("preview", "--text", "x" * 200, "--recipients", people(100))
    assert found["seconds"] == 40
    assert "account main sends 5 segments a second" in found["because"]
    publish(account_limits("main", 5, daily_cap=50))
    found = read("preview", *TEXT, "--recipients", people(100))
    assert found["seconds"] == 2 * 86400
    assert "50 a day at most" in found["because"]


def test_the_time_knows_the_window(read, run, people, publish, hands):
    publish(account_limits("main", 1000))
    words = ("preview", *TEXT, "--recipients", people(10), "--default-zone", "America/New_York")
    shut = read(*words, "--window", "00:00-00:01")
    assert shut["seconds"] is None or shut["seconds"] < 86400
    open_now = read(*words, "--window", "00:00-24:00")
    assert open_now["seconds"] == pytest.approx(0.01, abs=0.01)
    publish(account_limits("main", 0.001))
    assert "more than 8 days: account main sends" in run(*words, "--window", "00:00-00:01")[1]


def test_without_a_ledger_only_the_time_is_left_out(run, read, people, monkeypatch):
    monkeypatch.setenv("SENDLINE_REDIS_URL", "redis://:hidden@127.0.0.1:1")
    code, out, err = run("preview", *TEXT, "--recipients", people())
    assert (code, err) == (0, "")
    told = [line for line in out.splitlines() if line.startswith("time")]
    assert told[0].startswith(
        "time        not known, for the ledger can't be asked: Redis at 127.0.0.1:1 can't"
    )
    assert "hidden" not in out
    assert read("preview", *TEXT, "--recipients", people())["seconds"] is None


def test_without_any_redis_configured_it_works_too(run, people, monkeypatch, tmp_path):
    monkeypatch.delenv("SENDLINE_REDIS_URL")
    monkeypatch.setenv("SENDLINE_STATE_DIR", str(tmp_path / "state"))
    code, out, err = run("preview", *TEXT, "--recipients", people())
    assert (code, err) == (0, "")
    assert "recipients  10 of 10 rows" in out


def test_no_text_steers_a_terminal(run, hands, tmp_path):
    (tmp_path / "people.csv").write_text('to,name\n+13115550000,"a\x1b[2J\u202eb\nc"\n')
    out = run("preview", *TEXT, "--recipients", "people.csv")[1]
    assert "    Hi a\\x1b[2J\\u202eb\n    c\n" in out


def test_where_no_row_is_good_it_exits_with_1(run, hands, tmp_path):
    (tmp_path / "people.csv").write_text("to,name\n12,a\n")
    code, out, err = run("preview", *TEXT, "--recipients", "people.csv")
    assert (code, err) == (1, "")
    assert out.splitlines()[0] == "recipients  0 of 1 row"


def test_recipients_can_come_in(read, hands, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"to": "+13115550000", "name": "a"}\n')))
    assert read("preview", *TEXT, "--recipients", "-")["samples"][0]["text"] == "Hi a"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--text", "{{ nmae }}"), "text: needs a column nmae; there are: name"),
        (("--text", "{{ name | upper( }}"), "text: "),
        ((*TEXT, "--encoding", "klingon"), "encoding: there is none called 'klingon'"),
        ((*TEXT, "--price", "-1"), "price: of one segment"),
        ((*TEXT, "--samples", "x"), "samples: must be a valid integer"),
        ((*TEXT, "--rows", "0"), "rows: "),
        ((*TEXT, "--window", "x"), "window: "),
        ((*TEXT, "--account", "nope"), "account: there is none called 'nope'; known: main"),
    ],
)
def test_a_mistake_is_one_line(run, people, hands, words, line):
    code, out, err = run("preview", *words, "--recipients", people())
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"error: {line}")
