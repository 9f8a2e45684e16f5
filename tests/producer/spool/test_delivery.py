"""From the spool into the ledger: each message once, whatever happens to who delivers."""

import logging
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ledger_world import World, publish_accounts
from sendline import LedgerRefused, LedgerUnavailable, Producer, Status, UnknownMessage
from sendline.contract import ids
from sendline.contract.draft import Rules, draft
from sendline.ledger.call import Call
from sendline.ledger.connection import Ledger
from sendline.ledger.keys import message_key
from sendline.ledger.limits import Limits
from sendline.ledger.record import Record
from sendline.ledger.suppression import suppress
from sendline.settings import Settings
from sendline.spool import Entry
from sendline.spool.delivery import Delivery
from servers import ValkeyServer

TO = "+13115552367"
DAY = 86_400_000


@pytest.fixture
def to_ledger(server):
    made = Ledger(server.url)
    yield made
    made.close()


@pytest.fixture
def deliver(spool, to_ledger, spooling):
    """Deliver once what waits, `most` batches of it."""

    def deliver(most=1000, **changes):
        batches = iter(range(most - 1))
        settings = spooling.model_copy(update=changes)
        return Delivery(spool, to_ledger, settings).run(lambda _: next(batches, None) is not None)

    return deliver


@pytest.fixture
def keep(spool):
    """Keep messages as if they had been sent `ago` ms ago; returns their ids."""

    def keep(*texts, ago=0, **fields):
        now = time.time() * 1000 - ago
        made = [
            Entry(
                draft(ids.new_id(), {"to": TO, "text": text} | fields, Rules(), datetime.now(UTC)), round(now)
            )
            for text in texts or ["Hello"]
        ]
        assert spool.keep(made) == made
        return [ids.to_text(each.draft.id) for each in made]

    return keep


@pytest.fixture
def there(server):
    """A producer that knows no spool."""
    with Producer(settings=Settings(redis_url=server.url)) as made:
        yield made


def test_everything_is_delivered_in_order_and_removed(keep, deliver, there, spool):
    kept = keep(*map(str, range(300)))
    told = deliver()
    assert (told.accepted, told.done, told.left) == (300, 300, 0)
    assert [event.message_id for event in there.events(after=0, timeout=0.3)] == kept
    assert [each.name for each in spool.path.iterdir()] == []
    assert there.get(kept[7]).text == "7"


def test_it_goes_in_batches_and_may_be_stopped_between_them(keep, deliver, there):
    keep(*map(str, range(300)))
    assert deliver(most=1).accepted == 256
    assert there.counts()["accepted"] == 256
    assert deliver().accepted == 44


def test_what_is_delivered_again_is_accepted_once(keep, deliver, there, spool, tmp_path):
    [kept] = keep(idempotency_key="k")
    shutil.copytree(spool.path, tmp_path / "copy")
    assert deliver().accepted == 1
    shutil.copytree(tmp_path / "copy", spool.path, dirs_exist_ok=True)
    assert deliver().accepted == 1
    assert there.counts()["accepted"] == 1
    assert there.get(kept).status is Status.CREATED


def test_a_message_has_what_is_left_of_its_validity(keep, deliver, there):
    [kept] = keep(ago=20_000, valid_for=60)
    deliver()
    left = there.get(kept).expires_at - datetime.now(UTC)
    assert timedelta(seconds=35) < left <= timedelta(seconds=40)


@pytest.mark.parametrize("ago", [60_000, 60_001, 2 * DAY])
def test_a_message_whose_validity_has_ended_expires_and_is_never_sent(keep, deliver, there, to_ledger, ago):
    publish_accounts(to_ledger, "main")
    [kept] = keep(ago=ago, valid_for=60)
    assert deliver().expired == 1
    hands = World(to_ledger, None, None)
    assert hands.claim().claims == ()
    hands.tick()
    assert there.get(kept).status is Status.EXPIRED
    assert there.counts()["expired"] == 1


def test_a_scheduled_message_keeps_its_time(keep, deliver, there):
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    [kept] = keep(ago=60_000, not_before=at, valid_for=60)
    deliver()
    found = there.get(kept)
    assert abs(found.due_at - at) < timedelta(seconds=1)
    assert abs(found.expires_at - at - timedelta(seconds=60)) < timedelta(seconds=1)


def test_an_entry_so_old_that_its_id_may_be_forgotten_is_kept_aside(keep, deliver, there, spool, caplog):
    [kept] = keep(ago=28 * DAY)
    [fresh] = keep(ago=26 * DAY, valid_for=30 * 86_400)
    told = deliver()
    assert (told.refused, told.accepted) == (1, 1)
    assert spool.refused() == {ids.to_bytes(kept): "stale"}
    assert there.get(fresh).status is Status.CREATED
    with pytest.raises(UnknownMessage):
        there.get(kept)
    assert f"message {kept} of the spool is kept aside: stale" in caplog.text


def test_the_bound_follows_the_retention(keep, deliver, spool):
    keep(ago=60_000)
    assert deliver(retention=3600.0).refused == 0
    keep(ago=60_000)
    assert deliver(retention=66.0, idempotency_ttl=60.0).refused == 1


def test_a_damaged_file_is_kept_aside_and_holds_up_no_other(keep, deliver, there, spool, caplog):
    kept = [*keep("a"), *keep("b"), *keep("c")]
    file = spool._name(ids.to_bytes(kept[1]))
    file.write_bytes(file.read_bytes()[:-5])
    told = deliver()
    assert (told.accepted, told.refused) == (2, 1)
    assert spool.refused() == {ids.to_bytes(kept[1]): "damaged"}
    assert deliver().done == 0
    assert there.counts()["accepted"] == 2
    assert f"{kept[1]} of the spool is damaged" in caplog.text
    assert TO not in caplog.text


def test_damage_within_a_file_of_several_messages_concerns_those_that_it_hit(keep, deliver, there, spool):
    kept = keep("one", "two", "three")
    file = spool._name(ids.to_bytes(kept[0]))
    file.write_bytes(file.read_bytes().replace(b'"two"', b'"owt"', 1))
    told = deliver()
    assert (told.accepted, told.refused) == (2, 1)
    assert spool.refused() == {ids.to_bytes(kept[1]): "damaged"}
    assert [there.get(each).text for each in (kept[0], kept[2])] == ["one", "three"]


def test_what_is_kept_aside_of_a_file_of_several_messages_holds_no_other(keep, deliver, there, spool):
    there.send(TO, "earlier", idempotency_key="k")
    now = time.time() * 1000
    rules, at = Rules(), datetime.now(UTC)
    made = [
        Entry(draft(ids.new_id(), {"to": TO, "text": "private"}, rules, at), round(now)),
        Entry(draft(ids.new_id(), {"to": TO, "text": "x", "idempotency_key": "k"}, rules, at), round(now)),
    ]
    assert spool.keep(made) == made
    assert (told := deliver()).refused == 1
    assert told.accepted == 1
    [left] = spool.path.glob("*.conflict")
    assert b'"text": "x"' in left.read_bytes()
    assert b"private" not in left.read_bytes()
    assert [each.suffix for each in spool.path.iterdir()] == [".conflict"]


def test_a_file_of_a_later_release_is_left_for_it(keep, deliver, spool):
    kept = [*keep("a"), *keep("b")]
    file = spool._name(ids.to_bytes(kept[0]))
    file.write_bytes(file.read_bytes().replace(b"spool 1 ", b"spool 3 ", 1))
    told = deliver()
    assert (told.accepted, told.refused, told.left) == (1, 0, 1)
    assert spool.waiting() == [ids.to_bytes(kept[0])]


def test_a_file_that_is_not_whole_yet_is_not_looked_at(keep, deliver, spool):
    [kept] = keep()
    name = spool._name(ids.to_bytes(kept))
    name.rename(name.with_suffix(".new"))
    assert deliver().done == 0
    assert name.with_suffix(".new").exists()


def test_the_first_message_stands_for_one_with_the_same_key_and_content(keep, deliver, there, spool, caplog):
    caplog.set_level(logging.INFO)
    first = there.send(TO, "Hello", idempotency_key="k")
    [kept] = keep(idempotency_key="k")
    assert deliver().answered == 1
    assert there.counts()["accepted"] == 1
    assert spool.is_empty()
    assert f"message {kept} of the spool has the idempotency key of {first.id}" in caplog.text


def test_one_whose_key_was_used_for_other_content_is_kept_aside(keep, deliver, there, spool):
    there.send(TO, "Other", idempotency_key="k")
    [kept] = keep(idempotency_key="k")
    assert deliver().refused == 1
    assert spool.refused() == {ids.to_bytes(kept): "conflict"}
    assert there.counts()["accepted"] == 1
    assert spool.with_key("k") is None


def test_one_whose_recipient_has_opted_out_is_suppressed(keep, deliver, there, to_ledger):
    to_ledger.run(suppress(Limits(), [TO], "test"))
    [kept] = keep()
    assert deliver().accepted == 1
    assert there.get(kept).status is Status.SUPPRESSED


def test_everything_waits_while_the_ledger_refuses(keep, spool, spooling):
    keep("a", "b")
    with ValkeyServer("--appendonly", "no") as careless:
        ledger = Ledger(careless.url)
        with pytest.raises(LedgerRefused, match="durability"):
            Delivery(spool, ledger, spooling).run(lambda _: True)
        with careless.client() as client:
            assert client.dbsize() == 0
        memory = spooling.model_copy(update={"durability": "memory"})
        careless.fill_memory()
        with pytest.raises(LedgerRefused, match="out of memory"):
            Delivery(spool, ledger, memory).run(lambda _: True)
        assert len(spool.waiting()) == 2
        careless.free_memory()
        assert Delivery(spool, ledger, memory).run(lambda _: True).accepted == 2
        ledger.close()


def test_everything_waits_while_the_ledger_is_away(keep, deliver, server, spool):
    keep("a", "b")
    server.kill()
    with pytest.raises(LedgerUnavailable):
        deliver()
    assert len(spool.waiting()) == 2
    server.start()
    assert deliver().accepted == 2


def test_a_message_that_belongs_to_an_api_key_still_does(spool, deliver, to_ledger, keep):
    [kept] = keep()
    entry = spool.read(ids.to_bytes(kept))
    spool.remove(entry)
    spool.keep([replace(entry, draft=replace(entry.draft, owner="shop"))])
    deliver()

    found = to_ledger.run(Call("GET", [message_key(entry.draft.id)], bytes))
    assert Record(found).owner == "shop"


def test_of_two_that_deliver_at_once_neither_harms_the_other(keep, spool, server, spooling, there):
    kept = keep(*map(str, range(300)), idempotency_key=None)
    keyed = keep("keyed", idempotency_key="k")
    start = threading.Barrier(3)

    def deliver():
        ledger = Ledger(server.url)
        start.wait()
        told = Delivery(spool, ledger, spooling).run(lambda _: True)
        ledger.close()
        return told

    with ThreadPoolExecutor(3) as pool:
        told = [each.result() for each in [pool.submit(deliver) for _ in range(3)]]
    assert sum(each.done for each in told) >= 301
    assert {each.refused + each.answered + each.left for each in told} == {0}
    assert there.counts()["accepted"] == 301
    assert [event.message_id for event in there.events(after=0, timeout=0.3)] == kept + keyed
