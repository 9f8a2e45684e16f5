"""A privacy request: all that is kept of a number is erased, and what was under way is still followed."""

import asyncio

import pytest

from ledger_world import SENDER, TO, account_limits, publish_accounts
from sendline import AsyncProducer, InvalidMessage, Producer, Status
from sendline.contract import ids
from sendline.contract.keywords import Keyword
from sendline.ledger import doubts, inbound, suppression, work
from sendline.ledger.inbound import Arrival
from sendline.ledger.limits import Limits
from sendline.ledger.rejected import Rejected, reject
from sendline_worker.audit import Audit

OTHER = "+13115559367"
"""Its end is that of TO: they share a list."""
LIMITS = Limits()
DIGITS = TO.removeprefix("+")


@pytest.fixture
def producer(settings, publish):
    publish("main")
    with Producer(settings=settings) as made:
        yield made


def traces(raw, digits=DIGITS):
    """Return the keys of the ledger that hold the number, in their names or in what they hold."""
    found = []
    for key in raw.keys("*"):
        dumped = {
            b"string": raw.get,
            b"list": lambda k: raw.lrange(k, 0, -1),
            b"hash": raw.hgetall,
            b"set": raw.smembers,
            b"zset": lambda k: raw.zrange(k, 0, -1),
            b"stream": raw.xrange,
        }[raw.type(key)](key)
        if digits in repr(dumped) or digits in repr(key):
            found.append(key)
    return found


def arrive(ledger, *texts, sender=TO, keyword=None):
    ledger.run(
        inbound.inbound(
            LIMITS,
            [
                Arrival(
                    "main",
                    sender=sender,
                    to=SENDER,
                    text=text,
                    keyword=keyword,
                    provider_id=f"{sender}{text}",
                )
                for text in texts
            ],
        )
    )


def claim_one(ledger, dispatcher="d"):
    request = work.ClaimRequest(dispatcher, 1, 10, 10, 90, 2, 5, may_sign_off=False)
    return ledger.run(work.claim(LIMITS, request)).claims


def settle(ledger, claim, target, number=1, **said):
    settlement = work.Settlement(claim.message_id, claim.token, claim.account, target, **said)
    return ledger.run(work.settle(LIMITS, "d", number, [settlement]))


def test_nothing_is_left_of_a_number(producer, ledger, raw):
    waiting = producer.send(
        to=TO, text="for Ada", metadata={"name": "Ada"}, callback_url="https://app.example/x?n=Ada"
    )
    later = producer.send(to=TO, text="for Ada", metadata={"name": "Ada"}, valid_for=3600)
    done = producer.send(to=TO, text="for Ada")
    producer.cancel(done.id)
    kept = producer.send(to=OTHER, text="for Bob")
    people = [{"to": TO, "name": "Ada"}, {"to": OTHER, "name": "Bob"}]
    producer.campaign("spring", text="Hi {{ name }}", sender=SENDER, recipients=people)
    producer.campaign("twice", text="Hi", sender=SENDER, recipients=people * 2, keep_duplicates=True)
    arrive(ledger, "Hello", "again")
    arrive(ledger, "STOP", keyword=Keyword.STOP)
    arrive(ledger, "Hello", sender=OTHER)
    ledger.run(reject(LIMITS, [Rejected("main", "not JSON", {}, f"from=%2B{DIGITS}", b"?", 1)]))
    ledger.run(reject(LIMITS, [Rejected("main", "not JSON", {}, "from=nobody", DIGITS.encode(), 11)]))
    ledger.run(reject(LIMITS, [Rejected("main", "not JSON", {}, "from=nobody", b"?", 1)]))
    assert len(traces(raw)) > 5

    erased = producer.erase(TO)
    assert erased.to_dict() == {
        "messages": 6,
        "canceled": 5,
        "under_way": 0,
        "inbound": 3,
        "rejected": 2,
        "opted_out": True,
        "spooled": 0,
        "spool_left": 0,
    }
    assert traces(raw) == []
    assert traces(raw, "Ada") == []
    for message in (waiting, later, done):
        now = producer.get(message.id)
        assert (now.status, now.to, now.text, now.metadata, now.callback_url) == (
            Status.CANCELED,
            "",
            None,
            {},
            None,
        )
    assert producer.get(kept.id).to == OTHER
    assert [m.sender for m in read_inbound(producer)] == [OTHER]
    assert raw.llen("sl:rr") == 1
    assert list(producer.find(to=TO)) == []
    assert len(list(producer.find(to=OTHER))) == 4
    assert producer.erase(TO).to_dict() == dict.fromkeys(erased.to_dict(), 0)


def read_inbound(producer, after=0):
    return list(producer.inbound(after=after, timeout=0.05))


def test_the_counts_still_add_up(producer, ledger):
    producer.send(to=TO, text="Hello")
    producer.campaign("spring", text="Hi", sender=SENDER, recipients=[{"to": TO}, {"to": OTHER}])
    producer.erase(TO)
    assert producer.counts()["canceled"] == 2
    progress = producer.campaign("spring").progress()
    assert progress.statuses[Status.CANCELED] == 1
    assert Audit(ledger, LIMITS, pause=0).run().findings == ()


def test_what_a_provider_has_is_still_followed(producer, ledger, raw):
    message = producer.send(to=TO, text="Hello")
    [claim] = claim_one(ledger)
    settle(ledger, claim, Status.SENT, provider_id="p-1", deadline=3600)
    assert producer.erase(TO).under_way == 1
    assert traces(raw) == []
    ledger.run(work.receive(LIMITS, [work.Reported("main", Status.DELIVERED, provider_id="p-1")]))
    assert producer.get(message.id).status is Status.DELIVERED


def test_what_is_being_sent_is_never_sent_again(producer, ledger):
    message = producer.send(to=TO, text="Hello", lane="urgent", on_uncertain="resend")
    [claim] = claim_one(ledger)
    assert producer.erase(TO).under_way == 1
    assert settle(ledger, claim, Status.RETRYING, reason="503") == ["settled"]
    assert producer.get(message.id).status is Status.CANCELED


def test_what_is_uncertain_is_held_and_its_provider_is_not_asked_by_the_number(producer, ledger, raw):
    message = producer.send(to=TO, text="Hello", on_uncertain="hold")
    [claim] = claim_one(ledger)
    settle(ledger, claim, Status.UNCERTAIN, reason="no answer")
    raw.zadd("sl:u", {claim.message_id: 1})
    producer.erase(TO)
    assert raw.zscore("sl:u", claim.message_id) == float("inf")
    assert producer.get(message.id).status is Status.UNCERTAIN
    ledger.run(doubts.decide(LIMITS, "resend", [claim.message_id], "a person said so"))
    assert producer.get(message.id).status is not Status.SENDING


def test_an_opt_out_is_kept_where_that_is_asked_for(producer, ledger):
    ledger.run(suppression.suppress(LIMITS, [TO], "asked by mail"))
    assert not producer.erase(TO, keep_opt_out=True).opted_out
    assert producer.send(to=TO, text="Hello").status is Status.SUPPRESSED
    assert producer.erase(TO).opted_out
    assert producer.send(to=TO, text="Hello").status is Status.CREATED


def test_readers_of_what_came_in_are_told_of_no_loss(producer, ledger):
    for round_ in range(3):
        arrive(ledger, f"{round_} a", sender=OTHER)
        arrive(ledger, f"{round_} b", f"{round_} c")
    before = read_inbound(producer)
    producer.erase(TO)
    for after in range(before[-1].seq + 1):
        read = read_inbound(producer, after=after)
        assert [m.text for m in read] == [m.text for m in before if m.seq > after and m.sender == OTHER]


def test_what_endpoints_were_to_be_told_of_it_is_gone(producer, ledger, raw, publish):
    publish(account_limits("main", callback_url="https://app.example/told"))
    arrive(ledger, "Hello")
    arrive(ledger, "Hello", sender=OTHER)
    [notices] = raw.keys("sl:op:*")
    assert raw.hlen(notices) == 2
    producer.erase(TO)
    assert raw.hlen(notices) == 1
    assert traces(raw) == []


def test_many_messages_are_erased_in_steps(producer, raw):
    producer.send_many([{"to": TO, "text": "Hello"}] * 1700)
    producer.send_many([{"to": OTHER, "text": "Hello"}] * 300)
    assert producer.erase(TO).canceled == 1700
    assert traces(raw) == []
    assert producer.counts()["created"] == 300


def test_a_number_may_be_written_as_people_write_it(producer):
    producer.send(to=TO, text="Hello")
    assert producer.erase("+1 (311) 555-2367").messages == 1
    with pytest.raises(InvalidMessage, match="number"):
        producer.erase("nobody")


def test_the_async_producer_erases_too(producer, settings):
    producer.send(to=TO, text="Hello")

    async def erase():
        async with AsyncProducer(settings=settings) as other:
            return await other.erase(TO)

    assert asyncio.run(erase()).canceled == 1


def test_owners_keep_what_they_sent(producer):
    draft = producer._core.check({"to": TO, "text": "Hello"}, "shop")
    producer._do(producer._core.accept([draft]))
    producer.erase(TO)
    assert [m.id for m in producer.find(owner="shop")] == [ids.to_text(draft.id)]
    assert producer._ledger.run(work.read_record(draft.id)).owner == "shop"


def test_what_was_being_sent_and_is_uncertain_later_is_not_asked_for_by_the_number(producer, ledger, raw):
    publish_accounts(ledger, account_limits("main", asks=True))
    producer.send(to=TO, text="Hello", on_uncertain="hold")
    [claim] = claim_one(ledger)
    producer.erase(TO)
    settle(ledger, claim, Status.UNCERTAIN, reason="no answer")
    assert raw.zscore("sl:u", claim.message_id) == float("inf")


def test_a_claim_whose_answer_was_lost_brings_back_nothing_that_was_erased(producer, ledger):
    message = producer.send(to=TO, text="Hello")
    assert len(claim_one(ledger)) == 1
    producer.erase(TO)
    assert claim_one(ledger) == ()  # the same call again
    assert producer.get(message.id).status is Status.CANCELED


def test_what_is_final_by_its_deadline_is_not_under_way(producer, ledger, poll):
    producer.send(to=TO, text="Hello")
    [claim] = claim_one(ledger)
    settle(ledger, claim, Status.SENT, provider_id="p-1", deadline=0)
    erased = producer.erase(TO)
    assert (erased.messages, erased.canceled, erased.under_way) == (1, 0, 0)


def test_a_receipt_that_corrects_an_earlier_one_keeps_a_message_no_longer(producer, ledger, raw):
    producer.send(to=TO, text="Hello")
    [claim] = claim_one(ledger)
    settle(ledger, claim, Status.SENT, provider_id="p-1", deadline=3600)
    ledger.run(work.receive(LIMITS, [work.Reported("main", Status.UNDELIVERED, provider_id="p-1")]))
    key = b"sl:m" + claim.message_id
    raw.pexpire(key, 5000)
    ledger.run(work.receive(LIMITS, [work.Reported("main", Status.DELIVERED, provider_id="p-1")]))
    assert producer.get(ids.to_text(claim.message_id)).status is Status.DELIVERED
    assert 0 < raw.pttl(key) <= 5000


def test_notices_are_found_though_nobody_knows_their_account_any_more(producer, ledger, raw, publish):
    publish(account_limits("main", callback_url="https://app.example/told"))
    arrive(ledger, "Hello")
    raw.delete("sl:in")
    publish("other")
    producer.erase(TO)
    assert traces(raw) == []


def test_only_the_whole_number_makes_a_request_its_own(producer, ledger, raw):
    for body in (f"99{DIGITS}001", f"from=%2B{DIGITS}", DIGITS, f'{{"from": "{DIGITS}"}}'):
        ledger.run(reject(LIMITS, [Rejected("main", "not JSON", {}, "", body.encode(), len(body))]))
    assert producer.erase(TO).rejected == 3
    assert raw.llen("sl:rr") == 1
