"""The Redis server killed, restarted, frozen, out of disk or memory: dispatching goes on by itself."""

import itertools
import threading

import pytest

from crashing import brief_worker
from faulty import lasts, whole
from judge import drafts
from sendline import LedgerError, LedgerRefused, LedgerUnavailable, PartlyAccepted, Producer, Status
from waiting import poll

pytestmark = [pytest.mark.acceptance, pytest.mark.xdist_group("faults_server"), pytest.mark.timeout(180)]

LEASE = 60.0
"""Seconds; longer than the server is away in any of these tests, as the default is."""


@pytest.fixture(scope="module")
def running():
    """All of Sendline with one worker; the server runs when a test ends."""
    with whole(lease=LEASE) as made:
        made.start_worker(brief_worker)
        yield made


class Campaign:
    """A producer that goes on sending in a thread of its own, whatever it meets; it notes what it meets."""

    def __init__(self, running, tag, batch=20):
        self._running = running
        self._tag, self._batch = tag, batch
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.errors: list[LedgerError] = []
        self.ids: list[str] = []

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _run(self):
        judge = self._running.judge
        with Producer(settings=self._running.past_proxies) as producer:
            for number in itertools.count():
                try:
                    messages = producer.send_many(drafts(self._batch, f"{self._tag} {number}"))
                except PartlyAccepted as partly:
                    messages = partly.accepted
                except LedgerError as error:
                    self.errors.append(error)
                    messages = []
                self.ids += judge.note(messages)
                if self._over.wait(0.2):
                    return


def settled(running, campaign, timeout=60):
    """Wait until all is settled: nothing of it may be uncertain."""
    running.judge.await_settled(timeout)
    counts = running.judge.check(campaign.ids, uncertain=0)
    running.judge.audit()
    return counts


def test_a_server_killed_again_and_again_comes_back_with_all_that_was_accepted(running):
    with Campaign(running, "killed") as campaign:
        for _ in range(3):
            poll(lasts(1))
            running.server.kill()
            poll(lasts(0.5))
            running.server.start()
        poll(lasts(1))
    settled(running, campaign)
    assert campaign.errors
    assert all(isinstance(error, LedgerUnavailable) for error in campaign.errors)


def test_a_clean_restart_loses_nothing(running):
    with Campaign(running, "restarted") as campaign:
        poll(lasts(1))
        running.server.shut_down()
        poll(lasts(2))
        running.server.start()
        poll(lasts(1))
    settled(running, campaign)


def test_every_connection_cut_again_and_again(running):
    with Campaign(running, "cut") as campaign:
        cut = 0
        for _ in range(15):
            poll(lasts(0.3))
            cut += running.server.kill_clients()
    settled(running, campaign)
    assert cut > 30


def test_a_server_frozen_for_longer_than_any_answer_is_waited_for(running):
    with Campaign(running, "frozen") as campaign:
        poll(lasts(1))
        with running.server.frozen():
            poll(lasts(15), timeout=20)
        poll(lasts(1))
    settled(running, campaign)
    assert running.worker.is_running()


def test_out_of_memory_nothing_is_accepted_and_what_was_goes_on(running):
    judge = running.judge
    before = judge.send(600, "before it was full")  # more than a slice carries
    judge.await_sent(20, "before it was full")
    running.server.fill_memory()
    with Campaign(running, "while it was full") as campaign:
        judge.await_settled()
        judge.check(before, uncertain=0)
        poll(lambda: campaign.errors)
        assert campaign.ids == []
        running.server.free_memory()
        poll(lambda: campaign.ids, timeout=5)
    assert all(isinstance(error, LedgerRefused) for error in campaign.errors)
    settled(running, campaign)


def test_a_full_disk_ends_the_server_and_nothing_that_was_accepted_is_missing(running):
    with Campaign(running, "on a full disk") as campaign:
        poll(lasts(0.5))
        running.server.fill_disk(room=50_000)
        assert running.server.wait_ended(30) != 0
        poll(lambda: campaign.errors)
        here = set(campaign.ids)
        running.server.start()
        assert set(running.judge.statuses(here)) == here, "every one is known"
        poll(lasts(1))
    counts = settled(running, campaign)
    assert counts[Status.DELIVERED] > len(here)
