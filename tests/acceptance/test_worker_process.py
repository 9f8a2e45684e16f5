"""The worker as a process: what it survives, and how it ends."""

import os
import signal
from pathlib import Path

import psutil
import pytest
import redis

from parts import audit_findings, quick_settings
from places import data_directory
from sendline import LedgerUnavailable, Producer, Status
from sendline_worker.simulator.client import SimulatorClient
from sendline_worker.stack import Part, PartFailed, Stack
from sendline_worker.stack.targets import worker
from waiting import poll

pytestmark = [pytest.mark.acceptance, pytest.mark.xdist_group("worker_process")]


@pytest.fixture(scope="module")
def shared():
    """A stack whose parts the tests may harm."""
    with data_directory() as place:
        logs = Path(place) / "logs"
        logs.mkdir()
        with Stack(quick_settings(), Path(place) / "instance", logs=logs) as running:
            yield running


@pytest.fixture
def idle_stack(shared):
    """Its server is empty, and no worker runs."""
    shared.part("worker").end()
    with SimulatorClient(shared.simulator_url) as simulator:
        simulator.clear()
    with redis.Redis.from_url(shared.settings.redis_url.get_secret_value()) as client:
        client.flushall()
    return shared


@pytest.fixture
def own_stack(idle_stack):
    """Its server is empty, and a new worker runs."""
    idle_stack.start_worker()
    return idle_stack


@pytest.fixture
def seen_before(shared):
    """What the simulator was asked for by the tests before."""
    with SimulatorClient(shared.simulator_url) as simulator:
        return simulator.summary()


def texts(count, text):
    return [{"to": f"+1311555{number:04d}", "text": text} for number in range(count)]


def all_delivered(producer, total):
    return poll(lambda: producer.counts()["delivered"] == total, timeout=60)


def accepted_once(stack, total, before):
    with SimulatorClient(stack.simulator_url) as simulator:
        summary = simulator.summary()
    return summary.accepted - before.accepted == total and summary.accepted_twice == 0


def test_a_worker_that_is_told_to_end_loses_nothing_and_the_next_goes_on(own_stack, seen_before):
    with Producer(settings=own_stack.settings) as producer:
        producer.send_many(texts(400, "Through a restart"))
        poll(lambda: producer.counts()["delivered"] > 20, timeout=20)

        worker_part = own_stack.part("worker")
        assert worker_part.end(), "it ended in order, in time"
        assert worker_part.exit_code == 0
        counts = producer.counts()
        assert counts["sending"] == 0, "what was on the wire was finished, the rest handed back"
        assert counts["uncertain"] == 0
        assert counts["created"] + counts["retrying"] > 0

        own_stack.start_worker()
        all_delivered(producer, 400)
        assert accepted_once(own_stack, 400, seen_before)
        assert audit_findings(own_stack.settings) == ()


def test_calls_under_way_are_finished_and_written_before_a_worker_ends(own_stack, seen_before):
    with (
        Producer(settings=own_stack.settings) as producer,
        SimulatorClient(own_stack.simulator_url) as simulator,
    ):

        def received():
            return simulator.summary().received - seen_before.received

        simulator.behave("slow", delay=1.2)
        producer.send_many(texts(15, "Slow"))
        poll(lambda: received() >= 10, timeout=20)

        assert own_stack.part("worker").end()

        counts = producer.counts()
        assert (counts["sending"], counts["uncertain"]) == (0, 0)
        assert counts["sent"] + counts["delivered"] == received()


def test_a_killed_server_comes_back_with_all_that_was_accepted(own_stack, seen_before):
    with Producer(settings=own_stack.settings) as producer:
        producer.send_many(texts(300, "Through a crash"))
        poll(lambda: producer.counts()["delivered"] > 20, timeout=20)

        os.kill(own_stack.server.pid, signal.SIGKILL)
        poll(lambda: not own_stack.server.is_running())
        with pytest.raises(LedgerUnavailable):
            producer.counts()
        own_stack.server.stop()
        own_stack.server.start()

        all_delivered(producer, 300)
        assert accepted_once(own_stack, 300, seen_before)


def test_a_child_that_is_killed_is_replaced_and_sending_goes_on(own_stack):
    with Producer(settings=own_stack.settings) as producer:
        producer.send_many(texts(200, "Through a killed child"))
        poll(lambda: producer.counts()["delivered"] > 10, timeout=20)

        children = [child.pid for child in psutil.Process(own_stack.part("worker").pid).children()]
        for child in children:
            os.kill(child, signal.SIGKILL)

        poll(
            lambda: (c := producer.counts())["delivered"] + c["sending"] == 200 and c["created"] == 0,
            timeout=60,
        )
        with SimulatorClient(own_stack.simulator_url) as simulator:
            assert simulator.summary().accepted_twice == 0


def test_a_worker_without_accounts_refuses_to_start(tmp_path):
    settings = quick_settings()
    part = Part("worker", worker, settings, log=tmp_path / "worker.log")
    part.begin()
    with pytest.raises(PartFailed, match="accounts: none configured"):
        part.await_ready()
    part.end()


def test_a_message_sent_before_any_worker_is_sent_once_one_starts(idle_stack):
    with Producer(settings=idle_stack.settings) as producer:
        message = producer.send(to="+13115550001", text="Early")
        assert producer.get(message.id).status is Status.CREATED
        idle_stack.start_worker()
        assert producer.wait(message.id, timeout=20).status is Status.DELIVERED
