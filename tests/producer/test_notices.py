"""Notices: every event of a message with an endpoint is kept for it, in order, until it was told."""

import pytest

from sendline.contract import ids
from sendline.ledger import notices
from sendline.ledger.notices import Outcome

URL = "https://app.example/hook?key=1"
KEPT_FOR = 3600


@pytest.fixture
def hooks(world):
    world.configure("main")
    return Hooks(world)


class Hooks:
    """The verbs about endpoints, on the world's clock."""

    def __init__(self, world):
        self.world = world

    def send(self, url=URL, **others):
        return self.world.accept(callback_url=url, **others)

    def take(self, most=10, most_each=5, lease=60):
        call = notices.take_notices(self.world.limits, most=most, lease=lease, most_each=most_each)
        return self.world.ledger.run(call)

    def told(self, *outcomes, kept_for=KEPT_FOR):
        return self.world.ledger.run(notices.told(self.world.limits, outcomes, kept_for=kept_for))

    def take_all(self, parcel):
        return self.told(Outcome(parcel, len(parcel.notices), "taken"))

    def prove(self, url=URL):
        """Let the endpoint take one."""
        self.send(url)
        [parcel] = self.take().parcels
        assert self.take_all(parcel) == ["told"]

    def fail(self, parcel, delay=0, reason="answered 500", **others):
        return self.told(Outcome(parcel, 0, "failed", delay * 1000, reason), **others)

    def endpoints(self):
        run = self.world.ledger.run
        return run(notices.endpoints(self.world.limits, run(notices.marks())))

    @property
    def endpoint(self):
        [found] = self.endpoints()
        return found


def told_of(parcel):
    return [notice.event.status for notice in parcel.notices]


def test_each_event_of_a_message_is_kept_in_order(hooks, world):
    message_id = hooks.send()
    world.settle(world.claim_one(), "sent")
    [parcel] = hooks.take().parcels
    assert (parcel.url, parcel.about, parcel.tries) == (URL.partition("?")[0], message_id, 0)
    assert parcel.message.callback_url == URL
    assert told_of(parcel) == ["created", "sending", "sent"]
    assert [notice.event for notice in parcel.notices] == world.events()
    assert parcel.message.id == ids.to_text(message_id)
    assert hooks.take_all(parcel) == ["told"]
    assert hooks.take().parcels == ()
    assert (hooks.endpoint.told, hooks.endpoint.waiting) == (3, 0)


def test_a_message_without_an_endpoint_has_no_notices(hooks, world, raw):
    world.accept()
    assert hooks.take().parcels == ()
    assert raw.keys("sl:o*") == []


def test_notices_do_not_depend_on_the_stream_of_events(hooks, raw):
    hooks.send()
    raw.delete("sl:e")
    [parcel] = hooks.take().parcels
    assert told_of(parcel) == ["created"]


def test_a_new_notice_waits_behind_the_one_that_is_under_way(hooks, world):
    hooks.send()
    [first] = hooks.take().parcels
    world.claim_one()
    assert hooks.take().parcels == (), "one parcel of a message at a time"
    assert hooks.take_all(first) == ["waits"]
    [second] = hooks.take().parcels
    assert told_of(second) == ["sending"]


def test_what_failed_is_told_again_behind_its_delay_and_in_order(hooks, world):
    hooks.send()
    world.claim_one()
    [parcel] = hooks.take().parcels
    assert hooks.fail(parcel, delay=30) == ["waits"]
    assert hooks.take().parcels == ()
    assert hooks.take().next_ms == world.clock.ms + 30_000
    world.clock.advance(30)
    [again] = hooks.take().parcels
    assert (again.notices, again.tries) == (parcel.notices, 1)


def test_what_was_taken_before_a_failure_is_not_told_again(hooks, world):
    hooks.send()
    world.settle(world.claim_one(), "sent")
    [parcel] = hooks.take().parcels
    hooks.told(Outcome(parcel, 1, "failed", 0, "answered 500"))
    [again] = hooks.take().parcels
    assert told_of(again) == ["sending", "sent"]
    assert again.tries == 1


def test_an_outcome_that_is_written_twice_changes_nothing_more(hooks, world):
    hooks.send()
    [parcel] = hooks.take().parcels
    hooks.take_all(parcel)
    world.claim_one()
    hooks.take_all(parcel)
    [next_one] = hooks.take().parcels
    assert told_of(next_one) == ["sending"]


def test_what_a_dead_worker_carried_is_told_by_another(hooks, world):
    hooks.send()
    [parcel] = hooks.take(lease=60).parcels
    world.clock.advance(59)
    assert hooks.take().parcels == ()
    world.clock.advance(2)
    [again] = hooks.take().parcels
    assert again.notices == parcel.notices


def test_an_endpoint_that_took_nothing_yet_is_tried_with_few(hooks):
    for _ in range(10):
        hooks.send()
    [first, second] = hooks.take(most_each=5).parcels
    hooks.take_all(first)
    assert len(hooks.take(most_each=5).parcels) == 4
    hooks.fail(second, delay=60)
    assert hooks.take(most_each=5).parcels == (), "it failed: two at a time, and four are under way"


def test_calls_that_were_under_way_together_fail_once(hooks, world):
    hooks.prove()
    for _ in range(8):
        hooks.send()
    parcels = hooks.take(most_each=8).parcels
    assert len(parcels) == 8
    world.clock.advance(1)
    assert {hooks.fail(each)[0] for each in parcels} == {"waits"}
    assert hooks.endpoint.failures == 1


def test_an_endpoint_that_fails_is_tried_with_one_message_at_a_time(hooks, world):
    hooks.prove()
    for _ in range(10):
        hooks.send()
    for state in ["waits"] * 4 + ["rests"]:
        world.clock.advance(1)
        [first] = hooks.take(most=1).parcels
        assert hooks.fail(first) == [state]
    assert hooks.take().parcels == (), "it rests"
    world.clock.advance(5)
    [probe] = hooks.take().parcels
    assert hooks.fail(probe) == ["rests"]
    world.clock.advance(9)
    assert hooks.take().parcels == (), "twice as long"
    world.clock.advance(1)
    [probe] = hooks.take().parcels
    hooks.take_all(probe)
    assert len(hooks.take(most_each=5).parcels) == 5
    assert hooks.endpoint.failures == 0


def test_a_slow_endpoint_leaves_room_for_the_others(hooks):
    hooks.prove("https://slow.example/")
    for _ in range(20):
        hooks.send("https://slow.example/")
    hooks.send("https://quick.example/")
    taken = hooks.take(most=10, most_each=5).parcels
    assert sorted(each.url for each in taken) == ["https://quick.example/"] + ["https://slow.example/"] * 5


def test_a_slow_host_with_many_endpoints_leaves_room_for_the_others(hooks, world):
    for number in range(50):
        hooks.send(f"https://slow.example/orders/{number}")
    hooks.send("https://quick.example/")
    call = notices.take_notices(
        world.limits, most=40, lease=60, most_each=5, host_most=8, under_way={"slow.example": 5}
    )
    taken = [each.url for each in world.ledger.run(call).parcels]
    assert len(taken) == 4
    assert "https://quick.example/" in taken


def test_what_is_claimed_by_another_by_now_is_not_given_away(hooks, world):
    hooks.send()
    [late] = hooks.take(lease=60).parcels
    world.clock.advance(61)
    [again] = hooks.take(lease=60).parcels
    world.clock.advance(1)
    assert hooks.fail(late) == ["waits"]
    assert hooks.take().parcels == (), "the second claim holds"
    assert hooks.endpoint.failures == 0, "an outcome that comes too late says nothing"
    assert hooks.fail(again) == ["waits"]
    assert hooks.fail(again) == ["waits"], "the same call again"
    assert hooks.endpoint.failures == 1


def test_what_was_replayed_meanwhile_is_told_still(hooks, world):
    hooks.send()
    [first] = hooks.take().parcels
    hooks.fail(first, kept_for=0)
    world.ledger.run(notices.readmit(world.limits, first.mark))
    world.claim_one()
    [second] = hooks.take().parcels
    assert told_of(second) == ["sending"]
    assert world.ledger.run(notices.replay(world.limits, first.mark)) == 1
    assert hooks.take().parcels == (), "one parcel of a message at a time"
    assert hooks.take_all(second) == ["waits"]
    [third] = hooks.take().parcels
    assert told_of(third) == ["created"]


def test_a_record_that_cant_be_read_holds_up_nothing(hooks, raw):
    damaged = hooks.send()
    hooks.send()
    raw.set(b"sl:m" + damaged, b"\xc1")
    by_about = {each.about: each for each in hooks.take().parcels}
    assert len(by_about) == 2
    assert by_about[damaged].message is None
    assert told_of(by_about[damaged]) == ["created"]


def test_notices_that_cant_be_read_hold_up_no_others(hooks, raw):
    damaged = hooks.send()
    hooks.send()
    parcels = hooks.take().parcels
    raw.hset(b"sl:op:" + parcels[0].mark.encode(), damaged, b"\xc1")
    told = hooks.told(*[Outcome(each, len(each.notices), "taken") for each in parcels])
    assert told.count("told") >= 1


def test_what_waited_long_before_it_was_first_tried_is_not_lost_at_once(hooks, world):
    hooks.send()
    world.clock.advance(2 * KEPT_FOR)
    [parcel] = hooks.take().parcels
    assert hooks.fail(parcel) == ["waits"]
    assert hooks.endpoint.lost == 0


def test_what_waited_at_a_stopped_endpoint_gets_its_whole_time_again(hooks, world):
    hooks.send()
    [parcel] = hooks.take().parcels
    hooks.told(Outcome(parcel, 0, "gone", 0, "answered 410"))
    world.clock.advance(2 * KEPT_FOR)
    world.ledger.run(notices.readmit(world.limits, parcel.mark))
    [again] = hooks.take().parcels
    assert hooks.fail(again) == ["waits"]
    assert hooks.endpoint.lost == 0


def test_a_clock_that_steps_back_delays_nothing(hooks, world):
    world.tick()
    hooks.send()
    [parcel] = hooks.take().parcels
    hooks.fail(parcel, delay=5)
    world.clock.advance(-4 * 3600)
    world.tick()
    hooks.take()
    assert len(hooks.take().parcels) + hooks.endpoint.under_way >= 1


def test_what_one_endpoint_is_told_of_one_sender_is_bounded(hooks, world, raw):
    for _ in range(3):
        hooks.send()
    [parcel, *_] = hooks.take().parcels
    key = b"sl:op:" + parcel.mark.encode()
    raw.hset(key, parcel.about, raw.hget(key, parcel.about) * 2000)
    for _ in range(3):
        claim = world.claim_one()
        if claim.message_id == parcel.about:
            break
    assert hooks.endpoint.lost == 1


def test_urls_that_differ_in_their_query_are_one_endpoint(hooks):
    hooks.send("https://app.example/hook?message=1")
    hooks.send("https://app.example/hook?message=2")
    hooks.send("https://app.example/other")
    assert sorted(each.waiting for each in hooks.endpoints()) == [1, 2]
    urls = {each.message.callback_url for each in hooks.take().parcels}
    assert "https://app.example/hook?message=2" in urls


def test_a_notice_that_was_tried_for_long_is_lost_and_can_be_replayed(hooks, world):
    hooks.send()
    [parcel] = hooks.take().parcels
    hooks.fail(parcel)
    world.clock.advance(KEPT_FOR)
    [again] = hooks.take().parcels
    assert hooks.fail(again) == ["stopped"], "nothing was told it for so long"
    endpoint = hooks.endpoint
    assert (endpoint.waiting, endpoint.lost, endpoint.reason) == (0, 1, "answered 500")
    assert endpoint.stopped_at is not None
    assert hooks.take().parcels == ()

    run = world.ledger.run
    assert run(notices.replay(world.limits, endpoint.mark, name="a")) == 1
    assert run(notices.replay(world.limits, endpoint.mark, name="a")) == 1, "the same call again"
    assert hooks.take().parcels == (), "it is stopped still"
    assert run(notices.readmit(world.limits, endpoint.mark)) == 1
    [replayed] = hooks.take().parcels
    assert [each.event for each in replayed.notices] == [each.event for each in parcel.notices]
    assert hooks.fail(replayed) == ["waits"], "its time began anew"


def test_replayed_notices_come_before_newer_ones_of_their_message(hooks, world):
    hooks.send()
    [parcel] = hooks.take().parcels
    hooks.fail(parcel, kept_for=0)
    mark = parcel.mark
    world.ledger.run(notices.readmit(world.limits, mark))
    world.claim_one()
    world.ledger.run(notices.replay(world.limits, mark))
    [both] = hooks.take().parcels
    assert told_of(both) == ["created", "sending"]


def test_an_endpoint_that_is_gone_is_stopped_at_once_and_keeps_what_waits(hooks, world):
    hooks.send()
    [parcel] = hooks.take().parcels
    assert hooks.told(Outcome(parcel, 0, "gone", 0, "answered 410")) == ["stopped"]
    hooks.send()
    world.clock.advance(100_000)
    assert hooks.take().parcels == ()
    assert hooks.endpoint.waiting == 2


def test_dropping_forgets_the_endpoint_and_what_it_was_not_told(hooks, world, raw):
    hooks.send()
    hooks.send()
    [endpoint] = hooks.endpoints()
    assert world.ledger.run(notices.drop(world.limits, endpoint.mark)) == 2
    assert [key for key in raw.keys("sl:o*") if key != b"sl:ob"] == []
    assert world.ledger.run(notices.drop(world.limits, endpoint.mark)) == -1
    assert world.ledger.run(notices.readmit(world.limits, endpoint.mark)) == -1
    assert world.ledger.run(notices.replay(world.limits, endpoint.mark)) == -1


def test_an_outcome_about_an_endpoint_that_was_dropped_is_unknown(hooks, world):
    hooks.send()
    [parcel] = hooks.take().parcels
    world.ledger.run(notices.drop(world.limits, parcel.mark))
    assert hooks.take_all(parcel) == ["unknown"]


def test_the_bell_rings_when_something_is_to_be_told(hooks, world):
    assert world.ledger.run(notices.bell(0.01)) is False
    hooks.send()
    assert world.ledger.run(notices.bell(1)) is True


def test_an_account_may_name_the_endpoint_of_its_messages(world):
    world.configure("main", callback_url="https://app.example/account")
    hooks = Hooks(world)
    world.accept()
    assert hooks.take().parcels == (), "no account carries it yet"
    world.claim_one()
    hooks.send("https://app.example/own")
    by_url = {each.url: told_of(each) for each in hooks.take().parcels}
    assert by_url == {"https://app.example/account": ["sending"], "https://app.example/own": ["created"]}
