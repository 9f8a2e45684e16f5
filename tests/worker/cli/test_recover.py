"""`sendline recover`, as people type it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from sendline import Producer
from sendline.settings import Settings
from sendline_worker.embedded import EmbeddedServer

COMMAND = "recover"
SENDLINE = str(Path(sys.executable).with_name("sendline"))


@pytest.fixture
def ticking(raw):
    """A worker seems to run."""
    raw.set("sl:tick", "w1")


def test_where_nothing_is_missing_it_says_so(run):
    code, out, err = run()
    assert (code, err) == (0, "")
    assert out.startswith("ok the ledger has all that its users have seen of it")
    assert json.loads(run("--json")[1]) == {"recovered": False, "held": 0}


def test_after_a_backup_what_waits_is_held_and_dispatching_goes_on(run, redis_url, publish, raw):
    publish("main")
    with Producer(redis_url, settings=Settings(redis_url=redis_url)) as producer:
        sent = [producer.send(to="+13115552367", text="Hello") for _ in range(3)]
        raw.hset("sl:meta", "ticked_at", 1)
        code, out, err = run("--restored", "--json")
        assert (code, err) == (0, "")
        assert json.loads(out)["held"] == 3
        assert {producer.get(each.id).status.value for each in sent} == {"uncertain"}
    assert run("--json")[1] == '{"recovered": false, "held": 0}\n'


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--since", "soon"), "since: 'soon' is no time; write 2h, 30m (ago)"),
        (("--since", "2999-01-01"), "since: 2999-01-01T"),
        (("--since", "2h", "--until", "3h"), "until: must be later than since"),
        (("--until", "1h"), "until: goes with --since or --restored"),
        (("--sinse", "1h"), "--sinse: no such option"),
        (("now",), "now: not expected"),
    ],
)
def test_a_mistake_is_one_line(run, words, complaint):
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {complaint}")
    assert err.count("\n") == 1


@pytest.mark.usefixtures("ticking")
def test_beside_a_worker_it_wants_to_be_sure(run):
    assert run("--restored")[2].startswith("error: --restored: a worker runs on this ledger already")
    assert run("--since", "10m")[2].startswith("error: --yes: Workers run, and nobody has noticed a loss")
    code, out, err = run("--since", "10m", "--yes")
    assert (code, err) == (0, "")
    assert "dispatching goes on" in out


def test_an_embedded_server_that_does_not_run_is_started_for_it_alone(tmp_path):
    directory = tmp_path / "state" / "sendline" / "default"
    home = {**os.environ, "HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}
    with EmbeddedServer(directory) as server, redis.Redis.from_url(server.url) as client:
        client.hset("sl:meta", "ticked_at", 1)

    words = [SENDLINE, "recover", "--restored", "--json"]
    ended = subprocess.run(words, check=False, env=home, capture_output=True, text=True, timeout=60)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads(ended.stdout)["recovered"] is True
    assert not (directory / "server.json").exists()
