"""A privacy request reaches the spool: messages to the number go, others stay, nobody brings them back."""

import asyncio
import os
import shutil
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sendline import AsyncProducer, ConfigurationError, LedgerUnavailable, Producer, Status, UnknownMessage
from sendline.contract import ids
from sendline.contract.draft import Rules, draft
from sendline.ledger.connection import Ledger
from sendline.settings import Settings
from sendline.spool import Entry
from sendline.spool.delivery import Delivery
from sendline.spool.erasing import UNFINISHED

TO, OTHER = "+13115552367", "+13115552369"
DIGITS = TO.removeprefix("+").encode()
DAY = 86_400_000

pytestmark = pytest.mark.usefixtures("at_rest")


@pytest.fixture
def keep(spool):
    """Keep messages at once; returns their entries."""

    def keep(*messages, ago=0, **fields):
        made = [
            Entry(
                draft(ids.new_id(), {"to": to, "text": text} | fields, Rules(), datetime.now(UTC)),
                round(time.time() * 1000) - ago,
            )
            for to, text in messages
        ]
        assert spool.keep(made) == made
        return made

    return keep


@pytest.fixture
def there(server):
    """A producer that knows no spool."""
    with Producer(settings=Settings(redis_url=server.url)) as made:
        yield made


def traces(path):
    return [each.name for each in path.iterdir() if each.is_file() and DIGITS in each.read_bytes()]


def status(producer, entry):
    return producer.get(ids.to_text(entry.draft.id)).status


def deliver(spool, spooling):
    ledger = Ledger(spooling.redis_url.get_secret_value())
    try:
        return Delivery(spool, ledger, spooling).run(lambda _: True)
    finally:
        ledger.close()


def test_what_waits_for_a_number_is_canceled_and_never_sent(producer, there, server, spool, spooling):
    server.kill()
    mine = [producer.send(TO, "for Ada", idempotency_key="k"), producer.send(TO, "again for Ada")]
    other = producer.send(OTHER, "for Bob")
    assert len(traces(spool.path)) == 3, "two messages, and a key"
    server.start()
    erased = producer.erase(TO)
    assert (erased.messages, erased.canceled, erased.spooled, erased.spool_left) == (2, 2, 2, 0)
    assert traces(spool.path) == []
    assert spool.waiting() == [ids.to_bytes(other.id)]
    for each in mine:
        found = there.get(each.id)
        assert (found.status, found.to, found.text) == (Status.CANCELED, "", None)
    assert deliver(spool, spooling).accepted == 1
    assert there.get(other.id).status is Status.CREATED
    assert there.counts()["canceled"] == 2
    assert producer.erase(TO).to_dict() == dict.fromkeys(erased.to_dict(), 0)


def test_others_of_the_same_file_keep_their_messages_and_their_keys(producer, keep, spool, there, spooling):
    kept = [
        *keep((OTHER, "one"), (TO, "for Ada"), (OTHER, "two"), (TO, "more for Ada")),
        *keep((OTHER, "three"), (OTHER, f"call {TO}")),
    ]
    assert producer.erase(TO).canceled == 2
    others = [each for each in kept if each.draft.to == OTHER]
    assert spool.waiting() == [each.draft.id for each in others]
    assert [spool.find(each.draft.id) for each in others] == others
    assert traces(spool.path) == [spool._name(others[-1].draft.id).name], "a text of another's that names it"
    assert deliver(spool, spooling).accepted == 4
    assert status(there, kept[0]) is Status.CREATED


def test_a_key_of_the_same_file_still_names_its_message(producer, spool):
    rules, now = Rules(), datetime.now(UTC)
    made = [
        Entry(draft(ids.new_id(), {"to": to, "text": "x", "idempotency_key": to}, rules, now), 1)
        for to in (TO, OTHER)
    ]
    made = [replace(each, at_ms=round(time.time() * 1000)) for each in made]
    assert spool.keep(made) == made
    assert producer.erase(TO).spooled == 1
    assert spool.with_key(OTHER) == made[1]
    assert spool.with_key(TO) is None
    assert traces(spool.path) == []


def test_who_delivers_it_at_this_moment_brings_it_back_no_more(
    producer, keep, spool, there, spooling, tmp_path
):
    [kept] = keep((TO, "for Ada"))
    shutil.copytree(spool.path, tmp_path / "read before")
    producer.erase(TO)
    shutil.copytree(tmp_path / "read before", spool.path, dirs_exist_ok=True)
    deliver(spool, spooling)
    found = there.get(ids.to_text(kept.draft.id))
    assert (found.status, found.to, found.text) == (Status.CANCELED, "", None)
    assert there.counts()["accepted"] == 1


def test_an_erasing_that_is_cut_off_lets_nothing_be_sent(producer, keep, there, monkeypatch):
    [kept] = keep((TO, "for Ada"))
    monkeypatch.setattr("sendline.spool.erasing._remove", lambda *_: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        producer.erase(TO)
    found = there.get(ids.to_text(kept.draft.id))
    assert found.due_at > found.expires_at, "it expires before anybody could claim it"
    monkeypatch.undo()
    assert producer.erase(TO).canceled == 1


def test_what_was_kept_aside_or_is_damaged_or_was_never_finished_goes_too(producer, keep, spool, there):
    [stale] = keep((TO, "old"), ago=28 * DAY)
    aside, damaged, whole = [keep((TO, text))[0] for text in ("aside", "damaged", "whole")]
    spool.set_aside(aside.draft.id, "conflict", aside)
    file = spool._name(damaged.draft.id)
    file.write_bytes(file.read_bytes().replace(b"damaged", b"degamad"))
    new = spool.path / f"{ids.new_id().hex()}.new"
    shutil.copy(spool._name(whole.draft.id), new)
    growing = spool.path / f"{ids.new_id().hex()}.many.new"
    shutil.copy(new, growing)
    os.utime(new, (1, time.time() - UNFINISHED - 1))
    erased = producer.erase(TO)
    assert (erased.spooled, erased.canceled, erased.spool_left) == (4, 1, 1)
    assert traces(spool.path) == [growing.name], "somebody is writing it"
    with pytest.raises(UnknownMessage):
        there.get(ids.to_text(stale.draft.id))


def test_what_a_later_release_wrote_is_counted_and_left(producer, keep, spool):
    [kept] = keep((OTHER, "x"))
    file = spool._name(kept.draft.id)
    file.write_bytes(file.read_bytes().replace(b"spool 1 ", b"spool 9 ", 1))
    erased = producer.erase(TO)
    assert (erased.spooled, erased.spool_left) == (0, 1)
    assert file.exists()


def hinder(spool, entry):
    """Let nothing be written in the place of a message; returns what is in the way."""
    obstacle = spool.path / f"{entry.draft.id.hex()}.new"
    obstacle.mkdir()
    return obstacle


def test_what_was_kept_aside_with_the_file_of_others_lets_go_of_them(producer, keep, spool):
    aside, _, plain = keep((OTHER, "aside"), (TO, "for Ada"), (OTHER, "plain"))
    obstacle = hinder(spool, aside)
    spool.set_aside(aside.draft.id, "conflict", aside)
    obstacle.rmdir()
    assert len(traces(spool.path)) == 3, "names of one file"
    erased = producer.erase(TO)
    assert (erased.spooled, erased.spool_left, traces(spool.path)) == (1, 0, [])
    assert spool.refused() == {aside.draft.id: "conflict"}
    assert Entry.unpack(spool._name(aside.draft.id, "conflict").read_bytes()) == aside
    assert spool.waiting() == [plain.draft.id]


@pytest.mark.parametrize("why", [None, "conflict"])
def test_what_can_not_be_written_anew_is_counted(producer, keep, spool, why):
    other, _ = keep((OTHER, "other"), (TO, "for Ada"))
    obstacle = hinder(spool, other)
    if why:
        spool.set_aside(other.draft.id, why, other)
    erased = producer.erase(TO)
    assert (erased.spooled, erased.spool_left) == (1, 2), "the file, and what stands in its way"
    assert traces(spool.path) == [spool._name(other.draft.id, why or "sms").name]
    obstacle.rmdir()
    assert producer.erase(TO).spool_left == 0
    assert traces(spool.path) == []


def test_what_a_later_release_kept_aside_for_its_own_reasons_goes_too(producer, keep, spool):
    [kept] = keep((TO, "for Ada"))
    spool.set_aside(kept.draft.id, "unknown", kept)
    erased = producer.erase(TO)
    assert (erased.spooled, erased.spool_left, traces(spool.path)) == (1, 0, [])


def test_a_key_that_a_later_release_left_is_counted(producer, keep, spool):
    [kept] = keep((OTHER, "x"), idempotency_key="k")
    file = spool._name(kept.draft.id)
    file.write_bytes(file.read_bytes().replace(b"spool 1 ", b"spool 9 ", 1))
    file.unlink()
    assert producer.erase(TO).spool_left == 1


def test_the_name_that_a_key_had_in_passing_goes_too(producer, keep, spool):
    [kept] = keep((TO, "for Ada"), idempotency_key="k")
    passing = spool._key_name("k").with_suffix(".new")
    passing.hardlink_to(spool._name(kept.draft.id))
    assert (producer.erase(TO).spool_left, traces(spool.path)) == (1, [passing.name])
    os.utime(passing, (1, time.time() - UNFINISHED - 1))
    assert (producer.erase(TO).spool_left, traces(spool.path)) == (0, [])


def test_while_the_ledger_is_away_nothing_is_erased_and_that_is_said(producer, server, spool):
    server.kill()
    producer.send(TO, "for Ada")
    with pytest.raises(LedgerUnavailable):
        producer.erase(TO)
    assert len(spool.waiting()) == 1
    server.start()
    assert producer.erase(TO).spooled == 1


def test_a_spool_that_cannot_be_read_is_told_and_nothing_is_erased(producer, there, spool):
    sent = there.send(TO, "for Ada")
    spool.path.rename(spool.path.with_name("moved"))
    with pytest.raises(ConfigurationError, match=r"^spool_dir: .*; nothing was erased$"):
        producer.erase(TO)
    assert there.get(sent.id).status is Status.CREATED


def test_the_async_producer_reaches_the_spool_too(spooling, keep, spool):
    keep((TO, "for Ada"))

    async def erase():
        async with AsyncProducer(settings=spooling) as producer:
            return await producer.erase(TO)

    assert asyncio.run(erase()).spooled == 1
    assert spool.is_empty()
