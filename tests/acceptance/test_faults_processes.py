"""Processes that are killed, stand still, or have the wrong time."""

import contextlib
import signal

import psutil
import pytest

from crashing import off_worker
from faulty import LEASE, children, lasts, processes, whole
from sendline import Status
from waiting import poll

pytestmark = [pytest.mark.acceptance, pytest.mark.xdist_group("faults_processes")]

SLOW = 0.4
"""Seconds that the provider takes, so that there are calls under way at every moment."""


@pytest.fixture(scope="module")
def running():
    """All of Sendline with one worker; each test leaves one that works."""
    with whole() as made:
        made.simulator.settings(latency=SLOW)
        made.start_worker()
        yield made


def test_a_workers_parent_is_killed_and_the_next_worker_goes_on(running):
    judge, worker = running.judge, running.worker
    below = children(worker)
    ids = judge.send(300, "a parent is killed")
    judge.await_sent(50, "a parent is killed")

    psutil.Process(worker.pid).kill()
    poll(lambda: not worker.is_running())
    running.start_worker()

    judge.await_settled()
    poll(lambda: not any(alive(each) for each in below), timeout=30)
    judge.check(ids, uncertain=80)
    judge.audit()


def test_a_worker_killed_with_all_its_processes_leaves_only_its_calls_in_doubt(running):
    judge = running.judge
    ids = judge.send(200, "all are killed")
    judge.await_sent(50, "all are killed")

    for process in processes(running.worker):
        process.kill()
    running.start_worker()

    judge.await_settled()
    counts = judge.check(ids, uncertain=80)
    assert counts[Status.UNCERTAIN] > 0
    judge.audit()


def test_a_worker_frozen_past_its_lease_and_woken_doubles_nothing(running):
    judge, frozen = running.judge, running.worker
    ids = judge.send(300, "frozen")
    judge.await_sent(30, "frozen")
    for process in processes(frozen):
        process.suspend()
    running.start_worker()

    poll(lasts(LEASE + 1))
    judge.await_settled()
    counts = judge.check(ids, uncertain=80)
    for process in processes(frozen):
        process.resume()

    more = judge.send(200, "woken")
    judge.await_settled()
    judge.check(more, uncertain=0)
    assert judge.check(ids, uncertain=80)[Status.DELIVERED] >= counts[Status.DELIVERED]
    judge.audit()
    assert frozen.end()
    assert frozen.exit_code == 0


@pytest.mark.parametrize("seconds", [300, -300], ids=["fast", "slow"])
def test_a_worker_whose_clock_is_five_minutes_off_harms_nothing(running, seconds):
    judge = running.judge
    running.simulator.settings(latency=0.0)
    wrong = running.start_worker(off_worker, seconds)
    try:
        tag = f"a clock {seconds} s off"
        ids = judge.send(150, tag)
        later = judge.send(20, f"{tag}, scheduled", valid_for=60)
        running.simulator.behave("unavailable", count=8)  # fewer than open the circuit breaker
        judge.await_settled()
        assert judge.check([*ids, *later], uncertain=0)[Status.DELIVERED] == 170
        judge.audit()
    finally:
        assert wrong.end()
    assert wrong.exit_code == 0


def test_alone_a_worker_whose_clock_is_off_does_all_the_work(running):
    judge = running.judge
    for worker in running.workers:
        worker.end()
    running.start_worker(off_worker, 300)
    running.simulator.behave("unavailable", count=5)
    ids = judge.send(100, "alone")
    judge.await_settled()
    assert judge.check(ids, uncertain=0)[Status.DELIVERED] == 100
    assert running.worker.end()


def alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def test_a_receiver_that_was_away_for_seconds_gets_what_it_missed(running):
    judge = running.judge
    running.start_worker()
    psutil.Process(running.receiver.pid).send_signal(signal.SIGKILL)
    ids = judge.send(50, "no receiver")
    judge.await_sent(50, "no receiver")
    poll(lasts(3))
    assert set(judge.statuses(ids).values()) == {Status.SENT}
    running.start_receiver()
    judge.await_settled()
    judge.check(ids, uncertain=0)
