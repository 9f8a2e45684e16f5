"""What people read on terminals of all widths, and what becomes of a command that nobody reads any more."""

import contextlib
import fcntl
import os
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from ledger_world import START, account_limits
from sendline_worker.cli import printing
from sendline_worker.cli.printing import print_table

SENDLINE = Path(sys.executable).with_name("sendline")
LONG = "a-name-of-thirty-two-characters."[:31] + "x"


@pytest.fixture
def environment(redis_url, tmp_path, monkeypatch):
    """Stand in an empty directory, with the ledger of the test and nothing that tells of terminals."""
    monkeypatch.chdir(tmp_path)
    others = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "NO_COLOR"}}
    return {**others, "SENDLINE_REDIS_URL": redis_url, "TERM": "xterm-256color"}


@pytest.fixture
def show(environment):
    """Run a command on a terminal; returns what it wrote."""

    def show(columns, *words, **changes):
        master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        process = subprocess.Popen([str(SENDLINE), *words], stdout=slave, env=environment | changes)
        os.close(slave)
        written = b""
        with contextlib.suppress(OSError):  # EIO: the other end is closed
            while some := os.read(master, 65536):
                written += some
        os.close(master)
        assert process.wait(20) == 0
        return written.decode().replace("\r\n", "\n")

    return show


@pytest.fixture
def busy(world):
    """Two accounts with something in each column."""
    world.clock.advance(time.time() - START / 1_000_000 - 700)
    limits = [account_limits(name, 20, 40, 100, daily_cap=2000) for name in ("main", "backup-2")]
    world.configure(*limits)
    world.accept_many(443)
    world.accept_many(150, "main,backup-2", lane="bulk")
    world.claim(30)


@pytest.mark.parametrize(
    ("columns", "absent"),
    [
        (80, ["breaker", "provider", "in use", "sending"]),
        (100, ["breaker", "provider"]),
        (120, []),
    ],
)
def test_the_accounts_fit_a_terminal_and_no_digit_is_cut(busy, show, columns, absent):
    table = show(columns, "accounts", NO_COLOR="1").partition("\n\n")[0]
    heads, main, backup, *told = table.splitlines()
    assert max(len(line) for line in (heads, main, backup)) <= columns
    assert {"account", "state", "rate", "in", "force", "urgent", "normal", "bulk"} <= set(heads.split())
    assert [
        head for head in ("breaker", "provider", "in use", "sending", "today") if head not in heads
    ] == absent
    said = f"left out, for want of room: {', '.join(absent)}; --json shows them"
    assert told == ([said] if absent else [])
    for cell in ("main", "20/s", "413, 11 min", "150, 11 min", "30 of 2000"):
        assert f"{cell}  " in f"{main}  "
    for cell in ("backup-2", "20/s", "150, 11 min", "0 of 2000"):
        assert f"{cell}  " in f"{backup}  "


def test_an_account_that_fits_no_terminal_is_shown_whole(world, show):
    world.configure(account_limits(LONG, 1250, 40, 100, daily_cap=1_000_000))
    out = show(40, "accounts", NO_COLOR="1").replace("\n", " ")
    assert LONG in out
    assert " 1250/s " in out


@pytest.mark.parametrize("columns", [10, 30, 60, 1000])
def test_only_the_last_cell_of_a_row_is_wrapped(monkeypatch, capsys, columns):
    monkeypatch.setattr(printing, "WIDE", columns)
    why = "a sentence of quite some words that says why"
    assert print_table(("name", "number", "why"), [("spring-sale", "1234567", why)]) == ()
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("spring-sale  1234567  a sentence")
    assert " ".join(" ".join(lines[1:]).split()) == f"spring-sale 1234567 {why}"


def test_columns_are_left_out_in_their_order_as_far_as_is_needed(monkeypatch, capsys):
    monkeypatch.setattr(printing, "WIDE", 12)
    rows = [("aaaa", "bbbb", "cccc")]
    assert print_table(("one", "two", "three"), rows, spare=("two", "three")) == ("two",)
    assert capsys.readouterr().out == "one   three\naaaa  cccc\n"
    assert print_table(("one", "two"), [("aaaa", "bbbb")], spare=("two",)) == ()


def test_without_colours_nothing_is_styled(busy, show):
    assert "\x1b[" in show(120, "accounts")
    assert "\x1b" not in show(120, "accounts", NO_COLOR="1")


@pytest.mark.parametrize(
    "words",
    [
        ("accounts",),
        ("accounts", "--json"),
        ("accounts", "pause", "main"),
        ("accounts", "history"),
        ("--help",),
    ],
)
def test_a_reader_that_has_gone_ends_a_command_as_sigpipe_would(world, environment, words):
    world.configure("main")
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as nobody:
        done = subprocess.run(
            [str(SENDLINE), *words],
            check=False,
            stdout=nobody,
            stderr=subprocess.PIPE,
            env=environment,
            timeout=30,
        )
    assert (done.returncode, done.stderr) == (141, b"")
