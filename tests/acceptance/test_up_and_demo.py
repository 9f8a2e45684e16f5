"""What a newcomer types first: `sendline demo` and `sendline up`, as processes."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sendline_worker.cli.main import main
from waiting import poll

pytestmark = pytest.mark.acceptance

SENDLINE = str(Path(sys.executable).with_name("sendline"))


@pytest.fixture
def home(tmp_path):
    """An environment with a home of its own, in which nothing under way is waited for long."""
    places = {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}
    return {**os.environ, **places, "SENDLINE_CALL_TIMEOUT": "2"}


def run(home, *words):
    return subprocess.run(
        [SENDLINE, *words], check=False, env=home, capture_output=True, text=True, timeout=110
    )


@contextlib.contextmanager
def up(home, *words):
    """`sendline up --json` while a block lasts: yields the process and what it said when it was ready."""
    process = subprocess.Popen(
        [SENDLINE, "up", "--json", *words],
        env=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process, json.loads(process.stdout.readline())
    finally:
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=40)
        assert out == "", "only JSON goes to stdout"


@pytest.mark.xdist_group("demo")
def test_the_demo_ends_well_and_says_what_it_found(home):
    ended = run(home, "demo", "--json")

    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["ok"] is True
    assert found["problems"] == []
    assert found["accepted"] == 1001
    assert sum(found["counts"].values()) == 1001
    assert found["counts"]["delivered"] > 950
    assert found["urgent"]["status"] == "delivered"
    assert found["provider"]["accepted_twice"] == 0
    assert found["rate"]["peak"] <= found["rate"]["configured"] * 1.1 + 2
    assert found["audit"]["ok"] is True


@pytest.mark.xdist_group("demo")
def test_the_demo_names_what_is_wrong_and_fails_when_the_numbers_are_refused(tmp_path, capsys):
    people = tmp_path / "people.csv"
    people.write_text("name,number\nAda,12\n")
    assert main(["demo", "--recipients", str(people)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"{people}: line 2: number: " in said


@pytest.mark.xdist_group("demo")
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_ends_in_order_however_often_it_is_interrupted(home, tmp_path, sign):
    place = tmp_path / "t"
    place.mkdir()
    process = subprocess.Popen(
        [SENDLINE, "demo"],
        env={**home, "TMPDIR": str(place), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    poll(lambda: "worker" in process.stdout.readline())
    os.killpg(process.pid, sign)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=40)
    assert (process.returncode, err) == (130, "error: interrupted\n")
    assert not list(place.glob("sendline-demo-*"))


@pytest.mark.xdist_group("up")
def test_two_side_by_side_end_in_order_at_ctrl_c_keep_what_was_accepted_and_die_with_their_parts(home):
    with up(home) as (process, one), up(home) as (_, two):
        for key in ("instance", "directory", "receiver", "simulator"):
            assert one[key] != two[key]
        sent = []
        for facts in (one, two):
            own = {**home, "SENDLINE_INSTANCE": facts["instance"]}
            ended = run(own, "send", "--to", "+13115550001", "--text", "Keep me", "--wait", "--json")
            assert ended.returncode == 0, ended.stderr
            assert "delivered" in ended.stdout
            sent.append(json.loads(ended.stdout.splitlines()[-1])["id"])
        children = [int(line) for line in _children(process.pid)]
        assert len(children) >= 3
    assert process.returncode == 0
    poll(lambda: not any(_alive(child) for child in children))
    assert not (Path(one["directory"]) / "server.json").exists()

    process = subprocess.Popen([SENDLINE, "up", "--json"], env=home, stdout=subprocess.PIPE, text=True)
    assert json.loads(process.stdout.readline())["instance"] == one["instance"]
    kept = run(home, "status", sent[0], "--json")
    assert json.loads(kept.stdout)["status"] == "delivered"
    assert run(home, "status", sent[1], "--json").returncode != 0
    its_parts_end_when_it_is_killed(process)


def its_parts_end_when_it_is_killed(process):
    children = [int(line) for line in _children(process.pid)]
    assert len(children) >= 3
    process.kill()
    process.wait()
    process.stdout.close()
    poll(lambda: not any(_alive(child) for child in children), timeout=40)


def _children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def _alive(pid):
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
