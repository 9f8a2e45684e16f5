"""A message that was sent again after doubt never ends as if the earlier attempt had not been."""

import pytest

from sendline.contract.codes import ErrorCode
from sendline.contract.status import Status
from sendline.ledger import work
from sendline.ledger.limits import Limits


@pytest.fixture
def resent(world):
    """A message whose first attempt may have been accepted, and that waits to be sent again."""
    world.configure("main")
    message_id = world.accept(on_uncertain="resend", valid_for=600)
    world.settle(world.claim_one(), Status.UNCERTAIN, code=ErrorCode.PERHAPS_ACCEPTED, delay=1)
    world.clock.advance(1)
    world.tick()
    assert world.get(message_id).status is Status.RETRYING
    return message_id


def test_refused_the_second_time_it_is_uncertain(world, resent):
    word = world.settle(world.claim_one(), Status.FAILED, code=ErrorCode.REJECTED, reason="400")

    message = world.get(resent)
    assert word == "settled"
    assert (message.status, message.error) == (Status.UNCERTAIN, ErrorCode.REJECTED)
    assert message.timeline[-1].reason == "400; but an earlier attempt may have been accepted"
    world.clock.advance(3600)
    world.tick()
    assert world.claim().claims == (), "it is not sent any more"
    assert world.receive("delivered", message_id=resent) == "applied"


@pytest.mark.parametrize("ends_it", ["tick", "claim"])
def test_its_validity_ends_and_it_is_uncertain(world, resent, ends_it):
    world.clock.advance(600)
    assert world.tick() if ends_it == "tick" else world.claim().claims == ()
    assert world.get(resent).status is Status.UNCERTAIN
    assert world.counts() == {"uncertain": 1}


def test_canceled_while_it_waits_it_is_held_and_not_sent_again(world, resent):
    assert world.cancel(resent).status is Status.UNCERTAIN
    assert world.get(resent).cancel_requested
    assert world.decide("resend", resent) == ["canceled"]


def test_canceled_while_it_is_sent_again_it_is_held(world, resent):
    claim = world.claim_one()
    world.cancel(resent)
    assert world.settle(claim, Status.RETRYING, delay=1) == "settled"
    assert world.get(resent).status is Status.UNCERTAIN


def test_accepted_the_second_time_it_is_sent(world, resent):
    assert world.settle(world.claim_one(), Status.SENT, provider_id="p1") == "settled"
    assert world.get(resent).status is Status.SENT


def test_handed_back_it_waits_on(world, resent):
    world.settle(world.claim_one(), Status.CREATED, counted=False, delay=work.HEAD)
    assert world.get(resent).status is Status.RETRYING


def test_held_once_more_its_deadline_makes_it_final(world, resent):
    world.settle(world.claim_one(), Status.FAILED, code=ErrorCode.REJECTED)
    world.clock.advance(Limits().deadline + 1)
    world.tick()
    message = world.get(resent)
    assert (message.status, message.final, message.text) == (Status.UNCERTAIN, True, None)
