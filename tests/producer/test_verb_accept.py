"""accept: all or nothing, once however often it arrives, and the wake in the same call."""

from sendline import ErrorCode
from sendline.contract import ids
from sendline.ledger import verbs, work
from sendline.ledger.keys import KEYS
from sendline.ledger.limits import Limits
from sendline.ledger.record import digest


def test_an_accepted_message_waits_at_the_end_of_its_line(world):
    first, second = world.accept(), world.accept()
    assert world.line() == [first, second]
    assert world.ready() == {"main": world.clock.us}
    assert world.counts() == {"created": 2}
    assert world.history(first) == ["created"]
    assert world.timers()[first] == world.clock.ms + 3_600_000
    assert world.ttl(first) is None


def test_each_lane_and_each_route_has_a_line_of_its_own(world):
    made = {
        (lane, route): world.accept(route, lane=lane) for lane in ("urgent", "bulk") for route in ("a", "a,b")
    }
    assert world.line("a", 0) == [made["urgent", "a"]]
    assert world.line("a,b", 0) == [made["urgent", "a,b"]]
    assert world.line("a", 2) == [made["bulk", "a"]]
    assert world.line("a,b", 2) == [made["bulk", "a,b"]]
    assert set(world.ready(0)) == set(world.ready(2)) == {"a", "a,b"}


def test_the_same_call_again_accepts_nothing_more(world):
    drafts = [world.draft(), world.draft(key="k"), world.draft(delay=60)]
    for _ in range(2):
        assert world.accept_drafts(*drafts) == [verbs.New(world.clock.ms)] * 3
    assert world.counts() == {"created": 3}
    assert world.line() == [drafts[0].id, drafts[1].id]


def test_the_same_call_again_after_it_was_claimed_sends_nothing_twice(world):
    world.configure("main")
    draft = world.draft()
    world.accept_drafts(draft)
    world.settle(world.claim_one(), "sent")
    assert world.accept_drafts(draft) == [verbs.New(world.clock.ms)]
    assert world.counts() == {"sent": 1}
    assert world.line() == []


def test_the_same_key_with_the_same_content_returns_the_first_message(world):
    first = world.accept(key="order-7")
    world.clock.advance(5)
    [verdict] = world.accept_drafts(world.draft(key="order-7", lane="bulk"))
    assert verdict == verbs.Known(first, world.get(first))
    assert world.counts() == {"created": 1}


def test_the_same_key_twice_in_one_call_is_one_message(world):
    one, other = world.draft(key="k"), world.draft(key="k")
    new, known = world.accept_drafts(one, other)
    assert new == verbs.New(world.clock.ms)
    assert (known.message_id, known.message.id) == (one.id, ids.to_text(one.id))
    assert world.counts() == {"created": 1}


def test_the_same_key_with_other_content_is_a_conflict(world):
    first = world.accept(key="k")
    assert world.accept_drafts(world.draft(key="k", text="Other")) == [verbs.Conflict(first)]
    assert world.counts() == {"created": 1}


def test_a_conflict_does_not_touch_the_others_of_its_call(world):
    first = world.accept(key="k")
    verdicts = world.accept_drafts(world.draft(), world.draft(key="k", text="Other"), world.draft(key="l"))
    assert verdicts == [verbs.New(world.clock.ms), verbs.Conflict(first), verbs.New(world.clock.ms)]
    assert world.counts() == {"created": 3}


def test_a_key_whose_message_is_no_longer_kept_still_counts_as_used(world, raw):
    first = world.accept(key="k")
    raw.delete(KEYS["message"].encode() + first)
    assert world.accept_drafts(world.draft(key="k")) == [verbs.Known(first, None)]


def test_a_key_is_remembered_for_as_long_as_the_settings_say(world, raw):
    world.limits = Limits(idempotency_ttl=60)
    world.accept(key="k")
    assert 59_000 < raw.pttl(KEYS["idempotency"].encode() + digest("k")) <= 60_000


def test_a_scheduled_message_is_in_no_line_until_the_tick_of_its_instant(world):
    message_id = world.accept(delay=60, valid_for=100)
    created_at = world.clock.ms
    assert world.line() == []
    assert world.ready() == {}
    assert world.timers() == {message_id: created_at + 60_000}
    message = world.get(message_id)
    assert (message.due_at - message.created_at).total_seconds() == 60
    assert (message.expires_at - message.created_at).total_seconds() == 160
    world.clock.advance(59.999)
    world.tick()
    assert world.line() == []
    world.clock.advance(0.001)
    world.tick()
    assert world.line() == [message_id]
    assert world.timers() == {message_id: created_at + 160_000}
    assert world.get(message_id).due_at is None


def test_a_time_that_is_past_means_now(world):
    message_id = world.accept(delay=-5)
    assert world.line() == [message_id]
    assert world.timers() == {message_id: world.clock.ms + 3_600_000}


def test_where_nobody_is_awake_the_wake_is_pushed_at_most_once_a_second(world, raw):
    world.configure("main")
    raw.delete("wakes")
    for advance, wakes in ((1, 1), (0.5, 1), (0.499, 1), (0.001, 2), (5, 3)):
        world.clock.advance(advance)
        world.accept()
        assert world.wakes() == wakes
    assert raw.lindex("wakes", 0) == b"envelope"
    assert world.bells() == 0


def test_where_somebody_is_awake_the_bell_rings_once(world, raw):
    world.configure("main")
    world.claim(promise=5)
    raw.delete("wakes")
    world.clock.advance(4)
    world.accept()
    world.accept()
    assert (world.wakes(), world.bells()) == (0, 1)


def test_a_dispatcher_that_broke_its_promise_is_not_awake(world, raw):
    world.configure("main")
    world.claim(promise=5)
    raw.delete("wakes")
    world.clock.advance(5.001)
    world.accept()
    assert (world.wakes(), world.bells()) == (1, 0)


def test_the_bell_rouses_who_sleeps_at_it_once(world):
    world.configure("main")
    world.claim()
    world.accept()
    assert [world.ledger.run(work.bell(0.01)) for _ in range(2)] == [True, False]


def test_a_message_that_is_not_due_rouses_nobody(world, raw):
    world.configure("main")
    raw.delete("wakes")
    world.clock.advance(5)
    world.accept(delay=60)
    world.accept("")
    assert (world.wakes(), world.bells()) == (0, 0)


def test_without_a_wake_messages_are_accepted_all_the_same(world):
    message_id = world.accept()
    assert world.line() == [message_id]


def test_where_no_worker_takes_wakes_their_queue_stays_short(world):
    world.configure("main")
    for _ in range(150):
        world.clock.advance(1)
        world.accept()
    assert world.wakes() == 100


def test_a_message_without_a_route_waits_for_one(world):
    message_id = world.accept("")
    assert world.line("") == [message_id]
    assert world.ready() == {}
    assert world.get(message_id).error is not ErrorCode.NO_ROUTE
