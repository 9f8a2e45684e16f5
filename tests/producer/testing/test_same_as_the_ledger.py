"""The double is held to the real thing: the same scenes on both, and everything that is seen compared."""

import random
from datetime import UTC, datetime, timedelta

import pytest

import sendline.ledger.campaigns
import sendline.ledger.inbound
from ledger_world import CLOCK, SENDER, TO
from producer.testing.stages import InMemory, OnLedger, fields
from sendline import CampaignState, Status
from sendline.ledger.scripts import script
from sendline.settings import Settings

NOBODY = "01a1fff9-b87b-73bf-9598-65b6ae9a0d15"
OTHER = "+13115552371"


@pytest.fixture
def stages(world, redis_url, monkeypatch):
    """Both stages, empty."""
    for module in (sendline.ledger.campaigns, sendline.ledger.inbound):
        monkeypatch.setattr(module, "script", lambda verb: script(verb, clock=CLOCK))
    both = (InMemory(), OnLedger(world, Settings(redis_url=redis_url)))
    yield both
    for stage in both:
        stage.close()


def assert_alike(stages):
    """Fail with the first thing that was seen on one stage alone."""
    in_memory, on_ledger = (stage.seen for stage in stages)
    assert len(on_ledger) > 3
    for place, (one, other) in enumerate(zip(in_memory, on_ledger, strict=False)):
        assert one == other, f"step {place}"
    assert len(in_memory) == len(on_ledger)


def one_message(stage):
    message = stage.look(
        stage.producer.send(**fields(metadata={"order": "7"}, callback_url="https://a.example/x"))
    )
    stage.look(stage.producer.get(message.id))
    stage.is_not_final(message)
    stage.advance(message, Status.SENDING)
    stage.advance(message, Status.SENT)
    stage.is_not_final(message)
    stage.advance(message, Status.DELIVERED)
    stage.look(stage.producer.wait(message.id))
    stage.advance(message, Status.SENT)


def the_same_again(stage):
    first = stage.look(stage.producer.send(**fields(idempotency_key="k")))
    stage.look(stage.producer.send(**fields(idempotency_key="k")))
    stage.advance(first, Status.SENT)
    stage.look(stage.producer.send(**fields(idempotency_key="k")))
    stage.refused(stage.producer.send, **fields(idempotency_key="k", text="other"))
    passed = datetime.now(UTC) - timedelta(hours=1)
    stage.look(stage.producer.send(**fields(idempotency_key="k", not_before=passed)))
    stage.refused(stage.producer.send, **fields(idempotency_key="new", not_before=passed))


def many_at_once(stage):
    stage.producer.send(**fields(idempotency_key="taken"))
    many = [fields(), fields(lane="urgent", to=OTHER), fields(lane="bulk", campaign="sale")]
    for message in stage.producer.send_many(many):
        stage.look(message)
    clash = [fields(), fields(idempotency_key="taken", text="other"), fields()]
    error = stage.refused(stage.producer.send_many, clash)
    for message in error.accepted:
        stage.look(message)
    stage.refused(stage.producer.send_many, [fields(), fields(to="12")])


def mistakes(stage):
    send = stage.producer.send
    for wrong in (
        {"to": "12"},
        {"text": ""},
        {"text": None},
        {"text": "x" * 1601},
        {"sender": "Sendline"},
        {"sender": "+13115552399"},
        {"account": "nobody"},
        {"lane": "fast"},
        {"valid_for": 0},
        {"metadata": {"": ""}},
        {"idempotency_key": ""},
        {"campaign": "-"},
    ):
        stage.refused(send, **fields(**wrong))
    stage.refused(stage.producer.get, NOBODY)
    stage.refused(stage.producer.cancel, "nothing")
    stage.refused(stage.producer.wait, NOBODY, timeout=0)
    stage.refused(lambda: list(stage.producer.events(after=-1, timeout=0)))
    stage.refused(lambda: list(stage.producer.events(after=99, timeout=0)))
    stage.refused(lambda: list(stage.producer.inbound(after=9, timeout=0)))
    stage.refused(lambda: next(stage.producer.group_events("no group", timeout=0)))


def named_account_and_route(stage):
    stage.advance(stage.producer.send(**fields(account="spare")), Status.SENT)
    stage.advance(stage.producer.send(**fields()), Status.RETRYING)
    stage.advance(stage.producer.send(**fields(account="third")), Status.CREATED)


def canceled(stage):
    waits, sends, sent = (stage.producer.send(**fields(account=name)) for name in ("main", "spare", "third"))
    stage.look(stage.producer.cancel(waits.id))
    stage.advance(sends, Status.SENDING)
    stage.look(stage.producer.cancel(sends.id))
    stage.advance(sends, Status.RETRYING)
    stage.advance(sent, Status.SENT)
    stage.look(stage.producer.cancel(sent.id))


def opted_out(stage):
    before = stage.producer.send(**fields())
    stage.receive("Stop.")
    stage.look(stage.producer.send(**fields(callback_url="https://a.example/x")))
    stage.advance(before, Status.SENDING)
    stage.receive("start")
    stage.look(stage.producer.send(**fields()))
    stage.suppress(TO)
    stage.look(stage.producer.send_many([fields(), fields(to=OTHER)])[0])
    for came in stage.producer.inbound(after=0, timeout=0.05):
        stage.note(came.seq, came.sender, came.to, came.text, came.keyword, came.account, came.provider_id)


def in_doubt(stage):
    held, urgent, resent, failed = (
        stage.producer.send(**fields(account=name, **each))
        for name, each in zip(
            ("main", "spare", "third", "fourth"),
            ({}, {"lane": "urgent"}, {"on_uncertain": "resend"}, {"on_uncertain": "hold"}),
            strict=True,
        )
    )
    for message in (held, urgent, resent, failed):
        stage.advance(message, Status.UNCERTAIN)
    stage.advance(held, Status.RETRYING)
    stage.look(stage.producer.cancel(held.id))
    stage.advance(urgent, Status.DELIVERED)
    stage.advance(failed, Status.FAILED)
    stage.advance(failed, Status.DELIVERED)


def shared_reading(stage):
    first, second = (stage.producer.send(**fields()) for _ in range(2))
    stage.known |= {first.id: "first", second.id: "second"}
    for _ in range(2):
        reader = stage.producer.group_events("billing", after=0, timeout=0.05)
        event = next(reader)
        stage.note(event.seq, stage.known[event.message_id])
        reader.close()
    stage.note([event.seq for event in stage.producer.group_events("billing", timeout=0.05)])
    stage.note([event.seq for event in stage.producer.group_events("billing", timeout=0.05)])


def found_again(stage):
    for place in range(5):
        to = OTHER if place % 2 else TO
        stage.look(
            stage.producer.send(**fields(to=to, account="spare", campaign="hand-made", text=str(place)))
        )
    stage.advance(stage.producer.send(**fields()), Status.DELIVERED)
    campaign = stage.producer.campaign("sale", **SALE)
    searches = (
        *({}, {"to": TO}, {"status": "delivered"}, {"campaign": "sale"}, {"campaign": "hand-made"}),
        *({"to": OTHER, "campaign": "hand-made"}, {"campaign": "nothing"}, {"owner": "nobody"}),
    )
    for message in campaign.messages():
        stage.look(message)
    for search in searches:
        stage.note([stage.known.get(message.id) for message in stage.producer.find(**search)])
    for wrong in ({"limit": 0}, {"status": "gone"}, {"to": "12"}, {"campaign": "-"}, {"cursor": "x"}):
        stage.refused(stage.producer.find_page, **wrong)
    stage.note(len(stage.producer.find_page(limit=2).messages))


PEOPLE = [
    {"to": TO, "name": "Ada"},
    {"to": "nonsense", "name": "Bob"},
    {"to": OTHER, "name": "Cy"},
    {"to": TO, "name": "Ada again"},
    {"to": "+13115552372", "name": ""},
]
SALE = {"text": "Hi {{ name }}!", "sender": SENDER, "recipients": PEOPLE}


def a_campaign(stage):
    stage.suppress(OTHER)
    campaign = stage.producer.campaign("sale", **SALE)
    stage.note(campaign.spec())
    stage.progress(campaign)
    for message in campaign.messages():
        stage.look(message)
    stage.refused(campaign.pause)
    campaign.start()
    first, _, last = campaign.messages()
    stage.advance(first, Status.DELIVERED)
    campaign.pause()
    stage.refused(campaign.start)
    stage.progress(campaign)
    campaign.resume()
    stage.advance(last, Status.FAILED)
    stage.settle_down()
    stage.progress(campaign)
    stage.note(campaign.wait(timeout=0).state)
    again = campaign.retry_failed()
    stage.note(again.name)
    stage.progress(again)


def a_canceled_campaign(stage):
    campaign = stage.producer.campaign("sale", **SALE)
    campaign.start()
    first, *_ = campaign.messages()
    stage.advance(first, Status.SENT)
    campaign.cancel()
    stage.settle_down()
    for message in campaign.messages():
        stage.look(message)
    stage.progress(campaign)
    stage.note(campaign.wait(timeout=0).state)


def a_campaign_that_fails(stage):
    many = [{"to": f"+131155524{n:02}", "name": str(n)} for n in range(30)]
    campaign = stage.producer.campaign(
        "sale", **SALE | {"recipients": many, "pause_at": 0.5, "pause_over": 20}
    )
    campaign.start()
    messages = list(campaign.messages())
    for place, message in enumerate(messages[:22]):
        if campaign.progress().state is CampaignState.RUNNING:
            stage.advance(message, Status.FAILED if place % 3 else Status.UNDELIVERED)
        stage.settle_down()
        stage.progress(campaign)


def mistakes_of_campaigns(stage):
    campaign = stage.producer.campaign
    stage.refused(campaign, "nothing")
    for wrong in (
        {"text": "Hi {{ name"},
        {"account": "nobody"},
        {"recipients": 7},
        {"weight": -1},
        {"window": "nonsense"},
    ):
        stage.refused(campaign, "sale", **SALE | wrong)
    stage.refused(campaign, "not a name!", **SALE)
    stage.progress(campaign("typo", **SALE | {"text": "Hi {{ nam }}"}))
    campaign("sale", **SALE)
    stage.refused(campaign, "sale", **SALE)
    stage.refused(campaign, "sale", **SALE | {"text": "Other"})
    stage.refused(campaign("sale").resume)
    stage.refused(campaign("sale").retry_failed)


def erased(stage):
    stage.note(stage.producer.erase(TO).to_dict())
    sends, sent, held = (stage.producer.send(**fields(account=name)) for name in ("spare", "third", "fourth"))
    done = stage.producer.send(**fields(to=OTHER))
    for message, status in (
        (sends, Status.SENDING),
        (sent, Status.SENT),
        (held, Status.UNCERTAIN),
        (done, Status.DELIVERED),
    ):
        stage.advance(message, status)
    waits = stage.producer.send(**fields(metadata={"order": "7"}, callback_url="https://a.example/x"))
    campaign = stage.producer.campaign("sale", **SALE)
    stage.receive("Hello")
    stage.receive("stop")
    stage.producer.send(**fields())
    stage.note(stage.producer.erase(TO, keep_opt_out=True).to_dict())
    stage.note(stage.producer.erase(TO).to_dict())
    for message in (waits, sends, sent, held, done, *campaign.messages()):
        stage.look(stage.producer.get(message.id))
    stage.progress(campaign)
    stage.advance(sends, Status.RETRYING)
    stage.advance(sent, Status.DELIVERED)
    stage.advance(held, Status.RETRYING)
    stage.note(list(stage.producer.inbound(after=0, timeout=0.05)))
    stage.receive("once more")
    for after in range(3):
        stage.note([came.seq for came in stage.producer.inbound(after=after, timeout=0.05)])
    stage.note(len(list(stage.producer.find(to=TO))), len(list(stage.producer.find())))
    stage.refused(stage.producer.erase, "nobody")


SCENES = (
    erased,
    found_again,
    *(one_message, the_same_again, many_at_once, mistakes, named_account_and_route, canceled, opted_out),
    *(
        in_doubt,
        shared_reading,
        a_campaign,
        a_canceled_campaign,
        a_campaign_that_fails,
        mistakes_of_campaigns,
    ),
)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_a_scene_comes_to_the_same_in_memory_and_on_the_ledger(stages, scene):
    for stage in stages:
        scene(stage)
        stage.look_at_all()
    assert_alike(stages)


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_asked_of_messages_both_come_to_the_same(stages, seed):
    chance = random.Random(seed)
    asked = [
        {
            "account": account,
            "lane": chance.choice(["normal", "urgent", "bulk"]),
            "on_uncertain": chance.choice([None, "hold", "resend"]),
        }
        for account in ("main", "spare")
    ]
    steps = [(chance.randrange(2), chance.choice([*Status, "cancel"])) for _ in range(14)]
    for stage in stages:
        messages = [stage.producer.send(**fields(**each)) for each in asked]
        for place, step in steps:
            if step == "cancel":
                stage.look(stage.producer.cancel(messages[place].id))
            elif step not in (Status.SUPPRESSED, Status.EXPIRED):
                stage.advance(messages[place], step)
        stage.look_at_all()
    assert_alike(stages)


def test_the_validity_of_a_message_ends_alike(stages):
    for stage in stages:
        message = stage.producer.send(**fields(valid_for=60))
        stage.advance(message, Status.EXPIRED, reason="")
        again = stage.producer.send(**fields(valid_for=60))
        stage.advance(again, Status.RETRYING)
        stage.advance(again, Status.EXPIRED, reason="")
        stage.look_at_all()
    assert_alike(stages)
