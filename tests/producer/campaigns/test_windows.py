"""Windows: local hours against zoneinfo's own reading of every instant, on the days when clocks change."""

import math
import random
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sendline.campaigns.windows import ALL_DAYS, Interval, Window, finish_at
from sendline.contract.errors import InvalidCampaign

HOUR = 3_600_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/Sao_Paulo",
    "Africa/Casablanca",
    "America/St_Johns",
    "Pacific/Apia",
    "America/Havana",
    "UTC",
]
CHANGES = [
    datetime(2026, 3, 29, 1, tzinfo=UTC),  # Berlin, forward
    datetime(2026, 10, 25, 1, tzinfo=UTC),  # Berlin, back
    datetime(2026, 3, 8, 7, tzinfo=UTC),  # New York
    datetime(2026, 11, 1, 6, tzinfo=UTC),
    datetime(2026, 4, 4, 15, tzinfo=UTC),  # Lord Howe, by half an hour
    datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
    datetime(2018, 11, 4, 3, tzinfo=UTC),  # Sao Paulo, at midnight
    datetime(2018, 2, 18, 2, tzinfo=UTC),
    datetime(2026, 2, 15, 2, tzinfo=UTC),  # Casablanca, for Ramadan
    datetime(2026, 3, 22, 2, tzinfo=UTC),
    datetime(2011, 12, 30, 10, tzinfo=UTC),  # Apia leaves out a day
]


def micros(instant):
    return (instant - EPOCH) // timedelta(microseconds=1)


def at(instant_us):
    return EPOCH + timedelta(microseconds=instant_us)


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def inside(window, zone, instant_us):
    """Return whether the recipient's clock is within the window: the promise, word for word."""
    local = at(instant_us).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    hour, today = local.time(), local.weekday()
    if window.start < window.end:
        return today in window.days and window.start <= hour < window.end
    if hour >= window.start:
        return today in window.days
    return hour < window.end and (today - 1) % 7 in window.days


def clocks_change(zone, around_us):
    """Return whether the zone's clocks change within a day of an instant."""
    info = ZoneInfo(zone)
    offsets = {at(around_us + hours * HOUR).astimezone(info).utcoffset() for hours in range(-25, 26)}
    return len(offsets) > 1


def clock(minute):
    return time(minute // 60 % 24, minute % 60)


minutes = st.one_of(st.integers(0, 1439), st.sampled_from([0, 60, 90, 120, 135, 150, 180, 1380, 1410]))
days = st.one_of(st.just(ALL_DAYS), st.frozensets(st.integers(0, 6), min_size=1))
windows = (
    st.tuples(minutes, minutes, days)
    .filter(lambda drawn: drawn[0] != drawn[1] or drawn[0] == 0)
    .map(lambda drawn: Window(clock(drawn[0]), clock(drawn[1]), drawn[2]))
)
zones = st.sampled_from(ZONES)
instants = st.one_of(
    st.builds(
        lambda change, seconds: change + timedelta(seconds=seconds),
        st.sampled_from(CHANGES),
        st.integers(-4 * 86_400, 4 * 86_400),
    ),
    st.integers(10**15, 2 * 10**15).map(at),
)
many = hypothesis_settings(max_examples=300, deadline=None)


@given(windows, zones, instants, st.randoms(use_true_random=False))
@many
def test_every_instant_of_a_schedule_is_inside_the_hours(window, zone, now, chance):
    for begin, end in window.schedule(zone, now):
        last = end + 2_000_000 - 1
        for instant in [begin, end - 1, last, *(chance.randint(begin, last) for _ in range(8))]:
            assert inside(window, zone, instant)


@given(windows, zones, instants, st.randoms(use_true_random=False))
@many
def test_every_instant_inside_the_hours_is_in_the_schedule_but_where_clocks_change(window, zone, now, chance):
    found = window.schedule(zone, now, margin=0)
    for instant in (micros(now) + chance.randint(0, 6 * 24 * HOUR) for _ in range(12)):
        if not clocks_change(zone, instant):
            assert inside(window, zone, instant) == any(begin <= instant < end for begin, end in found)


@given(windows, zones, instants)
@many
def test_a_schedules_intervals_are_in_order_apart_and_not_over(window, zone, now):
    found = window.schedule(zone, now)
    assert all(begin < end and end > micros(now) for begin, end in found)
    assert all(end + 2_000_000 < begin for (_, end), (begin, _) in pairwise(found))
    assert found or clocks_change(zone, micros(now)) or len(window.days) < 7


@given(windows, zones, instants)
@many
def test_opens_says_what_the_schedule_says(window, zone, now):
    opens = window.opens(zone, now)
    assume(opens is not None)
    assert opens.closes_at - now > timedelta(seconds=2)
    found = window.schedule(zone, now, days=16)
    assert found[0] == (micros(opens.opens_at), micros(opens.closes_at) - 2_000_000)


@given(
    windows, st.lists(zones, min_size=1, max_size=4, unique=True), instants, st.randoms(use_true_random=False)
)
@many
def test_the_strictest_schedule_is_open_exactly_while_all_are(window, names, now, chance):
    common = window.strictest(tuple(names), now, margin=0)
    alone = [window.schedule(name, now, margin=0) for name in names]
    assert window.schedule_for("|".join(names), now, margin=0) == common
    assert all(first[1] < second[0] for first, second in pairwise(common))
    edges = [edge for schedule in alone for interval in schedule for edge in interval if edge >= micros(now)]
    until = min((schedule[-1][1] for schedule in alone if schedule), default=0)
    drawn = [micros(now) + chance.randint(0, 8 * 24 * HOUR) for _ in range(20)]
    for instant in [*edges, *(edge - 1 for edge in edges), *drawn]:
        if micros(now) <= instant < until:
            everywhere = all(any(b <= instant < e for b, e in schedule) for schedule in alone)
            assert everywhere == any(b <= instant < e for b, e in common)


@pytest.mark.parametrize(
    ("hours", "zone", "now", "opens", "closes"),
    [
        # An ordinary day, before, within and after.
        ("09:00-20:00", "America/New_York", "2026-07-01T10:00", "2026-07-01T13:00", "2026-07-02T00:00"),
        ("09:00-20:00", "America/New_York", "2026-07-01T20:00", "2026-07-01T13:00", "2026-07-02T00:00"),
        ("09:00-20:00", "America/New_York", "2026-07-01T23:59:58", "2026-07-02T13:00", "2026-07-03T00:00"),
        ("09:00-20:00", "Asia/Kathmandu", "2026-07-01T00:00", "2026-07-01T03:15", "2026-07-01T14:15"),
        # A night belongs to the day on which it begins: Saturday 05:59 is still Friday's.
        ("Fri 22:00-06:00", "Europe/Berlin", "2026-07-04T03:59", "2026-07-03T20:00", "2026-07-04T04:00"),
        ("Fri 22:00-06:00", "Europe/Berlin", "2026-07-04T20:00", "2026-07-10T20:00", "2026-07-11T04:00"),
        # 02:30 doesn't exist on this day in Berlin.
        ("02:30-10:00", "Europe/Berlin", "2026-03-28T12:00", "2026-03-29T01:00", "2026-03-29T08:00"),
        ("00:00-02:30", "Europe/Berlin", "2026-03-28T12:00", "2026-03-28T23:00", "2026-03-29T01:00"),
        ("02:10-02:50", "Europe/Berlin", "2026-03-28T12:00", "2026-03-30T00:10", "2026-03-30T00:50"),
        # It comes twice on this one.
        ("02:30-10:00", "Europe/Berlin", "2026-10-24T12:00", "2026-10-25T01:30", "2026-10-25T09:00"),
        ("00:00-02:30", "Europe/Berlin", "2026-10-24T12:00", "2026-10-24T22:00", "2026-10-25T00:30"),
        ("02:10-02:50", "Europe/Berlin", "2026-10-24T12:00", "2026-10-26T01:10", "2026-10-26T01:50"),
        ("02:00-03:00", "Europe/Berlin", "2026-10-24T12:00", "2026-10-25T01:00", "2026-10-25T02:00"),
        # Half an hour comes twice in Lord Howe: 01:30 to 02:00.
        ("01:45-05:00", "Australia/Lord_Howe", "2026-04-04T12:00", "2026-04-04T15:15", "2026-04-04T18:30"),
        # Sao Paulo had no 00:00 on this Sunday.
        ("Sun 00:00-08:00", "America/Sao_Paulo", "2018-11-03T12:00", "2018-11-04T03:00", "2018-11-04T10:00"),
        # A weekly window whose day's hour doesn't exist opens a week later.
        ("Sun 02:00-03:00", "Europe/Berlin", "2026-03-23T12:00", "2026-04-05T00:00", "2026-04-05T01:00"),
    ],
)
def test_a_window_opens_and_closes_by_the_recipients_clock(hours, zone, now, opens, closes):
    assert Window.parse(hours).opens(zone, utc(now)) == Interval(utc(opens), utc(closes))


def test_days_that_touch_are_one_interval():
    [(begin, end)] = Window.parse("00:00-24:00").schedule("Europe/Berlin", utc("2026-10-24T12:00"))
    assert at(begin) <= utc("2026-10-24T12:00")
    assert end - begin > 8 * 24 * HOUR
    [first, second] = Window.parse("Mon-Fri 00:00-24:00").schedule("UTC", utc("2026-11-18T12:00"))
    assert (at(first[1]), at(second[0])) == (utc("2026-11-20T23:59:58"), utc("2026-11-23T00:00"))


def test_zones_on_the_two_sides_of_the_earth_have_no_hour_in_common():
    window = Window.parse("09:00-20:00")
    assert window.schedule_for("Pacific/Honolulu|Pacific/Guam|Europe/Berlin", utc("2026-07-01T10:00")) == ()
    assert window.strictest((), utc("2026-07-01T10:00")) == ()


@given(windows)
@many
@example(Window(time(0), time(0)))
def test_a_window_is_read_back_from_its_text(window):
    assert Window.parse(window.to_text()) == window


@pytest.mark.parametrize(
    ("text", "start", "end", "on", "canonical"),
    [
        ("09:00-20:00", time(9), time(20), ALL_DAYS, "09:00-20:00"),
        (" 9:00 \u2013 20:30 ", time(9), time(20, 30), ALL_DAYS, "09:00-20:30"),
        ("Mon-Fri 09:00-20:00", time(9), time(20), {0, 1, 2, 3, 4}, "Mon-Fri 09:00-20:00"),
        ("fri-MON 09:00-20:00", time(9), time(20), {4, 5, 6, 0}, "Fri-Mon 09:00-20:00"),
        ("Mon, Wed-Fri 09:00-20:00", time(9), time(20), {0, 2, 3, 4}, "Mon,Wed-Fri 09:00-20:00"),
        ("Sat,Sun 22:00-06:00", time(22), time(6), {5, 6}, "Sat,Sun 22:00-06:00"),
        ("09:00-24:00", time(9), time(0), ALL_DAYS, "09:00-24:00"),
        ("22:00-00:00", time(22), time(0), ALL_DAYS, "22:00-24:00"),
        ("00:00-24:00", time(0), time(0), ALL_DAYS, "00:00-24:00"),
        ("Mon-Sun 00:00-24:00", time(0), time(0), ALL_DAYS, "00:00-24:00"),
    ],
)
def test_a_window_is_written_in_several_ways_and_told_in_one(text, start, end, on, canonical):
    window = Window.parse(text)
    assert window == Window(start, end, frozenset(on))
    assert window.to_text() == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        "9-20",
        "09:00",
        "09:00-09:00",
        "24:00-09:00",
        "09:00-24:01",
        "09:00-25:00",
        "09:60-10:00",
        "9am-8pm",
        "09:00-20:00 Mon",
        "Mon",
        "Mon- 09:00-20:00",
        "Mon-Wed-Fri 09:00-20:00",
        "Mo-Fr 09:00-20:00",
        "09:00-20:00\n10:00-11:00",
        "٠٩:00-20:00",
        "-09:00-20:00",
        "Mon," * 5000,
    ],
)
def test_what_is_no_window_is_told_in_one_line_with_an_example(text):
    with pytest.raises(InvalidCampaign, match=r'^window: .*"\d\d:\d\d-\d\d:\d\d"') as error:
        Window.parse(text)
    assert error.value.field == "window"
    assert len(str(error.value)) < 200
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"start": time(9, 0, 30)},
        {"start": time(9, tzinfo=UTC)},
        {"end": time(9)},
        {"days": frozenset()},
        {"days": frozenset({7})},
        {"default_zone": "Europe/Nowhere"},
        {"default_zone": ""},
    ],
)
def test_a_window_that_means_nothing_is_refused(wrong):
    with pytest.raises(InvalidCampaign, match=r"^window: "):
        Window(**({"start": time(9), "end": time(20)} | wrong))


@pytest.mark.parametrize(
    "key", ["", "Europe/Nowhere", "Europe/Berlin|Europe/Nowhere", "Europe/Berlin|", "x" * 900]
)
def test_a_key_with_an_unknown_zone_has_no_schedule(key):
    with pytest.raises(InvalidCampaign, match="no time zone"):
        Window.parse("09:00-20:00").schedule_for(key, utc("2026-07-01T10:00"))


def test_all_is_gone_when_the_rate_says_so_where_nothing_closes():
    assert finish_at({"a": (((0, 10**15),), 1000)}, 10, 5) == 5 + 100_000_000
    assert finish_at({"a": (((0, 10**15),), 1)}, 3, 0) == 333_334
    assert finish_at({"a": (((0, 10**15),), 0), "b": ((), 0)}, 3, 7) == 7
    assert finish_at({}, 3, 7) == 7


def test_a_closed_key_waits_and_what_misses_its_window_goes_in_the_next():
    nine_to_ten = ((9 * HOUR, 10 * HOUR), (33 * HOUR, 34 * HOUR))
    assert finish_at({"a": (nine_to_ten, 3600)}, 1, 0) == 10 * HOUR
    assert finish_at({"a": (nine_to_ten, 3601)}, 1, 0) == 33 * HOUR + 1_000_000
    assert finish_at({"a": (nine_to_ten, 7201)}, 1, 0) is None
    assert finish_at({"a": (nine_to_ten, 1)}, 1, 34 * HOUR) is None
    assert finish_at({"a": ((), 1)}, 1, 0) is None


def test_the_key_that_closes_first_goes_first():
    early, late = ((0, 2 * HOUR),), ((0, 4 * HOUR),)
    assert finish_at({"late": (late, 7200), "early": (early, 7200)}, 1, 0) == 4 * HOUR
    soon = ((HOUR, 2 * HOUR),)
    assert finish_at({"late": (late, 7200), "soon": (soon, 3600)}, 1, 0) == 3 * HOUR


def test_without_a_limit_all_is_gone_when_the_last_key_has_opened():
    keys = {"a": (((5, 9),), 10**9), "b": (((2, 3), (70, 80)), 1)}
    assert finish_at(keys, math.inf, 3) == 70
    assert finish_at(keys, math.inf, 0) == 5
    assert finish_at({"a": (((5, 9),), 1)}, math.inf, 7) == 7
    assert finish_at(keys, math.inf, 80) is None
    assert finish_at(keys, 0, 0) is None
    assert finish_at(keys, math.nan, 0) is None


def by_steps(keys, now):
    """Return when all is gone if one message takes one microsecond: the same rule, an instant at a time."""
    left = {key: count for key, (_, count) in keys.items()}
    last = max((end for schedule, _ in keys.values() for _, end in schedule), default=0)
    for instant in range(now, last + 1):
        if not any(left.values()):
            return instant
        closing = [(e, key) for key, (s, _) in keys.items() if left[key] for b, e in s if b <= instant < e]
        if closing:
            left[min(closing)[1]] -= 1
    return None if any(left.values()) else now


edges = st.lists(st.integers(0, 60), unique=True, max_size=8).map(sorted)
schedules = edges.map(lambda drawn: tuple(zip(drawn[::2], drawn[1::2], strict=False)))


@given(st.dictionaries(st.sampled_from("abcd"), st.tuples(schedules, st.integers(0, 12))), st.integers(0, 30))
@hypothesis_settings(max_examples=500, deadline=None)
def test_the_estimate_is_what_one_message_after_another_comes_to(keys, now):
    assert finish_at(keys, 1_000_000, now) == by_steps(keys, now)


def test_the_estimate_of_many_zones_is_exact_for_any_rate():
    chance = random.Random(6)
    now = utc("2026-11-20T10:00")
    window = Window.parse("09:00-20:00")
    keys = {zone: (window.schedule(zone, now), chance.randint(1, 100_000)) for zone in ZONES}
    finished = finish_at(keys, 7.3, micros(now))
    total = sum(count for _, count in keys.values())
    assert finished is None or finished - micros(now) >= total / 7.3 * 1e6 - 1
    fast = finish_at(keys, 1e9, micros(now))
    assert fast is not None
    assert 0 <= fast - max(max(s[0][0], micros(now)) for s, _ in keys.values()) < 1000
