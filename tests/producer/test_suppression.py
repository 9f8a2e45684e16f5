"""The suppression list: who has opted out gets nothing, whatever was accepted before or is sent again."""

import pytest

from ledger_world import TO
from sendline import ErrorCode, Producer, Status
from sendline.contract import ids
from sendline.ledger import suppression, verbs
from sendline.ledger.keys import KEYS
from sendline.ledger.limits import Limits
from sendline.ledger.record import unpack
from sendline.ledger.suppression import AT_ONCE, Suppression

OTHER = "+13115552370"
REASON = "the recipient has opted out"


@pytest.fixture
def main(world):
    """One account that may send, its words of status told once."""
    world.configure("main")
    return world


def entries(world, *numbers):
    return world.ledger.run(suppression.is_suppressed(numbers))


def whole_list(world):
    found, cursor = {}, None
    while cursor != 0:
        cursor, some = world.ledger.run(suppression.suppressed(cursor or 0))
        found |= {entry.number: entry for entry in some}
    return found


def calls(raw, *commands):
    stats = raw.info("commandstats")
    return {name: stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in commands}


def calls_of(raw, do, *commands):
    before = calls(raw, *commands)
    do()
    return {name: number - before[name] for name, number in calls(raw, *commands).items()}


# The list


def test_a_number_is_listed_with_its_instant_and_reason(world):
    assert world.suppress(TO, OTHER, why="asked by mail") == 2
    [entry, none] = entries(world, TO, "+13115552399")
    assert (entry.number, entry.why, entry.account) == (TO, "asked by mail", None)
    assert round(entry.since.timestamp() * 1000) == world.clock.ms
    assert none is None
    assert whole_list(world).keys() == {TO, OTHER}
    assert world.ledger.run(suppression.count()) == 2


def test_a_number_that_is_listed_keeps_its_first_entry(world):
    world.suppress(TO, why="first")
    before = entries(world, TO)
    world.clock.advance(60)
    assert world.suppress(TO, OTHER, TO, why="second") == 1
    assert entries(world, TO) == before
    assert entries(world, OTHER)[0].why == "second"


def test_a_number_is_taken_off_once(world):
    world.suppress(TO, OTHER)
    assert [world.unsuppress(TO, TO) for _ in range(2)] == [1, 0]
    assert whole_list(world).keys() == {OTHER}


def test_an_entry_is_what_the_next_release_can_add_to(world, raw):
    world.suppress(TO, why="said so")
    assert unpack(raw.hget(KEYS["suppressed"], TO)) == [world.clock.ms, b"said so", b""]
    raw.hset(KEYS["suppressed"], OTHER, b"\x94\xcf\x00\x00\x01\x8b\xcf\xe5h\x00\xa7inbound\xa4main\x07")
    [entry] = entries(world, OTHER)
    assert (entry.why, entry.account) == ("inbound", "main")


def test_a_long_list_is_read_whole_in_steps(world):
    numbers = [f"+1311555{number:04}" for number in range(2 * AT_ONCE + 7)]
    for start in range(0, len(numbers), AT_ONCE):
        world.suppress(*numbers[start : start + AT_ONCE])
    assert whole_list(world).keys() == set(numbers)


@pytest.mark.parametrize(
    "verb",
    [
        suppression.is_suppressed,
        lambda numbers: suppression.suppress(Limits(), numbers, "said so"),
        lambda numbers: suppression.unsuppress(Limits(), numbers),
    ],
    ids=["asked", "added", "removed"],
)
def test_a_call_is_bounded(verb):
    with pytest.raises(ValueError, match=f"at most {AT_ONCE}"):
        verb([TO] * (AT_ONCE + 1))


def test_no_number_is_shown_where_an_entry_is():
    shown = repr(Suppression(TO, None, "said so", None))
    assert TO not in shown


# Accepting


def test_a_message_to_who_has_opted_out_is_accepted_and_final_at_once(world):
    world.suppress(TO)
    draft = world.draft()
    [verdict] = world.accept_drafts(draft)
    assert isinstance(verdict, verbs.Suppressed)
    message = verdict.message
    assert message == world.get(draft.id)
    assert (message.status, message.error, message.text) == (Status.SUPPRESSED, ErrorCode.OPTED_OUT, None)
    assert message.final
    [entry] = message.timeline
    assert (entry.status, entry.code, entry.reason) == (Status.SUPPRESSED, ErrorCode.OPTED_OUT, REASON)
    assert world.history(draft.id) == ["suppressed"]
    assert world.counts() == {"suppressed": 1}
    assert (world.line(), world.timers(), world.ready()) == ([], {}, {})
    assert world.ttl(draft.id) == pytest.approx(world.limits.retention, abs=5)


def test_a_scheduled_message_is_suppressed_when_it_is_accepted(world):
    world.suppress(TO)
    draft = world.draft(delay=60)
    world.accept_drafts(draft)
    assert world.get(draft.id).status is Status.SUPPRESSED
    assert world.timers() == {}


def test_only_the_messages_of_who_has_opted_out_are_suppressed(world):
    world.suppress(OTHER)
    drafts = [world.draft(), world.draft(to=OTHER), world.draft(), world.draft(to=OTHER)]
    kinds = [type(verdict) for verdict in world.accept_drafts(*drafts)]
    assert kinds == [verbs.New, verbs.Suppressed, verbs.New, verbs.Suppressed]
    assert world.line() == [drafts[0].id, drafts[2].id]
    assert world.counts() == {"created": 2, "suppressed": 2}


def test_the_same_call_again_says_that_it_is_suppressed(world):
    world.suppress(TO)
    draft = world.draft(key="k")
    first = world.accept_drafts(draft)
    world.clock.advance(1)
    assert world.accept_drafts(draft) == first
    world.unsuppress(TO)
    assert world.accept_drafts(draft) == first
    assert world.counts() == {"suppressed": 1}


def test_its_idempotency_key_is_used_as_by_any_other(world):
    world.suppress(TO)
    draft = world.draft(key="k")
    world.accept_drafts(draft)
    world.unsuppress(TO)
    assert world.accept_drafts(world.draft(key="k")) == [verbs.Known(draft.id, world.get(draft.id))]
    assert world.accept_drafts(world.draft(key="k", text="Other")) == [verbs.Conflict(draft.id)]
    assert world.counts() == {"suppressed": 1}


def test_a_message_that_was_accepted_before_answers_for_a_key_though_its_recipient_opted_out(world):
    first = world.accept(key="k")
    world.suppress(TO)
    assert world.accept_drafts(world.draft(key="k")) == [verbs.Known(first, world.get(first))]


@pytest.mark.parametrize("listed", [0, 50])
def test_the_list_costs_a_call_the_same_however_many_messages_it_brings(world, raw, listed):
    world.configure("main")
    world.suppress(*[f"+1311555{number:04}" for number in range(listed)])
    commands = ("hmget", "exists", "hget", "hexists", "hlen")
    world.accept()
    one = calls_of(raw, world.accept, *commands)
    assert calls_of(raw, lambda: world.accept_many(200), *commands) == one


def test_the_producer_says_that_it_is_suppressed(world, settings):
    world.configure("main")
    world.suppress(TO)
    with Producer(settings=settings) as producer:
        message = producer.send(TO, "Hello")
        [one, other] = producer.send_many([{"to": TO, "text": "Hello"}, {"to": OTHER, "text": "Hello"}])
        assert message == producer.get(message.id) == producer.wait(message.id, timeout=0)
        assert (message.status, message.final) == (Status.SUPPRESSED, True)
        assert (one.status, other.status) == (Status.SUPPRESSED, Status.CREATED)


# Claiming


@pytest.mark.parametrize("lane", ["urgent", "normal", "bulk"])
def test_what_waits_when_its_recipient_opts_out_is_not_sent(main, lane):
    gone, kept = main.accept(lane=lane), main.accept(lane=lane, to=OTHER)
    main.suppress(TO)
    [claim] = main.claim().claims
    assert claim.message_id == kept
    message = main.get(gone)
    assert (message.status, message.error, message.text) == (Status.SUPPRESSED, ErrorCode.OPTED_OUT, None)
    assert message.timeline[-1].reason == REASON
    assert (message.attempts, message.account) == (0, None)
    assert main.history(gone) == ["created", "suppressed"]
    assert main.counts() == {"sending": 1, "suppressed": 1}
    assert main.line(lane=["urgent", "normal", "bulk"].index(lane)) == []
    assert gone not in main.timers()


def test_who_is_taken_off_the_list_in_time_gets_what_waited(main):
    message_id = main.accept()
    main.suppress(TO)
    main.unsuppress(TO)
    assert main.claim_one().message_id == message_id


def test_a_scheduled_message_is_suppressed_when_its_time_comes(main):
    message_id = main.accept(delay=60)
    main.suppress(TO)
    main.clock.advance(60)
    main.tick()
    assert main.claim().claims == ()
    assert main.get(message_id).status is Status.SUPPRESSED


def test_what_is_suppressed_takes_no_token(world):
    world.configure("main", rate=1, burst=1)
    world.accept_many(20)
    kept = world.accept(to=OTHER)
    world.suppress(TO)
    assert world.claim_one().message_id == kept
    assert world.counts() == {"sending": 1, "suppressed": 20}


def test_a_message_that_is_retrying_is_suppressed(main):
    message_id = main.accept()
    main.settle(main.claim_one(), "retrying", delay=5)
    main.suppress(TO)
    main.clock.advance(5)
    main.tick()
    assert main.claim().claims == ()
    assert main.history(message_id)[-2:] == ["retrying", "suppressed"]
    assert main.get(message_id).attempts == 1


def test_a_message_that_may_have_been_sent_is_held_and_not_sent_again(main):
    message_id = main.accept(on_uncertain="resend")
    main.settle(main.claim_one(), "uncertain", delay=5)
    main.suppress(TO)
    main.clock.advance(5)
    main.tick()
    assert main.claim().claims == ()
    message = main.get(message_id)
    assert (message.status, message.error) == (Status.UNCERTAIN, ErrorCode.OPTED_OUT)
    assert message.timeline[-1].reason == f"{REASON}; but an earlier attempt may have been accepted"
    assert main.uncertain().keys() == {message_id}
    assert main.receive("delivered", message_id=message_id) == "applied"


def test_a_receipt_proves_what_a_suppressed_message_came_to_all_the_same(main):
    message_id = main.accept()
    main.settle(main.claim_one(), "retrying", delay=-1)
    main.suppress(TO)
    main.claim()
    assert main.get(message_id).status is Status.SUPPRESSED
    assert main.receive("delivered", message_id=message_id) == "applied"
    assert main.counts() == {"delivered": 1}


def test_what_is_being_sent_when_its_recipient_opts_out_is_settled_as_ever(main):
    message_id = main.accept()
    claim = main.claim_one()
    main.suppress(TO)
    assert main.settle(claim, "sent") == "settled"
    assert main.get(message_id).status is Status.SENT


def test_a_long_line_of_suppressed_messages_is_cleared_in_bounded_calls(main, raw):
    main.suppress("+13115559999")
    main.accept_many(1000)
    last = main.accept(to=OTHER)
    main.suppress(TO)
    found, before = [], 0
    for _ in range(20):
        found += main.claim(8).claims
        suppressed = main.counts().get("suppressed", 0)
        assert suppressed - before <= 300
        before = suppressed
    assert [claim.message_id for claim in found] == [last]
    assert main.counts() == {"suppressed": 1000, "sending": 1}


@pytest.mark.parametrize("listed", [0, 50])
def test_the_list_costs_a_claim_the_same_however_many_messages_it_takes(main, raw, listed):
    main.suppress(*[f"+1311555{number:04}" for number in range(listed)])
    main.accept_many(60)
    main.claim(1)
    commands = ("hmget", "exists", "hget", "hexists", "hlen")
    one = calls_of(raw, lambda: main.claim(1), *commands)
    many = calls_of(raw, lambda: main.claim(40), *commands)
    assert many == one


def test_an_id_of_a_suppressed_message_is_readable_as_any_other(main):
    main.suppress(TO)
    draft = main.draft()
    main.accept_drafts(draft)
    assert main.cancel(draft.id).status is Status.SUPPRESSED
    assert main.get(draft.id).id == ids.to_text(draft.id)
