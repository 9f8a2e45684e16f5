"""A new round of a campaign: just those of its messages that came to a bad end, as they were to be."""

import asyncio

import pytest

from damage import spoil
from sendline import AsyncProducer
from sendline.campaigns import again
from sendline.contract import ids
from sendline.contract.campaign import CampaignState
from sendline.contract.errors import InvalidCampaign
from sendline.contract.status import Status
from sendline.ledger.record import unpack
from sendline.settings import Settings

SENDER = "+13115552368"


def rows(number):
    return [
        {
            "to": f"+1311555{place:04}",
            "name": f'na"me\r\n\u2028 {place} é',
            "sender": SENDER if place % 2 else "",
        }
        for place in range(number)
    ]


@pytest.fixture
def ended(producer, hands):
    """Make a campaign of `number` and end it; every third of its messages failed."""

    def ended(number=9, **fields):
        fields = {"text": "Hi {{ name }}", "recipients": rows(number), "sender": SENDER} | fields
        campaign = producer.campaign("sale", **fields)
        campaign.start()
        place = 0
        while claims := hands.claim():
            for claim in claims:
                bad = place % 3 == 0
                hands.settle(
                    [claim], Status.FAILED if bad else Status.SENT, **({"code": "rejected"} if bad else {})
                )
                place += 1
        hands.tick()
        assert campaign.progress().state is CampaignState.FINISHED
        return campaign

    return ended


def to_of(campaign, *statuses):
    return [message.to for message in campaign.messages() if not statuses or message.status in statuses]


def test_a_round_holds_those_that_failed_and_what_they_were_to_say(ended, hands):
    old = ended()
    made = old.retry_failed()
    assert (made.name, made.progress().state) == ("sale.2", CampaignState.CREATED)
    assert to_of(made) == to_of(old, Status.FAILED)
    made.start()
    claims = hands.claim()
    expected = {row["to"]: row["name"] for row in rows(9)}
    assert {c.record.to.decode(): unpack(c.record.extras)[b"name"].decode() for c in claims} == {
        to: expected[to] for to in to_of(old, Status.FAILED)
    }
    assert {claim.record.sender.decode() for claim in claims} == {SENDER}


def test_one_whose_record_is_damaged_is_left_out(ended, raw):
    old = ended()
    first, *others = [message for message in old.messages() if message.status is Status.FAILED]
    spoil(raw, ids.to_bytes(first.id), b"\xc1damaged")
    assert to_of(old.retry_failed()) == [message.to for message in others]


def test_everything_but_the_name_stays(ended):
    hours = {"window": "00:00-24:00", "default_zone": "America/New_York"}
    doubt = {"on_uncertain": "hold", "pause_at": 1, "pause_over": 50, "keep_duplicates": True}
    others = {"callback_url": "https://example.com/a", "price": "0.1", "account": "main", "valid_for": 600}
    old = ended(**hours, **doubt, **others)
    spec, again_spec = old.spec(), old.retry_failed("other").spec()
    assert again_spec.name == "other"
    assert {**again_spec.to_plain(), "name": "sale"} == spec.to_plain()


def test_what_the_text_does_not_use_can_be_absent(ended):
    old = ended(text="Hello {{ nobody | default('friend') }}")
    assert to_of(old.retry_failed()) == to_of(old, Status.FAILED)


def test_a_campaign_without_failures_has_no_round(producer, raw):
    campaign = producer.campaign("sale", text="Hi", recipients=rows(2), sender=SENDER)
    before = sorted(raw.keys())
    with pytest.raises(InvalidCampaign, match="name: campaign sale has no message that failed"):
        campaign.retry_failed()
    assert sorted(raw.keys()) == before


def test_a_round_may_span_pages_and_stay_where_its_recipients_were(ended, monkeypatch):
    monkeypatch.setattr(again, "PAGE", 7)
    old = ended(60)
    made = old.retry_failed()
    assert to_of(made) == to_of(old, Status.FAILED)
    assert made.progress().imported.line == 58  # the place of the last one in the old campaign


def test_rounds_of_rounds_are_numbered_on_and_other_names_are_left_alone(ended, producer):
    old = ended()
    second = old.retry_failed()
    second.start()
    with pytest.raises(InvalidCampaign, match=r"sale\.2 was made"):
        old.retry_failed()
    other = producer.campaign("v1.5", text="Hi", recipients=rows(1), sender=SENDER)
    assert other.spec().name == "v1.5"
    for name, number in (("sale.2", "sale.3"), ("v1.5", "v1.5.2")):
        plan = again.round_name(producer.campaign(name).spec())
        assert producer._do(plan) == number


def test_the_awaited_face_does_the_same(ended, redis_url):
    old = ended()

    async def go():
        async with AsyncProducer(settings=Settings(redis_url=redis_url, durability="memory")) as producer:
            campaign = await producer.campaign("sale")
            seen = []
            made = await campaign.retry_failed(on_progress=seen.append)
            return made.name, (await made.progress()).total, seen[-1].accepted

    assert asyncio.run(go()) == ("sale.2", 3, 3)
    assert len(to_of(old, Status.FAILED)) == 3
