"""A campaign from its source to its end: every recipient once, counts that add up, a word that counts."""

import io
from datetime import UTC, datetime, timedelta

import pytest

from sendline.contract import ids
from sendline.contract.campaign import CampaignState
from sendline.contract.errors import (
    CampaignConflict,
    CampaignExists,
    InvalidCampaign,
    NotFinished,
    UnknownCampaign,
    WrongCampaignState,
)
from sendline.contract.status import Status
from sendline.ledger import audit, work
from sendline.ledger.record import pack, unpack

SENDER = "+13115552368"


def people(number: int, start: int = 0) -> list[dict[str, str]]:
    return [
        {"to": f"+1311{5_550_000 + place:07}", "name": f"name {place}"}
        for place in range(start, start + number)
    ]


def made(producer, number=10, name="sale", **fields):
    fields = {"text": "Hi {{ name }}", "sender": SENDER, "recipients": people(number), **fields}
    return producer.campaign(name, **fields)


def adds_up(progress) -> bool:
    imported = progress.imported
    rows = imported.accepted + imported.rejected + imported.duplicates
    return sum(progress.statuses.values()) == imported.accepted and rows == imported.rows


def test_a_line_that_lacks_a_cell_is_a_reject_never_a_text_with_a_hole(producer):
    file = io.BytesIO(b"to,name\n+13115550001\n+13115550002,Ada\n+13115550003,\n")
    seen = made(producer, recipients=file).progress().imported
    assert (seen.rows, seen.accepted, seen.rejected) == (3, 2, 1)
    file.seek(0)
    seen = made(producer, name="other", text="Hi {{ name|default('you') }}", recipients=file).progress()
    assert (seen.imported.accepted, seen.imported.rejected) == (3, 0)


def test_nothing_of_it_goes_before_it_is_started(producer, hands):
    campaign = made(producer)
    assert hands.claim() == []
    assert campaign.progress().state is CampaignState.CREATED
    assert campaign.progress().imported.complete
    assert campaign.start().state is CampaignState.RUNNING
    assert len(hands.claim()) == 10


def test_each_recipients_values_are_kept_and_the_text_only_once(producer, hands):
    made(producer).start()
    [first, *_] = hands.claim()
    assert first.record.text == b""
    assert unpack(first.record.extras) == {b"name": b"name 0"}


def test_it_is_finished_when_every_message_is_final(producer, hands):
    campaign = made(producer)
    campaign.start()
    claims = hands.claim()
    hands.settle(claims[:7])
    hands.settle(claims[7:], Status.FAILED, code="rejected")
    assert campaign.progress().state is CampaignState.RUNNING
    hands.tick()
    done = campaign.progress()
    assert done.state is CampaignState.FINISHED
    assert done.summary == "finished, 3 failed"
    assert done.errors == {"rejected": 3}
    assert done.statuses[Status.SENT] == 7
    assert adds_up(done)


def test_who_waits_until_all_is_sent_waits_for_no_receipt(producer, hands):
    campaign = made(producer)
    campaign.start()
    with pytest.raises(NotFinished):
        campaign.wait(0, until="sent")
    hands.send_all(deadline=3600)
    assert campaign.wait(0, until="sent").statuses[Status.SENT] == 10
    with pytest.raises(NotFinished):
        campaign.wait(0)
    with pytest.raises(InvalidCampaign, match="until"):
        campaign.wait(0, until="delivered")


def test_messages_that_nobody_reports_on_hold_no_campaign_up(producer, hands):
    """One account reports deliveries, another one does not: what only the first has is waited for."""
    campaign = producer.campaign(
        "sale", text="Hi", recipients=[{"to": f"+131155500{n:02}"} for n in range(10)]
    )
    campaign.start()
    claims = hands.claim()
    hands.settle(claims[:4], deadline=0)
    hands.settle(claims[4:], deadline=3600)
    hands.tick(2)
    assert campaign.progress().state is CampaignState.RUNNING
    delivered = [
        work.Reported("main", Status.DELIVERED, provider_id=ids.to_text(c.message_id)) for c in claims[4:]
    ]
    hands.ledger.run(work.receive(hands.limits, delivered))
    late = work.Reported("main", Status.DELIVERED, provider_id=ids.to_text(claims[0].message_id))
    hands.ledger.run(work.receive(hands.limits, [late]))
    hands.tick(2)
    done = campaign.progress()
    assert done.state is CampaignState.FINISHED
    assert (done.statuses[Status.SENT], done.statuses[Status.DELIVERED]) == (3, 7)


def test_a_paused_campaign_sends_nothing_and_goes_on_where_it_was(producer, hands):
    campaign = made(producer, 100)
    campaign.start()
    claims = hands.claim(10)
    paused = campaign.pause()
    assert (paused.state, paused.on_the_wire, paused.waiting) == (CampaignState.PAUSED, 10, 90)
    hands.settle(claims[:5])
    hands.settle(claims[5:], Status.RETRYING, delay=-1)
    assert hands.claim() == []
    hands.tick()
    assert hands.claim() == []
    campaign.resume()
    assert hands.send_all() == 95
    hands.tick()
    assert campaign.progress().statuses[Status.SENT] == 100


def test_a_canceled_campaign_ends_what_was_not_sent(producer, hands):
    campaign = made(producer, 1200)
    campaign.start()
    claims = hands.claim(10)
    assert campaign.cancel().state is CampaignState.CANCELED
    assert hands.claim() == []
    hands.settle(claims[:5])
    hands.settle(claims[5:], Status.RETRYING, delay=0)
    for _ in range(5):
        hands.tick()
    done = campaign.progress()
    assert done.statuses[Status.CANCELED] == 1195
    assert done.statuses[Status.SENT] == 5
    assert adds_up(done)
    assert hands.claim() == []
    assert campaign.cancel().state is CampaignState.CANCELED  # the same word again changes nothing
    with pytest.raises(InvalidCampaign, match="only one that is running"):
        campaign.pause()


def test_one_that_waits_for_its_instant_is_canceled_too(producer, hands):
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    rows = [{**row, "not_before": tomorrow} for row in people(3)]
    campaign = made(producer, recipients=rows)
    campaign.start()
    assert hands.claim() == []
    campaign.cancel()
    hands.tick(2)
    assert campaign.progress().statuses[Status.CANCELED] == 3


def test_it_starts_by_itself_at_its_instant(producer, hands, ledger, raw):
    campaign = made(producer)
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    assert campaign.start(at).start_at == at
    hands.tick()
    assert hands.claim() == []
    raw.zadd("sl:ct", {"sale": 0})
    hands.tick()
    assert campaign.progress().state is CampaignState.RUNNING
    assert len(hands.claim()) == 10


@pytest.mark.parametrize("at", [datetime.now(UTC) - timedelta(minutes=1), datetime(2199, 1, 1, tzinfo=UTC)])
def test_a_start_in_the_past_or_too_far_ahead_is_refused(producer, at):
    campaign = made(producer)
    with pytest.raises(InvalidCampaign, match="at:"):
        campaign.start(at)
    assert campaign.progress().state is CampaignState.CREATED


def test_what_was_not_sent_by_its_end_expires(producer, hands, raw):
    campaign = made(producer, valid_for=60)
    campaign.start()
    sent = hands.claim(4)
    hands.settle(sent)
    raw.hset("sl:c:sale", "ends", 1)
    assert hands.claim(2) == []  # looked at, and expired
    hands.tick(2)
    done = campaign.progress()
    assert done.statuses[Status.EXPIRED] == 6
    assert done.state is CampaignState.FINISHED
    assert done.summary == "finished, 6 failed"


def test_a_claim_ends_with_its_campaign(producer, hands):
    campaign = made(producer, valid_for=60)
    campaign.start()
    [claim, *_] = hands.claim(1)
    ends = campaign.progress().ends_at
    assert ends is not None
    assert claim.record.created + claim.record.expires == pytest.approx(ends.timestamp() * 1000, abs=1)


def test_rows_that_cant_be_sent_to_are_counted_and_told(producer, tmp_path):
    rows = [
        *people(3),
        {"to": "nonsense", "name": "x"},
        {"to": "+13115550001", "name": "again"},
        {"to": "", "name": "nobody"},
        {"to": "+13115559999"},
    ]
    rejects = tmp_path / "rejects.csv"
    campaign = made(producer, recipients=rows, rejects=rejects)
    imported = campaign.progress().imported
    assert (imported.rows, imported.accepted, imported.rejected, imported.duplicates) == (7, 3, 3, 1)
    lines = rejects.read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["line", "4", "6", "7"]
    assert "nonsense" not in lines[1].split(",")[1]
    assert "name" in lines[3]
    assert adds_up(campaign.progress())


def test_duplicates_are_kept_where_that_is_asked(producer, hands):
    rows = people(2) * 3
    campaign = made(producer, recipients=rows, keep_duplicates=True)
    assert campaign.progress().imported.accepted == 6
    campaign.start()
    assert len({claim.message_id for claim in hands.claim()}) == 6


def test_who_has_opted_out_is_counted_and_gets_nothing(producer, hands, ledger):
    from sendline.ledger.suppression import suppress

    ledger.run(suppress(hands.limits, ["+13115550002"], "asked"))
    campaign = made(producer)
    assert campaign.progress().statuses[Status.SUPPRESSED] == 1
    campaign.start()
    assert hands.send_all() == 9
    hands.tick()
    assert campaign.progress().state is CampaignState.FINISHED


def test_the_same_call_after_it_was_imported_whole_says_so(producer, tmp_path):
    path = tmp_path / "people.csv"
    path.write_text("to,name\n" + "".join(f"{row['to']},{row['name']}\n" for row in people(5)))
    first = made(producer, recipients=path).progress()
    with pytest.raises(InvalidCampaign, match="imported whole from this very file, and it is created: go on"):
        made(producer, recipients=path)
    assert producer.campaign("sale").progress() == first


def test_no_campaign_is_founded_while_no_account_is_known(redis_url, raw):
    from sendline import Producer
    from sendline.settings import Settings

    settings = Settings(redis_url=redis_url, durability="memory")
    with Producer(settings=settings) as producer, pytest.raises(InvalidCampaign, match="account"):
        made(producer)
    assert raw.keys("sl:c*") == []


def test_what_was_sent_and_not_delivered_counts_as_one_failure(producer, hands, ledger):
    from sendline.contract import ids
    from sendline.ledger import work

    campaign = made(producer, 30, pause_at=0.6, pause_over=20)
    campaign.start()
    claims = hands.claim(20)
    hands.settle(claims, deadline=3600)
    reports = [
        work.Reported("main", Status.UNDELIVERED, provider_id=ids.to_text(claim.message_id))
        for claim in claims
    ]
    ledger.run(work.receive(hands.limits, reports[:11]))
    hands.tick()
    assert campaign.progress().state is CampaignState.RUNNING
    ledger.run(work.receive(hands.limits, reports[11:12]))
    hands.tick()
    assert campaign.progress().summary == "paused: 12 of the last 20 failed"


def test_values_are_kept_only_of_messages_that_may_be_sent_again(producer, hands):
    campaign = made(producer, 4)
    campaign.start()
    claims = hands.claim(3)
    hands.settle(claims[:1], Status.FAILED, code="rejected")
    hands.settle(claims[1:], deadline=3600)
    campaign.cancel()
    hands.tick(2)
    messages = list(campaign.messages())
    records = hands.ledger.run(audit.raw_records([ids.to_bytes(each.id) for each in messages]))
    kept = {each.status: record for each, record in zip(messages, records, strict=True)}
    assert b"name 0" in kept[Status.FAILED]
    assert b"name 3" not in kept[Status.CANCELED]


def test_a_report_tells_what_the_messages_themselves_tell(producer, hands):
    campaign = made(producer, 6)
    campaign.start()
    claims = hands.claim(5)
    hands.settle(claims[:1], Status.FAILED, code="rejected", reason="no such number")
    hands.settle(claims[1:2], Status.RETRYING, code="unavailable", reason="busy", delay=60_000)
    hands.settle(claims[2:3], deadline=3_600_000)
    hands.settle(claims[3:4], deadline=0)
    messages, rows = list(campaign.messages()), list(campaign.report_rows())
    for message, row in zip(messages, rows, strict=True):
        entries = message.timeline
        sent = [entry.at for entry in entries if entry.status is Status.SENT]
        assert row == (
            *(message.id, message.to, message.status.value, message.error or "", entries[-1].reason),
            *(message.segments, message.attempts, message.account or "", message.provider_id or ""),
            *(message.created_at, next(iter(sent), None), entries[-1].at if message.final else None),
        )
        assert message.to not in repr(row)
    assert [row.final_at is not None for row in rows] == [message.final for message in messages]
    assert {row.status for row in rows} == {"failed", "retrying", "sent", "sending", "created"}


def test_what_stands_in_the_way_is_told_apart_by_the_errors_kind(producer, hands):
    with pytest.raises(UnknownCampaign) as unknown:
        producer.campaign("sale")
    assert not isinstance(unknown.value, CampaignConflict)
    campaign = made(producer)
    for verb in (campaign.pause, campaign.resume):
        with pytest.raises(WrongCampaignState, match="campaign sale is created"):
            verb()
    with pytest.raises(CampaignConflict, match="no message that failed") as healthy:
        campaign.retry_failed()
    assert not isinstance(healthy.value, CampaignExists | WrongCampaignState)
    campaign.cancel()
    for verb in (campaign.start, campaign.pause):
        with pytest.raises(WrongCampaignState, match="campaign sale is canceled"):
            verb()


def test_the_same_name_is_refused_and_changes_nothing(producer):
    made(producer)
    before = producer.campaign("sale").progress()
    with pytest.raises(CampaignExists, match="already"):
        made(producer, 20)
    with pytest.raises(CampaignExists, match="already"):
        made(producer, text="Other")
    assert producer.campaign("sale").progress() == before


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"text": "{{ name"}, "text"),
        ({"text": "{{ nmae }}", "recipients": people(1)}, None),
        ({"recipients": []}, "recipients"),
        ({"recipients": "/nowhere/people.csv"}, "recipients"),
        ({"account": "unknown"}, "account"),
        ({"window": "9 to 5"}, "window"),
        ({"pause_at": 2}, "pause_at"),
        ({"valid_for": -1}, "valid_for"),
        ({"price": "cheap"}, "price"),
        ({"callback_url": "ftp://example.com/"}, "callback_url"),
        ({"sender": "not a sender at all"}, "sender"),
    ],
)
def test_a_mistake_is_one_clear_line_and_founds_nothing(producer, raw, fields, told):
    if told is None:
        return
    with pytest.raises(InvalidCampaign) as raised:
        made(producer, **fields)
    assert raised.value.field == told
    assert "\n" not in str(raised.value)
    assert raw.keys("sl:c*") == []


def test_an_unknown_campaign_is_told(producer):
    with pytest.raises(InvalidCampaign, match="no campaign called nothing"):
        producer.campaign("nothing")


def test_too_many_failures_pause_it_and_say_why(producer, hands):
    campaign = made(producer, 100, pause_at="50%", pause_over=20)
    campaign.start()
    hands.settle(hands.claim(10))
    hands.settle(hands.claim(9), Status.FAILED, code="rejected")
    hands.tick()
    assert campaign.progress().state is CampaignState.RUNNING
    hands.settle(hands.claim(1), Status.FAILED, code="rejected")
    hands.tick()
    paused = campaign.progress()
    assert paused.summary == "paused: 10 of the last 20 failed"
    assert hands.claim() == []
    campaign.resume()
    hands.tick()
    assert campaign.progress().state is CampaignState.RUNNING
    assert len(hands.claim()) == 64


def test_the_report_has_a_row_for_each_recipient(producer, hands, tmp_path):
    campaign = made(producer, 30)
    campaign.start()
    claims = hands.claim()
    hands.settle(claims[:20])
    hands.settle(claims[20:], Status.FAILED, code="rejected", reason="=cmd()")
    assert campaign.report(tmp_path / "report.csv") == 30
    lines = (tmp_path / "report.csv").read_text().splitlines()
    assert len(lines) == 31
    assert sum(",sent," in line for line in lines) == 20
    assert sum("'=cmd()" in line for line in lines) == 10
    assert campaign.report(tmp_path / "report.parquet") == 30
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(tmp_path / "report.parquet")
    assert table.column("status").to_pylist().count("failed") == 10


def test_a_window_keeps_recipients_until_their_hours(producer, hands, raw):
    rows = [{"to": "+4915112345678", "name": "a"}, {"to": "+12125550123", "name": "b"}]
    campaign = made(producer, recipients=rows, window="00:00-24:00")
    assert sorted(raw.hkeys("sl:ch:sale")) == [b"America/New_York", b"Europe/Berlin"]
    now = int(datetime.now(UTC).timestamp() * 1_000_000)
    raw.hset("sl:ch:sale", "Europe/Berlin", pack([now + 60_000_000, now + 90_000_000]))
    campaign.start()
    [claim] = hands.claim()
    assert claim.record.to == b"+12125550123"
    [row] = raw.zrange("sl:h:2:main", 0, -1, withscores=True)
    assert row == (b"sale#Europe/Berlin", now + 60_000_000)
    raw.hset("sl:ch:sale", "Europe/Berlin", pack([now - 10, now + 90_000_000]))
    raw.zadd("sl:h:2:main", {row[0]: 0})
    raw.zadd("sl:r:2", {"main": 0})
    assert [claim.record.to for claim in hands.claim()] == [b"+4915112345678"]


def test_a_recipient_whose_hours_cant_be_told_is_rejected(producer):
    rows = [{"to": "+18005550123", "name": "a"}, {"to": "+12125550123", "name": "b"}]
    campaign = made(producer, recipients=rows, window="09:00-12:00")
    assert campaign.progress().imported.rejected == 1


def test_two_campaigns_side_by_side_take_turns(producer, hands):
    made(producer, 500, name="large").start()
    made(producer, 20, name="small", recipients=people(20, 5000)).start()
    claims = hands.claim(40)
    names = [claim.record.campaign for claim in claims]
    assert names.count(b"small") in range(15, 21)


def test_its_endpoint_is_told_of_every_message(producer, hands, raw):
    campaign = made(producer, 3, callback_url="https://app.example.com/sms")
    campaign.start()
    hands.send_all()
    [mark] = [key.removeprefix(b"sl:os:") for key in raw.keys("sl:os:*")]
    assert raw.hget(b"sl:os:" + mark, "url") == b"https://app.example.com/sms"
    assert raw.hlen(b"sl:op:" + mark) == 3


def test_an_import_goes_on_behind_the_last_line_that_was_done_with(producer, tmp_path, monkeypatch):
    from sendline.campaigns import importing

    path = tmp_path / "people.csv"
    path.write_text("to,name\n" + "".join(f"{row['to']},{row['name']}\n" for row in people(1200)))
    seen = []

    def cut_off(imported):
        seen.append(imported.rows)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(producer, recipients=path, on_progress=cut_off)
    half = producer.campaign("sale").progress().imported
    assert (half.rows, half.complete) == (2 * importing.STRETCH, False)
    done = made(producer, recipients=path).progress().imported
    assert (done.rows, done.accepted, done.duplicates, done.complete) == (1200, 1200, 0, True)


def test_an_import_does_not_go_on_from_another_file(producer, tmp_path):
    def cut_off(imported):
        raise KeyboardInterrupt

    paths = [tmp_path / "one.csv", tmp_path / "two.csv"]
    for number, path in enumerate(paths):
        rows = people(600, 1000 * number)
        path.write_text("to,name\n" + "".join(f"{row['to']},{row['name']}\n" for row in rows))
    with pytest.raises(KeyboardInterrupt):
        made(producer, recipients=paths[0], on_progress=cut_off)
    with pytest.raises(InvalidCampaign, match="not the file"):
        made(producer, recipients=paths[1])


def test_a_stretch_that_comes_twice_counts_once(producer, ledger, hands):
    from sendline.contract import ids
    from sendline.ledger.campaigns import Enlisted, Stretch, enlist, read_campaign

    made(producer, 1)
    producer.campaign("other", text="Hi", recipients=["+13115550001"])
    found = ledger.run(read_campaign("other"))
    stretch = Stretch(
        "other", found.own, 1, 2, 1, 0, [Enlisted(ids.new_id(), "+13115550002", 1, {})], [("main",)]
    )
    assert ledger.run(enlist(hands.limits, stretch))[0] == "closed"
    assert ledger.run(read_campaign("other")).progress.imported.accepted == 1


@pytest.mark.anyio
async def test_the_awaited_face_does_the_same(redis_url, publish, tmp_path):
    from sendline import AsyncProducer
    from sendline.settings import Settings

    publish("main")
    settings = Settings(redis_url=redis_url, durability="memory")
    async with AsyncProducer(settings=settings) as producer:
        campaign = await producer.campaign("sale", text="Hi {{ name }}", recipients=people(5))
        await campaign.start()
        assert (await campaign.pause()).waiting == 5
        await campaign.resume()
        await campaign.cancel()
        assert len([message async for message in campaign.messages()]) == 5
        assert await campaign.report(tmp_path / "report.csv") == 5
        assert (await campaign.spec()).text == "Hi {{ name }}"
        assert (await campaign.progress()).state is CampaignState.CANCELED


@pytest.fixture
def anyio_backend():
    return "asyncio"


def test_one_whose_instant_comes_in_the_tick_that_cancels_it_is_ended_with_the_rest(producer, hands, raw):
    soon = (datetime.now(UTC) + timedelta(seconds=30)).isoformat()
    campaign = made(producer, recipients=[{**row, "not_before": soon} for row in people(3)])
    campaign.start()
    campaign.cancel()
    raw.zadd("sl:t", dict.fromkeys(raw.zrange("sl:t", 0, -1), 0))
    raw.sadd("sl:co", "sale")
    hands.tick()
    hands.tick()
    assert campaign.progress().statuses[Status.CANCELED] == 3
    assert campaign.progress().waiting == 0
