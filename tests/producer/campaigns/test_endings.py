"""Every campaign comes to an end, whatever becomes of it, and nothing is left of it after its retention."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from producer.campaigns.conftest import Hands
from sendline import Producer
from sendline.contract import ids
from sendline.contract.accounts import AccountCard, Capabilities
from sendline.contract.campaign import CampaignState
from sendline.contract.draft import Rules
from sendline.contract.errors import WrongCampaignState
from sendline.contract.status import Status
from sendline.ledger import work
from sendline.ledger.keys import KEYS
from sendline.ledger.lines import weigh
from sendline.ledger.suppression import suppress
from sendline.settings import Settings
from sendline_worker.audit import Audit
from waiting import poll

DAY = 86_400_000
OF_THE_LEDGER = {
    "events",
    "meta",
    "counts",
    "wake",
    "tick",
    "directory",
    "turns",
    "suppressed",
    "awake",
    "bell",
}
"""Keys that are there once, whatever is sent."""
OF_OTHERS = ("sl:a:", "sl:d:", "sl:s:", "sl:p", "sl:b", "wakes")
"""What accounts and workers have, and by what messages are found: that ends by itself."""


def people(number: int, **fields: str) -> list[dict[str, str]]:
    return [{"to": f"+1212{5_550_000 + place:07}", "name": "x", **fields} for place in range(number)]


def made(producer, number=10, **fields):
    fields = {"text": "Hi {{ name }}", "recipients": people(number), **fields}
    return producer.campaign("sale", **fields)


def left(raw) -> dict[bytes, int]:
    """The keys that campaigns, their messages and their lines have, and how long they live on (ms)."""
    whole = {KEYS[name].encode() for name in OF_THE_LEDGER}
    kept = tuple(prefix.encode() for prefix in OF_OTHERS)
    keys = {key for key in raw.keys("*") if key not in whole and not key.startswith(kept)}
    return {key: raw.pttl(key) for key in keys}


@pytest.fixture
def briefly(ledger):
    """Hands by which what is final is kept for a moment only."""
    hands = Hands(ledger)
    hands.limits = replace(hands.limits, retention=0.2, deadline=0.2)
    return hands


@pytest.fixture
def brief(redis_url, publish):
    """A producer of the same bounds."""
    publish("main")
    bounds = {"retention": 1, "deadline": 1, "idempotency_ttl": 1}
    with Producer(settings=Settings(redis_url=redis_url, durability="memory", **bounds)) as made:
        yield made


def never_started(producer, hands, raw):
    made(producer)
    raw.hset("sl:c:sale", "ends", 1)


def never_started_and_nobody_in_it(producer, hands, raw):
    made(producer, recipients=[{"to": "nonsense", "name": "x"}])
    raw.hset("sl:c:sale", "ends", 1)


def never_imported_whole(producer, hands, raw):
    def cut_off(imported):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(producer, 700, on_progress=cut_off)
    raw.hset("sl:c:sale", "ends", 1)


def founded_without_recipients(producer, hands, raw):
    rules = Rules(accounts={"main": AccountCard("main", Capabilities(), ())})
    from sendline.campaigns import steering

    producer._do(steering.found(hands.limits, rules, "sale", {"text": "Hi"}))
    raw.hset("sl:c:sale", "ends", 1)


def started_before_it_was_imported_whole(producer, hands, raw):
    never_imported_whole(producer, hands, raw)
    raw.hset("sl:c:sale", "ends", 1 << 41)
    producer.campaign("sale").start()
    hands.send_all()
    raw.hset("sl:c:sale", "ends", 1)


def canceled_before_its_start(producer, hands, raw):
    made(producer, 700).cancel()


def canceled_while_it_was_scheduled(producer, hands, raw):
    campaign = made(producer)
    campaign.start(datetime.now(UTC) + timedelta(hours=1))
    campaign.cancel()


def canceled_while_it_ran(producer, hands, raw):
    campaign = made(producer, 100)
    campaign.start()
    claims = hands.claim(20)
    campaign.cancel()
    hands.settle(claims[:10])
    hands.settle(claims[10:], Status.RETRYING, delay=0)


def finished(producer, hands, raw):
    made(producer).start()
    hands.send_all()


def finished_with_weight_window_and_watch(producer, hands, raw):
    made(producer, weight=3, window="00:00-24:00", pause_at=0.5, pause_over=10).start()
    hands.send_all()


def finished_and_weighed_after_that(producer, hands, raw):
    made(producer).start()
    hands.send_all()
    hands.tick()
    hands.ledger.run(weigh("sale", 3))


def ended_while_it_was_paused(producer, hands, raw):
    """What waits is as much as one tick looks at: nobody sees its row empty but who ends it."""
    campaign = made(producer, 520, window="00:00-24:00")
    campaign.start()
    hands.settle(hands.claim(20))
    campaign.pause()
    raw.hset("sl:c:sale", "ends", 1)


def all_canceled_singly_while_it_was_paused(producer, hands, raw):
    campaign = made(producer)
    campaign.start()
    campaign.pause()
    for message in list(campaign.messages()):
        producer.cancel(message.id)


def all_sent_while_it_was_paused(producer, hands, raw):
    campaign = made(producer, 50)
    campaign.start()
    claims = hands.claim()
    campaign.pause()
    hands.settle(claims)


def all_opted_out(producer, hands, raw):
    hands.ledger.run(suppress(hands.limits, [row["to"] for row in people(10)], "asked"))
    made(producer).start()


def of_uncertain_fate(producer, hands, raw):
    made(producer).start()
    hands.settle(hands.claim(), Status.UNCERTAIN, code="perhaps_accepted")


def with_records_that_cant_be_read(producer, hands, raw):
    campaign = made(producer)
    for message in list(campaign.messages())[:3]:
        raw.set(b"sl:m" + ids.to_bytes(message.id), b"\xc1damaged")
    campaign.start()
    campaign.cancel()


def with_late_news(producer, hands, raw):
    """Its last news comes when it has ended, and counts as an outcome."""
    made(producer, pause_at=0.5, pause_over=10).start()
    claims = hands.claim()
    hands.settle(claims)
    hands.tick()
    assert producer.campaign("sale").progress().state is CampaignState.FINISHED
    reports = [work.Reported("main", Status.UNDELIVERED, message_id=each.message_id) for each in claims]
    hands.ledger.run(work.receive(hands.limits, reports))


ENDS = (
    never_started,
    never_started_and_nobody_in_it,
    never_imported_whole,
    founded_without_recipients,
    started_before_it_was_imported_whole,
    canceled_before_its_start,
    canceled_while_it_was_scheduled,
    canceled_while_it_ran,
    finished,
    finished_with_weight_window_and_watch,
    finished_and_weighed_after_that,
    ended_while_it_was_paused,
    all_sent_while_it_was_paused,
    all_canceled_singly_while_it_was_paused,
    all_opted_out,
    of_uncertain_fate,
    with_records_that_cant_be_read,
    with_late_news,
)


@pytest.mark.parametrize("come_to_its_end", ENDS, ids=[each.__name__ for each in ENDS])
def test_nothing_of_it_is_left_when_its_retention_has_passed(brief, briefly, raw, come_to_its_end):
    come_to_its_end(brief, briefly, raw)
    claimed = []

    def is_gone():
        claimed.extend(briefly.claim())
        briefly.tick()
        return not left(raw)

    try:
        poll(is_gone, timeout=3)
    finally:
        assert left(raw) == {}
    assert claimed == []


def test_one_that_ends_while_it_is_paused_leaves_its_lines_at_once(producer, hands, raw):
    ended_while_it_was_paused(producer, hands, raw)
    assert raw.exists("sl:h:2:main") == raw.exists("sl:v:2:main") == raw.exists("sl:r:2") == 1
    hands.tick(3)
    assert producer.campaign("sale").progress().state is CampaignState.FINISHED
    in_lines = [KEYS[name] + "*" for name in ("line", "rows", "resting", "senders", "held", "ready")]
    assert [key for pattern in in_lines for key in raw.keys(pattern)] == []
    assert raw.exists(KEYS["stilled"], KEYS["running"]) == 0


def test_one_that_has_ended_is_kept_for_longer_than_its_messages(producer, briefly, raw):
    """What was uncertain until its deadline is found to be sent after the end: its receipt may still come."""
    of_uncertain_fate(producer, briefly, raw)
    campaign = producer.campaign("sale")
    first = next(campaign.messages())

    def has_ended():
        briefly.tick()
        return campaign.progress().state is CampaignState.FINISHED

    poll(has_ended, timeout=3)
    found = work.Reported("main", Status.SENT, message_id=ids.to_bytes(first.id))
    briefly.limits = replace(briefly.limits, deadline=60)
    briefly.ledger.run(work.receive(briefly.limits, [found]))
    assert producer.get(first.id).status is Status.SENT
    kept = min(raw.pttl("sl:c:sale"), raw.pttl("sl:cm:sale"))
    assert 50_000 < raw.pttl(b"sl:m" + ids.to_bytes(first.id)) <= kept


def test_it_waits_for_its_start_for_ninety_days(producer, hands, raw):
    campaign = made(producer, 1200, valid_for=60)
    now = campaign.progress()
    assert now.ends_at is not None
    assert now.created_at is not None
    assert now.ends_at - now.created_at == timedelta(days=90)
    hands.tick(3)
    assert campaign.progress().state is CampaignState.CREATED
    raw.hset("sl:c:sale", "ends", 1)
    hands.tick(5)
    done = campaign.progress()
    assert (done.summary, done.statuses[Status.EXPIRED]) == ("finished, 1,200 failed", 1200)
    [reason] = {row.reason for row in campaign.report_rows()}
    assert reason == "its campaign was not started in time"
    assert campaign.retry_failed().progress().total == 1200


def test_one_that_was_founded_before_there_was_such_an_end_has_it_too(producer, hands, raw):
    campaign = made(producer)
    raw.hdel("sl:c:sale", "ends")
    hands.tick(2)
    assert campaign.progress().state is CampaignState.CREATED
    raw.hincrby("sl:c:sale", "at", -90 * DAY)
    hands.tick(2)
    assert campaign.progress().state is CampaignState.FINISHED


def test_what_was_not_started_in_time_is_not_started_any_more(producer, raw, hands):
    campaign = made(producer)
    raw.hset("sl:c:sale", "ends", 1)
    for at in (None, datetime.now(UTC) + timedelta(hours=1)):
        with pytest.raises(WrongCampaignState, match="campaign sale was not started in time"):
            campaign.start(at)
    assert campaign.cancel().state is CampaignState.CANCELED


def test_one_that_is_scheduled_ends_behind_its_start_and_not_before(producer, hands, raw):
    campaign = made(producer, valid_for=60)
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(days=200)
    assert campaign.start(at).ends_at == at + timedelta(seconds=60)
    raw.hset("sl:c:sale", "at", 1)
    hands.tick(3)
    assert campaign.progress().state is CampaignState.SCHEDULED
    campaign.start()
    assert len(hands.claim()) == 10


def test_a_campaign_that_is_lost_before_its_start_does_not_stop_the_tick(producer, hands, raw):
    made(producer).start(datetime.now(UTC) + timedelta(hours=1))
    raw.delete("sl:c:sale")
    raw.zadd("sl:ct", {"sale": 0})
    hands.tick(2)
    assert raw.exists("sl:ct", "sl:cs") == 0


@pytest.mark.parametrize("steered", ["canceled", "expired"])
def test_messages_that_cant_be_read_hold_no_end_up_and_are_counted(producer, hands, raw, ledger, steered):
    campaign = made(producer, 1200)
    members = [ids.to_bytes(message.id) for message in campaign.messages()]
    campaign.start()
    claims = hands.claim(10)
    hands.settle(claims[:9])
    raw.set(b"sl:m" + claims[9].message_id, b"\xc1damaged")
    raw.set(b"sl:m" + members[500], b"\xc1damaged")
    raw.delete(b"sl:m" + members[700])
    raw.hset("sl:c:sale", "ends", 1)
    if steered == "canceled":
        campaign.cancel()
        raw.hset("sl:c:sale", "ended", 1)
    hands.tick(12)
    done = campaign.progress()
    assert done.state is (CampaignState.CANCELED if steered == "canceled" else CampaignState.FINISHED)
    assert (done.waiting, done.on_the_wire, done.errors["unreadable"]) == (0, 0, 3)
    assert done.statuses[Status.CANCELED if steered == "canceled" else Status.EXPIRED] == 1188
    assert (done.statuses[Status.SENT], done.statuses[Status.FAILED]) == (9, 3)
    assert sum(done.statuses.values()) == done.imported.accepted
    assert campaign.wait(0) == done
    told = {finding.what: finding.number for finding in Audit(ledger, hands.limits).run().findings}
    assert told.pop("has a record that can't be read") == 2
    assert all("calls under way" in what for what in told)
    assert 0 < raw.pttl(b"sl:m" + members[500]) <= 30 * DAY


def test_what_is_still_on_the_wire_is_waited_for(producer, hands, raw):
    campaign = made(producer)
    campaign.start()
    claims = hands.claim(4)
    raw.delete(b"sl:m" + ids.to_bytes(list(campaign.messages())[9].id))
    campaign.cancel()
    raw.hset("sl:c:sale", "ended", 1)
    hands.tick(5)
    now = campaign.progress()
    assert (now.on_the_wire, now.waiting) == (4, 1)
    hands.settle(claims)
    hands.tick(2)
    assert (campaign.progress().statuses[Status.SENT], campaign.progress().errors["unreadable"]) == (4, 1)


def test_a_message_that_has_lost_its_place_is_ended_with_the_rest(producer, hands, raw):
    campaign = made(producer)
    raw.delete("sl:q:2:main:sale")
    campaign.cancel()
    hands.tick(2)
    assert campaign.progress().statuses[Status.CANCELED] == 10


def test_what_send_was_given_its_name_for_goes_on_when_it_ends(producer, hands, raw):
    campaign = made(producer, 3)
    message = producer.send(to="+13115559999", text="Hello", lane="bulk", campaign="sale")
    campaign.start()
    campaign.pause()
    for each in list(campaign.messages()):
        producer.cancel(each.id)
    hands.tick(2)
    assert campaign.progress().state is CampaignState.FINISHED
    [claim] = hands.claim()
    assert ids.to_text(claim.message_id) == message.id


def test_the_weight_of_a_campaign_is_kept_for_as_long_as_it(producer, hands, raw):
    made(producer, weight=3)
    for _ in range(2):
        hands.tick()
        raw.hset("sl:weights", "@sale", "1 3.0")
    hands.tick()
    assert float(raw.hget("sl:weights", "sale") or 0) == 3


def test_no_more_than_some_campaigns_are_visited_by_one_tick_and_all_by_many(producer, hands, raw):
    raw.zadd("sl:cs", {f"gone-{number}": number for number in range(60)})
    made(producer)
    hands.tick()
    assert 40 <= raw.zcard("sl:cs") <= 42
    hands.tick(60)
    assert raw.zrange("sl:cs", 0, -1) == [b"sale"]
