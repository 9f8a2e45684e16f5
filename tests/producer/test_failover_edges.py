"""Sequences in which a ledger that came back from an older state could have sent something twice."""

import pytest

from ledger_world import World, account_limits, sender_row
from sendline.contract.status import Status
from sendline.ledger import recovery, work
from sendline.ledger.connection import Ledger
from sendline.ledger.limits import Limits

SLOW = account_limits("main", 1, 2)


class Past:
    """What the ledger held at some moment, and the way back to it."""

    def __init__(self, raw):
        self._raw = raw
        keys = list(raw.scan_iter("sl:*", count=10_000))
        self._kept = [(key, max(raw.pttl(key), 0), raw.dump(key)) for key in keys]

    def restore(self):
        self._raw.delete(*self._raw.scan_iter("sl:*", count=10_000))
        for key, ttl, value in self._kept:
            self._raw.restore(key, ttl, value)


def recover(world):
    era = world.ledger.run(recovery.state()).era
    while not world.ledger.run(recovery.recover(Limits(), era, reason="it may have been sent")).done:
        pass


def work_for(world, seconds):
    """Claim and tick as workers do; return the claims."""
    claims = []
    for _ in range(seconds * 2):
        claims += world.claim(64).claims
        world.clock.advance(0.5)
        world.tick()
    return claims


def ids_of(claims):
    return {claim.message_id for claim in claims}


@pytest.fixture
def go_back(world):
    """Bring the ledger back to `past`, let one who saw more notice, and recover."""

    def go_back(past):
        past.restore()
        assert world.claim(5).behind
        recover(world)

    return go_back


def test_what_was_handed_back_since_uses_up_nothing_of_what_may_have_gone(world, raw):
    world.configure(account_limits("main", 1, 20))
    world.accept_many(60)
    world.tick()
    flying = world.claim(64).claims
    for seconds in (25, 1, 1):
        world.clock.advance(seconds)
        world.tick()
    past = Past(raw)
    forgotten = ids_of(world.claim(64).claims)
    past.restore()
    assert world.claim(5).behind
    for claim in flying:
        assert world.settle(claim, Status.CREATED, counted=False, delay=work.HEAD) == "settled"

    recover(world)

    assert len(forgotten) == 20
    assert not ids_of(work_for(world, 40)) & forgotten


def test_the_outcome_of_an_older_claim_told_again_says_nothing_about_a_forgotten_one(world, raw, go_back):
    world.configure(SLOW)
    message_id = world.accept()
    first = world.claim_one()
    world.tick()
    told = [work.Settlement(message_id, first.token, first.account, Status.RETRYING, delay=work.HEAD)]
    assert world.settle_many(told, by="s9", number=1) == ["settled"]
    past = Past(raw)
    world.clock.advance(1)
    assert world.claim_one().message_id == message_id
    go_back(past)

    assert world.settle_many(told, by="s9", number=1) == ["dead"]

    assert work_for(world, 5) == []
    assert world.get(message_id).status is Status.UNCERTAIN


def test_what_was_canceled_while_it_was_behind_uses_up_nothing_at_the_next_loss(world, raw):
    world.configure(SLOW)
    world.accept_many(60)
    world.tick()
    past = Past(raw)
    world.claim_one()
    past.restore()
    assert world.claim(5).behind
    for message_id in world.line()[10:40]:
        world.cancel(message_id)
    recover(world)
    work_for(world, 3)
    past = Past(raw)
    forgotten = ids_of(work_for(world, 12))
    past.restore()
    assert world.claim(5).behind

    recover(world)

    assert forgotten
    assert not ids_of(work_for(world, 60)) & forgotten


def test_limits_that_somebody_lowers_before_it_is_noticed_hold_no_less(world, raw, redis_url, go_back):
    world.configure(account_limits("main", 10, 20))
    world.accept_many(100)
    world.tick()
    past = Past(raw)
    forgotten = ids_of(work_for(world, 3))
    past.restore()
    newcomer = Ledger(redis_url)
    for limits in (SLOW, account_limits("main", 1, 1)):
        World(newcomer, raw, world.clock).configure(limits)
    newcomer.close()

    assert world.claim(5).behind
    recover(world)

    assert len(forgotten) > 40
    assert not ids_of(work_for(world, 60)) & forgotten


def test_no_token_is_given_out_again_where_a_recovery_itself_is_forgotten(world, raw, go_back):
    world.configure(SLOW)
    world.accept_many(40)
    world.tick()
    world.claim_one()
    past = Past(raw)
    world.clock.advance(1)
    world.claim_one()
    go_back(past)
    before = {claim.token for claim in work_for(world, 3)}

    go_back(past)

    world.clock.advance(5)
    after = {claim.token for claim in work_for(world, 3)}
    assert before
    assert after
    assert not before & after


# Rows: any of them may have been the one that was served


X, Y = "+13115550001", "+13115550002"


def forget(world, raw, seconds):
    """Let `seconds` of work be forgotten; return what was claimed."""
    world.tick()
    past = Past(raw)
    forgotten = ids_of(work_for(world, seconds))
    past.restore()
    assert world.claim(5).behind
    return forgotten


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_what_went_from_rows_in_turn_never_goes_again(world, raw, monkeypatch, step):
    monkeypatch.setattr(recovery, "STEP", step)
    world.configure(SLOW)
    for number in range(4):
        world.accept_many(25, lane="bulk", campaign=f"c{number}")
    forgotten = forget(world, raw, 12)

    recover(world)

    assert len(forgotten) > 10
    after = ids_of(work_for(world, 60))
    assert after
    assert not after & forgotten


def test_of_each_row_no_more_is_held_than_could_go(world, raw):
    world.configure(SLOW)
    rows = [world.accept_many(60, lane="bulk", campaign=f"c{number}") for number in range(3)]
    forget(world, raw, 5)

    recover(world)

    held = [[world.get(each).status is Status.UNCERTAIN for each in row] for row in rows]
    assert len({sum(row) for row in held}) == 1
    assert 10 < sum(held[0]) < 20
    assert all(row == sorted(row, reverse=True) for row in held)


def test_what_went_from_rows_that_their_senders_limits_held_never_goes_again(world, raw):
    world.configure(account_limits("main", 10, 2, sender_rate=0.5))
    for sender in (X, Y):
        world.accept_many(20, sender=sender)
    work_for(world, 2)
    assert set(world.held_rows()) == {sender_row(X), sender_row(Y)}
    forgotten = forget(world, raw, 8)

    recover(world)

    assert len(forgotten) >= 6
    assert not ids_of(work_for(world, 40)) & forgotten


@pytest.mark.parametrize("begins", [True, False])
@pytest.mark.parametrize("step", [3, 1000])
def test_what_went_while_rows_of_senders_began_or_ceased_never_goes_again(
    world, raw, monkeypatch, begins, step
):
    monkeypatch.setattr(recovery, "STEP", step)
    free, limited = account_limits("main", 1, 2), account_limits("main", 1, 2, sender_rate=1)
    world.configure(free if begins else limited)
    first = world.accept_many(40, sender=X) + world.accept_many(5, sender=Y)
    world.configure(limited if begins else free)
    forgotten = forget(world, raw, 4)

    recover(world)

    assert forgotten & set(first[40:] if begins else first)
    assert not ids_of(work_for(world, 60)) & forgotten
