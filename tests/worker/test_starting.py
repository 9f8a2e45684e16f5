"""How a worker starts where its Redis is away, or refuses it; as processes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

import odd_parts
from sendline.settings import Settings
from sendline_worker.stack import Part, PartFailed
from sendline_worker.stack.targets import worker
from servers import DURABLE, ValkeyServer, free_port
from waiting import poll

SENDLINE = Path(sys.executable).with_name("sendline")
CONFIG = """
processes = 1
secret_key = "0123456789abcdef"
[accounts.main]
provider = "opentact"
base_url = "http://127.0.0.1:9"
api_key = "very-secret-key"
senders = ["+13115552368"]
"""
WAITS = "the worker waits for the ledger: "


@pytest.fixture
def start(tmp_path):
    """Start `sendline WORDS` with a Redis; it writes to files, and is killed at the end."""
    (tmp_path / "sendline.toml").write_text(CONFIG)
    started = []

    def start(url, *words):
        with (tmp_path / "out").open("wb") as out, (tmp_path / "err").open("wb") as err:
            process = subprocess.Popen(
                [SENDLINE, *words],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=tmp_path,
                env={**os.environ, "SENDLINE_REDIS_URL": url},
            )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def said(tmp_path):
    """What it has written: `said("err")`."""
    return lambda where: (tmp_path / where).read_text()


@pytest.fixture
def server():
    """A durable server that is not started yet."""
    with ValkeyServer(*DURABLE) as made:
        made.kill()
        yield made


def test_a_worker_waits_for_its_redis_and_starts_once_it_is_there(start, said, server):
    process = start(server.url, "worker", "--json")
    poll(lambda: WAITS in said("err"), timeout=30)
    assert process.poll() is None
    server.start()
    poll(lambda: said("out") == '{"ready": true}\n', timeout=30)
    assert said("err").count(WAITS) == 1
    assert "the ledger is there" in said("err")
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_waits_ends_at_once_when_it_is_told_to(start, said, sign):
    process = start(f"redis://127.0.0.1:{free_port()}", "worker")
    poll(lambda: WAITS in said("err"), timeout=30)
    process.send_signal(sign)
    assert process.wait(5) == 0
    assert (said("out"), said("err").count("\n")) == ("", 2)
    assert "can't be reached" in said("err").splitlines()[0]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ((*DURABLE, "--requirepass", "another"), "refuses the user or password of redis_url"),
        (("--appendonly", "no"), 'durability is "disk", but this Redis has appendonly no'),
        (
            (*DURABLE, "--no-appendfsync-on-rewrite", "yes"),
            'durability is "disk", but this Redis has no-appendfsync-on-rewrite yes',
        ),
        (
            (*DURABLE, "--rename-command", "CONFIG", ""),
            'durability is "disk", but this Redis does not permit CONFIG GET',
        ),
    ],
    ids=["password", "no file", "no fsync while it rewrites", "CONFIG forbidden"],
)
def test_a_redis_that_refuses_or_can_not_keep_the_promise_ends_it_with_one_line(
    start, said, options, problem
):
    with ValkeyServer(*options) as server:
        process = start(server.url, "worker")
        assert process.wait(30) == 2
    assert (said("out"), said("err").count("\n")) == ("", 1)
    assert said("err").startswith("error: ")
    assert problem in said("err")


def test_a_receiver_starts_without_redis_and_says_503_until_it_is_there(start, said, server):
    port = free_port()
    process = start(server.url, "receiver", "--port", str(port))
    poll(lambda: "listens" in said("out"), timeout=30)
    assert httpx.get(f"http://127.0.0.1:{port}/health").status_code == 503
    server.start()
    poll(lambda: httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def test_a_stack_waits_without_a_bound_for_a_worker_that_waits_for_its_redis(monkeypatch, tmp_path, server):
    (tmp_path / "sendline.toml").write_text(CONFIG)
    monkeypatch.setenv("SENDLINE_REDIS_URL", server.url)
    log = tmp_path / "log"
    log.touch()
    part = Part("worker", worker, Settings.load(), log=log)
    part.begin()
    try:
        poll(lambda: WAITS in log.read_text(), timeout=30)
        monkeypatch.setattr("sendline_worker.stack.part.START", 0.0)
        assert not part.is_ready()
        server.start()
        part.await_ready()
    finally:
        assert part.end()


def test_a_stack_does_not_wait_for_ever_for_a_part_that_says_nothing(monkeypatch):
    part = Part("receiver", odd_parts.silent, log=None)
    part.begin()
    try:
        assert not part.is_ready()
        monkeypatch.setattr("sendline_worker.stack.part.START", 0.5)
        with pytest.raises(PartFailed, match=r"receiver was not ready within 0\.5 s"):
            part.await_ready()
    finally:
        part.end()
