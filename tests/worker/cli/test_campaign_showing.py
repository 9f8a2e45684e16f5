"""`sendline campaign list`, `status` and `watch`: counts that add up, on terminals and in pipes."""

import contextlib
import fcntl
import json
import os
import signal
import struct
import subprocess
import sys
import termios
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ledger_world import account_limits
from waiting import poll

COMMAND = "campaign"
SENDLINE = Path(sys.executable).with_name("sendline")
WINDOW = ("--default-zone", "America/New_York", "--window", "00:00-24:00")


@pytest.fixture
def environment(redis_url):
    others = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "NO_COLOR"}}
    return {**others, "SENDLINE_REDIS_URL": redis_url, "TERM": "xterm-256color"}


@pytest.fixture
def start(environment, tmp_path):
    """Start `sendline campaign ...` in a process of its own; whatever is left is killed at the end."""
    started = []

    def start(*words, **options):
        given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL} | options
        process = subprocess.Popen(
            [str(SENDLINE), "campaign", *words], env=environment, cwd=tmp_path, **given
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def terminal(start):
    """Start it on a terminal; returns the process and what reads all that it wrote."""

    def terminal(*words):
        master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 120, 0, 0))
        process = start(*words, stdout=slave, stderr=slave)
        os.close(slave)
        written = bytearray()

        def rest():
            with contextlib.suppress(OSError):  # EIO: the other end is closed
                while some := os.read(master, 65536):
                    written.extend(some)
            os.close(master)
            return written.decode()

        def some():
            written.extend(os.read(master, 65536))
            return written.decode()

        return process, some, rest

    return terminal


@pytest.fixture
def end(hands):
    """Send all that waits; `failed` of them fail."""

    def end(failed=0):
        number = 0
        while claims := hands.claim(64).claims:
            for claim in claims:
                number += 1
                bad = number <= failed
                hands.settle(
                    claim,
                    "failed" if bad else "sent",
                    code="rejected" if bad else "",
                    deadline=0,
                    provider_id=f"p{number}",
                )
        hands.tick()

    return end


# list


def test_where_there_is_none_it_says_so(run, read, hands):
    assert run("list") == (0, "ok no campaigns; `sendline campaign create` makes one\n", "")
    assert read("list") == {"campaigns": [], "more": False}


def test_campaigns_are_listed_the_newest_first(run, read, campaign, end):
    campaign(10, "first", "--start")
    end(3)
    campaign(5, "second")
    campaign(6, "third")
    code, out, err = run("list")
    assert (code, err) == (0, "")
    heads, *rows = out.splitlines()
    assert heads.split() == [
        *("campaign", "created", "recipients", "rejected", "waiting", "sending", "sent", "failed", "state")
    ]
    assert [row.split()[0] for row in rows] == ["third", "second", "first"]
    assert rows[2].split()[2:] == ["10", "0", "0", "0", "7", "3", "finished,", "3", "failed"]
    found = read("list", "--limit", "2")
    assert ([each["name"] for each in found["campaigns"]], found["more"]) == (["third", "second"], True)
    assert run("list", "--limit", "2")[1].endswith("there are more; --limit 4 shows some of them\n")


def test_one_whose_retention_has_ended_is_passed_over(read, campaign, raw):
    campaign(3, "gone")
    campaign(3, "kept")
    raw.delete("sl:c:gone")
    found = read("list")
    assert ([each["name"] for each in found["campaigns"]], found["more"]) == (["kept"], False)


# status


def test_status_tells_counts_errors_and_settings(run, read, campaign, end, hands):
    campaign(10, "sale", "--pause-at", "50%", "--weight", "2", *WINDOW)
    out = run("status", "sale")[1]
    lines = dict(line.split(None, 1) for line in out.split("\n\n")[0].splitlines())
    assert lines["state"] == "created"
    assert lines["recipients"] == "10 accepted, 0 rejected"
    assert lines["final"] == "0 of 10; 10 wait, 0 on the wire"
    assert lines["window"] == "00:00-24:00 of the recipient's clock (default zone America/New_York)"
    assert lines["pauses"] == "by itself when 50% of the last 200 failed"
    assert lines["weight"] == "2"
    run("start", "sale")
    end(4)
    out = run("status", "sale")[1]
    assert "state       finished, 4 failed" in out
    assert [line.split() for line in out.split("\n\n")[1].splitlines()[1:]] == [
        ["sent", "6"],
        ["failed", "4"],
    ]
    assert out.splitlines()[-1].split() == ["rejected", "4"]
    found = read("status", "sale")
    assert (found["errors"], found["failed"], found["estimate"]) == ({"rejected": 4}, 4, None)
    assert sum(found["statuses"].values()) == found["total"] == 10
    assert "text" not in found["spec"]


def test_a_running_campaign_is_told_about_when_it_is_done(run, read, campaign, publish, hands):
    publish(account_limits("main", 2, 1))
    campaign(100, "sale", "--start")
    told = read("status", "sale")["estimate"]
    assert "Account main sends 2 a second" in told["because"]
    [line] = [line for line in run("status", "sale")[1].splitlines() if line.startswith("done")]
    assert line.startswith("done        in about 4")
    run("pause", "sale")
    assert read("status", "sale")["estimate"] is None


def test_the_estimate_knows_the_window(read, campaign, publish, hands):
    publish(account_limits("main", 0.01, 1))
    campaign(200, "sale", *WINDOW[:2], "--window", "Mon 09:00-10:00", "--start")
    told = read("status", "sale")["estimate"]
    assert told["done_about"] is None
    assert "more than 8 days" in told["because"]


def test_what_is_not_due_has_no_estimate(read, run, hands, tmp_path):
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    (tmp_path / "people.csv").write_text(f"to,not_before\n+13115550000,{tomorrow}\n")
    run("create", "sale", "--text", "Hi", "--recipients", "people.csv", "--start")
    assert "not due yet" in read("status", "sale")["estimate"]["because"]
    assert "done        not due. What waits of it is not due yet" in run("status", "sale")[1]


def test_no_campaign_is_created_while_no_account_is_known(run, people):
    code, out, err = run("create", "sale", "--text", "Hi", "--recipients", people(), "--start")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: account: none is known yet")


# watch


def test_a_campaign_that_has_ended_is_one_line(run, campaign, end):
    campaign(10, "sale", "--start")
    end(2)
    code, out, err = run("watch", "sale")
    assert (code, err) == (0, "")
    assert out == "sale: finished, 2 failed; 10 of 10 gone, 8 sent, 2 failed\n"


def test_piped_a_line_comes_when_something_changed_until_the_end(start, campaign, hands, end):
    campaign(10, "sale", "--start")
    process = start("watch", "sale", "--every", "100ms", "--json")
    first = json.loads(process.stdout.readline())
    assert (first["state"], first["waiting"]) == ("running", 10)
    end(1)
    out, err = process.communicate(timeout=20)
    last = json.loads(out.splitlines()[-1])
    assert (process.returncode, err) == (0, b"")
    assert (last["summary"], last["statuses"]["sent"]) == ("finished, 1 failed", 9)


def test_a_canceled_campaign_is_watched_until_nothing_is_left(start, run, campaign, hands):
    campaign(10, "sale", "--start")
    hands.claim(2)
    run("cancel", "sale", "--yes")
    process = start("watch", "sale", "--every", "0.1")
    assert process.stdout.readline().startswith(b"sale: canceled; 0 of 10 gone")
    assert process.poll() is None
    hands.tick()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130


def test_ctrl_c_ends_the_watching_quietly_and_not_the_campaign(start, read, campaign):
    campaign(10, "sale", "--start")
    process = start("watch", "sale")
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (130, b"", b"")
    assert read("status", "sale")["state"] == "running"


def test_on_a_terminal_it_is_drawn_and_the_terminal_left_as_it_was(terminal, campaign, end):
    campaign(10, "sale", "--start")
    process, some, rest = terminal("watch", "sale", "--every", "0.1")
    poll(lambda: "0 of 10" in some())
    end(3)
    written = rest()
    assert process.wait(20) == 0
    assert "10 of 10" in written
    assert "sale: finished, 3 failed" in written
    assert "rejected" in written
    assert written.rstrip().endswith("\x1b[?25h") or "\x1b[?25l" not in written


def test_an_import_on_a_terminal_has_a_bar_and_in_a_pipe_none(terminal, start, hands, people):
    words = ("--text", "Hi {{ name }}", "--recipients", people(3000))
    process, _, rest = terminal("create", "drawn", *words)
    written = rest()
    assert process.wait(20) == 0
    assert "importing" in written
    assert "rows" in written
    piped = start("create", "piped", *words)
    out, err = piped.communicate(timeout=20)
    assert (piped.returncode, err) == (0, b"")
    assert b"importing" not in out
    assert b"\x1b" not in out


@pytest.mark.parametrize("every", ["0", "x", "1ms", "2h"])
def test_how_often_must_be_a_bearable_time(run, campaign, every):
    campaign()
    code, out, err = run("watch", "sale", "--every", every)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: every: ")
