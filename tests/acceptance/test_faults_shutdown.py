"""An orderly shutdown: nothing becomes uncertain, under load and in a rolling restart."""

import pytest

from faulty import children, whole
from sendline import Status
from waiting import poll

pytestmark = [pytest.mark.acceptance, pytest.mark.xdist_group("faults_shutdown")]


ROUNDS, A_ROUND = 3, 120


@pytest.fixture(scope="module")
def running():
    """All of Sendline before a provider that takes half a second; no worker runs yet."""
    with whole() as made:
        made.simulator.settings(latency=0.5)
        yield made


def never_uncertain(judge, ids):
    """No message was uncertain at any time, and each was attempted once."""
    for message in map(judge.producer.get, ids):
        assert Status.UNCERTAIN not in [entry.status for entry in message.timeline]
        assert message.attempts == 1


def test_a_rolling_restart_leaves_nothing_uncertain(running):
    judge = running.judge
    ids = []
    workers = [running.start_worker(), running.start_worker()]
    for number in range(ROUNDS):
        ids += judge.send(A_ROUND, f"rolling {number}")
        judge.await_sent(20, f"rolling {number}", timeout=40)
        old = workers.pop(0)
        below = children(old)
        assert judge.producer.counts()["sending"] > 0
        assert old.end(), "in order, within the grace"
        assert old.exit_code == 0
        assert not any(each.is_running() for each in below)
        workers.append(running.start_worker())
    judge.await_settled()
    assert judge.check(ids, uncertain=0)[Status.DELIVERED] == ROUNDS * A_ROUND
    never_uncertain(judge, ids)
    judge.audit()
    for worker in workers:
        worker.ask_to_end()
    poll(lambda: not any(worker.is_running() for worker in workers), timeout=30)
    assert [worker.exit_code for worker in workers] == [0, 0]


def test_told_to_end_while_it_starts_a_worker_ends_in_order(running):
    judge = running.judge
    ids = judge.send(50, "at its start")
    worker = running.start_worker()
    assert worker.end(grace=15), "it waits for nobody, whatever becomes of its first wake"
    assert worker.exit_code == 0
    running.start_worker()
    judge.await_settled()
    judge.check(ids, uncertain=0)
    never_uncertain(judge, ids)
    assert running.worker.end()


def test_told_to_end_while_the_server_is_away_a_worker_ends_in_time_and_in_order(running):
    judge, worker = running.judge, running.start_worker()
    ids = judge.send(200, "told to end meanwhile")
    judge.await_sent(50, "told to end meanwhile")
    running.server.kill()
    try:
        worker.ask_to_end()
        poll(lambda: not worker.is_running(), timeout=30)
        assert worker.exit_code == 0
    finally:
        running.server.start()
    running.start_worker()
    judge.await_settled()
    judge.check(ids, uncertain=100)
    judge.audit()
    assert running.worker.end()
