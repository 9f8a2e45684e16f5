"""What a message costs in Redis' memory, measured on a real server: the budget is part of the promise."""

import pytest
import redis

from ledger_world import SENDER, publish_accounts
from sendline import Producer
from sendline.contract import ids
from sendline.contract.draft import Draft
from sendline.contract.lane import Lane
from sendline.contract.segments import measure
from sendline.contract.status import Status
from sendline.ledger import verbs, work
from sendline.ledger.connection import Ledger
from sendline.ledger.limits import Limits
from sendline.settings import Settings
from servers import ValkeyServer

MESSAGES = 5_000
TEXT = "Your parcel is on its way, between 9 and 12. Not at home? Reply 2 to pick another day.".ljust(
    120, "."
)
WAITING_MOST, DELIVERED_MOST, KEY_MOST = 600, 350, 150
"""Bytes a message, and what its idempotency key adds for as long as it is remembered."""
RECIPIENT_WAITING_MOST, RECIPIENT_FINAL_MOST = 250, 200
"""The same of a campaign's recipient, events left out."""
BATCH = 500
LIMITS = Limits(events_kept=1000)


class Scale:
    """Weighs the ledger without functions, clients' buffers and events, which are bounded apart."""

    def __init__(self, url):
        self._client = redis.Redis.from_url(url)

    def weigh(self):
        self._client.execute_command("MEMORY", "PURGE")
        events = self._client.memory_usage("sl:e", samples=0) or 0
        memory = self._client.info("memory")
        apart = memory["used_memory_functions"] + memory["mem_clients_normal"] + events
        return memory["used_memory"] - apart

    def close(self):
        self._client.close()


def drafts(first, number, keyed):
    for n in range(first, first + number):
        yield Draft(
            id=ids.new_id(),
            to=f"+1311{n:07d}",
            text=TEXT,
            sender=SENDER,
            account=None,
            route=("main",),
            lane=Lane.BULK,
            segments=measure(TEXT).count,
            not_before_ms=0,
            valid_for_ms=72 * 3_600_000,
            idempotency_key=f"campaign-7-{n}" if keyed else None,
        )


def batches(things):
    things = list(things)
    return [things[start : start + BATCH] for start in range(0, len(things), BATCH)]


def claim_all(ledger, dispatcher):
    number = 0
    while True:
        number += 1
        request = work.ClaimRequest(dispatcher, number, BATCH, BATCH, 90, 2, 5, may_sign_off=False)
        claims = ledger.run(work.claim(LIMITS, request)).claims
        if not claims:
            return
        yield claims


def send_and_deliver(ledger, dispatcher):
    for number, claims in enumerate(claim_all(ledger, dispatcher), 1):
        sent = [
            work.Settlement(
                *(c.message_id, c.token, c.account, Status.SENT),
                deadline=72 * 3600,
                provider_id=ids.to_text(ids.new_id()),
            )
            for c in claims
        ]
        assert set(ledger.run(work.settle(LIMITS, dispatcher, number, sent))) == {"settled"}
        receipts = [work.Reported("main", Status.DELIVERED, provider_id=s.provider_id) for s in sent]
        assert set(ledger.run(work.receive(LIMITS, receipts))) == {"applied"}


@pytest.mark.parametrize("keyed", [False, True], ids=["without a key", "with an idempotency key"])
def test_a_message_costs_no_more_than_its_budget(keyed, capsys):
    with ValkeyServer("--appendonly", "no") as server:
        ledger, scale = Ledger(server.url), Scale(server.url)
        publish_accounts(ledger, "main", rate=1_000_000, burst=1_000_000)
        for batch in batches(drafts(MESSAGES, BATCH, keyed)):  # the scripts are loaded, the buffers are grown
            ledger.run(verbs.accept(LIMITS, batch))
        send_and_deliver(ledger, "d1")
        empty = scale.weigh()
        for batch in batches(drafts(0, MESSAGES, keyed)):
            ledger.run(verbs.accept(LIMITS, batch))
        waiting = (scale.weigh() - empty) / MESSAGES
        send_and_deliver(ledger, "d2")
        delivered = (scale.weigh() - empty) / MESSAGES
        assert ledger.run(verbs.counts())["delivered"] == MESSAGES + BATCH
        ledger.close()
        scale.close()
    with capsys.disabled():
        key = "with" if keyed else "without"
        print(f"\n  a message {key} a key: waiting {waiting:.0f} B, delivered {delivered:.0f} B")  # noqa: T201 - the figures
    assert len(TEXT) == 120
    assert waiting <= WAITING_MOST
    assert delivered <= DELIVERED_MOST + KEY_MOST * keyed


def test_a_recipient_costs_no_more_than_its_budget(capsys):
    def people(first, number):
        return ({"to": f"+1311{n:07d}", "name": f"Name {n}"} for n in range(first, first + number))

    fields = {"text": "Hi {{ name }}, your plan ends on Friday.", "sender": SENDER}
    with ValkeyServer("--appendonly", "no") as server:
        ledger, scale = Ledger(server.url), Scale(server.url)
        publish_accounts(ledger, "main", rate=1_000_000, burst=1_000_000)
        with Producer(settings=Settings(redis_url=server.url, durability="memory")) as producer:
            producer.campaign("warm", recipients=people(MESSAGES, BATCH), **fields).start()
            send_and_deliver(ledger, "d1")
            empty = scale.weigh()
            campaign = producer.campaign("sale", recipients=people(0, MESSAGES), **fields)
            waiting = (scale.weigh() - empty) / MESSAGES
            campaign.start()
            send_and_deliver(ledger, "d2")
            final = (scale.weigh() - empty) / MESSAGES
            assert campaign.progress().statuses[Status.DELIVERED] == MESSAGES
        ledger.close()
        scale.close()
    with capsys.disabled():
        print(f"\n  a recipient: waiting {waiting:.0f} B, delivered {final:.0f} B")  # noqa: T201 - the figures
    assert waiting <= RECIPIENT_WAITING_MOST
    assert final <= RECIPIENT_FINAL_MOST
