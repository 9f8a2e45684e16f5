"""A replica is promoted behind its primary: what the ledger forgot is noticed, held, and never sent twice."""

import time

import pytest
import redis

from failover import Pair
from ledger_world import World, account_limits
from sendline.contract.status import Status
from sendline.ledger import doubts, recovery, verbs, work
from sendline.ledger.connection import Ledger
from sendline.ledger.limits import Limits
from waiting import poll

pytestmark = pytest.mark.xdist_group("failover")

RATE, BURST = 10.0, 2
REASON = "it may have been sent"


class RealClock:
    """The machine's clock, as World reads it."""

    @property
    def ms(self):
        return round(time.time() * 1000)


class ThisWorld(World):
    """A world on the machine's clock."""

    def __init__(self, ledger):
        super().__init__(ledger, None, RealClock())

    def accept(self, route="main", **fields):
        return self.accept_many(1, route, **fields)[0]


@pytest.fixture
def pair():
    with Pair() as made:
        yield made


@pytest.fixture
def world(pair):
    """One process, which follows the address and remembers what it saw."""
    ledger = Ledger(pair.url)
    made = ThisWorld(ledger)
    made.configure(account_limits("main", RATE, BURST))
    made.tick()
    yield made
    ledger.close()


@pytest.fixture
def stranger(pair):
    """A process that has seen nothing before the failover."""
    ledger = Ledger(pair.url)
    yield ledger
    ledger.close()


def recover(ledger, **times):
    era = ledger.run(recovery.state()).era
    for _ in range(1000):
        told = ledger.run(recovery.recover(Limits(), era, reason=REASON, **times))
        if told.done:
            return told
    raise AssertionError


def claim_one(world):
    return poll(lambda: (found := world.claim(1).claims) and found[0], 5)


def claimed_again(world, number):
    """The ids that the next claims bring."""
    return {claim_one(world).message_id for _ in range(number)}


def test_without_a_failover_nothing_is_behind(world, stranger):
    world.accept_many(3)
    assert not world.claim(1).behind
    stranger.run(verbs.counts())
    assert world.ledger.run(recovery.state()).behind is None


def test_a_ledger_that_lacks_what_was_seen_stops_dispatching(pair, world):
    world.accept_many(5)
    with pair.unseen():
        claim_one(world)

    claimed = world.claim(5)

    assert (claimed.behind, claimed.claims) == (True, ())
    assert world.tick().behind
    found = world.ledger.run(recovery.state()).behind
    assert found.seen > found.had
    assert found.since <= found.noticed_at <= RealClock().ms + 1000


def test_who_has_seen_nothing_is_stopped_as_well(pair, world, stranger):
    world.accept_many(5)
    with pair.unseen():
        claim_one(world)
    assert world.claim(1).behind

    request = work.ClaimRequest("d9", 1, 5, 5, 90, 2, 5, may_sign_off=False)
    assert stranger.run(work.claim(Limits(), request)).behind


def test_one_that_was_written_to_since_is_noticed_too(pair, world, stranger):
    world.accept_many(5)
    with pair.unseen():
        claim_one(world)
    other = ThisWorld(stranger)
    other.accept_many(20)  # its numbers have passed those that were seen, with other events

    assert world.claim(1).behind


def test_it_accepts_cancels_and_settles_while_it_is_behind(pair, world):
    waiting = world.accept_many(3)
    known = claim_one(world)
    with pair.unseen():
        world.accept()
    assert world.claim(1).behind

    fresh = world.accept()
    world.cancel(waiting[2])
    assert world.settle(known, Status.SENT) == "settled"

    assert world.get(fresh).status is Status.CREATED
    assert world.get(waiting[2]).cancel_requested, "it may have been sent: that is judged by the recovery"
    assert world.claim(1).behind, "only a recovery ends it"


def test_what_was_claimed_unseen_is_never_claimed_again(pair, world):
    waiting = world.accept_many(200)
    with pair.unseen():
        forgotten = [claim_one(world) for _ in range(5)]
        for claim in forgotten[:3]:
            world.settle(claim, Status.SENT)
    assert world.claim(1).behind

    told = recover(world.ledger)

    lost = {claim.message_id for claim in forgotten}
    assert {world.get(each).status for each in lost} == {Status.UNCERTAIN}
    assert told.held >= 5
    held = {each for each in waiting if world.get(each).status is Status.UNCERTAIN}
    assert held == set(waiting[: told.held]), "the heads of the line, in order"
    assert told.held <= (told.until - told.since) / 1000 * RATE + BURST + 4 * RATE + 1, (
        "no more than could go"
    )
    assert not claimed_again(world, 3) & held
    assert sum(world.counts().values()) == 200


def test_what_was_being_sent_is_held_whatever_its_policy_and_its_outcome_still_counts(pair, world):
    [urgent, normal] = [world.accept(lane="urgent"), world.accept()]
    claims = [claim_one(world), claim_one(world)]
    with pair.unseen():
        world.accept()
    assert world.claim(1).behind

    recover(world.ledger)

    assert {world.get(each).status for each in (urgent, normal)} == {Status.UNCERTAIN}
    assert world.settle(claims[0], Status.SENT, provider_id="p1") == "settled"
    assert world.settle(claims[0], Status.SENT, provider_id="p1") == "again"
    assert world.settle(claims[1], Status.RETRYING, delay=1) == "settled"
    assert world.get(claims[0].message_id).status is Status.SENT
    assert world.get(claims[1].message_id).status is Status.RETRYING


@pytest.mark.parametrize("recovered", [False, True])
def test_the_outcome_of_a_forgotten_claim_is_believed(pair, world, recovered):
    [sent, failed, unsent] = world.accept_many(3)
    with pair.unseen():
        claims = {claim.message_id: claim for claim in (claim_one(world) for _ in range(3))}
    assert world.claim(1).behind
    if recovered:
        recover(world.ledger)

    assert world.settle(claims[sent], Status.SENT, provider_id="p1") == "settled"
    assert world.settle(claims[failed], Status.FAILED, code="rejected") == "settled"
    assert world.settle(claims[unsent], Status.CREATED, counted=False, delay=work.HEAD) == "settled"

    assert world.get(sent).status is Status.SENT
    assert world.get(sent).attempts == 1
    assert world.get(failed).status is Status.FAILED
    assert world.get(unsent).status in {Status.CREATED, Status.RETRYING}
    recover(world.ledger)
    assert world.get(sent).status is Status.SENT
    assert sum(world.counts().values()) == 3


def test_numbers_go_on_beyond_what_was_given_out(pair, world):
    world.accept_many(50)
    with pair.unseen():
        old = claim_one(world)
        newest = world.ledger.run(verbs.newest_event())
    assert world.claim(1).behind
    recover(world.ledger)

    world.accept(lane="urgent", route="other")
    world.configure(account_limits("main", RATE, BURST), account_limits("other", RATE, BURST))
    assert claim_one(world).token > old.token
    assert world.ledger.run(verbs.newest_event()) > newest
    events = world.ledger.run(verbs.events_after(newest, block_ms=None))
    assert events[0].seq != newest + 1, "a reader that saw the forgotten events is told that some are lost"


def test_messages_accepted_after_the_failover_are_not_held(pair, world):
    world.cancel(world.accept())
    with pair.unseen():
        world.accept()
    assert world.claim(1).behind
    poll(lambda: RealClock().ms > world.ledger.run(recovery.state()).behind.noticed_at + 2100, 10)
    fresh = world.accept()

    recover(world.ledger)

    assert world.get(fresh).status is Status.CREATED
    assert claim_one(world).message_id == fresh


def test_a_scheduled_message_is_held_only_if_its_time_had_come(pair, world):
    soon, later = world.accept(delay=0.5), world.accept(delay=3600)
    with pair.unseen():
        poll(lambda: world.tick() and world.get(soon).due_at is None, 5)
        claim_one(world)
    assert world.claim(1).behind

    recover(world.ledger)

    assert (world.get(soon).status, world.get(later).status) == (Status.UNCERTAIN, Status.CREATED)


def test_a_recovery_in_many_steps_may_be_interrupted(pair, world, monkeypatch):
    monkeypatch.setattr(recovery, "STEP", 2)
    world.accept_many(30)
    with pair.unseen():
        claim_one(world)
    assert world.claim(1).behind

    first = world.ledger.run(recovery.recover(Limits(), 0, reason=REASON))
    assert not first.done
    assert world.claim(1).behind
    told = recover(world.ledger)

    assert told.held == 30
    assert (told.since, told.until) == (first.since, first.until)
    assert world.ledger.run(recovery.state()).behind is None
    assert not world.claim(1).behind


def test_a_restored_backup_holds_what_its_accounts_could_have_sent_since(pair, world):
    waiting = world.accept_many(300)
    since = RealClock().ms - 5_000

    told = recover(world.ledger, since=since, until=since + 5000)

    assert told.held == (5 + 4) * RATE + BURST
    assert {world.get(each).status for each in waiting[told.held :]} == {Status.CREATED}
    assert world.get(waiting[0]).error == "failover"
    assert [entry.reason for entry in world.get(waiting[0]).timeline][-1] == REASON


def test_a_receipt_of_any_account_of_its_route_proves_what_was_forgotten(pair, world):
    world.configure(account_limits("main", RATE, BURST), account_limits("spare", RATE, BURST))
    message_id = world.accept("main,spare")
    recover(world.ledger, since=RealClock().ms - 1000)

    assert world.receive("delivered", account="another", message_id=message_id) == "foreign"
    assert world.receive("delivered", account="spare", message_id=message_id) == "applied"
    assert world.get(message_id).account == "spare"


def test_an_emptied_ledger_is_another_one(pair, world):
    world.accept_many(5)
    with redis.Redis(unix_socket_path=str(pair.primary.socket)) as client:
        client.flushall()
    world.configure(account_limits("main", RATE, BURST))
    message_id = world.accept()

    assert claim_one(world).message_id == message_id


def test_a_late_comer_with_an_older_memory_does_not_stop_a_recovered_ledger(pair, world, stranger):
    world.accept_many(40)
    old = ThisWorld(stranger)
    old.accept()
    with pair.unseen():
        old.accept()
        claim_one(world)
    assert world.claim(1).behind
    recover(world.ledger)

    old.accept()

    assert world.ledger.run(recovery.state()).behind is None
    assert not world.claim(1).behind


def test_what_a_person_sends_again_after_a_recovery_stands_in_its_line_once(pair, world):
    waiting = world.accept_many(3)
    recover(world.ledger, since=RealClock().ms - 1000)
    assert {world.get(each).status for each in waiting} == {Status.UNCERTAIN}

    words = world.ledger.run(doubts.decide(Limits(), "resend", waiting, "a person said so"))
    world.tick()

    assert words == ["decided"] * 3
    claims = [claim_one(world) for _ in waiting]
    assert {claim.message_id for claim in claims} == set(waiting)
    poll(lambda: world.claim(5).next_at is None, 5)
    assert world.counts() == {"sending": 3}


def test_the_last_call_of_a_recovery_made_twice_begins_no_other(pair, world):
    world.accept_many(200)
    with pair.unseen():
        claim_one(world)
    assert world.claim(1).behind
    told = recover(world.ledger)

    again = world.ledger.run(recovery.recover(Limits(), 0, reason=REASON))

    assert again == told
    assert world.ledger.run(recovery.state()) == recovery.State(1, None)


def test_canceled_while_it_was_behind_a_message_that_did_not_go_is_never_sent(pair, world):
    waiting = world.accept_many(80)
    with pair.unseen():
        gone = claim_one(world)
    assert world.claim(1).behind
    world.cancel(gone.message_id)
    world.cancel(waiting[-1])
    told = recover(world.ledger)
    assert told.held < 80

    assert world.settle(gone, Status.SENT, provider_id="p1") == "settled"
    assert world.get(gone.message_id).status is Status.SENT
    poll(lambda: world.claim(50) and world.get(waiting[-1]).status is Status.CANCELED, 30)


def test_limits_that_change_before_the_recovery_hold_no_less(pair, world):
    world.configure(account_limits("main", 1000, 100))
    waiting = world.accept_many(300)
    with pair.unseen():
        forgotten = poll(lambda: (found := world.claim(64).claims) and found, 5)
    assert world.claim(1).behind
    world.configure(account_limits("other", 1, 1))  # nobody has `main` any more

    recover(world.ledger)

    assert {world.get(claim.message_id).status for claim in forgotten} == {Status.UNCERTAIN}
    assert len(waiting) == 300


def test_what_had_no_route_yet_may_have_got_one_and_gone(pair, world):
    message_id = world.accept(route="")
    with pair.unseen():
        world.ledger.run(work.route(Limits(), [work.Routing(message_id, 1, ("main",))]))
        assert claim_one(world).message_id == message_id
    assert world.claim(1).behind

    recover(world.ledger)

    assert world.get(message_id).status is Status.UNCERTAIN


def test_a_restart_behind_the_failover_does_not_shorten_what_was_forgotten(pair, world, stranger):
    world.accept_many(400)
    before = RealClock().ms
    with pair.unseen():
        claim_one(world)
        poll(lambda: RealClock().ms > before + 4000, 10)
        claim_one(world)
    other = ThisWorld(stranger)
    other.tick()
    first_tick = RealClock().ms
    poll(lambda: RealClock().ms > first_tick + 3500, 10)
    other.tick()

    assert world.claim(1).behind

    assert world.ledger.run(recovery.state()).behind.since <= before


def test_a_forgotten_outcome_does_not_undo_a_newer_doubt(pair, world):
    message_id = world.accept()
    with pair.unseen():
        forgotten = claim_one(world)
    assert world.claim(1).behind
    recover(world.ledger)
    world.ledger.run(doubts.decide(Limits(), "resend", [message_id], "a person said so"))
    world.tick()
    newer = claim_one(world)
    assert world.settle(newer, Status.UNCERTAIN, code="perhaps_accepted") == "settled"

    assert world.settle(forgotten, Status.RETRYING, delay=0) == "dead"
    assert world.get(message_id).status is Status.UNCERTAIN


def test_readers_of_events_are_told_that_some_are_lost_from_the_first_new_one(pair, world, stranger):
    world.accept_many(5)
    with pair.unseen():
        world.accept_many(5)
        cursor = world.ledger.run(verbs.newest_event())
    assert world.claim(1).behind
    ThisWorld(stranger).accept_many(20)

    [first, *_] = world.ledger.run(verbs.events_after(cursor, block_ms=None))

    assert first.seq > cursor + 1


def test_the_end_must_not_be_before_the_beginning(pair, world):
    world.accept()
    now = RealClock().ms
    assert world.ledger.run(recovery.recover(Limits(), 0, since=now, until=now - 1, reason=REASON)) is None
    assert world.ledger.run(recovery.state()).behind is None
