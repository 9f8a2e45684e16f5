"""`sendline audit --repair` as people and programs use it, its progress on a terminal, and Ctrl-C."""

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ledger_world import World
from sendline.contract import ids
from sendline.ledger.keys import KEYS
from sendline_worker.cli.main import main

SENDLINE = Path(sys.executable).with_name("sendline")


@pytest.fixture
def sent(ledger, publish):
    """A message that waits, on the server's clock."""
    publish("main")
    [message_id] = World(ledger, None, None).accept_many(1, valid_for=3600)
    return message_id


@pytest.fixture
def run(redis_url, monkeypatch, capsys):
    """Run a command; returns its code, its output and its errors."""
    monkeypatch.setenv("SENDLINE_REDIS_URL", redis_url)

    def run(*words):
        code = main(list(words))
        out, err = capsys.readouterr()
        assert err == ""
        return code, out

    return run


def test_a_repair_tells_what_it_mended_and_ends_well(run, sent, raw):
    raw.delete(KEYS["timers"])
    assert run("audit")[0] == 1
    code, out = run("audit", "--repair")
    assert code == 0
    assert f"mended given its timer, or rid of one (1): {ids.to_text(sent)}\n" in out
    assert out.endswith("ok    every message is where it must be, and nothing is stuck\n")
    assert "mended" not in run("audit", "--repair")[1]


def test_a_repair_prints_one_json_object(run, sent, raw):
    raw.hincrby(KEYS["counts"], "created", 1)
    raw.delete(KEYS["timers"])
    code, out = run("audit", "--repair", "--json")
    told = json.loads(out)
    assert (code, told["ok"], told["findings"]) == (0, True, [])
    assert told["mended"] == [
        {"what": "given its timer, or rid of one", "number": 1, "ids": [ids.to_text(sent)]},
        {"what": "created counted 2, and counts 1", "number": 0, "ids": []},
    ]
    assert "mended" not in json.loads(run("audit", "--json")[1])


def test_what_can_not_be_mended_is_told_and_the_code_is_1(run, sent, raw):
    raw.set(KEYS["message"].encode() + sent, b"\xc1")
    code, out = run("audit", "--repair")
    assert code == 1
    assert f"WRONG has a record that can't be read (1): {ids.to_text(sent)}\n" in out
    assert "what is still wrong can't be derived from the records" in out


@pytest.fixture
def many(ledger, publish):
    """A ledger that takes a while to read."""
    publish("main")
    for _ in range(60):
        World(ledger, None, None).accept_many(250)


@pytest.fixture
def on_terminal(redis_url, many):
    """An audit whose standard error is a terminal; returns the process and the terminal's end."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"SENDLINE_REDIS_URL": redis_url}
    process = subprocess.Popen(
        [str(SENDLINE), "audit"], stdout=subprocess.PIPE, stderr=theirs, env=environment, text=True
    )
    os.close(theirs)
    yield process, ours
    process.kill()
    process.communicate()
    os.close(ours)


def read_until(terminal, wanted):
    told = b""
    while wanted not in told:
        told += os.read(terminal, 4096)
    return told


def read_all(terminal):
    told = b""
    try:
        while some := os.read(terminal, 4096):
            told += some
    except OSError:  # the other end is closed
        pass
    return told


def test_progress_is_on_the_terminal_and_goes_away(on_terminal):
    process, terminal = on_terminal
    told = read_all(terminal)
    assert b"K15000 entries and records read\r" in told
    assert told.endswith(b"\r\x1b[K")
    assert process.wait(30) == 0
    assert process.stdout.read().startswith("ok    15000 accepted: 15000 created\n")


def test_ctrl_c_ends_it_with_130_and_a_clean_line(on_terminal):
    process, terminal = on_terminal
    told = read_until(terminal, b" entries and records read")
    process.send_signal(signal.SIGINT)
    told += read_all(terminal)
    assert process.wait(30) == 130
    assert told.endswith(b"\r\x1b[Kerror: interrupted\r\n")
    assert b"Traceback" not in told
