"""`sendline receipts rejected`: what it lists, and that it harms no terminal."""

import time
from base64 import b64decode
from datetime import UTC, datetime, timedelta

import pytest

from sendline.ledger import rejected as verb
from sendline.ledger.limits import Limits
from sendline.ledger.rejected import BODY_KEPT, Rejected, count_rejected, reject
from sendline.ledger.scripts import script

COMMAND = "receipts"


@pytest.fixture
def read(read):
    """Read the rejected requests."""
    return lambda *words: read("rejected", *words)


@pytest.fixture
def keep(ledger):
    """Keep requests with these bodies."""

    def keep(*bodies, why="no JSON object", query="", size=None):
        headers = {"content-type": "application/json"}
        requests = [Rejected("main", why, headers, query, body, size or len(body)) for body in bodies]
        ledger.run(reject(Limits(), requests))

    return keep


def test_where_none_was_rejected_it_says_so(run, read):
    assert run("rejected") == (0, "ok no request was rejected that is still kept\n", "")
    assert read() == {"number": 0, "rejected": []}


def test_it_shows_when_where_why_and_how_it_begins_the_newest_first(run, keep):
    keep(b'{"a": 1}', b'{"b": "caf\xc3\xa9"}')
    code, out, err = run("rejected")
    assert (code, err) == (0, "")
    heads, newer, older = out.splitlines()
    assert heads.split() == ["when", "account", "why", "bytes", "begins"]
    assert newer.split()[0][:4] == str(datetime.now(UTC).year)
    assert newer.split()[1:] == ["main", "no", "JSON", "object", "14", '{"b":', '"café"}']
    assert older.endswith('{"a": 1}')


def test_a_terminal_obeys_nothing_of_what_is_shown(run, keep):
    keep(b"\x1b[2Jred\r\n\xff\xe2\x80\xae\x9b" + b"x" * 500)
    out = run("rejected")[1]
    assert out.count("\n") == 2
    assert out.replace("\n", "").isprintable()
    assert r"\x1b[2Jred\r\n\xff\u202e\x9bxxx" in out
    assert len(out.splitlines()[1]) < 200


def test_json_holds_the_whole_text(read, keep):
    keep('{"text": "Grüße\n"}'.encode(), query="a=1")
    [shown] = read()["rejected"]
    at = datetime.fromisoformat(shown.pop("at"))
    assert abs(at - datetime.now(UTC)) < timedelta(seconds=30)
    assert shown == {
        "account": "main",
        "why": "no JSON object",
        "headers": {"content-type": "application/json"},
        "query": "a=1",
        "size": 20,
        "whole": True,
        "body": '{"text": "Grüße\n"}',
    }


def test_json_holds_base64_of_what_is_no_text(read, keep):
    keep(b"\x00\xff")
    [shown] = read()["rejected"]
    assert "body" not in shown
    assert b64decode(shown["body_base64"]) == b"\x00\xff"


def test_a_text_that_was_cut_inside_a_character_is_still_text(read, keep):
    keep(b"x" * (BODY_KEPT - 1) + "é".encode())
    [shown] = read()["rejected"]
    assert shown["body"] == "x" * (BODY_KEPT - 1)
    assert (shown["whole"], shown["size"]) == (False, BODY_KEPT + 1)


def test_so_many_are_shown_as_are_asked_for(run, read, keep):
    keep(*(b"%d" % number for number in range(30)))
    assert run("rejected")[1].splitlines()[-1] == "and 10 more; --limit 30 shows all"
    assert [each["body"] for each in read("--limit", "2")["rejected"]] == ["29", "28"]
    assert read("--limit", "2")["number"] == 30
    assert read("--limit", "1000")["number"] == len(read("--limit", "1000")["rejected"]) == 30


def test_what_is_a_week_old_is_not_shown(run, read, keep, monkeypatch):
    last_week = round((time.time() - 7 * 86_400) * 1_000_000)
    old = f"return {{'{last_week // 1_000_000}', '{last_week % 1_000_000}'}}"
    with monkeypatch.context() as patched:
        patched.setattr(verb, "script", lambda name: script(name, clock=old))
        keep(b"old")
    assert read() == {"number": 0, "rejected": []}
    keep(b"new")
    assert [each["body"] for each in read()["rejected"]] == ["new"]
    assert run("rejected")[1].count("\n") == 2


def test_clear_forgets_them(run, read, keep, ledger):
    keep(b"1", b"2")
    assert run("rejected", "--clear") == (0, "ok 2 rejected requests forgotten\n", "")
    assert ledger.run(count_rejected()) == 0
    keep(b"1")
    assert read("--clear") == {"cleared": 1}
    assert read()["number"] == 0


@pytest.mark.parametrize("limit", ["0", "1001", "many"])
def test_a_limit_that_can_not_be_is_told_in_one_line(run, limit):
    code, out, err = run("rejected", "--limit", limit)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: limit: ")


def test_the_family_alone_says_what_there_is(run):
    code, out, err = run()
    assert (code, out) == (2, "")
    assert "rejected" in err


def test_a_ledger_that_is_away_is_told_in_one_line(run, monkeypatch):
    monkeypatch.setenv("SENDLINE_REDIS_URL", "redis://127.0.0.1:1")
    code, out, err = run("rejected")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: redis_url: ")


def test_the_help_warns_of_what_is_shown(run):
    code, out, _ = run("rejected", "--help")
    assert code == 0
    assert "whole phone numbers" in " ".join(out.split())
    assert "Examples:" in out
