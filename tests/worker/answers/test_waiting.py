"""Why a message waits, as people are told: a table of what stands in its way, and what is said first."""

from dataclasses import replace
from datetime import timedelta

import pytest

from ledger_world import SENDER, sender_row
from sendline import Producer
from sendline.contract.campaign import CampaignState, Imported, Progress
from sendline.contract.lane import Lane
from sendline.contract.message import Message, TimelineEntry, instant, stamp
from sendline.contract.status import Status
from sendline.ledger import lines
from sendline.ledger.account_state import AccountState
from sendline.ledger.keys import line_key
from sendline.ledger.lines import Row, read_rows
from sendline.ledger.standing import SEARCHED, Pulse, Standing, read_pulse, read_standing
from sendline_worker.answers.reasons import Limit
from sendline_worker.answers.spelling import spell
from sendline_worker.answers.waiting import explain, look_into

NOW_MS = 1_700_000_000_000
NOW = instant(NOW_MS)
WORKING = Pulse(now=NOW_MS * 1000, configured=True, ticking=True, awake=1, wakes=0)
MAIN = AccountState("main", interval=250_000)
SPARE = AccountState("spare", interval=1000)


def after(seconds):
    return NOW + timedelta(seconds=seconds)


CREATED = Message(
    id="0199a1b2-0000-7000-8000-000000000000",
    status=Status.CREATED,
    to="+13115552367",
    sender=None,
    lane=Lane.NORMAL,
    account=None,
    route=("main",),
    created_at=after(-5),
    expires_at=after(3600),
    due_at=None,
    attempts=0,
    segments=1,
    provider_id=None,
    error=None,
    text="Hello",
    on_uncertain=None,
    cancel_requested=False,
    callback_url=None,
    metadata={},
    timeline=(TimelineEntry(after(-5), Status.CREATED),),
)


def moved(status, seconds=-1.0, code=None, reason="", **fields):
    entry = TimelineEntry(after(seconds), status, code, reason)
    changed = {"account": "main", "attempts": 1, "error": code} | fields
    return replace(CREATED, status=status, timeline=(*CREATED.timeline, entry), **changed)


def in_line(*accounts, ahead=0, pulse=WORKING, ready_in=0.0, held_in=None, others=(), length=20):
    accounts = accounts or (MAIN,)
    held = None if held_in is None else pulse.now + round(held_in * 1_000_000)
    route = ",".join(account.name for account in accounts)
    row = Row(Lane.NORMAL, route, "", length, pulse.now + round(ready_in * 1_000_000), held)
    return Standing(pulse, accounts, row, ahead, rows=(row, *others))


def other(length, lane=Lane.NORMAL, name="other", route="main", **fields):
    return Row(lane, route, name, length, **fields)


def timed(pulse=WORKING, timer_in=60.0):
    return Standing(pulse, (MAIN,), timer_at=NOW_MS + round(timer_in * 1000))


RETRYING = moved(Status.RETRYING, code="unavailable", reason="no connection within 5 s", due_at=after(12))
THROTTLED = moved(Status.RETRYING, code="throttled", reason="429", attempts=0)
UNCERTAIN = moved(Status.UNCERTAIN, code="perhaps_accepted", due_at=after(7200))
STOPPED = replace(MAIN, stopped="401: the key is not accepted", paused_until=NOW_MS + 40_000)
PAUSED = replace(MAIN, paused_until=NOW_MS + 1500, cause="429: slow down")
SHARES = (0.05, 0.05)
HALTED = replace(MAIN, halted="an outage of theirs")
BROKEN = replace(MAIN, stopped="no connection", broken=True, paused_until=NOW_MS + 4000)
SPENT = replace(MAIN, cap=1000, used=1000, day=NOW_MS // 86_400_000 * 86_400_000)
NOBODY = replace(WORKING, ticking=False, awake=0)
NEVER = replace(NOBODY, configured=False)

TABLE = [
    (
        "scheduled",
        replace(CREATED, due_at=after(10_800)),
        timed(),
        "not sent before 2023-11-15T01:13:20.000Z, which is in 3 h",
    ),
    ("retrying", RETRYING, timed(), "Attempt 2 of 5 is due in 12 s."),
    ("retrying: why", RETRYING, timed(), "Last time: unavailable: no connection within 5 s."),
    (
        "due just now",
        replace(RETRYING, due_at=after(-0.5)),
        timed(),
        "Its time came 500 ms ago: the next tick",
    ),
    ("due, nobody ticks", replace(RETRYING, due_at=after(-9)), timed(NOBODY), "No worker is running"),
    ("validity over", replace(CREATED, expires_at=after(-1)), in_line(), "Its validity has ended"),
    ("no worker ever", CREATED, in_line(pulse=NEVER), "No worker has run on this ledger yet: start"),
    ("no worker now", CREATED, in_line(pulse=NOBODY), "No worker is running: start `sendline worker`"),
    ("no route", replace(CREATED, route=()), in_line(), "No account was known when it was accepted"),
    ("no route, no worker", replace(CREATED, route=()), in_line(pulse=NEVER), "No worker has run"),
    (
        "unknown account",
        CREATED,
        in_line(AccountState("main")),
        "Account main is not configured on the workers.",
    ),
    (
        "stopped",
        CREATED,
        in_line(STOPPED),
        "Account main is stopped, and tried again in 40 s: 401: the key is not accepted.",
    ),
    (
        "stopped, tried again",
        CREATED,
        in_line(replace(STOPPED, paused_until=0)),
        "It may go, and is claimed next.",
    ),
    ("paused", CREATED, in_line(PAUSED), "Account main is paused for 1.5 s more: 429: slow down."),
    ("paused: its turn", CREATED, in_line(PAUSED, ahead=10), "slow down. Its turn comes in about 4 s."),
    ("throttled before", THROTTLED, in_line(PAUSED), "Last time: throttled: 429."),
    (
        "first stopped, second paused",
        replace(CREATED, route=("main", "spare")),
        in_line(STOPPED, replace(PAUSED, name="spare")),
        "Account spare is paused",
    ),
    (
        "first paused: not the second",
        replace(CREATED, route=("main", "spare")),
        in_line(PAUSED, SPARE),
        "Account main is paused",
    ),
    (
        "all calls under way",
        CREATED,
        in_line(replace(MAIN, in_flight=5, flying=5)),
        "all of its 5 calls under way",
    ),
    (
        "rate",
        CREATED,
        in_line(ahead=12),
        "Account main sends 4 a second: its turn comes in about 3 s.",
    ),
    (
        "rate used up",
        CREATED,
        in_line(replace(MAIN, tat=NOW_MS * 1000 + 500_000)),
        "its turn comes in about 500 ms",
    ),
    (
        "far back",
        CREATED,
        in_line(ahead=None, length=SEARCHED + 1),
        "Account main sends 4 a second: its turn comes within about 6 h 56 min.",
    ),
    (
        "rate lowered",
        CREATED,
        in_line(replace(MAIN, eased=0.5, eased_at=NOW_MS * 1000), ahead=2),
        "Account main, asked to slow down, sends 2 of its 4 a second: its turn comes in about 979 ms.",
    ),
    (
        "a person paused it",
        CREATED,
        in_line(HALTED),
        "Account main is paused by a person: an outage of theirs. `sendline accounts resume main` lets it",
    ),
    (
        "broken",
        CREATED,
        in_line(BROKEN),
        "The circuit breaker of account main is open, because its calls failed",
    ),
    ("broken: until", CREATED, in_line(BROKEN), "One message tries it in 4 s."),
    (
        "broken, tried",
        CREATED,
        in_line(replace(BROKEN, paused_until=0), ahead=3),
        "Account main is tried with one message now; the others follow if it works: no connection.",
    ),
    (
        "day",
        CREATED,
        in_line(SPENT),
        "Account main has sent its 1000 messages of today: it goes on at 2023-11-15T00:00:00.000Z.",
    ),
    ("day: zone", CREATED, in_line(replace(SPENT, zone="Europe/Berlin")), "of today in Europe/Berlin"),
    (
        "sender",
        CREATED,
        in_line(replace(MAIN, s_interval=2_000_000), held_in=1.5),
        "Account main sends 0.5 a second from each sender: its sender goes on in 1.5 s.",
    ),
    (
        "sender's day",
        CREATED,
        in_line(replace(MAIN, s_cap=100), held_in=6400),
        "Its sender has sent its 100 messages of today through account main: it goes on at 2023-11-15T00:00",
    ),
    (
        "others' turns",
        CREATED,
        in_line(replace(MAIN, tat=NOW_MS * 1000 + 250_000), others=[other(50)]),
        "It takes turns with another row of 50 messages.",
    ),
    (
        "its only call under way",
        CREATED,
        in_line(replace(MAIN, in_flight=1, flying=1)),
        "Account main has its only call under way (in_flight).",
    ),
    (
        "segments",
        CREATED,
        in_line(replace(MAIN, unit="segments"), ahead=12),
        "Account main sends 4 segments a second: its turn comes in about",
    ),
    (
        "segments: rate lowered",
        CREATED,
        in_line(replace(MAIN, unit="segments", eased=0.5, eased_at=NOW_MS * 1000), ahead=2),
        "Account main, asked to slow down, sends 2 of its 4 segments a second: its turn",
    ),
    (
        "segments: sender",
        CREATED,
        in_line(replace(MAIN, unit="segments", s_interval=2_000_000), held_in=1.5),
        "Account main sends 0.5 segments a second from each sender: its sender goes on in 1.5 s.",
    ),
    (
        "more urgent ones",
        CREATED,
        in_line(ahead=1, others=[other(30, Lane.URGENT), other(5, Lane.BULK)]),
        "30 messages of more urgent lanes go before it.",
    ),
    (
        "not before it expires",
        replace(CREATED, expires_at=after(1)),
        in_line(ahead=12),
        "It expires at 2023-11-14T22:13:21.000Z. That is before its turn comes.",
    ),
    (
        "first paused by a person: the second",
        replace(CREATED, route=("main", "spare")),
        in_line(HALTED, replace(SPARE, interval=1_000_000), ahead=5),
        "Account spare sends 1 a second: its turn comes in about 5 s.",
    ),
    (
        "far back: where",
        CREATED,
        in_line(ahead=None, length=SEARCHED + 1),
        "far back in the normal line of main, behind 100000 or more: 100001 wait there.",
    ),
    (
        "not found",
        CREATED,
        in_line(ahead=None, length=SEARCHED),
        "It was not found in the normal line of main: a worker may have taken it this moment. If it is still",
    ),
    ("place", CREATED, in_line(ahead=1), "1 message stands before it in the normal line of main."),
    (
        "place of a route",
        replace(CREATED, route=("main", "spare")),
        in_line(ahead=2),
        "2 messages stand before it in the normal line of main or spare.",
    ),
    ("head", CREATED, in_line(), "It stands at the head of the normal line of main."),
    (
        "nobody claims",
        CREATED,
        in_line(pulse=replace(WORKING, awake=0, wakes=3), ready_in=-9),
        "none of its processes claims (3 wakes wait to be taken)",
    ),
    ("woken just now", CREATED, in_line(pulse=replace(WORKING, awake=0), ready_in=-1), "is claimed next"),
    ("expires", CREATED, in_line(), "It expires at 2023-11-14T23:13:20.000Z."),
    (
        "sending",
        moved(Status.SENDING),
        timed(),
        "claimed it 1 s ago and calls the provider through account main.",
    ),
    (
        "sending: lease",
        moved(Status.SENDING),
        timed(),
        "If no outcome comes within 1 min, its fate counts as uncertain.",
    ),
    ("sending: dead", moved(Status.SENDING), timed(timer_in=-4), "Its claim ended 4 s ago: its worker died"),
    ("sending: dead, no worker", moved(Status.SENDING), timed(NOBODY, -4), "No worker is running"),
    ("cancel asked", moved(Status.SENDING, cancel_requested=True), timed(), "Its cancellation was asked for"),
]


@pytest.mark.parametrize(
    ("message", "standing", "said"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_what_stands_in_its_way_is_said(message, standing, said):
    assert said in " ".join(explain(message, standing, 5, SHARES))


@pytest.mark.parametrize("status", [Status.SENT, Status.UNCERTAIN])
def test_news_that_is_awaited_is_said_with_its_end(status):
    far = instant(4_000_000_000_000)
    standing = Standing(replace(WORKING, now=round(far.timestamp() * 1_000_000) - 7200 * 1_000_000))
    [line] = explain(moved(status, due_at=far), standing, 5, SHARES)
    assert "2 h" in line
    news = look_into(moved(status, due_at=far), standing, 5, SHARES)
    assert (news.limit, news.account, news.until) == (Limit.NEWS, "main", far)


@pytest.mark.parametrize(
    "status", sorted(set(Status) - {"created", "sending", "retrying", "sent", "uncertain"})
)
def test_a_final_message_waits_for_nothing(status):
    assert explain(moved(status), in_line(), 5, SHARES) == []


def test_sent_is_final_where_nothing_is_reported():
    assert explain(moved(Status.SENT, due_at=after(-1)), in_line(), 5, SHARES) == []


def test_nobody_is_said_once_and_first():
    said = explain(CREATED, in_line(STOPPED, pulse=NOBODY), 5, SHARES)
    assert said[0].startswith("No worker is running")
    assert sum("No worker" in line for line in said) == 1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 ms"),
        (0.08, "80 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1 s"),
        (1.5, "1.5 s"),
        (9, "9 s"),
        (9.96, "10 s"),
        (12.4, "12 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (7501, "2 h 5 min"),
        (86400, "1 day"),
        (3 * 86400 + 3600, "3 days 1 h"),
    ],
)
def test_lengths_of_time_are_spelled_for_people(seconds, text):
    assert spell(seconds) == text


WAITS_FOR = [
    (in_line(ahead=12), Limit.RATE, "main", None, 3),
    (
        in_line(replace(MAIN, eased=0.5, eased_at=NOW_MS * 1000), ahead=2),
        Limit.THROTTLED,
        "main",
        None,
        0.979,
    ),
    (
        in_line(replace(MAIN, tat=NOW_MS * 1000 + 250_000), others=[other(50)]),
        Limit.TURNS,
        "main",
        None,
        0.5,
    ),
    (in_line(replace(MAIN, in_flight=5, flying=5)), Limit.IN_FLIGHT, "main", None, 0),
    (in_line(PAUSED), Limit.PAUSED, "main", 1.5, 1.5),
    (in_line(STOPPED), Limit.STOPPED, "main", 40, None),
    (in_line(BROKEN), Limit.BREAKER, "main", 4, None),
    (in_line(HALTED), Limit.PAUSED, "main", None, None),
    (in_line(SPENT), Limit.DAILY_CAP, "main", 6400, 6400.25),
    (in_line(AccountState("main")), Limit.NOT_CONFIGURED, "main", None, None),
    (in_line(replace(MAIN, s_interval=2_000_000), held_in=2.5), Limit.SENDER_RATE, "main", 2.5, 2.5),
    (in_line(replace(MAIN, s_cap=100), held_in=6400), Limit.SENDER_DAILY_CAP, "main", 6400, 6400.25),
    (in_line(STOPPED, replace(SPENT, name="spare")), Limit.STOPPED, "main", 40, 6400.25),
    (in_line(pulse=NOBODY), Limit.WORKER, None, None, None),
    (in_line(), Limit.CLAIM, None, None, 0),
]


@pytest.mark.parametrize(
    ("standing", "limit", "account", "until", "about"), WAITS_FOR, ids=[str(row[1]) for row in WAITS_FOR]
)
def test_programs_are_told_the_limit_its_account_and_when(standing, limit, account, until, about):
    found = look_into(replace(CREATED, route=tuple(a.name for a in standing.accounts)), standing, 5, SHARES)
    assert (found.limit, found.account) == (limit, account)
    assert found.until == (None if until is None else after(until))
    assert (found.about is None) == (about is None)
    assert about is None or abs((found.about - after(about)).total_seconds()) < 0.01


@pytest.mark.parametrize(
    ("message", "limit", "until"),
    [
        (replace(CREATED, due_at=after(60)), Limit.SCHEDULE, 60),
        (RETRYING, Limit.RETRY, 12),
        (replace(CREATED, expires_at=after(-1)), Limit.VALIDITY, -1),
        (moved(Status.SENDING), Limit.OUTCOME, None),
    ],
    ids=lambda value: str(value) if isinstance(value, Limit) else "",
)
def test_programs_are_told_of_times_and_outcomes_too(message, limit, until):
    found = look_into(message, timed(), 5, SHARES).to_dict()
    assert found["limit"] == limit.value
    assert found["until"] == (None if until is None else stamp(after(until)))


def of_campaign(state, **fields):
    nothing = Imported(rows=1, accepted=1, complete=True, line=1)
    return Progress("sale", state, nothing, {Status.CREATED: 1}, {}, **fields)


@pytest.mark.parametrize(
    ("campaign", "said", "until"),
    [
        (
            of_campaign(CampaignState.PAUSED),
            "Its campaign sale is paused. `sendline campaign resume sale` lets it go on.",
            None,
        ),
        (
            of_campaign(CampaignState.PAUSED, cause="41 of the last 200 failed"),
            "Its campaign sale is paused: 41 of the last 200 failed. `sendline campaign resume sale` lets",
            None,
        ),
        (
            of_campaign(CampaignState.CREATED),
            "Its campaign sale was not started: `sendline campaign st",
            None,
        ),
        (
            of_campaign(CampaignState.SCHEDULED, start_at=after(90)),
            f"Its campaign sale starts at {stamp(after(90))}, which is in 1 min 30 s.",
            90,
        ),
        (of_campaign(CampaignState.CANCELED), "Its campaign sale was canceled: the tick ends what", None),
    ],
    ids=lambda value: value.state.value if isinstance(value, Progress) else "",
)
@pytest.mark.parametrize("message", [replace(CREATED, campaign="sale"), RETRYING], ids=["created", "due"])
def test_a_message_whose_campaign_rests_says_so_first(message, campaign, said, until):
    standing = replace(timed() if message.due_at else in_line(held_in=7e9), campaign=campaign)
    found = look_into(message, standing, 5, SHARES)
    assert found.said[0].startswith(said)
    assert (found.limit, found.until) == (Limit.CAMPAIGN, None if until is None else after(until))
    assert "2255" not in "".join(explain(message, standing, 5, SHARES))


def test_a_running_campaign_holds_nothing_up():
    standing = replace(in_line(), campaign=of_campaign(CampaignState.RUNNING))
    assert explain(replace(CREATED, campaign="sale"), standing, 5, SHARES) == explain(
        CREATED, in_line(), 5, SHARES
    )


def test_a_message_outside_its_campaigns_window_says_so():
    row = Row(Lane.BULK, "main", "sale#Europe/Berlin", 20, held_until=WORKING.now + 7_200_000_000)
    standing = Standing(WORKING, (MAIN,), row, 0, rows=(row,), campaign=of_campaign(CampaignState.RUNNING))
    found = look_into(replace(CREATED, lane=Lane.BULK, campaign="sale"), standing, 5, SHARES)
    assert (
        found.said[0] == "The window of campaign sale is closed on its recipient's clock: it goes on in 2 h."
    )
    assert (found.limit, found.until) == (Limit.WINDOW, after(7200))


def test_a_message_of_a_paused_campaign_is_read_with_it(ledger, settings, publish):
    publish("main")
    with Producer(settings=settings) as producer:
        campaign = producer.campaign("sale", text="Hi", recipients=["+13115550001"])
        campaign.start()
        campaign.pause()
        [message] = campaign.messages()
    found = look_into(message, read_standing(ledger, message), 5, SHARES)
    assert found.said[0] == "Its campaign sale is paused. `sendline campaign resume sale` lets it go on."


def test_a_message_that_is_final_waits_for_nothing():
    assert look_into(moved(Status.DELIVERED), in_line(), 5, SHARES) is None


def test_a_message_that_waits_for_its_sender_says_so(ledger, world, raw):
    world.configure("main", rate=100, burst=5, sender_rate=0.1)
    first, second = world.accept_many(2, sender=SENDER)
    world.claim(5)
    standing = read_standing(ledger, world.get(second))
    assert standing.row.held_until == world.clock.us + 10_000_000
    pulse = replace(standing.pulse, now=world.clock.us, ticking=True)
    found = look_into(world.get(second), replace(standing, pulse=pulse), 5, SHARES)
    assert (found.limit, found.until) == (Limit.SENDER_RATE, instant(world.clock.ms + 10_000))
    assert found.said[0] == "Account main sends 0.1 a second from each sender: its sender goes on in 10 s."
    assert world.get(first).status is Status.SENDING


def test_the_standing_is_read_from_the_ledger(ledger, world):
    world.configure("main", "spare", rate=4, burst=1, in_flight=7)
    first, second = world.accept(), world.accept()
    scheduled = world.accept(delay=60)
    standing = read_standing(ledger, world.get(second))
    assert (standing.ahead, standing.row.length, standing.row.lane) == (1, 2, Lane.NORMAL)
    assert standing.row.ready_at == world.clock.us
    assert [(a.name, a.rate, a.in_flight, a.flying) for a in standing.accounts] == [("main", 4, 7, 0)]
    assert standing.pulse.configured
    assert not standing.pulse.ticking
    assert read_standing(ledger, world.get(first)).ahead == 0
    later = read_standing(ledger, world.get(scheduled))
    assert (later.row, later.timer_at) == (None, world.clock.ms + 60_000)


def test_what_is_named_first_is_what_programs_are_told():
    slow = replace(MAIN, interval=10_000_000_000, tat=NOW_MS * 1000 + 9_000_000_000)
    turns = look_into(CREATED, in_line(slow, others=[other(50)]), 5, SHARES)
    rate = look_into(CREATED, in_line(slow, ahead=1, others=[other(50)]), 5, SHARES)
    assert (turns.limit, rate.limit) == (Limit.TURNS, Limit.RATE)
    assert turns.said[0] == "It takes turns with another row of 50 messages."
    assert turns.said[1].startswith("Account main sends 0.0001 a second: its turn comes in about ")
    assert rate.said[0].startswith("Account main sends 0.0001 a second: its turn comes in about ")


def test_programs_are_told_who_paused_an_account():
    by_person, by_provider, by_rate = (
        look_into(CREATED, in_line(account, ahead=12), 5, SHARES).to_dict()
        for account in (HALTED, PAUSED, MAIN)
    )
    assert (by_person["limit"], by_person["paused_by"]) == ("paused", "person")
    assert (by_provider["limit"], by_provider["paused_by"]) == ("paused", "provider")
    assert (by_rate["limit"], by_rate["paused_by"]) == ("rate", None)


def test_the_turn_of_a_message_is_told_by_its_own_segments():
    standing = in_line(replace(MAIN, unit="segments"), ahead=11, others=[other(100, segments=2)])
    [short, long] = (look_into(replace(CREATED, segments=n), standing, 5, SHARES) for n in (1, 4))
    assert short.about == after(0.25 * (12 + 12 - 1))
    assert long.about == after(0.25 * (48 + 48 - 1))


@pytest.mark.parametrize("before", [None, 1])
def test_a_message_is_found_where_it_stood_before_senders_were_limited_or_no_more(ledger, world, before):
    world.configure("main", sender_rate=before)
    first, second = world.accept_many(2, lane="bulk", campaign="spring")
    world.configure("main", sender_rate=None if before else 1)
    standing = read_standing(ledger, world.get(second))
    assert (standing.ahead, standing.row.length, standing.is_missing) == (1, 2, False)
    assert standing.row.name == ("spring" if before is None else sender_row(SENDER, "spring"))
    assert read_standing(ledger, world.get(first)).ahead == 0


def test_a_message_that_its_line_has_lost_is_said_to_be(ledger, world, raw):
    world.configure("main")
    lost = world.accept()
    world.accept()
    raw.lpop(line_key(1, "main"))
    standing = read_standing(ledger, world.get(lost))
    assert (standing.ahead, standing.is_missing) == (None, True)
    said = " ".join(explain(world.get(lost), replace(standing, pulse=WORKING), 5, SHARES))
    assert "It was not found in the normal line of main" in said
    assert "its turn comes" not in said


def test_what_waits_for_other_accounts_is_not_read(ledger, world, raw):
    world.configure("main", "spare", "busy")
    for number in range(30):
        world.accept("busy", lane="bulk", campaign=f"c{number}")
        world.accept(lane="bulk", campaign=f"c{number}")
    message = world.get(world.accept("main,spare"))
    raw.config_resetstat()
    standing = read_standing(ledger, message)
    calls = {
        name.decode() if isinstance(name, bytes) else name: info["calls"]
        for name, info in raw.info("commandstats").items()
    }
    assert {row.route for row in standing.rows} == {"main", "main,spare"}
    assert len(standing.rows) == 31
    assert calls["cmdstat_llen"] == 32  # the wakes, too
    assert "cmdstat_lindex" not in calls
    assert sum(calls.values()) < 31 + 30


def test_heads_are_read_where_segments_are_counted(ledger, world):
    world.configure("main", unit="segments")
    world.accept(lane="bulk", campaign="long", text="x" * 600)
    standing = read_standing(ledger, world.get(world.accept()))
    assert {row.name: row.segments for row in standing.rows} == {"": 1, "long": 4}


def test_no_more_rows_are_read_than_is_bounded(ledger, world, monkeypatch):
    monkeypatch.setattr(lines, "ROWS_READ", 3)
    world.configure("main")
    for number in range(5):
        world.accept(lane="bulk", campaign=f"c{number}")
    last = world.get(world.accept(lane="bulk", campaign="last"))
    assert len(read_rows(ledger)) == 3
    standing = read_standing(ledger, last)
    assert (standing.row.name, standing.row.length, standing.ahead, len(standing.rows)) == ("last", 1, 0, 4)
    assert standing.row.ready_at == world.clock.us


def test_an_account_that_is_stopped_is_read_with_its_cause(ledger, world):
    world.configure("main", rate=4, burst=1)
    message_id = world.accept()
    world.settle(
        world.claim_one(), Status.RETRYING, delay=-1, counted=False, effect="stop", pause=60, reason="401"
    )
    [state] = read_standing(ledger, world.get(message_id)).accounts
    assert (state.stopped, state.paused_until) == ("401", world.clock.ms + 60_000)
    assert state.tat == world.clock.us + 250_000


def test_the_pulse_tells_who_works(ledger, world):
    assert not read_pulse(ledger).configured
    world.configure("main")
    world.accept()
    assert read_pulse(ledger).wakes == 1
    world.tick()
    assert read_pulse(ledger).ticking


def test_rows_are_read_with_their_heads(ledger, world):
    world.configure("main", "spare")
    since = world.get(world.accept()).created_at
    world.clock.advance(5)
    world.accept()
    world.accept("main,spare", lane="bulk")
    world.accept("", lane="urgent")
    found = {(row.lane, row.route): (row.length, row.since) for row in read_rows(ledger)}
    later = since + timedelta(seconds=5)
    assert found == {
        (Lane.NORMAL, "main"): (2, since),
        (Lane.BULK, "main,spare"): (1, later),
        (Lane.URGENT, ""): (1, later),
    }
