"""What people are told when an account changes, in the log and by their command: rather twice than never."""

import json
import logging
import shlex
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from lua_numbers import lua_number
from sendline.ledger.account_state import account_state
from sendline.ledger.accounts import (
    AccountChange,
    Change,
    Wake,
    adjust,
    calendar,
    changes_after,
    halt,
    newest_change,
    resume,
    told,
)
from sendline.ledger.connection import Ledger
from sendline.ledger.keys import KEYS
from sendline.ledger.limits import Limits
from sendline.settings import AccountSettings, Settings
from sendline_worker import alerts as module
from sendline_worker.accounts import load_accounts
from sendline_worker.alerts import KEPT, Alerts, Hook, sentence
from sendline_worker.dispatch.policy import PROBE_AFTER
from sendline_worker.tick import Ticker

PROVIDERS = {"main": "a provider"}


@pytest.fixture
def make(ledger):
    """Make alerts that are ended with the test: `make(command)`."""
    made = []

    def make(*command):
        made.append(Alerts(ledger, command, PROVIDERS))
        return made[-1]

    yield make
    for each in made:
        each.stop()


@pytest.fixture
def lines(caplog):
    """What was logged of accounts: pairs of level and text."""
    caplog.set_level(logging.INFO, "sendline.accounts")
    return lambda: [
        (each.levelname, each.message) for each in caplog.records if each.name == "sendline.accounts"
    ]


@pytest.fixture
def main(ledger, publish):
    """An account whose earlier changes nobody is told of any more."""
    publish("main")
    return Limits()


def script(tmp_path, text):
    """Write a program of these lines and return the command that runs it."""
    path = tmp_path / "hook.py"
    path.write_text(f"import json, os, subprocess, sys, time\n{text}\n")
    return [sys.executable, str(path)]


def keeper(tmp_path):
    """Return a command that keeps what it is told, a line each, and the file."""
    file = tmp_path / "told.jsonl"
    return script(tmp_path, f"open({str(file)!r}, 'a').write(sys.stdin.read() + chr(10))"), file


def read(file):
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_each_change_is_one_line_of_the_log(ledger, main, make, lines):
    alerts = make()
    alerts.look()
    ledger.run(halt(main, "main", "maintenance"))
    ledger.run(resume(main, "main"))
    ledger.run(adjust(main, "main", {"rate": 5, "sender_daily_cap": 9}))
    alerts.look()
    alerts.look()
    wait = "its messages wait, or go by the next account of their route"
    limits = "rate 5 (configured 1000), sender_daily_cap 9 (configured none)"
    assert lines() == [
        ("WARNING", f"account main was paused by a person: maintenance; {wait}"),
        ("INFO", "account main was let go on by a person"),
        ("INFO", f"account main has other limits, set by a person: {limits}"),
    ]


def test_an_account_that_is_stopped_is_a_warning_with_what_becomes_of_its_messages(world, make, lines):
    world.configure("main")
    alerts = make()
    alerts.look()
    world.accept()
    world.settle(
        world.claim_one(), "retrying", delay=-1, counted=False, effect="stop", pause=60, reason="401: key"
    )
    world.clock.advance(61)
    world.settle(world.claim_one(), "sent", effect="open")
    alerts.look()
    (level, stopped), (lesser, recovered) = lines()
    assert (level, lesser) == ("WARNING", "INFO")
    assert stopped.startswith("account main is stopped: 401: key; its messages wait")
    assert stopped.endswith("it is tried again with one message every 60 s")
    assert recovered == "account main works again: its messages go on"


def test_every_kind_of_change_has_its_sentence():
    assert set(module._SAID) == set(Change)


@pytest.mark.parametrize("change", [*Change, "of a newer release"])
def test_a_cause_is_told_as_it_is_whatever_it_contains(change):
    cause = "{wait} {cause} {0} {} }{ {{x}} %s"
    said = sentence(AccountChange(1, "main", change, datetime.now(UTC), cause))
    assert cause in said or "{cause}" not in module._SAID[change]
    assert sentence(AccountChange(1, "main", change, datetime.now(UTC))).isprintable()


def test_sentences_tell_when_an_account_is_tried_again_as_it_is():
    stopped, broken = module._SAID[Change.STOPPED], module._SAID[Change.BROKEN]
    assert f"with one message every {PROBE_AFTER:g} s" in stopped
    assert lua_number("verdicts", "LONGEST_PROBE") == PROBE_AFTER * 1000
    assert f"one message tries it in {lua_number('verdicts', 'FIRST_PROBE') / 1000:g} s" in broken


def test_changes_that_are_not_kept_any_more_are_counted(ledger, raw, main, make, lines, tmp_path, poll):
    command, file = keeper(tmp_path)
    alerts = make(*command)
    alerts.look()
    for _ in range(3):
        ledger.run(halt(main, "main", ""))
        ledger.run(resume(main, "main"))
    raw.xtrim(KEYS["changes"], maxlen=2, approximate=False)
    alerts.look()
    alerts.look()
    first = next(text for level, text in lines() if level != "INFO")
    assert first == "4 changes of accounts were lost"
    assert [text for _, text in lines()].count(first) == 1
    assert "alert_command was not told of 4 changes of accounts: they were lost" in [t for _, t in lines()]
    poll(lambda: [each["seq"] for each in read(file)] == [5, 6])


def test_at_the_very_first_start_nothing_older_is_told(ledger, main, make, lines):
    ledger.run(halt(main, "main", ""))
    make().look()
    assert lines() == []
    assert ledger.run(told("log")) == ledger.run(told("command")) == ledger.run(newest_change()) == 1


def test_another_worker_goes_on_where_the_last_one_ended(ledger, main, make, lines):
    make().look()
    ledger.run(halt(main, "main", ""))
    make().look()
    ledger.run(resume(main, "main"))
    make().look()
    assert [text.split(" by ")[0] for _, text in lines()] == [
        "account main was paused",
        "account main was let go on",
    ]


def test_the_command_gets_each_change_as_json(ledger, main, make, tmp_path, poll):
    command, file = keeper(tmp_path)
    alerts = make(*command)
    alerts.look()
    ledger.run(halt(main, "main", "maintenance"))
    ledger.run(resume(main, "main"))
    changes = [each.to_dict() | {"provider": "a provider"} for each in ledger.run(changes_after(0))]
    alerts.look()
    poll(lambda: len(read(file)) == 2)
    assert read(file) == changes
    assert changes[0]["cause"] == "maintenance"
    poll(lambda: (alerts.look(), ledger.run(told("command")) == 2)[1])


def test_what_the_command_was_not_told_when_a_worker_died_comes_again(ledger, main, make, tmp_path, poll):
    alerts = make(*script(tmp_path, "time.sleep(60)"))
    alerts.look()
    ledger.run(halt(main, "main", ""))
    alerts.look()
    assert ledger.run(told("command")) == 0
    alerts.stop()
    assert ledger.run(told("command")) == 0
    command, file = keeper(tmp_path)
    make(*command).look()
    poll(lambda: [each["change"] for each in read(file)] == ["paused"])


def test_a_command_that_hangs_never_holds_the_tick_up_and_ends_with_the_worker(
    ledger, main, make, tmp_path, poll
):
    started = tmp_path / "started"
    waits = f"subprocess.Popen(['sleep', '60']); open({str(started)!r}, 'w').close(); time.sleep(60)"
    alerts = make(*script(tmp_path, waits))
    alerts.look()
    for _ in range(KEPT):
        ledger.run(halt(main, "main", ""))
        ledger.run(resume(main, "main"))
    begun = time.monotonic()
    for _ in range(5):
        alerts.look()
    assert time.monotonic() - begun < 10
    poll(started.exists)
    assert alerts._hook.room == 0
    alerts.stop()
    assert not alerts._hook._thread.is_alive()
    assert ledger.run(told("command")) == 0


def test_the_log_tells_at_once_whatever_the_command_does(ledger, main, make, tmp_path, lines):
    alerts = make(*script(tmp_path, "time.sleep(60)"))
    alerts.look()
    number = KEPT + 30
    for _ in range(number):
        ledger.run(halt(main, "main", ""))
        ledger.run(resume(main, "main"))
    alerts.look()
    assert len(lines()) == 2 * number
    assert (ledger.run(told("log")), ledger.run(told("command"))) == (2 * number, 0)
    make().look()
    assert len(lines()) == 2 * number, "another worker's log goes on behind that"


def test_a_command_that_may_not_be_ended_is_left_and_the_next_change_is_told(
    ledger, main, make, tmp_path, poll, monkeypatch, lines
):
    """As one is that runs under another user, by sudo."""
    _forbid_ends(monkeypatch)
    ends, told_of = tmp_path / "ends", tmp_path / "told"
    text = (
        f"open({str(told_of)!r}, 'a').write('x')\nwhile not os.path.exists({str(ends)!r}): time.sleep(0.05)"
    )
    alerts = make(*script(tmp_path, text))
    alerts.look()
    ledger.run(halt(main, "main", ""))
    ledger.run(resume(main, "main"))
    poll(lambda: (alerts.look(), ledger.run(told("command")) == 2)[1])
    assert told_of.read_text() == "xx"
    problem = "alert_command can't be ended after 0.3 s, and still runs: account main"
    assert [t for level, t in lines() if level == "ERROR"] == [f"{problem}, paused", f"{problem}, resumed"]
    ends.touch()
    poll(lambda: all(each.poll() is not None for each in alerts._hook._left))


def test_no_further_command_is_begun_where_too_many_can_not_be_ended(tmp_path, monkeypatch, poll):
    _forbid_ends(monkeypatch)
    monkeypatch.setattr(module, "LEFT", 1)
    ends = tmp_path / "ends"
    hook = Hook(script(tmp_path, f"while not os.path.exists({str(ends)!r}): time.sleep(0.05)"))
    assert hook._call(b"x") == "can't be ended after 0.3 s, and still runs"
    assert hook._call(b"x") == "can't be run (1 earlier ones still run, and can't be ended)"
    ends.touch()
    poll(lambda: hook._call(b"x") == "")


def _forbid_ends(monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(module, "LONGEST", 0.3)
    monkeypatch.setattr(module, "END_WITHIN", 0.1)
    monkeypatch.setattr(module.os, "killpg", refuse)
    monkeypatch.setattr(module.subprocess.Popen, "kill", refuse)


def test_a_fault_while_the_command_runs_is_logged_and_the_next_change_is_told(
    ledger, main, make, tmp_path, poll, monkeypatch, lines
):
    command, file = keeper(tmp_path)
    alerts = make(*command)
    alerts.look()
    call, faults = Hook._call, iter([RuntimeError("a fault")])

    def once(self, text):
        for fault in faults:
            raise fault
        return call(self, text)

    monkeypatch.setattr(Hook, "_call", once)
    ledger.run(halt(main, "main", ""))
    ledger.run(resume(main, "main"))
    poll(lambda: (alerts.look(), ledger.run(told("command")) == 2)[1])
    assert [each["change"] for each in read(file)] == ["resumed"]
    assert ("ERROR", "alert_command failed: account main, paused") in lines()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("sys.exit(3)", "alert_command failed with exit code 3: account main, paused"),
        ("time.sleep(60)", "alert_command was ended after 0.3 s: account main, paused"),
        ("", None),
    ],
)
def test_a_failure_of_the_command_is_one_line_and_the_next_change_is_told(
    ledger, main, make, tmp_path, poll, monkeypatch, lines, text, problem
):
    monkeypatch.setattr(module, "LONGEST", 0.3 if "sleep" in text else 10)
    alerts = make(*script(tmp_path, text))
    alerts.look()
    ledger.run(halt(main, "main", ""))
    poll(lambda: (alerts.look(), ledger.run(told("command")) == 1)[1])
    errors = [said for level, said in lines() if level == "ERROR"]
    assert errors == ([] if problem is None else [problem])


def test_a_command_that_is_not_there_is_one_line_too(ledger, main, make, poll, lines):
    alerts = make("/nowhere/at-all")
    alerts.look()
    ledger.run(halt(main, "main", ""))
    poll(lambda: (alerts.look(), ledger.run(told("command")) == 1)[1])
    assert (
        "ERROR",
        "alert_command can't be run (No such file or directory): account main, paused",
    ) in lines()


def test_a_command_that_reads_nothing_is_no_failure(tmp_path):
    hook = Hook([sys.executable, "-c", "pass"])
    assert hook._call(b"x" * 1_000_000) == ""


# In the tick


@pytest.fixture
def ticker(redis_url):
    """A worker's housekeeping, by hand: `ticker(alert_command=...)`."""
    made = []

    def ticker(**fields):
        options = {"base_url": "http://127.0.0.1:9", "api_key": "x" * 16}
        account = AccountSettings.model_validate(
            {"provider": "opentact", **options, **fields.pop("account", {})}
        )
        settings = Settings(redis_url=redis_url, accounts={"main": account}, **fields)
        made.append(Ticker(settings, load_accounts(settings), Wake("wakes", b"w")))
        return made[-1]

    yield ticker
    for each in made:
        each.stop()


def test_the_worker_that_ticks_tells_and_another_does_not(ledger, ticker, tmp_path, poll, lines):
    command, file = keeper(tmp_path)
    first, second = (ticker(alert_command=shlex.join(command)) for _ in range(2))
    first.tick()
    ledger.run(halt(Limits(), "main", "maintenance"))
    second.tick()
    assert lines() == []
    first.tick()
    assert len(lines()) == 1
    poll(lambda: [each["provider"] for each in read(file)] == ["opentact"])


def test_midnights_are_published_for_accounts_whose_day_counts(ledger, ticker):
    ticker(account={"daily_cap": 10, "time_zone": "Europe/Berlin"}).tick()
    days = ledger.run(account_state("main")).days
    assert len(days) == 8
    assert days[0] <= time.time() * 1000 < days[1]
    assert all(82_800_000 <= later - day <= 90_000_000 for day, later in pairwise(days))


def test_midnights_of_a_zone_that_is_not_configured_any_more_do_not_stay(ledger, ticker):
    plain = ticker()
    plain.tick()
    assert ledger.run(account_state("main")).days == ()
    ledger.run(calendar("main", [1, 2]))
    plain._calendars_due = 0.0
    plain.tick()
    assert all(day % 86_400_000 == 0 for day in ledger.run(account_state("main")).days)


def test_midnights_are_published_anew_each_hour(ledger, ticker, monkeypatch):
    capped = ticker(account={"daily_cap": 10})
    capped.tick()
    ledger.run(calendar("main", [1, 2]))
    capped.tick()
    assert ledger.run(account_state("main")).days == (1, 2)
    monkeypatch.setattr(capped, "_calendars_due", 0.0)
    capped.tick()
    assert len(ledger.run(account_state("main")).days) == 8


def test_alerts_leave_a_ledger_that_is_gone_alone(redis_url, publish, tmp_path):
    publish("main")
    with closing(Ledger(redis_url)) as ledger:
        alerts = Alerts(ledger, keeper(tmp_path)[0], PROVIDERS)
        alerts.look()
    alerts.stop()
