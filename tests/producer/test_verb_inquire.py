"""inquire: which messages their providers are asked about, when, and how often."""

import itertools
import threading
from collections import Counter
from contextlib import closing

import pytest

from ledger_world import World, account_limits
from sendline import ErrorCode, Status
from sendline.ledger import doubts, recovery, work
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


# What is sent, and its receipt late

NORMALLY = 600
DEADLINE = 72 * 3600


@pytest.fixture
def late(world):
    """A world with accounts that are asked about what is sent, and one that reports nothing at all."""
    main, spare = (account_limits(name, asks=True, receipt_time=NORMALLY) for name in ("main", "spare"))
    world.configure(main, spare, account_limits("mute", asks=True))
    return world


def send(world, number=1, route="main", *, deadline=DEADLINE, named=True):
    """Let messages be sent now; return their ids."""
    made = world.accept_many(number, route)
    for taken in range(0, number, 100):
        world.clock.advance(0.2 if taken else 0)
        for claim in world.claim(100).claims:
            provider_id = f"p{claim.token}" if named else None
            world.settle(claim, "sent", deadline=deadline, provider_id=provider_id)
    assert {world.get(message_id).status for message_id in made} == {Status.SENT}
    return made


def test_what_is_sent_is_late_after_its_accounts_receipt_time(late):
    [message_id] = send(late)
    assert late.timers() == {message_id: late.clock.ms + NORMALLY * 1000}
    late.clock.advance(NORMALLY - 0.001)
    late.tick()
    assert (late.inquire("main"), late.unreported()) == ([], {})
    late.clock.advance(0.001)
    assert late.tick().looked_at == 1
    assert (late.timers(), late.unreported()) == ({}, {message_id: late.clock.ms})
    assert late.uncertain() == {}
    [found] = late.ledger.run(doubts.inquire(late.limits, ["main"]))
    assert (found.message_id, found.record.state) == (message_id, Status.SENT)
    assert len(late.get(message_id).timeline) == 3


def test_it_is_asked_about_ever_more_rarely_until_its_deadline(late):
    [message_id] = send(late, deadline=DEADLINE)
    start, instants = late.clock.ms, []
    late.clock.advance(NORMALLY)
    late.tick()
    while message_id in late.unreported():
        late.clock.advance(max((late.unreported()[message_id] - late.clock.ms) / 1000, 0))
        assert late.inquire("main") == [message_id]
        assert late.inquire("main") == []
        instants.append((late.clock.ms - start) // 1000)
    assert instants[:5] == [600, 1200, 2400, 4800, 8400]
    assert {later - at for at, later in itertools.pairwise(instants[3:])} == {3600}
    assert DEADLINE - 3600 <= instants[-1] < DEADLINE
    assert late.timers() == {}


def test_past_its_deadline_what_is_sent_is_not_asked_about(late):
    send(late, deadline=NORMALLY + 10)
    late.clock.advance(NORMALLY)
    late.tick()
    late.clock.advance(10)
    assert (late.inquire("main"), late.unreported()) == ([], {})


def test_looked_at_past_its_deadline_it_is_not_asked_about_at_all(late):
    send(late, deadline=NORMALLY + 10)
    late.clock.advance(NORMALLY + 10)
    late.tick()
    assert (late.timers(), late.unreported()) == ({}, {})


def test_what_nobody_asks_about_any_more_is_forgotten(late):
    [message_id] = send(late)
    late.clock.advance(NORMALLY)
    late.tick()
    late.clock.advance(DEADLINE - 0.001)
    late.tick()
    assert set(late.unreported()) == {message_id}
    late.clock.advance(0.001)
    late.tick()
    assert late.unreported() == {}


@pytest.mark.parametrize("deadline", [0, NORMALLY])
def test_what_is_final_before_its_receipt_is_late_has_no_timer(late, deadline):
    send(late, deadline=deadline)
    assert late.timers() == {}


def test_where_its_account_is_not_asked_what_is_sent_has_no_timer(late):
    send(late, route="mute")
    assert late.timers() == {}


def test_without_a_providers_id_there_is_nothing_to_ask_by(late):
    send(late, named=False)
    late.clock.advance(NORMALLY)
    late.tick()
    assert (late.timers(), late.unreported()) == ({}, {})


def test_an_id_that_comes_in_time_is_asked_by(late):
    [message_id] = send(late, named=False)
    assert late.receive("sent", message_id=message_id, provider_id="p") == "unchanged"
    late.clock.advance(NORMALLY)
    late.tick()
    assert late.inquire("main") == [message_id]


@pytest.mark.parametrize("asked", [False, True], ids=["before", "behind"])
@pytest.mark.parametrize("status", ["delivered", "undelivered"])
def test_a_receipt_before_or_behind_the_question_ends_the_asking(late, status, asked):
    [message_id, other] = send(late, 2)
    if asked:
        late.clock.advance(NORMALLY)
        late.tick()
    assert late.receive(status, message_id=message_id) == "applied"
    assert {*late.timers(), *late.unreported()} == {other}


def test_that_it_is_still_sent_changes_nothing(late):
    [message_id] = send(late)
    late.clock.advance(NORMALLY)
    late.tick()
    late.inquire("main")
    before = late.raw.get(b"sl:m" + message_id), late.unreported()
    assert late.receive("sent", message_id=message_id) == "unchanged"
    assert (late.raw.get(b"sl:m" + message_id), late.unreported()) == before


def test_what_a_look_up_proves_sent_is_asked_about_in_its_turn(late):
    [message_id] = doubt(late)
    late.clock.advance(FIRST)
    assert late.inquire("main") == [message_id]
    assert late.receive("sent", message_id=message_id, provider_id="p") == "applied"
    assert (late.timers(), late.uncertain()) == ({message_id: late.clock.ms + NORMALLY * 1000}, {})
    late.clock.advance(NORMALLY)
    late.tick()
    assert late.inquire("main") == [message_id]


def test_what_is_uncertain_is_asked_about_before_what_is_late(late):
    sent = send(late, 300)
    late.clock.advance(NORMALLY)
    late.tick()
    unsure = doubt(late, 3)
    late.clock.advance(FIRST)
    found = []
    for _ in range(6):
        found += late.inquire("main")
        late.clock.advance(0.1)
    assert set(found[:3]) == set(unsure)
    assert set(found[3:]) < set(sent)


def test_what_is_uncertain_comes_first_although_others_look_before_the_next_token(late):
    late.configure(account_limits("main", rate=1, asks=True, receipt_time=NORMALLY))
    send(late, 50)
    late.clock.advance(NORMALLY)
    late.tick()
    unsure = doubt(late, 2)
    late.clock.advance(FIRST)
    found = []
    while len(found) < 3:
        for _worker in range(5):
            found += late.inquire("main")
        late.clock.advance(0.25)
    assert set(found[:2]) == set(unsure)


def test_of_many_that_are_late_each_is_asked_about(late):
    sent = send(late, 200) + send(late, 3, "spare")
    late.clock.advance(NORMALLY)
    late.tick()
    times = Counter()
    for _ in range(250):
        times.update(late.inquire("main", "spare"))
        late.clock.advance(0.01)
    assert times == Counter(sent)


def test_a_recovery_passes_over_what_is_sent(late):
    messages = send(late, 5)
    late.clock.advance(NORMALLY - 1)
    outcome = late.ledger.run(
        recovery.recover(late.limits, 0, since=late.clock.ms - 5000, reason="came back")
    )
    assert (outcome.done, outcome.held) == (True, 0)
    assert set(late.timers()) == set(messages)
    late.clock.advance(1)
    late.tick()
    assert set(late.unreported()) == set(messages)


def test_listing_what_is_uncertain_shows_nothing_that_is_only_late(late):
    send(late, 3)
    late.clock.advance(NORMALLY)
    late.tick()
    [message_id] = doubt(late)
    assert late.ledger.run(doubts.uncertain(0)) == (0, [message_id])


@pytest.mark.parametrize("leave", ["proof", "lost"])
def test_a_leftover_of_what_is_not_sent_any_more_is_dropped(late, leave):
    [message_id] = send(late)
    if leave == "proof":
        late.receive("delivered", message_id=message_id)
    else:
        late.raw.delete(b"sl:m" + message_id)
    late.raw.zadd(KEYS["unreported"], {message_id: late.clock.ms})
    assert (late.inquire("main"), late.unreported()) == ([], {})


def test_as_long_as_receipts_come_in_time_it_costs_no_command(late):
    def cost(route):
        made = late.accept_many(50, route)
        claims = late.claim(100).claims
        before = commands(late.raw)
        late.settle_many(
            [
                work.Settlement(*(c.message_id, c.token, c.account, Status.SENT), deadline=DEADLINE)
                for c in claims
            ]
        )
        reports = [work.Reported(route, Status.DELIVERED, message_id=message_id) for message_id in made]
        assert set(late.ledger.run(work.receive(late.limits, reports))) == {"applied"}
        return commands(late.raw) - before

    assert cost("main") == cost("mute")


def commands(raw):
    """How many commands the server has run."""
    return sum(each["calls"] for each in raw.info("commandstats").values())
