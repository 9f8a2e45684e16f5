"""`sendline campaign create`: all of a file, once; and a mistake is one line that leaves nothing behind."""

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sendline import Producer
from sendline.campaigns import importing
from sendline.contract.campaign import CampaignState
from sendline.contract.errors import LedgerUnavailable
from sendline.ledger.campaigns import Enlisted
from sendline.ledger.lines import read_rows
from sendline.ledger.suppression import suppress
from waiting import poll

COMMAND = "campaign"
SENDLINE = Path(sys.executable).with_name("sendline")
TEXT = ("--text", "Hi {{ name }}")


@pytest.fixture
def progress(redis_url):
    """Read where a campaign stands."""

    def progress(name="sale"):
        with Producer(redis_url) as producer:
            return producer.campaign(name).progress()

    return progress


@pytest.fixture
def nothing_made(raw):
    return lambda: raw.keys("sl:c*") == []


def test_it_tells_what_was_imported_and_how_to_go_on(run, people, hands, progress):
    code, out, err = run("create", "sale", *TEXT, "--recipients", people(1200))
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "ok campaign sale: 1,200 rows read",
        "   accepted    1,200",
        "   it is created; `sendline campaign start sale` starts it",
    ]
    assert progress().state is CampaignState.CREATED
    assert progress().total == 1200


def test_it_tells_of_rejected_duplicate_and_suppressed_rows(run, read, tmp_path, hands, ledger):
    ledger.run(suppress(hands.limits, ["+13115550001"], "asked"))
    rows = ["+13115550000,a", "+13115550001,b", "+13115550000,again", "12,c", ",d"]
    (tmp_path / "people.csv").write_text("\n".join(["to,name", *rows]))
    words = ("--recipients", "people.csv", "--rejects")
    code, out, err = run("create", "sale", *TEXT, *words, "rejects.csv")
    assert (code, err) == (0, "")
    assert [line.split()[:2] for line in out.splitlines()[1:5]] == [
        ["accepted", "2"], ["suppressed", "1"], ["rejected", "2"], ["duplicates", "1"],
    ]  # fmt: skip
    assert "(rejects.csv)" in out
    assert [line.partition(",")[0] for line in Path("rejects.csv").read_text().splitlines()] == [
        "line",
        "5",
        "6",
    ]
    found = read("create", "twice", *TEXT, *words, "again.csv", "--keep-duplicates")
    assert (found["imported"]["accepted"], found["imported"]["rejected"], found["suppressed"]) == (3, 2, 1)
    assert (found["name"], found["state"], found["rejects"]) == ("twice", "created", "again.csv")


def test_a_recipients_number_is_in_nothing_that_is_printed(run, tmp_path, hands):
    (tmp_path / "people.csv").write_text("to\n+1312666\n+13126660000\n")
    for words in (("create", "sale", "--text", "Hello"), ("preview", "--text", "Hello")):
        out = "".join(map(str, run(*words, "--recipients", "people.csv")))
        assert "1312666" not in out


def test_every_option_arrives(read, people, hands, redis_url, ledger):
    words = (
        "--sender",
        "+13115552368",
        "--account",
        "main",
        "--valid-for",
        "90m",
        "--window",
        "mon-fri 9:00-20:00",
    )
    words += (
        "--default-zone",
        "America/New_York",
        "--pause-at",
        "20%",
        "--pause-over",
        "50",
        "--price",
        "0.0079",
    )
    words += ("--weight", "3", "--callback-url", "https://example.com/hook", "--on-uncertain", "resend")
    read("create", "sale", *TEXT, "--recipients", people(), *words)
    with Producer(redis_url) as producer:
        spec = producer.campaign("sale").spec()
    assert (spec.sender, spec.account, spec.valid_for) == ("+13115552368", "main", 5400)
    assert (spec.window, spec.default_zone) == ("Mon-Fri 09:00-20:00", "America/New_York")
    assert (spec.pause_at, spec.pause_over, spec.price) == (0.2, 50, "0.0079")
    assert (spec.callback_url, spec.on_uncertain) == ("https://example.com/hook", "resend")
    assert {row.weight for row in read_rows(ledger)} == {3.0}


def test_how_the_file_is_read_can_be_said(read, tmp_path, hands, redis_url):
    (tmp_path / "list.txt").write_bytes(
        "Handy;to;von;ab\r\n+13115550000;José;+13115552368;\r\n".encode("cp1252")
    )
    words = ("--to-column", "Handy", "--sender-column", "von", "--not-before-column", "ab", "--format", "csv")
    words += ("--encoding", "cp1252", "--recipients", "list.txt")
    assert read("create", "sale", "--text", "Hi {{ to }}", *words)["total"] == 1
    found = read("preview", "--text", "Hi {{ to }}", *words)
    assert found["samples"][0]["text"] == "Hi José"


def test_nothing_is_made_of_an_encoding_that_was_guessed_until_it_is_named(
    run, read, tmp_path, hands, nothing_made
):
    (tmp_path / "list.csv").write_bytes("to,name\n+13115550000,José\n".encode("cp1252"))
    words = (*TEXT, "--recipients", "list.csv")
    code, out, err = run("create", "sale", *words, "--start", "--rejects", "rejects.csv")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: encoding: list.csv is not UTF-8; it looks like cp1252, which is a guess: ")
    assert nothing_made()
    assert [each.name for each in tmp_path.iterdir()] == ["list.csv"]
    found = read("preview", *words)
    assert (len(found["notes"]), found["samples"][0]["text"]) == (1, "Hi José")
    assert read("create", "sale", *words, "--encoding", "cp1252")["total"] == 1


def test_the_text_can_stand_in_a_file_or_come_in(read, people, tmp_path, hands, redis_url, monkeypatch):
    (tmp_path / "text.txt").write_bytes("\ufeffGood day\n{{ name }}\n".encode())
    read("create", "one", "--text-file", "text.txt", "--recipients", people())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"From a pipe\n")))
    read("create", "two", "--text", "-", "--recipients", people())
    with Producer(redis_url) as producer:
        assert producer.campaign("one").spec().text == "Good day\n{{ name }}"
        assert producer.campaign("two").spec().text == "From a pipe"


def test_recipients_can_come_in(read, people, hands, monkeypatch):
    content = Path(people(700)).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert read("create", "sale", *TEXT, "--recipients", "-")["total"] == 700


def test_it_can_be_started_at_once(run, people, hands):
    out = run("create", "sale", *TEXT, "--recipients", people(), "--start")[1]
    assert out.endswith("it is running\n")
    assert len(hands.claim(20).claims) == 10


def test_where_no_row_can_be_sent_to_it_exits_with_1(run, tmp_path, hands):
    (tmp_path / "people.csv").write_text("to,name\n12,a\n")
    code, out, err = run("create", "sale", *TEXT, "--recipients", "people.csv")
    assert (code, err) == (1, "")
    assert out.startswith("warn campaign sale: 1 row read\n")
    assert "`sendline campaign preview` says why" in out


FILES = {
    "empty.csv": b"",
    "header.csv": b"to,name\n",
    "binary.csv": b"PK\x03\x04" + bytes(200),
    "noise.csv": bytes(range(256)) * 40,
    "nobody.csv": b"age,town\n7,x\n",
    "rows.csv": b"to,name\n+13115550000,a\n",
    "other.csv": b"precious,content\n1,2\n",
    "theirs.csv": b"line,reason,to,campaign\r\n7,to: is empty,,another\r\n",
}
MISTAKES = {
    "empty file": (TEXT, "empty.csv", (), "recipients: empty.csv"),
    "a header only": (TEXT, "header.csv", (), "recipients: header.csv holds no recipients"),
    "binary": (TEXT, "binary.csv", (), "recipients: binary.csv is a zip or Excel file; save it as CSV"),
    "noise": (TEXT, "noise.csv", (), "recipients: noise.csv is"),
    "no file": (TEXT, "none.csv", (), "recipients: there is no file none.csv"),
    "a directory": (TEXT, ".", (), "recipients: . is a directory; name a file"),
    "no number's column": (
        TEXT,
        "nobody.csv",
        (),
        "recipients: no column is called 'to' or 'phone'; there are",
    ),
    "no such column": (
        TEXT,
        "rows.csv",
        ("--to-column", "tel"),
        "recipients: there is no column 'tel'; there are",
    ),
    "a variable missing": (
        ("--text", "Hi {{ nmae }}"),
        "rows.csv",
        (),
        "text: needs a column nmae; there are: name",
    ),
    "template": (("--text", "Hi {{ name"), "rows.csv", (), "text: "),
    "block": (("--text", "{% for x in y %}"), "rows.csv", (), "text: "),
    "empty text": (("--text", ""), "rows.csv", (), "text: is empty"),
    "no text": ((), "rows.csv", (), "text: missing; give --text TEXT, or --text-file FILE"),
    "two texts": (
        (*TEXT, "--text-file", "x"),
        "rows.csv",
        (),
        "text: --text and --text-file exclude each other",
    ),
    "no text file": (
        ("--text-file", "none.txt"),
        "rows.csv",
        (),
        "text_file: none.txt can't be read: no such",
    ),
    "text file in another encoding": (
        ("--text-file", "noise.csv"),
        "rows.csv",
        (),
        "text_file: noise.csv is not UTF-8",
    ),
    "encoding": (TEXT, "rows.csv", ("--encoding", "klingon"), "encoding: there is none called 'klingon'"),
    "format": (
        TEXT,
        "rows.csv",
        ("--format", "xls"),
        "format: there is none called 'xls'; use csv, jsonl, parquet",
    ),
    "validity": (TEXT, "rows.csv", ("--valid-for", "soon"), "valid_for: 'soon' is no length of time"),
    "long validity": (
        TEXT,
        "rows.csv",
        ("--valid-for", "99d"),
        "valid_for: must be from 1 second to 30 days",
    ),
    "window": (TEXT, "rows.csv", ("--window", "9 to 5"), "window: is not understood; write it as"),
    "zone alone": (
        TEXT,
        "rows.csv",
        ("--default-zone", "Europe/Berlin"),
        "default_zone: counts only with a window",
    ),
    "pause": (TEXT, "rows.csv", ("--pause-at", "often"), "pause_at: must be a part of one"),
    "much pause": (TEXT, "rows.csv", ("--pause-at", "20"), "pause_at: must be a part of one"),
    "over": (TEXT, "rows.csv", ("--pause-over", "3"), "pause_over: must be a whole number from 10"),
    "price": (TEXT, "rows.csv", ("--price", "cheap"), "price: of one segment"),
    "weight": (TEXT, "rows.csv", ("--weight", "0"), "weight: '0' is not a number from 0.01 to 1000"),
    "account": (TEXT, "rows.csv", ("--account", "nope"), "account: there is none called 'nope'; known: main"),
    "sender": (TEXT, "rows.csv", ("--sender", "not a sender!"), "sender: "),
    "url": (TEXT, "rows.csv", ("--callback-url", "x"), "callback_url: "),
    "policy": (TEXT, "rows.csv", ("--on-uncertain", "maybe"), "on_uncertain: must be "),
    "rejects in the source": (
        TEXT,
        "rows.csv",
        ("--rejects", "rows.csv"),
        "rejects: rows.csv is read by this command",
    ),
    "rejects over others": (
        TEXT,
        "rows.csv",
        ("--rejects", "other.csv"),
        "rejects: that file holds something else",
    ),
    "rejects over another campaign's": (
        TEXT,
        "rows.csv",
        ("--rejects", "theirs.csv"),
        "rejects: that file holds another campaign's rows; name a new one",
    ),
    "rejects nowhere": (
        TEXT,
        "rows.csv",
        ("--rejects", "no/where.csv"),
        "rejects: can't be written: no such file",
    ),
    "option": (
        TEXT,
        "rows.csv",
        ("--recipient", "x"),
        "--recipient: no such option of `sendline campaign create`",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_and_nothing_is_half_created(run, hands, nothing_made, tmp_path, name):
    for file, content in FILES.items():
        (tmp_path / file).write_bytes(content)
    text, recipients, words, line = MISTAKES[name]
    code, out, err = run("create", "sale", *text, "--recipients", recipients, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.lower().startswith(f"error: {line}".lower())
    assert nothing_made()
    assert {file: (tmp_path / file).read_bytes() for file in FILES} == FILES


@pytest.mark.parametrize("words", [(), ("--text", "-", "--recipients", "-")])
def test_recipients_must_be_named_and_no_stream_read_twice(run, hands, nothing_made, words):
    code, out, err = run("create", "sale", *(words or TEXT))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(
        "error: text: standard input" if words else "error: recipients: missing; give --rec"
    )
    assert nothing_made()


@pytest.mark.parametrize("name", ["a campaign", "-x", "n" * 65, ""])
def test_a_name_that_no_campaign_can_have_is_refused(run, people, hands, nothing_made, name):
    code, out, err = run("create", *TEXT, "--recipients", people(), "--", name)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: name: ")
    assert nothing_made()


def test_a_name_that_exists_is_refused_and_changes_nothing(run, people, hands, progress):
    words = ("create", "sale", *TEXT, "--recipients", people())
    run(*words)
    before = progress()
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.startswith("error: name: there is a campaign called sale already, imported whole")
    assert err.count("\n") == 1
    assert progress() == before


def test_a_redis_that_is_not_there_is_one_line(run, people, monkeypatch):
    monkeypatch.setenv("SENDLINE_REDIS_URL", "redis://127.0.0.1:1")
    code, out, err = run("create", "sale", *TEXT, "--recipients", people())
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: redis_url: ")


def test_what_ends_an_import_says_how_to_go_on(run, people, hands, progress, cut_off):
    """Ctrl-C between two stretches, then one within the source: the same command completes it."""
    words = ("create", "sale", *TEXT, "--recipients", people(1800), "--rejects", "rejects.csv")
    calls = cut_off(3)
    code, out, err = run(*words)
    assert (code, out, err.count("\n")) == (130, "", 1)
    assert err.startswith(
        "error: interrupted: 1,000 rows are done (1,000 accepted), nothing was sent: the very same"
    )
    assert progress().total == 1000
    assert all(isinstance(each, Enlisted) for each in calls[0].recipients)
    code, out, err = run(*words)
    assert (code, err) == (0, "")
    assert "accepted    1,800" in out
    assert progress().imported.rows == progress().total == 1800


def test_a_redis_that_goes_away_in_mid_import_says_what_is_done(run, people, hands, progress, cut_off):
    cut_off(2, LedgerUnavailable("Redis is away"))
    words = ("create", "sale", *TEXT, "--recipients", people(700))
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err == (
        "error: redis_url: Redis is away; 500 rows are done (500 accepted): "
        "the very same command goes on there, nothing is doubled or skipped\n"
    )
    assert run(*words)[0] == 0
    assert progress().total == 700


def test_an_import_goes_on_only_with_the_file_that_it_began_with(run, people, hands, progress, cut_off):
    cut_off(2)
    run("create", "sale", *TEXT, "--recipients", people(700))
    code, out, err = run("create", "sale", *TEXT, "--recipients", people(700, "other.csv", start=5))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: recipients: this is not the file that the campaign's import began with")
    assert progress().total == 500


def test_ctrl_c_before_anything_is_founded_says_so(run, people, hands, nothing_made, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(importing.campaigns, "found", interrupted)
    code, out, err = run("create", "sale", *TEXT, "--recipients", people())
    assert (code, out, err) == (130, "", "error: interrupted: no campaign was created\n")
    assert nothing_made()


def test_ctrl_c_in_a_real_import_loses_nothing(people, hands, redis_url, ledger, progress, tmp_path):
    """A process that reads from a pipe is interrupted in its middle, then run again on the file."""
    path = people(3000)
    command = [str(SENDLINE), "campaign", "create", "sale", *TEXT, "--recipients"]
    environment = {**os.environ, "SENDLINE_REDIS_URL": redis_url}
    lines = Path(path).read_bytes().splitlines(keepends=True)
    process = subprocess.Popen(
        [*command, "-", "--format", "csv"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    )
    filler = b"\n" * 300_000  # what is looked at before the first row is read is full
    process.stdin.write(b"".join(lines[:1201]) + filler)
    process.stdin.flush()
    poll(lambda: ledger.run(importing.campaigns.campaign_names()) == ["sale"] and progress().total == 1000)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, b"")
    assert err.startswith(b"error: interrupted: 1,000 rows are done (1,000 accepted), nothing was sent")
    assert progress().imported.complete is False
    done = subprocess.run(
        [*command, path], check=False, capture_output=True, env=environment, timeout=30, cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"accepted    3,000\n" in done.stdout
    found = progress()
    assert (found.total, found.imported.rows, found.imported.duplicates) == (3000, 3000, 0)
    assert found.imported.complete
