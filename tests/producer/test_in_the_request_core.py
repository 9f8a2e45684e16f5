"""What the HTTP API asks of the producer's core: to check, and to accept what was checked."""

import pytest

from ledger_world import SENDER, TO
from sendline import IdempotencyConflict, InvalidMessage, Message, Producer
from sendline.contract import ids
from sendline.ledger.keys import message_key
from sendline.ledger.record import Record

FIELDS = {"to": TO, "text": "Hello", "sender": SENDER}


@pytest.fixture
def producer(settings):
    with Producer(settings=settings) as made:
        made._do(made._core.refresh())
        yield made


def accept(producer, drafts):
    return producer._do(producer._core.accept(drafts))


def test_each_checked_message_gets_its_message_or_its_own_error(producer):
    keyed = producer.send(**FIELDS, idempotency_key="k")
    drafts = [
        producer._core.check(FIELDS),
        producer._core.check(FIELDS | {"idempotency_key": "k", "text": "Other"}),
        producer._core.check(FIELDS | {"idempotency_key": "k"}),
    ]
    new, conflict, known = accept(producer, drafts)
    assert isinstance(new, Message)
    assert producer.get(new.id) == new
    assert isinstance(conflict, IdempotencyConflict)
    assert conflict.message_id == keyed.id
    assert known == keyed


def test_drafts_that_are_accepted_again_are_accepted_once(producer):
    drafts = [producer._core.check(FIELDS) for _ in range(3)]
    assert [m.id for m in accept(producer, drafts)] == [m.id for m in accept(producer, drafts)]
    assert producer.counts()["accepted"] == 3


def test_the_owner_of_a_message_is_kept_with_it(producer, raw):
    [owned] = accept(producer, [producer._core.check(FIELDS, owner="shop")])
    assert Record(raw.get(message_key(ids.to_bytes(owned.id)))).owner == "shop"
    assert producer.get(owned.id) == owned


def test_what_is_wrong_is_refused_when_it_is_checked(producer):
    with pytest.raises(InvalidMessage) as caught:
        producer._core.check(FIELDS | {"to": "nobody"}, owner="shop")
    assert caught.value.field == "to"
