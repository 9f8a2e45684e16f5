"""receive: what providers tell of messages they accepted, in any order, and only what they may tell."""

import pytest

from sendline import ErrorCode, Status
from sendline.contract import ids
from sendline.ledger import work
from sendline.ledger.keys import KEYS


@pytest.fixture
def sent(world):
    """Accept a message and send it; its provider's id is `p`."""
    world.configure("main", "spare")

    def send(provider_id="p", **fields):
        message_id = world.accept(**fields)
        world.settle(world.claim_one(), "sent", provider_id=provider_id)
        return message_id

    return send


def test_a_receipt_found_by_the_providers_id_is_applied(world, sent):
    message_id = sent()
    assert world.receive("delivered", provider_id="p") == "applied"
    message = world.get(message_id)
    assert (message.status, message.final, message.due_at) == (Status.DELIVERED, True, None)
    assert world.history(message_id) == ["created", "sending", "sent", "delivered"]
    assert world.ttl(message_id) == pytest.approx(world.limits.retention, abs=5)


def test_a_receipt_says_why_a_message_did_not_arrive(world, sent):
    message_id = sent()
    assert (
        world.receive("undelivered", provider_id="p", code=ErrorCode.UNREACHABLE, reason="off") == "applied"
    )
    message = world.get(message_id)
    assert (message.status, message.error) == (Status.UNDELIVERED, ErrorCode.UNREACHABLE)
    assert message.timeline[-1].reason == "off"


def test_a_receipt_twice_is_applied_once(world, sent):
    message_id = sent()
    words = [world.receive("delivered", provider_id="p") for _ in range(2)]
    assert words == ["applied", "unchanged"]
    assert world.history(message_id).count("delivered") == 1


def test_a_later_receipt_corrects_undelivered_but_nothing_corrects_delivered(world, sent):
    sent()
    assert world.receive("undelivered", provider_id="p") == "applied"
    assert world.receive("sent", provider_id="p") == "unchanged"
    assert world.receive("delivered", provider_id="p") == "applied"
    assert world.receive("undelivered", provider_id="p") == "unchanged"
    assert world.receive("sent", provider_id="p") == "unchanged"
    assert world.counts() == {"delivered": 1}


def test_a_receipt_found_by_our_own_token_needs_no_providers_id(world):
    world.configure("main")
    message_id = world.accept()
    world.claim_one()
    assert world.receive("delivered", message_id=message_id) == "applied"
    assert world.counts() == {"delivered": 1}
    assert (world.flying(), world.timers()) == (0, {})


def test_a_receipt_teaches_the_providers_id_of_an_uncertain_message(world):
    world.configure("main")
    message_id = world.accept()
    world.settle(world.claim_one(), "uncertain")
    assert world.receive("sent", message_id=message_id, provider_id="p") == "applied"
    message = world.get(message_id)
    assert (message.status, message.provider_id, message.text) == (Status.SENT, "p", None)
    assert world.timers() == {}
    assert world.receive("delivered", provider_id="p") == "applied"


def test_news_without_a_status_teaches_the_providers_id_and_moves_nothing(world):
    world.configure("main")
    message_id = world.accept()
    world.claim_one()
    assert world.receive(None, message_id=message_id, provider_id="p") == "unchanged"
    message = world.get(message_id)
    assert (message.status, message.provider_id) == (Status.SENDING, "p")
    assert world.receive("delivered", provider_id="p") == "applied"


@pytest.mark.parametrize("lane", ["urgent", "normal"])
def test_a_receipt_stops_a_retry(world, lane):
    world.configure("main")
    message_id = world.accept(lane=lane)
    world.settle(world.claim_one(), "retrying", delay=work.HEAD)
    assert world.receive("delivered", message_id=message_id) == "applied"
    assert world.claim().claims == ()
    assert world.counts() == {"delivered": 1}
    assert world.timers() == {}


@pytest.mark.parametrize("final", ["failed", "expired", "canceled"])
def test_a_receipt_corrects_what_was_attempted_and_given_up(world, final):
    world.configure("main")
    message_id = world.accept(valid_for=100)
    claim = world.claim_one()
    if final == "failed":
        world.settle(claim, "failed")
    else:
        world.settle(claim, "retrying", delay=50)
        world.cancel(message_id) if final == "canceled" else world.clock.advance(100)
        world.tick()
    assert world.counts() == {final: 1}
    assert world.receive("sent", message_id=message_id) == "applied"
    assert world.receive("delivered", message_id=message_id) == "applied"
    assert world.counts() == {"delivered": 1}


@pytest.mark.parametrize("status", ["sent", "delivered", "undelivered", None])
def test_a_receipt_proves_nothing_of_a_message_that_was_never_attempted(world, status):
    waiting, canceled = world.accept(), world.accept()
    world.cancel(canceled)
    for message_id in (waiting, canceled):
        assert world.receive(status, account="", message_id=message_id, provider_id="p") == "unchanged"
    assert world.counts() == {"created": 1, "canceled": 1}
    assert world.get(waiting).provider_id is None


def test_a_receipt_proves_nothing_of_a_message_that_was_handed_back_unsent(world):
    world.configure("main")
    message_id = world.accept()
    world.settle(world.claim_one(), "created", counted=False, delay=work.HEAD)
    assert world.receive("delivered", message_id=message_id) == "unchanged"
    assert world.line() == [message_id]


def test_a_receipt_of_another_account_is_foreign(world, sent):
    message_id = sent()
    assert world.receive("delivered", account="spare", message_id=message_id) == "foreign"
    assert world.receive("delivered", account="spare", provider_id="p") == "parked"
    assert world.counts() == {"sent": 1}


def test_a_receipt_for_a_message_that_is_not_kept_is_unknown(world):
    assert world.receive("delivered", message_id=ids.new_id()) == "unknown"


def test_a_receipt_that_names_nothing_is_unknown(world):
    assert world.receive("delivered") == "unknown"


def test_news_without_a_status_of_an_unknown_message_is_not_parked(world):
    assert world.receive(None, provider_id="p") == "unknown"


def test_a_receipt_that_overtakes_the_answer_is_applied_when_that_comes(world, raw):
    world.configure("main")
    message_id = world.accept()
    claim = world.claim_one()
    assert world.receive("delivered", provider_id="p", code=None) == "parked"
    assert world.counts() == {"sending": 1}
    assert world.settle(claim, "sent", provider_id="p") == "settled"
    assert world.history(message_id) == ["created", "sending", "sent", "delivered"]
    assert raw.hlen(KEYS["parked"]) == raw.zcard(KEYS["parked_at"]) == 0


def test_a_parked_receipt_keeps_its_code_and_reason(world):
    world.configure("main")
    message_id = world.accept()
    claim = world.claim_one()
    world.receive("undelivered", provider_id="p", code=ErrorCode.BLOCKED, reason="filtered")
    world.settle(claim, "sent", provider_id="p")
    assert world.get(message_id).error is ErrorCode.BLOCKED
    assert world.get(message_id).timeline[-1].reason == "filtered"


def test_nothing_overrides_a_parked_delivery(world):
    world.configure("main")
    world.accept()
    claim = world.claim_one()
    for status in ("sent", "delivered", "undelivered", "sent"):
        assert world.receive(status, provider_id="p") == "parked"
    world.settle(claim, "sent", provider_id="p")
    assert world.counts() == {"delivered": 1}


def test_a_receipt_that_our_token_found_first_releases_what_was_parked_for_its_id(world):
    world.configure("main")
    message_id = world.accept()
    world.claim_one()
    assert world.receive("delivered", provider_id="p") == "parked"
    assert world.receive("sent", message_id=message_id, provider_id="p") == "applied"
    assert world.get(message_id).status is Status.DELIVERED


def test_a_parked_receipt_is_dropped_after_an_hour(world, raw):
    world.receive("delivered", provider_id="p")
    world.clock.advance(3599)
    world.tick()
    assert raw.hlen(KEYS["parked"]) == 1
    world.clock.advance(1)
    world.tick()
    assert raw.hlen(KEYS["parked"]) == raw.zcard(KEYS["parked_at"]) == 0


def test_parked_receipts_are_bounded_and_the_oldest_give_way(world, raw):
    def park(first, last):
        reports = [work.Reported("main", Status.SENT, provider_id=f"p{n}") for n in range(first, last)]
        assert set(world.ledger.run(work.receive(world.limits, reports))) == {"parked"}

    for start in range(0, 10_000, 1000):
        park(start, start + 1000)
        world.clock.advance(1)
    park(10_000, 10_500)
    assert raw.hlen(KEYS["parked"]) == raw.zcard(KEYS["parked_at"]) == 10_000
    world.configure("main")
    message_id = world.accept()
    world.settle(world.claim_one(), "uncertain")
    assert world.receive("delivered", provider_id="p10499") == "parked"
    assert world.receive("sent", message_id=message_id, provider_id="p10499") == "applied"


def test_one_call_takes_many_receipts_in_their_order(world, sent):
    sent()
    reports = [
        work.Reported("main", Status.UNDELIVERED, provider_id="p"),
        work.Reported("main", Status.DELIVERED, provider_id="p"),
        work.Reported("main", Status.UNDELIVERED, provider_id="p"),
        work.Reported("main", Status.DELIVERED, provider_id="unheard of"),
    ]
    words = world.ledger.run(work.receive(world.limits, reports))
    assert words == ["applied", "applied", "unchanged", "parked"]


def test_the_same_providers_id_at_two_accounts_is_two_messages(world):
    world.configure("main", "spare")
    one, other = world.accept("main"), world.accept("spare")
    for claim in world.claim().claims:
        world.settle(claim, "sent", provider_id="1")
    assert world.receive("delivered", account="spare", provider_id="1") == "applied"
    assert (world.get(one).status, world.get(other).status) == (Status.SENT, Status.DELIVERED)


def test_a_receipt_for_a_message_that_is_being_canceled_decides(world):
    world.configure("main")
    message_id = world.accept()
    claim = world.claim_one()
    world.cancel(message_id)
    assert world.receive("sent", message_id=message_id) == "applied"
    assert world.settle(claim, "retrying", delay=5) == "again"
    assert world.counts() == {"sent": 1}
