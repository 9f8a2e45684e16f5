"""The outbox: what tests of apps look at, and how they steer what becomes of messages."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from ledger_world import SENDER, TO
from sendline import (
    AsyncProducer,
    CannotCarry,
    ErrorCode,
    InvalidMessage,
    LedgerRefused,
    LedgerUnavailable,
    NotFinal,
    NotFinished,
    PartlyAccepted,
    Producer,
    RecipientRefused,
    Status,
    UnknownAccount,
    UnknownMessage,
)
from sendline.contract.errors import WrongCampaignState
from sendline.contract.status import MOVES
from sendline.ledger import accounts
from sendline.settings import Settings
from sendline.testing import AsyncRecordingProducer, NoSuchMove, NotInMemory, Outbox, RecordingProducer

OTHER = "+13115552371"


@pytest.fixture
def producer():
    with RecordingProducer() as made:
        yield made


@pytest.fixture
def outbox(producer):
    return producer.outbox


def test_the_doubles_are_producers():
    assert isinstance(RecordingProducer(), Producer)
    assert isinstance(AsyncRecordingProducer(), AsyncProducer)


def test_what_is_sent_is_found_by_its_number_however_people_write_that(producer, outbox):
    first = producer.send(to=TO, text="One")
    producer.send(to=OTHER, text="Two")
    assert outbox.sent_to("+1 (311) 555-2367") == [first]
    assert [message.text for message in outbox.messages] == ["One", "Two"]
    assert outbox.last.to == OTHER
    assert len(outbox) == 2
    assert list(outbox) == outbox.messages


def test_numbers_without_a_plus_are_read_by_the_producers_region():
    producer = RecordingProducer(settings=Settings(default_region="US"))
    message = producer.send(to="(311) 555-2367", text="Hello")
    assert producer.outbox.sent_to("311 555 2367") == [message]
    with pytest.raises(ValueError, match="'12'"):
        producer.outbox.sent_to("12")


def test_a_text_stays_in_the_outbox_when_the_ledger_erases_it(producer, outbox):
    message = producer.send(to=TO, text="Your code is 471100")
    assert outbox.deliver(message).text == "Your code is 471100"
    assert producer.get(message.id).text is None
    assert outbox.code_for(TO) == "471100"


def test_an_assertion_returns_the_message_that_it_found(producer, outbox):
    message = producer.send(to=TO, text="Your code is 4711", sender=SENDER)
    assert outbox.assert_sent(to=TO, text="Your code is 4711", sender=SENDER) == message
    assert outbox.assert_sent(text_contains="4711", times=None) == message
    outbox.assert_not_sent(to=OTHER)
    producer.send(to=TO, text="again")
    outbox.assert_sent(to=TO, times=2)


def test_a_failed_assertion_tells_what_was_expected_and_all_that_is_there(producer, outbox):
    producer.send(to=TO, text="Welcome", sender=SENDER)
    outbox.fail(producer.send(to=OTHER, text="Bye"), ErrorCode.BLOCKED)
    with pytest.raises(AssertionError) as caught:
        outbox.assert_sent(to=TO, text_contains="code")
    assert str(caught.value).splitlines() == [
        f"expected 1 message to {TO} whose text contains 'code', and there are none.",
        "The outbox has 2 messages:",
        f"  to {TO} from {SENDER}, created: 'Welcome'",
        f"  to {OTHER}, failed (blocked): 'Bye'",
    ]
    with pytest.raises(AssertionError, match="expected that nothing was sent, and there are 2"):
        outbox.assert_nothing_sent()
    with pytest.raises(AssertionError, match=r"expected 3 messages at all, and there are 2"):
        outbox.assert_sent(times=3)
    with pytest.raises(AssertionError, match=r"expected no message .*, and there is 1"):
        outbox.assert_not_sent(text="Bye")
    with pytest.raises(ValueError, match="assert_not_sent"):
        outbox.assert_sent(times=0)


def test_an_empty_outbox_says_so(outbox):
    outbox.assert_nothing_sent()
    with pytest.raises(AssertionError, match="nothing was sent"):
        _ = outbox.last
    with pytest.raises(AssertionError, match="The outbox is empty"):
        outbox.assert_sent(to=TO)
    assert outbox


def test_a_long_outbox_is_listed_by_its_end(producer, outbox):
    producer.send_many([{"to": TO, "text": str(place)} for place in range(50)])
    with pytest.raises(AssertionError, match="the 30 before are left out") as caught:
        outbox.assert_sent(to=OTHER)
    assert "'49'" in str(caught.value)
    assert "'29'" not in str(caught.value)


def test_a_code_is_found_by_the_pattern_that_is_given(producer, outbox):
    producer.send(to=TO, text="Order 123456789: use AB-12 by 2030")
    assert outbox.code_for(TO) == "2030"
    assert outbox.code_for(TO, r"use (\S+)") == "AB-12"
    with pytest.raises(AssertionError, match="matches"):
        outbox.code_for(TO, r"\d{20}")
    with pytest.raises(AssertionError, match="nothing was sent there"):
        outbox.code_for(OTHER)


def test_what_was_held_back_was_not_sent(producer, outbox):
    outbox.suppress("+1 311 555 2367")
    assert producer.send(to=TO, text="Hello").status is Status.SUPPRESSED
    producer.cancel(producer.send(to=OTHER, text="Hello").id)
    outbox.advance(producer.send(to=OTHER, text="Hello"), Status.EXPIRED)
    outbox.assert_nothing_sent()
    assert len(outbox.messages) == 3
    outbox.unsuppress(TO)
    assert producer.send(to=TO, text="Hello").status is Status.CREATED


@pytest.mark.parametrize("status", list(Status))
def test_a_new_message_comes_to_every_status_by_moves_that_the_table_has(producer, outbox, status):
    message = producer.send(to=TO, text="Hello")
    if status is Status.CREATED:
        outbox.advance(message, Status.SENDING)
    if status is Status.SUPPRESSED:
        with pytest.raises(NoSuchMove):
            outbox.advance(message, status)
        return
    told = outbox.advance(message, status).timeline
    assert told[-1].status is status
    assert all(after.status in MOVES[before.status] for before, after in pairwise(told))
    assert [event.status for event in producer.events(after=0)] == [entry.status for entry in told]


def test_a_move_that_the_table_lacks_is_refused_and_changes_nothing(producer, outbox):
    message = outbox.deliver(producer.send(to=TO, text="Hello"))
    with pytest.raises(NoSuchMove, match=r"can't become failed: it is delivered; .* nothing else"):
        outbox.fail(message)
    with pytest.raises(NoSuchMove):
        outbox.advance(message, "sent")
    assert outbox.last == message
    with pytest.raises(UnknownMessage):
        outbox.deliver("01a1fff9-b87b-73bf-9598-65b6ae9a0d15")


def test_what_cannot_go_says_why(producer, outbox):
    message = producer.send(to=TO, text="Hello")
    outbox.suppress(TO)
    with pytest.raises(NoSuchMove, match="came to suppressed: the recipient has opted out"):
        outbox.deliver(message)


def test_a_failure_is_that_of_the_provider_or_of_the_phone(producer, outbox):
    refused = outbox.fail(producer.send(to=TO, text="Hello"), ErrorCode.INVALID_RECIPIENT, "no such number")
    assert (refused.status, refused.error) == (Status.FAILED, ErrorCode.INVALID_RECIPIENT)
    assert refused.timeline[-1].reason == "no such number"
    sent = outbox.advance(producer.send(to=TO, text="Hello"), Status.SENT)
    lost = outbox.fail(sent)
    assert (lost.status, lost.error) == (Status.UNDELIVERED, ErrorCode.UNREACHABLE)
    assert producer.wait(lost.id).final


def test_the_next_send_fails_as_a_lost_redis_does(producer, outbox):
    outbox.fail_next()
    with pytest.raises(LedgerUnavailable):
        producer.send(to=TO, text="Hello", idempotency_key="k")
    outbox.assert_nothing_sent()
    assert producer.send(to=TO, text="Hello", idempotency_key="k").status is Status.CREATED
    outbox.fail_next(LedgerRefused("no room"), times=2)
    for _ in range(2):
        with pytest.raises(LedgerRefused, match="no room"):
            producer.send_many([{"to": TO, "text": "Hello"}])
    assert len(outbox) == 1


def test_a_batch_that_is_cut_off_says_what_was_accepted(producer, outbox):
    real = producer.send_many([{"to": TO, "text": str(place)} for place in range(256)])
    assert len(real) == 256
    calls = iter([None, LedgerUnavailable("gone")])
    accept = producer._core.accept

    def accept_and_fail(drafts):
        if (error := next(calls)) is not None:
            outbox.fail_next(error)
        return accept(drafts)

    producer._core.accept = accept_and_fail
    with pytest.raises(PartlyAccepted) as caught:
        producer.send_many([{"to": TO, "text": str(place)} for place in range(300)])
    assert len(caught.value.accepted) == 256


def test_the_next_message_is_accepted_and_then_fails(producer, outbox):
    outbox.fail_next(ErrorCode.BLOCKED)
    first = producer.send(to=TO, text="Hello")
    second = producer.send(to=TO, text="Hello")
    assert first.status is Status.CREATED
    found = producer.wait(first.id)
    assert (found.status, found.error) == (Status.FAILED, ErrorCode.BLOCKED)
    assert producer.get(second.id).status is Status.CREATED


def test_nothing_waits(producer, outbox):
    message = producer.send(to=TO, text="Hello")
    with pytest.raises(NotFinal, match="not final after 1000 s"):
        producer.wait(message.id, timeout=1000)
    assert [event.seq for event in producer.events(after=0, timeout=1000)] == [1]
    assert list(producer.events()) == []
    assert list(producer.inbound(timeout=1000)) == []
    assert [event.seq for event in producer.group_events("g", after=0)] == [1]
    campaign = producer.campaign("sale", text="Hi", recipients=[TO])
    with pytest.raises(NotFinished):
        campaign.wait()


def test_a_scheduled_message_says_when_it_is_due_and_goes_when_the_test_says_so(producer, outbox):
    at = datetime.now(UTC) + timedelta(hours=1)
    message = producer.send(to=TO, text="Hello", not_before=at)
    assert abs(message.due_at - at) < timedelta(milliseconds=2)
    assert message == producer.get(message.id)
    assert outbox.deliver(message).status is Status.DELIVERED


def test_accounts_are_checked_where_they_are_declared_and_any_will_do_where_none_are():
    free = RecordingProducer()
    assert free.send(to=TO, text="Hello", account="any").route == ("any",)
    declared = RecordingProducer(accounts={"main": [SENDER]})
    assert declared.send(to=TO, text="Hello").route == ("main",)
    with pytest.raises(UnknownAccount):
        declared.send(to=TO, text="Hello", account="any")
    with pytest.raises(CannotCarry, match="sender"):
        declared.send(to=TO, text="Hello", sender=OTHER)


def test_the_settings_that_are_given_hold():
    producer = RecordingProducer(settings=Settings(only_to=("+1311555",), stop_words=("BASTA",)))
    with pytest.raises(RecipientRefused):
        producer.send(to="+4915112345678", text="Hello")
    producer.outbox.receive(from_=TO, text="basta", to=SENDER)
    assert producer.send(to=TO, text="Hello").status is Status.SUPPRESSED


def test_who_answers_writes_to_the_number_that_wrote_last(producer, outbox):
    with pytest.raises(ValueError, match="which of your numbers"):
        outbox.receive(from_=TO, text="Hi")
    producer.send(to=TO, text="Hello", sender=SENDER)
    came = outbox.receive(from_="+1 311 555 2367", text="Yes please")
    assert (came.to, came.keyword) == (SENDER, None)
    assert list(producer.inbound(after=0)) == [came]


def test_a_campaign_is_in_the_outbox_once_it_has_started(producer, outbox, tmp_path):
    people = [{"to": TO, "name": "Ada"}, {"to": OTHER, "name": "Cy"}]
    campaign = producer.campaign("sale", text="Hi {{ name }}", sender=SENDER, recipients=people)
    assert outbox.messages == []
    campaign.start()
    outbox.assert_sent(to=TO, text="Hi Ada")
    campaign.pause()
    with pytest.raises(NoSuchMove, match="its campaign sale is paused"):
        outbox.deliver(outbox.last)
    campaign.resume()
    for message in outbox.messages:
        outbox.deliver(message)
    assert campaign.wait().summary == "finished"
    assert campaign.report(tmp_path / "report.csv") == 2
    assert producer.counts()["delivered"] == 2


def test_a_scheduled_campaign_is_not_in_the_outbox_before_its_time(producer, outbox, monkeypatch):
    campaign = producer.campaign("sale", text="Hi", recipients=[TO])
    at = datetime.now(UTC) + timedelta(hours=1)
    campaign.start(at=at)
    assert outbox.messages == []
    monkeypatch.setattr("sendline.testing.memory.time.time", (at + timedelta(seconds=1)).timestamp)
    assert len(outbox.messages) == 1


def test_a_campaign_that_is_not_started_in_time_ends(producer, outbox, monkeypatch):
    campaign = producer.campaign("sale", text="Hi", recipients=[TO])
    ends = campaign.progress().ends_at
    assert timedelta(days=89) < ends - datetime.now(UTC) <= timedelta(days=90)
    monkeypatch.setattr("sendline.testing.memory.time.time", ends.timestamp)
    with pytest.raises(WrongCampaignState, match="campaign sale is finished"):
        campaign.start()
    assert outbox.messages == []
    assert campaign.progress().summary == "finished, 1 failed"


def test_what_memory_does_not_hold_is_refused_by_its_name(producer):
    with pytest.raises(NotInMemory, match=r"configure: .*docs/testing\.md"):
        producer._ledger.run(accounts.configure(producer._core._limits, "{}", accounts.Wake("w", b"e"), []))


def test_messages_are_found_again_page_by_page(producer):
    sent = [producer.send(to=TO, text=str(place)) for place in range(5)]
    first = producer.find_page(limit=2)
    assert [message.text for message in first.messages] == ["4", "3"]
    second = producer.find_page(limit=3, cursor=first.next)
    assert list(second.messages) == sent[2::-1]
    assert second.next is None
    with pytest.raises(InvalidMessage, match="cursor"):
        producer.find_page(cursor="another's")


def test_what_was_erased_is_in_the_outbox_no_more(producer, outbox):
    mine = producer.send(to=TO, text="for Ada", metadata={"name": "Ada"}, callback_url="https://a.example/x")
    other = producer.send(to=OTHER, text="for Bob")
    outbox.deliver(producer.send(to=TO, text="again for Ada"))
    outbox.receive(from_=TO, text="STOP", to=SENDER)
    erased = producer.erase("+1 (311) 555-2367")
    assert (erased.messages, erased.canceled, erased.inbound, erased.opted_out) == (2, 1, 1, True)
    assert outbox.sent_to(TO) == []
    assert [(m.to, m.text) for m in outbox.messages] == [("", None), (OTHER, "for Bob"), ("", None)]
    now = producer.get(mine.id)
    assert (now.status, now.metadata, now.callback_url) == (Status.CANCELED, {}, None)
    assert list(producer.inbound(after=0)) == []
    assert TO not in repr(vars(outbox._memory))
    outbox.deliver(other)
    assert producer.send(to=TO, text="Hello").status is Status.CREATED
    with pytest.raises(InvalidMessage, match="number"):
        producer.erase("nobody")


def test_the_async_producer_erases_too(outbox):
    async def erase():
        async with AsyncRecordingProducer(outbox=outbox) as producer:
            await producer.send(to=TO, text="Hello")
            return await producer.erase(TO)

    assert asyncio.run(erase()).canceled == 1
    assert outbox.sent_to(TO) == []


def test_clearing_begins_anew(producer, outbox):
    outbox.suppress(TO)
    outbox.fail_next()
    producer.outbox.clear()
    assert producer.send(to=TO, text="Hello").status is Status.CREATED
    assert [event.seq for event in producer.events(after=0)] == [1]


def test_two_producers_may_share_an_outbox(outbox):
    RecordingProducer(outbox=outbox).send(to=TO, text="One")

    async def send():
        async with AsyncRecordingProducer(outbox=outbox) as producer:
            message = await producer.send(to=TO, text="Two")
            outbox.deliver(message)
            assert (await producer.wait(message.id)).status is Status.DELIVERED
            seen = [event.status async for event in producer.events(after=0)]
            shared = [event.status async for event in producer.group_events("g", after=0)]
            assert len(seen) == len(shared) == 5
            campaign = await producer.campaign("sale", text="Hi", recipients=[OTHER])
            await campaign.start()

    asyncio.run(send())
    assert [message.text for message in outbox] == ["One", "Two", "Hi"]


def test_threads_may_send_at_once(producer, outbox):
    def send():
        for _ in range(50):
            outbox.deliver(producer.send(to=TO, text="Hello"))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert producer.counts() | {"accepted": 400, "delivered": 400} == producer.counts()
    assert [event.seq for event in producer.events(after=0)] == list(range(1, 1601))


def test_outboxes_know_nothing_of_each_other(producer, outbox):
    producer.send(to=TO, text="Hello")
    Outbox().assert_nothing_sent()
    assert repr(outbox) == "<Outbox of 1 messages>"
