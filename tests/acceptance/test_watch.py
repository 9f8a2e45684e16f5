"""A worker that claims nothing though work waits: it ends with its children, and another takes its place."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import redis

from odd_parts import PATIENCE, impatient_worker, wedged_worker
from parts import audit_findings, quick_settings
from places import data_directory
from sendline import Producer
from sendline_worker.simulator.client import SimulatorClient
from sendline_worker.stack import Stack, Supervisor
from sendline_worker.watch import GAP
from waiting import poll

SENDLINE = Path(sys.executable).with_name("sendline")

pytestmark = [pytest.mark.acceptance, pytest.mark.xdist_group("watch")]


@pytest.fixture(scope="module")
def shared():
    """A stack whose parts the tests may harm, and its logs."""
    with data_directory() as place:
        logs = Path(place) / "logs"
        logs.mkdir()
        with Stack(quick_settings(), Path(place) / "instance", logs=logs) as stack:
            yield stack, logs / "worker.log"


@pytest.fixture
def start(shared, monkeypatch):
    """Empty the shared stack and start a worker; returns the stack, what was accepted, and what is logged.

    The workers that take its place lose their patience early.
    """
    stack, log = shared

    def start(worker=impatient_worker):
        stack.part("worker").end()
        with redis.Redis.from_url(stack.settings.redis_url.get_secret_value()) as client:
            client.flushall()
        with SimulatorClient(stack.simulator_url) as simulator:
            before, logged = simulator.summary(), len(log.read_text())

        def accepted_once(total):
            with SimulatorClient(stack.simulator_url) as simulator:
                summary = simulator.summary()
            return (summary.accepted - before.accepted, summary.accepted_twice) == (total, 0)

        monkeypatch.setattr("sendline_worker.stack.stack.worker", worker)
        stack.start_worker()
        monkeypatch.setattr("sendline_worker.stack.stack.worker", impatient_worker)
        return stack, accepted_once, lambda: log.read_text()[logged:]

    return start


def texts(count, text):
    return [{"to": f"+1311555{number:04d}", "text": text} for number in range(count)]


def at_rest(producer, total):
    counts = producer.counts()
    return counts["delivered"] == total == counts["accepted"]


def is_gone(process):
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_a_worker_whose_processes_hang_ends_with_them_and_is_replaced(start):
    stack, accepted_once, log = start()
    keeper = Supervisor(stack)
    with Producer(settings=stack.settings) as producer:
        producer.send_many(texts(20, "Before"))
        poll(lambda: at_rest(producer, 20), timeout=30)
        first = psutil.Process(stack.part("worker").pid)
        children = first.children(recursive=True)
        assert len(children) == 2
        for child in children:
            child.send_signal(signal.SIGSTOP)
        producer.send_many(texts(60, "While they hang"))

        poll(lambda: keeper.look() or is_gone(first), timeout=PATIENCE + 20)

        poll(lambda: all(is_gone(child) for child in children))
        poll(lambda: keeper.look() or at_rest(producer, 80), timeout=40)
        assert stack.part("worker").pid != first.pid
        assert accepted_once(80)
        assert audit_findings(stack.settings) == ()
    told = log()
    assert told.count("unhealthy: 60 messages may go (the first, normal, demo, for ") == 1
    assert "ERROR" in told


def test_a_worker_whose_main_thread_hangs_ends_with_its_processes_and_is_replaced(start):
    stack, accepted_once, log = start(wedged_worker)
    with Producer(settings=stack.settings) as producer:
        keeper = Supervisor(stack)
        first = psutil.Process(stack.part("worker").pid)
        children = first.children(recursive=True)
        producer.send_many(texts(5, "Nobody is there"))
        poll(lambda: keeper.look() or at_rest(producer, 5), timeout=PATIENCE + 40)
        assert is_gone(first)
        assert all(is_gone(child) for child in children)
        assert accepted_once(5)
        assert "unhealthy: 5 messages may go" in log()


def test_a_worker_that_is_frozen_as_a_whole_goes_on_when_it_is_woken(start):
    stack, _, log = start()
    with Producer(settings=stack.settings) as producer:
        worker = psutil.Process(stack.part("worker").pid)
        family = [worker, *worker.children(recursive=True)]
        for each in family:
            each.send_signal(signal.SIGSTOP)
        try:
            producer.send_many(texts(10, "While it sleeps"))
            woken_at = time.monotonic() + max(GAP, PATIENCE) + 1
            poll(lambda: time.monotonic() > woken_at, timeout=60)
            assert producer.counts()["created"] == 10
        finally:
            for each in reversed(family):
                each.send_signal(signal.SIGCONT)
        poll(lambda: at_rest(producer, 10), timeout=30)
        assert stack.part("worker").pid == worker.pid
        assert stack.failed() is None
    assert "unhealthy" not in log()


def test_a_worker_and_a_receiver_that_are_killed_are_replaced(start):
    stack, accepted_once, _ = start()
    keeper = Supervisor(stack)
    with Producer(settings=stack.settings) as producer:
        before = {name: stack.part(name).pid for name in ("worker", "receiver")}
        for pid in before.values():
            os.kill(pid, signal.SIGKILL)
        producer.send_many(texts(30, "To be delivered"))
        poll(lambda: keeper.look() or at_rest(producer, 30), timeout=60)
        assert accepted_once(30)
        assert all(stack.part(name).pid != pid for name, pid in before.items())
        assert audit_findings(stack.settings) == ()


def test_sendline_up_starts_a_killed_worker_again_and_ends_where_its_server_is_gone(tmp_path):
    places = {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}
    home = {**os.environ, **places, "SENDLINE_CALL_TIMEOUT": "2"}  # nothing is waited for long at the end
    with (tmp_path / "err").open("wb") as err:
        up = subprocess.Popen([SENDLINE, "up", "--json"], env=home, stdout=subprocess.PIPE, stderr=err)

    def said():
        return (tmp_path / "err").read_text()

    try:
        directory = Path(json.loads(up.stdout.readline())["directory"])
        parts = psutil.Process(up.pid).children()
        [worker] = [part for part in parts if part.children()]
        worker.kill()
        poll(lambda: "the worker runs again" in said(), timeout=30)
        assert said().count("the worker ended by itself (SIGKILL); it is started again in 0.5 s\n") == 1
        sent = subprocess.run(
            [SENDLINE, "send", "--to", "+13115550001", "--text", "Hello", "--wait"],
            check=True,
            env=home,
            capture_output=True,
            timeout=60,
        )
        assert b" delivered" in sent.stdout
        os.kill(json.loads((directory / "server.json").read_text())["pid"], signal.SIGKILL)
        assert up.wait(60) == 1
        error = json.loads(said().splitlines()[-1])["error"]
        assert error["message"] == "the embedded server ended by itself"
        poll(lambda: not any(part.is_running() for part in parts))
    finally:
        up.kill()
        up.communicate()
