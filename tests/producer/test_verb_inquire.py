"""inquire: which uncertain messages their providers are asked about, when, and how often."""

import threading
from collections import Counter
from contextlib import closing

import pytest

from ledger_world import World, account_limits
from sendline import ErrorCode, Status
from sendline.ledger import doubts, work
from sendline.ledger.connection import Ledger
from sendline.ledger.keys import KEYS
from sendline.ledger.limits import Limits

FIRST = 30
LONGEST = 3600


@pytest.fixture
def asked(world):
    """A world whose accounts can all be asked."""
    world.configure(*(account_limits(name, asks=True) for name in ("main", "spare")))
    return world


def doubt(world, number=1, route="main", **fields):
    """Make messages uncertain now; return their ids."""
    made = world.accept_many(number, route, **fields)
    for taken in range(0, number, 100):
        world.clock.advance(0.1 if taken else 0)
        for claim in world.claim(100).claims:
            world.settle(claim, "uncertain", code=ErrorCode.PERHAPS_ACCEPTED)
    assert {world.get(message_id).status for message_id in made} == {Status.UNCERTAIN}
    return made


def test_it_is_first_asked_about_after_half_a_minute(asked):
    [message_id] = doubt(asked)
    assert asked.uncertain() == {message_id: asked.clock.ms + FIRST * 1000}
    asked.clock.advance(FIRST - 0.001)
    assert asked.inquire("main") == []
    asked.clock.advance(0.001)
    assert asked.inquire("main") == [message_id]


def test_it_is_asked_about_ever_more_rarely_but_every_hour(asked):
    [message_id] = doubt(asked)
    start, instants = asked.clock.ms, []
    while len(instants) < 11:
        asked.clock.advance((asked.uncertain()[message_id] - asked.clock.ms) / 1000)
        assert asked.inquire("main") == [message_id]
        assert asked.inquire("main") == []
        instants.append((asked.clock.ms - start) / 1000)
    assert instants == [30, 60, 120, 240, 480, 960, 1920, 3840, 7440, 11040, 14640]


def test_asking_late_does_not_make_it_be_asked_about_at_once_again(asked):
    [message_id] = doubt(asked)
    asked.clock.advance(2 * LONGEST)
    assert asked.inquire("main") == [message_id]
    assert asked.uncertain() == {message_id: asked.clock.ms + LONGEST * 1000}


def test_the_record_comes_with_it(asked):
    [message_id] = doubt(asked)
    asked.clock.advance(FIRST)
    [found] = asked.ledger.run(doubts.inquire(asked.limits, ["main"]))
    assert (found.message_id, found.record.state, found.record.text) == (
        *(message_id, Status.UNCERTAIN),
        b"Hello",
    )
    message = asked.get(message_id)
    assert message.status is Status.UNCERTAIN
    assert len(message.timeline) == 3, "asking leaves no trace in the message"


def test_one_call_asks_an_account_about_one_message(asked):
    mine, spares = doubt(asked, 5), doubt(asked, 5, "spare")
    asked.clock.advance(FIRST)
    first = asked.inquire("main", "spare")
    assert len(first) == 2
    assert len({*first} & {*mine}) == len({*first} & {*spares}) == 1


def test_the_rest_is_asked_about_a_second_later(asked):
    mine = doubt(asked, 5)
    asked.clock.advance(FIRST)
    found = []
    for _ in mine:
        found += asked.inquire("main")
        asked.clock.advance(1)
    assert sorted(found) == sorted(mine)


def test_of_many_each_is_asked_about_and_none_much_more_often_than_another(asked):
    mine = doubt(asked, 250)
    asked.clock.advance(FIRST)
    times = Counter()
    for _ in range(1000):
        times.update(asked.inquire("main"))
        asked.clock.advance(1)
    assert set(times) == set(mine)
    assert max(times.values()) - min(times.values()) <= 2


def test_many_of_one_account_do_not_keep_another_account_waiting(asked):
    doubt(asked, 250)
    [last] = doubt(asked, 1, "spare")
    asked.clock.advance(FIRST)
    for _second in range(10):
        if last in asked.inquire("main", "spare"):
            return
        asked.clock.advance(1)
    pytest.fail("it was not asked about within 10 s")


def test_many_that_this_caller_can_not_ask_do_not_keep_others_waiting(asked):
    doubt(asked, 250, "spare")
    [mine] = doubt(asked)
    asked.clock.advance(FIRST)
    for _second in range(100):
        if asked.inquire("main") == [mine]:
            return
        asked.clock.advance(1)
    pytest.fail("it was not asked about within 100 s")


def test_what_this_caller_can_not_ask_is_left_to_others(asked):
    [message_id] = doubt(asked, 1, "spare")
    asked.clock.advance(FIRST)
    assert asked.inquire("main") == []
    assert asked.inquire() == []
    assert asked.inquire("spare") in ([message_id], []), "it may have been put off"
    asked.clock.advance(FIRST)
    assert message_id in asked.uncertain()


def test_a_worker_without_the_account_does_not_keep_one_that_has_it_from_asking(asked):
    [message_id] = doubt(asked, 1, "spare")
    asked.clock.advance(FIRST)
    for _ in range(300):
        asked.inquire("main")
        if asked.inquire("spare") == [message_id]:
            return
        asked.clock.advance(1)
    pytest.fail("it was never asked about")


# Rate, pause, stop


def test_asking_takes_a_token_of_the_rate(asked):
    asked.configure(account_limits("main", rate=1, burst=2, asks=True))
    doubt(asked)
    asked.clock.advance(FIRST)
    assert len(asked.inquire("main")) == 1
    asked.accept_many(3)
    assert len(asked.claim().claims) == 1, "one of the two tokens went to the asking"


def test_a_token_that_was_taken_ahead_is_owed(asked):
    doubt(asked)
    asked.configure(account_limits("main", rate=1, burst=2, asks=True))
    asked.clock.advance(FIRST)
    asked.accept_many(5)
    assert len(asked.claim().claims) == 2
    assert len(asked.inquire("main")) == 1
    asked.accept(lane="urgent")  # its line is looked at now
    taken = []
    for _ in range(4):
        taken.append(len(asked.claim().claims))
        asked.clock.advance(1)
    assert taken == [0, 0, 1, 1]


@pytest.mark.parametrize(("effect", "again"), [("pause", 60), ("stop", None)], ids=["paused", "stopped"])
def test_a_paused_or_stopped_account_is_not_asked(asked, effect, again):
    [message_id] = doubt(asked)
    asked.accept()
    asked.settle(asked.claim_one(), "retrying", delay=600, effect=effect, pause=60, reason="429")
    asked.clock.advance(FIRST)
    tat = asked.account().get("tat")
    assert asked.inquire("main") == []
    assert asked.account().get("tat") == tat, "no token is taken"
    assert asked.uncertain()[message_id] > asked.clock.ms, "looked at again a little later"
    asked.clock.advance(2 * 60)
    assert asked.inquire("main") == ([message_id] if again else [])


def test_a_stopped_account_is_asked_once_it_works_again(asked):
    [message_id] = doubt(asked)
    asked.accept()
    asked.settle(asked.claim_one(), "retrying", delay=0, effect="stop", pause=60)
    asked.clock.advance(120)
    assert asked.inquire("main") == []
    asked.tick()
    asked.settle(asked.claim_one(), "sent", effect="open")
    asked.clock.advance(60)
    assert asked.inquire("main") == [message_id]


def test_an_account_that_is_no_longer_configured_is_not_asked(asked):
    [message_id] = doubt(asked)
    asked.configure(account_limits("spare", asks=True))
    asked.clock.advance(FIRST)
    assert asked.inquire("main", "spare") == []
    assert message_id in asked.uncertain()


def test_an_account_that_can_not_be_asked_is_never_due_but_can_be_decided(world):
    world.configure("main")
    [message_id] = doubt(world)
    assert world.uncertain() == {message_id: None}
    world.clock.advance(3600)
    assert world.inquire("main") == []
    assert world.decide("fail", message_id) == ["decided"]
    assert world.uncertain() == {}


def test_asking_takes_a_tenth_of_the_rate_at_most_and_never_goes_beyond_it(asked):
    doubt(asked, 100)
    asked.configure(account_limits("main", rate=4, burst=2, asks=True))
    asked.accept_many(200, lane="bulk")
    asked.clock.advance(FIRST)
    asks, sends = [], []
    for _step in range(240):
        for _worker in range(3):
            asks += [asked.clock.us] * len(asked.inquire("main"))
        claims = asked.claim().claims
        sends += [asked.clock.us] * len(claims)
        asked.settle_many(
            [work.Settlement(c.message_id, c.token, c.account, Status.SENT, deadline=60) for c in claims]
        )
        asked.clock.advance(0.125)
    seconds, rate, burst = 30, 4, 2
    assert 0.08 <= len(asks) / (seconds * rate) <= 0.12
    assert len(asks) + len(sends) >= 0.98 * seconds * rate
    called = sorted(asks + sends)
    for first, at in enumerate(called):
        for last in range(first, len(called)):
            assert last - first + 1 <= burst + 1 + (called[last] - at) / 1_000_000 * rate


# What is no longer uncertain


@pytest.mark.parametrize("leave", ["proof", "decision", "lost"])
def test_what_is_no_longer_uncertain_is_not_asked_about(asked, leave):
    [message_id] = doubt(asked)
    if leave == "proof":
        asked.receive("delivered", message_id=message_id)
    elif leave == "decision":
        asked.decide("resend", message_id)
    else:
        asked.raw.delete(b"sl:m" + message_id)
    asked.raw.zadd(KEYS["uncertain"], {message_id: asked.clock.ms})  # a leftover
    asked.clock.advance(FIRST)
    assert asked.inquire("main") == []
    assert asked.uncertain() == {}


def test_past_its_deadline_nobody_is_asked(asked):
    asked.limits = Limits(deadline=600)
    doubt(asked)
    asked.clock.advance(600)
    asked.tick()
    assert asked.uncertain() == {}
    assert asked.inquire("main") == []


def test_two_callers_at_once_never_get_the_same_message(asked, redis_url):
    mine = doubt(asked, 200)
    asked.clock.advance(FIRST)
    asked.raw.zadd(KEYS["uncertain"], dict.fromkeys(mine, asked.clock.ms - 1))
    found, lock = [], threading.Lock()

    def ask():
        with closing(Ledger(redis_url)) as ledger:
            world = World(ledger, asked.raw, asked.clock, asked.limits)
            for _ in range(40):
                some = world.inquire("main")
                with lock:
                    found.extend(some)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found
    assert len(found) == len(set(found))
