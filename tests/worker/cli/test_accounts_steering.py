"""`sendline accounts set`, `pause`, `resume` and `history`."""

import json
import os
import signal
import subprocess
import sys

import pytest

from sendline.ledger.account_state import account_state
from sendline.ledger.accounts import halt, resume
from sendline.ledger.limits import Limits
from sendline_worker.cli.main import main

MAIN = """
[accounts.later]
provider = "opentact"
base_url = "http://127.0.0.1:9"
api_key = "very-secret-key"
"""


@pytest.fixture
def run(redis_url, monkeypatch, capsys):
    """Run `sendline accounts` on the ledger of the test; returns its code, its output and its errors."""
    monkeypatch.setenv("SENDLINE_REDIS_URL", redis_url)

    def run(*words):
        code = main(["accounts", *words])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def read(run):
    """Run it with --json and return what it printed."""

    def read(*words):
        code, out, err = run(*words, "--json")
        assert (code, err, out.count("\n")) == (0, "", 1)
        return json.loads(out)

    return read


@pytest.fixture
def state(ledger):
    return lambda name="main": ledger.run(account_state(name))


def test_limits_are_set_and_taken_back(publish, read, run, state):
    publish("main", rate=20, burst=4)
    found = read("set", "main", "--rate", "10", "--in-flight", "3", "--sender-rate", "0.5")
    assert found["limits"] == {
        "rate": 10,
        "burst": 4,
        "in_flight": 3,
        "daily_cap": None,
        "sender_rate": 0.5,
        "sender_burst": 1,
        "sender_daily_cap": None,
    }
    assert (state().interval, state().in_flight, state().s_interval) == (100_000, 3, 2_000_000)
    assert set(read("set", "main", "--rate", "configured")["adjusted"]) == {"in_flight", "sender_rate"}
    assert state().rate == 20
    said = "ok account main: all of its limits are those that are configured\n"
    assert run("set", "main", "--reset") == (0, said, "")
    assert (state().in_flight, state().s_interval, state().adjusted) == (0, 0, {})


@pytest.mark.parametrize("word", ["0", "none"])
def test_a_limit_can_be_lifted(publish, read, state, word):
    publish("main", in_flight=5, daily_cap=100, sender_rate=1, sender_daily_cap=10)
    options = ("--in-flight", "--daily-cap", "--sender-rate", "--sender-daily-cap")
    found = read("set", "main", *(part for option in options for part in (option, word)))
    assert [found["limits"][o[2:].replace("-", "_")] for o in options] == [None] * 4
    assert (state().in_flight, state().cap, state().s_interval, state().s_cap) == (0, 0, 0, 0)


def test_what_was_set_is_told(publish, run):
    publish("main", rate=20)
    assert run("set", "main", "--rate", "3", "--daily-cap", "500") == (
        0,
        "ok account main: rate 3, configured 20; daily_cap 500, configured none\n",
        "",
    )


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ((), "limit: missing; give --rate"),
        (
            ("--rate", "0"),
            "--rate: '0' is not a number, more than 0 and at most 10000, or the word configured",
        ),
        (("--rate", "10001"), "--rate: '10001' is not a number"),
        (("--rate", "nan"), "--rate: 'nan' is not a number"),
        (("--rate", "-1"), "--rate: '-1' is not a number"),
        (("--burst", "0"), "--burst: '0' is not a whole number, at least 1 and at most 10000"),
        (("--burst", "2.5"), "--burst: '2.5' is not a whole number"),
        (
            ("--in-flight", "many"),
            "--in-flight: 'many' is not a whole number, at least 1 and at most 10000, 0 for",
        ),
        (("--daily-cap", "10000001"), "--daily-cap: '10000001' is not a whole number"),
        (("--sender-rate", "inf"), "--sender-rate: 'inf' is not a number"),
        (("--sender-daily-cap", "-3"), "--sender-daily-cap: '-3' is not"),
        (("--sender-burst", "3"), "--sender-burst: has no meaning without a rate for senders"),
        (("--sender-burst", "3", "--sender-rate", "configured"), "--sender-burst: has no meaning without"),
        (("--rate", "5", "--reset"), "--reset: takes all adjustments back; leave out the others"),
        (("--rat", "5"), "--rat: no such option of `sendline accounts set`; did you mean --rate?"),
    ],
)
def test_a_mistake_names_the_option_and_changes_nothing(publish, run, state, words, line):
    publish("main", rate=20)
    before = state()
    code, out, err = run("set", "main", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"error: {line}")
    assert state() == before


def test_a_burst_of_senders_goes_with_their_rate(publish, read, state):
    publish("main")
    read("set", "main", "--sender-rate", "2", "--sender-burst", "3")
    read("set", "main", "--sender-burst", "4")
    assert (state().s_interval, state().s_burst) == (500_000, 4)


@pytest.mark.parametrize(
    "words", [("set", "nope", "--rate", "5"), ("pause", "nope"), ("resume", "nope"), ("history", "nope")]
)
def test_an_account_that_is_not_known_is_told_with_those_that_are(publish, run, words):
    publish("main", "spare")
    assert run(*words) == (2, "", "error: account: 'nope' is not known; known: main, spare\n")


def test_an_account_that_no_worker_has_published_is_told(publish, run, tmp_path):
    publish("main")
    (tmp_path / "sendline.toml").write_text(MAIN)
    code, _, err = run("pause", "later")
    assert code == 2
    assert err == "error: account: 'later' was not published by a worker yet; start `sendline worker`\n"
    assert run("history", "later")[0] == 0


def test_an_account_is_paused_and_let_go_on(publish, read, run, state):
    publish("main")
    assert read("pause", "main", "--reason", "an outage") == {
        "account": "main",
        "paused": True,
        "reason": "an outage",
    }
    assert state().halted == "an outage"
    assert run("resume", "main") == (0, "ok account main goes on\n", "")
    assert state().halted is None
    code, out, _ = run("pause", "main")
    assert (code, state().halted) == (0, "")
    assert "`sendline accounts resume main` lets it go on" in out


def test_options_of_the_table_don_t_go_before_a_command(publish, run):
    publish("main")
    code, _, err = run("--urls", "pause", "main")
    assert code == 2
    assert err.startswith("error: --urls: options come after the command: sendline accounts pause --urls")


def test_the_history_tells_each_change_the_newest_last(publish, run, read):
    publish("main", "spare")
    assert run("history") == (0, "no account has changed yet\n", "")
    run("pause", "spare", "--reason", "an outage")
    run("set", "main", "--rate", "5", "--sender-daily-cap", "7")
    run("resume", "spare")
    found = read("history")["changes"]
    assert [(each["account"], each["change"]) for each in found] == [
        ("spare", "halted"),
        ("main", "adjusted"),
        ("spare", "resumed"),
    ]
    assert [each["change"] for each in read("history", "main")["changes"]] == ["adjusted"]
    assert [each["change"] for each in read("history", "--limit", "1")["changes"]] == ["resumed"]
    lines = run("history")[1].splitlines()
    assert "spare was paused by a person: an outage; its messages wait" in lines[0]
    assert lines[1].endswith("main has other limits, set by a person: rate, sender_daily_cap")


def test_the_history_is_whole_where_there_are_many_changes(publish, ledger, read):
    publish("main")
    for _ in range(130):
        ledger.run(halt(Limits(), "main", ""))
        ledger.run(resume(Limits(), "main"))
    found = read("history", "--limit", "500")["changes"]
    assert [each["seq"] for each in found] == list(range(1, 261))


def test_the_history_is_followed_until_ctrl_c(publish, run, redis_url):
    publish("main", "spare")
    run("pause", "main")
    code = "from sendline_worker.cli.main import main; import sys; sys.exit(main(sys.argv[1:]))"
    words = [sys.executable, "-c", code, "accounts", "history", "main", "--follow", "--json"]
    environment = {**os.environ, "SENDLINE_REDIS_URL": redis_url}
    with subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert json.loads(process.stdout.readline())["change"] == "halted"
            run("pause", "spare")
            run("resume", "main")
            assert json.loads(process.stdout.readline())["change"] == "resumed"
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=10)
        finally:
            process.kill()
    assert (process.returncode, out, err) == (0, "", "")
