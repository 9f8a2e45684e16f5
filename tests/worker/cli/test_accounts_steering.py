"""`sendline accounts set`, `pause`, `resume` and `history`."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from ledger_world import START, account_limits, publish_accounts
from sendline.ledger.account_state import account_state
from sendline.ledger.accounts import halt, resume
from sendline.ledger.connection import Ledger
from sendline.ledger.limits import Limits
from servers import ValkeyServer

MAIN = """
[accounts.later]
provider = "opentact"
base_url = "http://127.0.0.1:9"
api_key = "very-secret-key"
"""

COMMAND = "accounts"


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


@pytest.mark.parametrize(("rate", "default"), [(20, 2), (1000, 20), (130, 3), (124, 2)])
def test_a_burst_that_is_not_configured_is_told_as_the_default(publish, run, state, rate, default):
    publish("main", rate=rate, burst=None)
    assert state().burst == default
    said = f"burst 1, default {default}; sender_rate 2, configured none; sender_burst 3, default 1"
    words = ("set", "main", "--burst", "1", "--sender-rate", "2", "--sender-burst", "3")
    assert run(*words) == (0, f"ok account main: {said}\n", "")
    publish("main", rate=rate, burst=5)
    assert "ok account main: burst 1, configured 5;" in run("set", "main", "--burst", "1")[1]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ((), "limit: missing; give --rate"),
        (
            ("--rate", "0"),
            "--rate: '0' is not a number, at least 0.00001 and at most 10,000, or the word configured",
        ),
        (("--rate", "10001"), "--rate: '10001' is not a number"),
        (("--rate", "nan"), "--rate: 'nan' is not a number"),
        (("--rate", "-1"), "--rate: '-1' is not a number"),
        (("--burst", "0"), "--burst: '0' is not a whole number, at least 1 and at most 10,000"),
        (("--burst", "2.5"), "--burst: '2.5' is not a whole number"),
        (
            ("--in-flight", "many"),
            "--in-flight: 'many' is not a whole number, at least 1 and at most 10,000, 0 for",
        ),
        (
            ("--daily-cap", "10000001"),
            "--daily-cap: '10000001' is not a whole number, at least 1 and at most 10,000,000, 0 for",
        ),
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
    paused = read("pause", "main", "--reason", "an outage")
    assert (paused["name"], paused["state"], paused["paused_by"]) == ("main", "paused", "person")
    assert paused["cause"] == "an outage"
    assert state().halted == "an outage"
    assert run("resume", "main") == (0, "ok account main goes on\n", "")
    assert state().halted is None
    code, out, _ = run("pause", "main")
    assert (code, state().halted) == (0, "")
    assert "`sendline accounts resume main` lets it go on" in out


def test_one_that_does_not_go_on_yet_is_told_with_what_holds_it(world, run):
    world.clock.advance(time.time() - START / 1_000_000)
    world.configure(account_limits("main", 100, 2, daily_cap=2), account_limits("spare", 100, 2))
    world.accept_many(3)
    world.claim(3)
    code, out, _ = run("resume", "main")
    assert code == 0
    assert out.startswith(
        "ok account main was let go on. Account main has sent its 2 messages of today: it goes"
    )
    assert run("resume", "spare")[1] == "ok account spare goes on\n"
    world.accept("spare")
    world.settle(
        world.claim_one(), "retrying", delay=-1, counted=False, effect="stop", pause=60, reason="401"
    )
    said = "Account spare is tried with one message now; the others follow if it works: 401."
    assert run("resume", "spare")[1] == f"ok account spare was let go on. {said}\n"


@pytest.mark.parametrize("words", [("set", "main", "--rate", "5"), ("pause", "main"), ("resume", "main")])
def test_every_command_prints_an_account_alike(publish, run, read, redis_url, words):
    publish("main", "spare", rate=20)
    run("pause", "spare")
    steered = read(*words)
    [listed] = [each for each in read()["accounts"] if each["name"] == "main"]
    assert steered == listed
    assert steered["provider"] is not None


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
        ("spare", "paused"),
        ("main", "adjusted"),
        ("spare", "resumed"),
    ]
    assert [each["change"] for each in read("history", "main")["changes"]] == ["adjusted"]
    assert [each["change"] for each in read("history", "--limit", "1")["changes"]] == ["resumed"]
    assert all(each["at"].endswith("Z") for each in found)
    lines = run("history")[1].splitlines()
    assert "spare was paused by a person: an outage; its messages wait" in lines[0]
    assert "main has other limits, set by a person: rate 5 (configured 1000), sender_daily_cap 7" in lines[1]


def test_the_history_is_whole_where_there_are_many_changes(publish, ledger, read):
    publish("main")
    for _ in range(130):
        ledger.run(halt(Limits(), "main", ""))
        ledger.run(resume(Limits(), "main"))
    found = read("history", "--limit", "500")["changes"]
    assert [each["seq"] for each in found] == list(range(1, 261))


@pytest.fixture
def follow(tmp_path):
    """Follow the history of account main of a ledger; whatever is left is killed at the end."""
    code = "from sendline_worker.cli.main import main; import sys; sys.exit(main(sys.argv[1:]))"
    started = []

    def follow(url):
        words = [sys.executable, "-c", code, "accounts", "history", "main", "--follow", "--json"]
        environment = {**os.environ, "SENDLINE_REDIS_URL": url}
        process = subprocess.Popen(
            words,
            env=environment,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield follow
    for process in started:
        process.kill()
        process.communicate()


def test_the_history_is_followed_until_ctrl_c(publish, run, redis_url, follow):
    publish("main", "spare")
    run("pause", "main")
    process = follow(redis_url)
    assert json.loads(process.stdout.readline())["change"] == "paused"
    run("pause", "spare")
    run("resume", "main")
    assert json.loads(process.stdout.readline())["change"] == "resumed"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "", "")


def test_who_follows_the_history_waits_for_a_server_that_restarts(follow):
    with ValkeyServer() as server:
        with contextlib.closing(Ledger(server.url, timeout=5)) as ledger:
            publish_accounts(ledger, "main")
            ledger.run(halt(Limits(), "main", ""))
        process = follow(server.url)
        assert json.loads(process.stdout.readline())["change"] == "paused"
        server.kill()
        assert process.stderr.readline().startswith("waiting: Redis at ")
        server.start()
        assert process.stderr.readline() == "going on: Redis answers again\n"
        with contextlib.closing(Ledger(server.url, timeout=5)) as ledger:
            ledger.run(resume(Limits(), "main"))
        assert json.loads(process.stdout.readline())["change"] == "resumed"
        server.kill()
        assert process.stderr.readline().startswith("waiting: ")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "", "")
