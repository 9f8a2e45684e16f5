"""The audit holds a campaign's counts against its records, and a repair sets them right."""

from contextlib import closing

import pytest

from sendline import Producer
from sendline.ledger.connection import Ledger
from sendline.ledger.limits import Limits
from sendline.settings import Settings
from sendline_worker.audit import Audit
from sendline_worker.audit.repair import Repair


@pytest.fixture
def audited(redis_url, publish):
    """A campaign of ten that was started, and what looks at it."""
    publish("main")
    rows = [{"to": f"+1311555{place:04}", "name": "x"} for place in range(10)]
    with (
        Producer(settings=Settings(redis_url=redis_url, durability="memory")) as producer,
        closing(Ledger(redis_url)) as ledger,
    ):
        producer.campaign("sale", text="Hi {{ name }}", recipients=rows).start()
        yield (
            lambda: Audit(ledger, Limits()),
            lambda: Repair(ledger, Limits(), Audit(ledger, Limits()), lease=90),
        )


def test_a_campaign_that_was_just_started_is_found_right(audited):
    audit, _ = audited
    assert audit().run().findings == ()


def test_one_that_is_paused_is_found_right(audited, redis_url):
    with Producer(settings=Settings(redis_url=redis_url, durability="memory")) as producer:
        producer.campaign("sale").pause()
    audit, _ = audited
    assert audit().run().findings == ()


def test_counts_that_are_wrong_are_told_and_set_right(audited, raw):
    raw.hincrby("sl:c:sale", "created", 3)
    audit, repair = audited
    told = [finding.what for finding in audit().run().findings]
    assert told == [
        "campaign sale: 10 messages were accepted, but the statuses count 13",
        "campaign sale: 13 messages count as created, and 10 records are",
    ]
    repair().run()
    assert audit().run().findings == ()
    assert raw.hget("sl:c:sale", "created") == b"10"


def test_messages_without_their_campaign_are_told(audited, raw):
    raw.delete("sl:c:sale")
    raw.delete("sl:cs")
    audit, _ = audited
    told = [finding.what for finding in audit().run().findings]
    assert "campaign sale is not there, and 10 of its messages are" in told
