"""A damaged record costs a report no more than its own row."""

import asyncio
import csv
import io

import pytest

from damage import spoil
from sendline import AsyncProducer
from sendline.campaigns.report import CsvReport, read_rows, report_file
from sendline.contract import ids
from sendline.ledger.keys import message_key
from sendline.settings import Settings

DAMAGED = {
    "empty": b"",
    "no msgpack": b"\xc1damaged",
    "cut off": b"\xdc\x00\x15\x01",
    "another value": b"\x07",
    "fields of other kinds": b"\x93\x01\xc0\xc0",
}


def begun(producer, hands):
    """Return the ids of a campaign of 10, of whose messages the first to be claimed is final."""
    people = [{"to": f"+1212{5_550_000 + place:07}"} for place in range(10)]
    campaign = producer.campaign("sale", text="Hi", recipients=people)
    members = [ids.to_bytes(message.id) for message in campaign.messages()]
    campaign.start()
    [claim] = hands.claim(1)
    hands.settle([claim], deadline=0)
    return members, claim.message_id


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_row_says_that_its_record_cant_be_read(producer, hands, raw, ledger, content):
    members, final = begun(producer, hands)
    waiting = next(each for each in members if each != final)
    for message_id in (waiting, final):
        spoil(raw, message_id, content)
    rows = ledger.run(read_rows(members))
    assert [row.id for row in rows] == [ids.to_text(each) for each in members]
    damaged = [row for row in rows if row.error == "unreadable"]
    assert {row.id for row in damaged} == {ids.to_text(waiting), ids.to_text(final)}
    for row in damaged:
        assert row == (row.id, "", "", "unreadable", "", 0, 0, "", "", None, None, None)
    assert {row.status for row in rows if row not in damaged} == {"created"}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_messages_are_read_without_it(producer, hands, raw, content):
    members, final = begun(producer, hands)
    spoil(raw, final, content)
    spoil(raw, members[-1], content)
    left = [ids.to_text(each) for each in members if each not in (final, members[-1])]
    assert [message.id for message in producer.campaign("sale").messages()] == left
    assert [message.id for message in producer.find(campaign="sale")] == left[::-1]


def test_it_is_written_as_csv_and_parquet(producer, hands, raw, ledger, tmp_path):
    members, final = begun(producer, hands)
    spoil(raw, final, b"\xc1")
    rows = ledger.run(read_rows(members))
    text = io.StringIO(newline="")
    CsvReport(text).write(rows)
    [told] = [row for row in csv.DictReader(io.StringIO(text.getvalue())) if row["error"] == "unreadable"]
    assert {name for name, cell in told.items() if cell not in ("", "0")} == {"id", "error"}
    with report_file(tmp_path / "sale.parquet") as writer:
        writer.write(rows)
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(tmp_path / "sale.parquet").to_pylist()
    assert len(table) == 10
    [told] = [row for row in table if row["error"] == "unreadable"]
    assert (told["id"], told["created_at"]) == (ids.to_text(final), None)


def test_what_is_no_longer_kept_has_no_row(producer, hands, raw, ledger):
    members, final = begun(producer, hands)
    waiting = next(each for each in members if each != final)
    raw.delete(message_key(waiting))
    assert len(ledger.run(read_rows(members))) == 9


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_report_goes_on_in_both_faces(producer, hands, raw, redis_url, tmp_path, ending):
    members, final = begun(producer, hands)
    for message_id in (final, next(each for each in members if each != final)):
        spoil(raw, message_id, b"\xc1")
    campaign, path = producer.campaign("sale"), tmp_path / f"sale.{ending}"
    assert campaign.report(path) == 10
    blocking = path.read_bytes()
    rows = list(campaign.report_rows())
    assert [row.error for row in rows].count("unreadable") == 2

    async def awaited():
        async with AsyncProducer(settings=Settings(redis_url=redis_url, durability="memory")) as made:
            same = await made.campaign("sale")
            assert [row async for row in same.report_rows()] == rows
            return await same.report(path)

    assert asyncio.run(awaited()) == 10
    assert path.read_bytes() == blocking
