"""Messages are found again: by status, campaign, recipient, time and owner, the newest first."""

import asyncio
import random
from datetime import UTC, datetime, timedelta

import pytest
import redis

from ledger_world import SENDER, TO
from sendline import AsyncProducer, InvalidMessage, Producer, Status
from sendline.contract import ids
from sendline.ledger import verbs
from sendline.ledger.finding import HOUR_MS
from sendline.ledger.keys import message_key
from sendline.ledger.limits import Limits
from sendline.ledger.record import FIELDS, pack, unpack
from sendline.producer import finding, trails
from sendline.settings import Settings

NUMBERS = [f"+1311555{ending}" for ending in ("2367", "1367", "2368", "0001")]
"""Two of them share their end."""
LIMITS = Limits()


@pytest.fixture
def producer(settings, publish):
    publish("main")
    with Producer(settings=settings) as made:
        yield made


def found(producer, **filters):
    return [message.id for message in producer.find(**filters)]


def paged(producer, limit, **filters):
    """Return the ids of all pages, each of which holds no more than it may."""
    got, cursor = [], None
    while True:
        page = producer.find_page(limit=limit, cursor=cursor, **filters)
        assert len(page.messages) <= limit
        got += [message.id for message in page.messages]
        if page.next is None:
            return got
        assert page.next != cursor
        cursor = page.next


# What is there


def test_an_empty_ledger_has_one_empty_page(producer):
    assert producer.find_page() == finding.Page((), None)
    assert producer.find_page(to=TO) == finding.Page((), None)
    assert producer.find_page(campaign="spring") == finding.Page((), None)


def test_the_newest_come_first(producer):
    sent = [producer.send(to=TO, text="Hello").id for _ in range(5)]
    assert found(producer) == sent[::-1]
    assert producer.find_page(limit=2).messages[0] == producer.get(sent[-1])


def test_a_page_ends_where_the_next_begins(producer):
    sent = [m.id for m in producer.send_many([{"to": TO, "text": "Hello"}] * 450)]
    for limit in (1000, 449, 100, 7):
        assert paged(producer, limit) == sent[::-1]
        assert paged(producer, limit, to=TO) == sent[::-1]


def test_what_is_accepted_meanwhile_shifts_no_page(producer):
    sent = [producer.send(to=TO, text="Hello").id for _ in range(6)]
    first = producer.find_page(limit=3)
    producer.send_many([{"to": TO, "text": "Hello"}] * 300)
    second = producer.find_page(limit=3, cursor=first.next)
    assert [m.id for m in (*first.messages, *second.messages)] == sent[::-1]


def test_a_message_is_listed_once_however_often_its_accept_arrives(producer, ledger, world):
    draft = world.draft()
    for _ in range(3):
        ledger.run(verbs.accept(LIMITS, [draft]))
    assert found(producer) == found(producer, to=TO) == [ids.to_text(draft.id)]


def test_one_with_a_known_idempotency_key_is_listed_once(producer):
    sent = {producer.send(to=TO, text="Hello", idempotency_key="k").id for _ in range(3)}
    assert found(producer) == found(producer, to=TO) == list(sent)


def test_what_is_not_kept_any_more_is_passed_over(producer, raw):
    sent = [producer.send(to=TO, text="Hello").id for _ in range(3)]
    raw.delete(b"sl:m" + ids.to_bytes(sent[1]))
    assert found(producer) == found(producer, to=TO) == [sent[2], sent[0]]


@pytest.mark.parametrize("content", [b"", b"\xc1", b"\x07", b"\xdc\x00\x15\x01", b"\x93\x01\xc0\xc0"])
def test_what_is_damaged_is_passed_over(producer, raw, content):
    sent = [producer.send(to=TO, text="Hello").id for _ in range(3)]
    raw.set(message_key(ids.to_bytes(sent[1])), content)
    assert found(producer) == found(producer, to=TO) == [sent[2], sent[0]]
    assert producer.erase(TO).messages == 2


@pytest.mark.parametrize(
    ("name", "value"), [("due", 10**17), ("extras", pack({"metadata": 5})), ("zones", 5)]
)
def test_so_is_what_is_damaged_in_one_field(producer, raw, name, value):
    sent = [producer.send(to=TO, text="Hello").id for _ in range(2)]
    key = message_key(ids.to_bytes(sent[0]))
    values = unpack(raw.get(key))
    values[FIELDS.index(name)] = value
    raw.set(key, pack(values))
    assert found(producer) == found(producer, to=TO) == [sent[1]]


# By what it is looked for


def test_by_recipient_comes_nothing_else(producer):
    sent = {number: [producer.send(to=number, text="Hello").id for _ in range(3)] for number in NUMBERS}
    for number in NUMBERS:
        assert found(producer, to=number) == sent[number][::-1]
    assert found(producer, to="+13115559999") == []


def test_by_recipient_its_messages_of_campaigns_come_too(producer):
    single = producer.send(to=TO, text="Hello")
    people = [{"to": number} for number in NUMBERS]
    producer.campaign("spring", text="Hi", sender=SENDER, recipients=people)
    producer.campaign("autumn", text="Hi", sender=SENDER, recipients=[*people, *people], keep_duplicates=True)
    of_campaigns = [message.campaign for message in producer.find(to=TO)]
    assert sorted(map(str, of_campaigns)) == ["None", "autumn", "autumn", "spring"]
    assert found(producer, to=TO)[-1] == single.id
    assert paged(producer, 1, to=TO) == found(producer, to=TO)


def test_by_campaign_come_its_messages_and_those_that_merely_name_it(producer):
    people = [{"to": f"+1311{n:07d}"} for n in range(1000)]
    campaign = producer.campaign("spring", text="Hi", sender=SENDER, recipients=people)
    named = producer.send(to=TO, text="Hello", campaign="never-founded", lane="bulk")
    of_it = [message.id for message in campaign.messages()]
    assert paged(producer, 300, campaign="spring") == of_it[::-1]
    assert found(producer, campaign="never-founded") == [named.id]
    assert paged(producer, 77) == [named.id, *of_it[::-1]]


def test_by_status(producer):
    sent = [producer.send(to=TO, text="Hello").id for _ in range(4)]
    producer.cancel(sent[1])
    assert found(producer, status="canceled") == [sent[1]]
    assert found(producer, status=Status.CREATED, to=TO) == [sent[3], sent[2], sent[0]]


def test_by_time(producer, world):
    sent = []
    for _ in range(12):
        sent.append(ids.to_text(world.accept(delay=0)))
        world.clock.advance(1800)
    first = datetime.fromtimestamp(world.clock.ms / 1000, UTC) - timedelta(seconds=12 * 1800)
    third, ninth = first + timedelta(seconds=2 * 1800), first + timedelta(seconds=8 * 1800)
    assert found(producer, after=third, before=ninth) == sent[2:8][::-1]
    assert found(producer, to=TO, after=third, before=ninth) == sent[2:8][::-1]
    assert found(producer, after=ninth) == sent[8:][::-1]
    assert found(producer, before=third) == sent[:2][::-1]


def owned(producer, owner, **fields):
    """Send a message as the API does for a key."""
    draft = producer._core.check({"to": TO, "text": "Hello", **fields}, owner)
    producer._do(producer._core.accept([draft]))
    return ids.to_text(draft.id)


def test_by_owner_comes_what_its_key_sent_and_its_campaigns(producer):
    producer.send(to=TO, text="Hello")
    theirs = owned(producer, "shop", metadata={"order": "17"})
    for name, owner in (("spring", "shop"), ("autumn", "office"), ("winter", None)):
        plan = producer._core.campaign(
            name, {"text": "Hi", "sender": SENDER, "recipients": [{"to": NUMBERS[0]}]}, owner
        )
        producer._do(plan)
    [campaign] = producer.find(campaign="spring")
    assert found(producer, owner="shop") == [campaign.id, theirs]
    assert found(producer, owner="shop", campaign="autumn") == []
    with pytest.raises(InvalidMessage, match="cursor"):  # as for one that nobody founded
        producer.find_page(owner="shop", campaign="autumn", cursor="x")
    assert found(producer, owner="shop", campaign="winter") == []
    assert found(producer, owner="shop", to=NUMBERS[0]) == found(producer, owner="shop")
    assert [m.campaign for m in producer.find(owner="office")] == ["autumn"]
    assert len(found(producer)) == 5


def test_whatever_is_asked_for_what_comes_is_what_a_plain_search_would_find(producer, world):
    random_ = random.Random(11)
    kept = []
    for n in range(60):
        some = [
            world.draft(
                to=random_.choice(NUMBERS),
                owner=random_.choice([None, "shop"]),
                campaign=random_.choice([None, "label"]),
                lane="bulk",
            )
            for _ in range(random_.randrange(1, 12))
        ]
        world.accept_drafts(*some)
        for draft in some:
            if random_.random() < 0.2:
                producer.cancel(ids.to_text(draft.id))
        kept += [(world.clock.ms, draft) for draft in some]
        world.clock.advance(random_.choice([0, 60, 4000, 90_000 * (n % 7 == 0)]))
    canceled = {m.id for m in producer.find() if m.status is Status.CANCELED}

    def plain(status=None, to=None, owner=None, campaign=None, after=None, before=None):
        return [
            ids.to_text(draft.id)
            for at, draft in reversed(kept)
            if (status is None or (ids.to_text(draft.id) in canceled) is (status == "canceled"))
            and (to is None or draft.to == to)
            and (owner is None or draft.owner == owner)
            and (campaign is None or draft.campaign == campaign)
            and (after is None or at >= after.timestamp() * 1000)
            and (before is None or at < before.timestamp() * 1000)
        ]

    first, last = (datetime.fromtimestamp(kept[place][0] / 1000, UTC) for place in (0, -1))
    for _ in range(60):
        asked = {
            "status": random_.choice([None, "created", "canceled"]),
            "to": random_.choice([None, *NUMBERS]),
            "owner": random_.choice([None, "shop"]),
            "campaign": random_.choice([None, "label"]),
            "after": random_.choice([None, first + random_.random() * (last - first)]),
            "before": random_.choice([None, first + random_.random() * (last - first)]),
        }
        got = paged(producer, random_.choice([1, 3, 50, 1000]), **asked)
        assert sorted(got) == sorted(plain(**asked))
        by_time = {ids.to_text(draft.id): at for at, draft in kept}
        assert [by_time[each] for each in got] == sorted((by_time[each] for each in got), reverse=True)


# Bounds


def test_what_is_rare_takes_several_pages_and_none_is_missed(producer, monkeypatch):
    rare = producer.send(to=TO, text="Hello", metadata={"order": "17"})
    producer.cancel(rare.id)
    producer.send_many([{"to": NUMBERS[1], "text": "Hello"}] * 900)
    monkeypatch.setattr(finding, "EXAMINED_MOST", 2 * trails.STEP)
    first = producer.find_page(status="canceled")
    assert first.messages == ()
    assert first.next is not None
    assert found(producer, status="canceled") == [rare.id]


def test_lists_are_kept_for_as_long_as_their_messages_may_be(producer, raw):
    producer.send(to=TO, text="Hello")
    kept = LIMITS.retention + 2 * LIMITS.deadline + 72 * 3600
    [book], [addressed] = raw.keys("sl:b:*"), raw.keys("sl:br:*")
    assert kept <= raw.ttl(book) <= kept + HOUR_MS / 1000
    assert kept <= raw.ttl(addressed) <= kept + 168 * HOUR_MS / 1000
    producer.send(to=TO, text="Hello", valid_for=20 * 86400)
    assert raw.ttl(book) >= kept + 17 * 86400 - 5
    assert raw.ttl(addressed) >= kept + 17 * 86400 - 5


def test_a_single_message_costs_its_lists_few_bytes(producer, raw):
    producer.send_many([{"to": NUMBERS[0], "text": "Hello"}] * 2000)
    [book], [addressed] = raw.keys("sl:b:*"), raw.keys("sl:br:*")
    assert raw.memory_usage(book, samples=0) / 2000 < 20
    assert raw.memory_usage(addressed, samples=0) / 2000 < 9


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"limit": True}, "limit"),
        ({"status": "gone"}, "status"),
        ({"to": "nobody"}, "to"),
        ({"campaign": "no/name"}, "campaign"),
        ({"after": datetime(2026, 1, 1)}, "after"),  # noqa: DTZ001 - what is wrong about it
        ({"before": "2026-01-01"}, "before"),
        ({"phone": TO}, "phone"),
        ({"cursor": "x"}, "cursor"),
        ({"cursor": "å"}, "cursor"),
        ({"cursor": "A" * 201}, "cursor"),
        ({"cursor": finding.write_cursor("to", (1, b"", 2))}, "cursor"),
        ({"cursor": finding.write_cursor("book", (1, 2))}, "cursor"),
        ({"cursor": finding.write_cursor("book", (-1, 2, 3))}, "cursor"),
    ],
)
def test_what_can_t_be_looked_for_is_named(producer, asked, field):
    with pytest.raises(InvalidMessage) as caught:
        producer.find_page(**asked)
    assert caught.value.field == field


def test_any_cursor_of_the_right_form_is_harmless(producer):
    producer.send(to=TO, text="Hello")
    for place in ((0, 0, 0), (10**9, 5, 7), (490_000, 3, 0)):
        assert producer.find_page(cursor=finding.write_cursor("book", place)).next is None


def test_the_async_producer_finds_the_same(producer, settings):
    sent = [producer.send(to=TO, text="Hello").id for _ in range(3)]

    async def ask():
        async with AsyncProducer(settings=settings) as other:
            return [message.id async for message in other.find(to=TO)], await other.find_page(limit=2)

    everything, page = asyncio.run(ask())
    assert everything == sent[::-1]
    assert page == producer.find_page(limit=2)


def test_a_key_s_name_is_no_part_of_what_people_see(producer):
    assert "shop" not in str(producer.get(owned(producer, "shop")).to_dict())


def test_messages_of_an_id_from_another_clock_are_found(producer, world):
    """Its id tells another time than the ledger's: it stands in the book whole."""
    draft = world.draft(id=bytes(6) + b"\x70" + bytes(9))
    world.accept_drafts(draft)
    assert found(producer) == found(producer, to=TO) == [ids.to_text(draft.id)]


def test_a_redis_that_is_away_says_so(publish):
    with (
        Producer(settings=Settings(redis_url="redis://127.0.0.1:1/0", durability="memory")) as producer,
        pytest.raises(Exception, match="Redis") as caught,
    ):
        producer.find_page()
    assert not isinstance(caught.value, redis.RedisError)


# What was used again, or is gone


def test_a_campaign_that_repeats_recipients_is_listed_once(producer):
    people = [{"to": number} for number in NUMBERS]
    producer.campaign("twice", text="Hi", sender=SENDER, recipients=people * 2, keep_duplicates=True)
    assert len(found(producer)) == len(set(found(producer))) == 2 * len(NUMBERS)
    assert paged(producer, 3) == found(producer)


def test_campaigns_that_are_gone_hide_no_other(producer, raw):
    producer.campaign("kept", text="Hi", sender=SENDER, recipients=[{"to": TO}])
    raw.zadd("sl:cs", {f"gone-{number}": 9e12 + number for number in range(2500)})
    assert [message.campaign for message in producer.find(to=TO)] == ["kept"]
    assert raw.zcard("sl:cs") == 1


def test_a_name_that_is_used_again_shows_only_what_is_of_the_new_campaign(producer, raw):
    producer.campaign("monthly", text="Hi", sender=SENDER, recipients=[{"to": TO}])
    [old] = found(producer)
    raw.delete("sl:c:monthly", "sl:cm:monthly")
    plan = producer._core.campaign(
        "monthly", {"text": "Hi", "sender": SENDER, "recipients": [{"to": NUMBERS[1]}]}, "shop"
    )
    producer._do(plan)
    [new] = [message.id for message in producer.find(campaign="monthly")]
    assert found(producer) == [new]
    assert found(producer, owner="shop") == [new]
    assert producer.get(old).to == TO


def test_a_clock_that_steps_back_hides_nothing(producer, world):
    later = ids.to_text(world.accept())
    world.clock.advance(-600)
    earlier = ids.to_text(world.accept())
    since = datetime.fromtimestamp(world.clock.ms / 1000 + 300, UTC)
    assert found(producer, after=since) == [later]
    assert found(producer, before=since) == [earlier]
    assert set(found(producer, to=TO)) == {later, earlier}


def test_stretches_of_campaigns_that_are_gone_cost_little(producer, raw):
    first = producer.send(to=TO, text="Hello")
    for number in range(40):
        producer.campaign(f"c{number}", text="Hi", sender=SENDER, recipients=[{"to": TO}, {"to": NUMBERS[1]}])
        raw.delete(f"sl:c:c{number}", f"sl:cm:c{number}")
    before = raw.info("stats")["total_commands_processed"]
    assert found(producer) == [first.id]
    assert raw.info("stats")["total_commands_processed"] - before < 60
