"""Every named step between accept and settle: a process is killed there, once, and the rest goes on."""

import itertools
import signal

import psutil
import pytest
import redis

from crashing import STEPS, Fuses, crashing_producer, crashing_receiver, crashing_worker, resolve, returned
from faulty import Whole, children, lasts, whole
from judge import drafts
from sendline import Status
from sendline.ledger.keys import KEYS
from sendline.ledger.scripts import script
from sendline_worker.stack import Part
from waiting import poll

pytestmark = [pytest.mark.acceptance, pytest.mark.xdist_group("faults_points"), pytest.mark.timeout(180)]

AT_REST = "claim, signed off"
"""The step that is reached when there is nothing to do, and two are awake."""
SHUTDOWN = [name for name in STEPS if name.startswith("shutdown")]
RUNNING = [name for name, step in STEPS.items() if step.who == "child" and name not in SHUTDOWN]
RUNNING.sort(key=lambda name: name != AT_REST)
TICK = [name for name in STEPS if name.startswith("tick")]
RECEIVER = [name for name, step in STEPS.items() if step.who == "receiver"]
PRODUCER = [name for name, step in STEPS.items() if step.who == "producer"]
A_STEP = 20
"""Messages sent while one step is armed."""


@pytest.mark.parametrize("name", STEPS)
def test_the_step_is_there(name):
    owner, attribute = resolve(STEPS[name].where)
    assert callable(getattr(owner, attribute))


@pytest.mark.parametrize("verb", ["accept", "claim", "settle", "tick", "receive"])
def test_the_ledger_has_the_verb_that_steps_name(verb):
    assert script(verb).name == verb


@pytest.fixture(scope="module")
def fuses(tmp_path_factory):
    return Fuses(tmp_path_factory.mktemp("fuses"))


@pytest.fixture(scope="module")
def running():
    with whole() as made:
        yield made


@pytest.fixture(scope="module")
def killed(running: Whole, fuses):
    """The ids of what was sent while each step of a worker's child was armed; all are settled."""
    worker = running.start_worker(crashing_worker, fuses)
    ids = {}
    for name in RUNNING:
        fuses.arm(name)
        ids[name] = running.judge.send(A_STEP, name)
        if name == AT_REST:
            wake_until_blown(running, fuses, name)
        else:
            send_until_blown(running.judge, fuses, name, ids[name])
        fuses.await_blown(name)
        assert worker.is_running()
    running.judge.await_settled()
    return ids


def wake_until_blown(running, fuses, name):
    """Of two dispatchers that have nothing to do one signs off."""
    with redis.Redis.from_url(running.server.url) as raw:

        def blown() -> bool:
            queue, envelope = raw.hmget(KEYS["wake"], "queue", "envelope")
            if raw.llen(queue) == 0:
                raw.lpush(queue, envelope)
            return not fuses.is_armed(name)

        poll(blown, timeout=20, every=0.1)


def send_until_blown(judge, fuses, name, ids):
    """Steps but one are reached while there is work."""

    def blown() -> bool:
        ids.extend(judge.send(1, f"{name}, {len(ids)}"))
        return not fuses.is_armed(name)

    poll(blown, timeout=20, every=0.1)


@pytest.mark.parametrize("name", RUNNING)
def test_a_child_killed_there_loses_and_doubles_nothing(running, killed, name):
    running.judge.check(killed[name], uncertain=len(killed[name]))  # those of later steps met them as well


def test_only_what_a_child_had_in_hand_is_uncertain(running, killed):
    counts = running.judge.check(uncertain=8 * len(RUNNING))
    assert counts[Status.DELIVERED] > 0


def test_after_all_that_the_worker_sends_as_before(running, killed):
    ids = running.judge.send(A_STEP, "afterwards")
    running.judge.await_settled()
    running.judge.check(ids, uncertain=0)
    running.judge.audit()


@pytest.mark.parametrize("name", TICK)
def test_a_parent_killed_at_its_tick_leaves_the_tick_to_the_next_worker(running, killed, fuses, name):
    worker = running.worker
    below = children(worker)
    fuses.arm(name)
    fuses.await_blown(name)
    poll(lambda: not worker.is_running())
    ids = running.judge.send(A_STEP, name, lane="normal")
    running.start_worker(crashing_worker, fuses)
    running.judge.await_settled()
    running.judge.check(ids, uncertain=A_STEP)
    poll(lambda: not any(each.is_running() for each in below), timeout=30)


@pytest.mark.parametrize("name", SHUTDOWN)
def test_a_process_killed_while_it_shuts_down_loses_and_doubles_nothing(running, killed, fuses, name):
    worker = running.worker
    running.simulator.behave("slow", count=A_STEP, delay=1.0)
    ids = running.judge.send(A_STEP, name)
    running.judge.await_sent(1, name)
    fuses.arm(name)
    worker.ask_to_end()
    fuses.await_blown(name)
    poll(lambda: not worker.is_running(), timeout=30)
    running.simulator.clear()
    running.start_worker(crashing_worker, fuses)
    running.judge.await_settled()
    running.judge.check(ids, uncertain=A_STEP if STEPS[name].in_hand else 0)
    running.judge.audit()


@pytest.mark.parametrize("name", RECEIVER)
def test_a_receiver_killed_there_gets_every_receipt_once_it_is_back(running, killed, fuses, name):
    assert running.receiver.end()
    killable = running.start_receiver(crashing_receiver, fuses)
    fuses.arm(name, passage=3)
    ids = running.judge.send(A_STEP, name)
    fuses.await_blown(name)
    poll(lambda: not killable.is_running())
    running.start_receiver()
    running.judge.await_settled(ids=ids)
    running.judge.check(ids, uncertain=0)


@pytest.mark.parametrize("name", PRODUCER)
def test_a_producer_killed_there_has_told_only_what_is_in_the_ledger(running, killed, fuses, tmp_path, name):
    judge, told = running.judge, tmp_path / "told"
    batches = [drafts(5, f"{name}, batch {number}") for number in range(4)]
    for number, batch in enumerate(batches):
        for place, fields in enumerate(batch):
            fields["idempotency_key"] = f"{name} {number} {place}"
    before = judge.producer.counts()["accepted"]
    fuses.arm(name, passage=3)
    part = Part(
        "producer", crashing_producer, running.past_proxies, batches, told, fuses, log=tmp_path / "log"
    )
    part.begin()
    part.await_ready()
    fuses.await_blown(name)
    part.end()

    first = dict(returned(told))
    assert len(first) == 10
    made = judge.producer.counts()["accepted"] - before
    assert made == (10 if name == PRODUCER[0] else 15)
    again = [message for batch in batches for message in judge.producer.send_many(batch)]
    assert judge.producer.counts()["accepted"] - before == 20, (
        "the same keys: what was accepted is not doubled"
    )
    assert [message.id for message in again[:10]] == list(first)
    judge.accepted |= {
        message.id: fields["text"] for message, fields in zip(again, itertools.chain(*batches), strict=True)
    }
    judge.await_settled()
    judge.check([message.id for message in again], uncertain=0)


FREEZES = ["attempt, nothing composed", "call, nothing connected", "call, connected"]


@pytest.mark.parametrize("name", FREEZES)
def test_a_child_frozen_past_its_lease_does_not_send_what_it_has_not_begun(running, killed, fuses, name):
    fuses.arm(name, sign=signal.SIGSTOP)
    tag = f"frozen: {name}"
    ids = running.judge.send(1, tag)
    frozen = psutil.Process(fuses.await_blown(name))
    try:
        poll(lambda: frozen.status() == psutil.STATUS_STOPPED)
        running.judge.await_settled()
        assert set(running.judge.statuses(ids).values()) == {Status.UNCERTAIN}
    finally:
        frozen.resume()
    more = running.judge.send(A_STEP, f"thawed: {name}")
    running.judge.await_settled()
    running.judge.check(more, uncertain=0)
    poll(lasts(1))
    assert not running.judge.sent(tag)
    assert set(running.judge.statuses(ids).values()) == {Status.UNCERTAIN}
    running.judge.audit()
