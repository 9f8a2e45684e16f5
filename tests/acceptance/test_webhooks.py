"""Webhooks through all of Sendline: a worker is killed while an app that misbehaves is told of messages."""

import random
from collections import Counter
from contextlib import closing

import pytest
from pydantic import SecretStr

from faulty import processes, whole
from hooked_app import SECRETS, HookedApp, happened, hurried_worker, told
from sendline.ledger import notices
from sendline.ledger.connection import Ledger
from sendline.ledger.limits import Limits
from sendline.settings import ledger_url
from waiting import poll

pytestmark = [pytest.mark.acceptance, pytest.mark.xdist_group("webhooks")]

MESSAGES = 500
FAILS, RESETS, HANGS = 0.33, 0.03, 0.002
FEW = 3
"""Misdeeds in a row: one more and the endpoint would rest for seconds, then for minutes."""


class Mood:
    """Fails a third of all calls, resets and hangs now and then, as a seed has it."""

    def __init__(self, seed):
        self._chance = random.Random(seed)
        self._in_a_row = 0
        self.done = Counter()

    def __call__(self, _call):
        drawn = self._chance.random()
        answer = "take"
        if self._in_a_row < FEW and drawn < FAILS + RESETS + HANGS:
            answer = "hang" if drawn < HANGS else "reset" if drawn < HANGS + RESETS else "fail"
        self._in_a_row = self._in_a_row + 1 if answer != "take" else 0
        self.done[answer] += 1
        return answer


@pytest.fixture(scope="module")
def running():
    hooks = {"webhook_allow": ("127.0.0.1",), "webhook_secret": (SecretStr(SECRETS[0]),)}
    with whole(**hooks) as made:
        yield made


def endpoint(settings):
    """How it stands with the app, which is the only one."""
    limits = Limits.of(settings)
    with closing(Ledger(ledger_url(settings))) as ledger:
        [found] = ledger.run(notices.endpoints(limits, ledger.run(notices.marks())))
    return found


def test_a_killed_worker_loses_no_webhook_and_an_app_that_misbehaves_is_told_all_in_order(running):
    judge = running.judge
    mood = Mood(seed=11)
    with HookedApp(behave=mood) as app:
        running.start_worker(hurried_worker)
        judge.send(MESSAGES, "told", callback_url=app.url)
        poll(lambda: len(app.taken) > MESSAGES // 2, timeout=30, every=0.02)

        hung = []
        app.behave = lambda call: hung.append(call) or "hang"
        poll(lambda: hung)
        for process in processes(running.worker):
            process.kill()
        assert endpoint(running.past_proxies).under_way > 0, "its claims are left behind"
        before = len({call.id for call in app.taken})
        app.behave = mood
        running.start_worker(hurried_worker)

        judge.await_settled()
        poll(lambda: not endpoint(running.past_proxies).waiting, timeout=45, every=0.1)
        events = happened(judge.producer.events(after=0, timeout=0.5))

    assert len(events) == MESSAGES
    assert told(app.taken) == events
    assert before < len({call.id for call in app.taken})
    assert min(mood.done[each] for each in ("fail", "reset", "hang")) > 0, mood.done
    for call in app.calls:
        call.verify(SECRETS[0])
    judge.audit()
