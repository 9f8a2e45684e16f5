"""configure, route and cancel: what workers publish, late routes, and a person's word."""

import math

import pytest

from ledger_world import SENDER, WAKE, account_limits
from sendline import ErrorCode, Status
from sendline.contract import ids
from sendline.contract.accounts import AccountCard, Capabilities, RouteRule
from sendline.contract.status import WAITING
from sendline.ledger import verbs, work
from sendline.ledger.accounts import Wake
from sendline.ledger.directory import Directory
from sendline.ledger.scripts import script

GRACE = 0.020


def test_what_workers_publish_producers_read(world):
    world.configure("main", "spare", routes=[("+1", ("spare", "main"))])
    assert world.ledger.run(verbs.directory()) == Directory(
        {name: AccountCard(name, Capabilities(), (SENDER,)) for name in ("main", "spare")},
        (RouteRule("+1", ("spare", "main")),),
    )


def test_before_any_worker_the_directory_is_empty(world):
    assert world.ledger.run(verbs.directory()) == Directory()


def test_what_a_newer_release_publishes_is_passed_over():
    plain = Directory({"a": AccountCard("a", Capabilities(lookup=True))}).to_plain()
    plain["accounts"][0]["capabilities"]["telepathy"] = True
    plain["accounts"][0]["color"] = "red"
    plain["more"] = []
    assert Directory.parse(plain).accounts["a"].capabilities.lookup


def test_configuring_pushes_the_wake_for_what_waits_already(world):
    world.accept()
    world.configure("main")
    assert world.wakes() == 1
    assert len(world.claim().claims) == 1


def test_an_account_that_was_removed_is_not_claimed_for_until_it_returns(world):
    world.configure("main", "old")
    message_id = world.accept("old")
    world.configure("main")
    assert world.claim().claims == ()
    assert world.get(message_id).status is Status.CREATED
    world.configure("main", "old")
    world.clock.advance(6)
    assert len(world.claim().claims) == 1


def test_a_new_rate_holds_from_the_next_claim(world):
    world.configure("main", rate=1, burst=1)
    world.accept_many(50)
    assert len(world.claim(50).claims) == 1
    world.configure("main", rate=1000, burst=5)
    world.clock.advance(2)
    assert len(world.claim(50).claims) == 5 + GRACE * 1000, "the burst, and what came while it was late"


def test_configuring_again_forgets_neither_pauses_nor_who_is_in_flight(world):
    world.configure("main")
    world.accept_many(2)
    one, _ = world.claim(2).claims
    world.settle(one, "retrying", delay=work.HEAD, effect="pause", pause=60)
    world.configure("main", rate=5)
    assert world.flying() == 1
    assert world.claim().claims == ()


@pytest.mark.parametrize("rate", [0.001, 0.3, 1, 20, 9999, 10_000_000])
def test_a_rate_is_kept_as_the_time_between_two_messages(world, rate):
    world.configure(account_limits("main", rate=rate))
    assert int(world.account()["interval"]) == math.ceil(1_000_000 / rate)


def test_the_wake_goes_to_the_queue_that_was_published(world, raw):
    world.configure("main", wake=Wake("other", b"\x00\xffraw"))
    assert raw.lrange("other", 0, -1) == [b"\x00\xffraw"]
    assert raw.llen(WAKE.queue) == 0


# Late routes


def routing(message_id, *route, lane=1, reason=""):
    return work.Routing(message_id, lane, route, reason)


def test_a_message_without_a_route_gets_one_and_goes(world):
    world.configure("main")
    message_id = world.accept("", valid_for=600)
    assert world.ledger.run(work.unrouted(1, 10)) == [message_id]
    assert world.ledger.run(work.route(world.limits, [routing(message_id, "main")])) == 1
    assert world.ledger.run(work.unrouted(1, 10)) == []
    assert world.line() == [message_id]
    assert set(world.timers()) == {message_id}
    assert world.claim_one().message_id == message_id


def test_a_message_that_nothing_can_carry_fails_and_says_why(world):
    message_id = world.accept("")
    assert world.ledger.run(work.route(world.limits, [routing(message_id, reason="no account")])) == 1
    message = world.get(message_id)
    assert (message.status, message.error, message.text) == (Status.FAILED, ErrorCode.NO_ROUTE, None)
    assert message.timeline[-1].reason == "no account"
    assert world.timers() == {}


def test_a_route_that_two_workers_find_at_once_is_given_once(world):
    world.configure("main")
    message_id = world.accept("")
    words = [world.ledger.run(work.route(world.limits, [routing(message_id, "main")])) for _ in range(2)]
    assert words == [1, 0]
    assert world.line() == [message_id]


def test_a_canceled_message_gets_no_route(world):
    message_id = world.accept("")
    world.cancel(message_id)
    assert world.ledger.run(work.route(world.limits, [routing(message_id, "main")])) == 0
    assert (world.line(""), world.line()) == ([], [])
    assert world.counts() == {"canceled": 1}


def test_giving_a_route_rouses_a_dispatcher(world, raw):
    world.configure("main")
    message_id = world.accept("")
    raw.delete("wakes")
    world.clock.advance(1)
    world.ledger.run(work.route(world.limits, [routing(message_id, "main")]))
    assert world.wakes() == 1


def test_a_scheduled_message_without_a_route_is_routed_when_it_is_due(world):
    message_id = world.accept("", delay=60)
    assert world.ledger.run(work.unrouted(1, 10)) == []
    world.clock.advance(60)
    world.tick()
    assert world.ledger.run(work.unrouted(1, 10)) == [message_id]


# Cancel


@pytest.mark.parametrize("status", sorted(WAITING))
def test_a_message_that_waits_is_canceled(world, status):
    world.configure("main")
    message_id = world.accept()
    if status is Status.RETRYING:
        world.settle(world.claim_one(), "retrying", delay=60)
    message = world.cancel(message_id)
    assert (message.status, message.text, message.final) == (Status.CANCELED, None, True)
    assert message == world.get(message_id)
    assert world.timers() == {}
    assert world.ttl(message_id) == pytest.approx(world.limits.retention, abs=5)
    assert world.claim().claims == ()


def test_a_scheduled_message_is_canceled(world):
    message_id = world.accept(delay=60)
    world.cancel(message_id)
    world.clock.advance(60)
    world.tick()
    assert (world.line(), world.counts()) == ([], {"canceled": 1})


def test_cancel_asks_once_where_a_worker_is_sending(world):
    world.configure("main")
    message_id = world.accept()
    world.claim_one()
    for _ in range(2):
        message = world.cancel(message_id)
        assert (message.status, message.cancel_requested) == (Status.SENDING, True)
    assert world.history(message_id) == ["created", "sending"]
    assert set(world.timers()) == {message_id}


@pytest.mark.parametrize("target", ["sent", "failed", "uncertain"])
def test_cancel_comes_too_late_for_what_was_sent_or_is_uncertain(world, target):
    world.configure("main")
    message_id = world.accept()
    world.settle(world.claim_one(), target)
    before, ttl = world.get(message_id), world.ttl(message_id)
    assert world.cancel(message_id) == before
    assert world.ttl(message_id) == pytest.approx(ttl, abs=5)


def test_cancel_of_an_unknown_message_is_none(world):
    assert world.cancel(ids.new_id()) is None


# The scripts themselves


@pytest.mark.parametrize(
    "verb", ["accept", "cancel", "claim", "configure", "receive", "route", "settle", "tick"]
)
def test_a_server_that_forgot_the_functions_is_taught_them_again(world, raw, verb):
    raw.function_flush()
    assert raw.function_list(library=script(verb).function) == []
    world.configure("main")
    world.accept()
    assert len(world.claim().claims) == 1


def test_a_script_with_another_clock_is_another_script():
    assert script("tick").function != script("tick", clock="return {'1', '000000'}").function
    assert script("tick") is script("tick")
