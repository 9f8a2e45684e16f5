"""Where days begin, in zones whose clocks do what clocks do."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendline_worker.days import midnights

HOUR = 3_600_000


def at(text):
    """Return the ms of a time in UTC."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def local(ms, time_zone):
    """Return an instant as the clocks show it there."""
    return datetime.fromtimestamp(ms / 1000, ZoneInfo(time_zone)).strftime("%Y-%m-%d %H:%M")


def lengths(found):
    """Return the lengths of the days, in hours."""
    return [(later - earlier) / HOUR for earlier, later in pairwise(found)]


def test_days_of_utc_begin_at_its_midnights():
    now = at("2026-03-05T13:14:15.678")
    assert midnights(now, "UTC", 3) == (at("2026-03-05"), at("2026-03-06"), at("2026-03-07"))
    assert len(midnights(now, "UTC")) == 8


def test_midnight_itself_belongs_to_the_day_that_it_begins():
    assert midnights(at("2026-03-05"), "UTC", 1) == (at("2026-03-05"),)
    assert midnights(at("2026-03-05") - 1, "UTC", 1) == (at("2026-03-04"),)


@pytest.mark.parametrize(
    ("time_zone", "begins"),
    [
        ("Asia/Kathmandu", "2026-03-04T18:15"),
        ("Pacific/Kiritimati", "2026-03-05T10:00"),
        ("Pacific/Pago_Pago", "2026-03-05T11:00"),
        ("America/New_York", "2026-03-05T05:00"),
    ],
)
def test_days_begin_by_the_clocks_of_the_zone(time_zone, begins):
    assert midnights(at("2026-03-05T13:00"), time_zone, 1) == (at(begins),)


@pytest.mark.parametrize(
    ("time_zone", "before", "days", "first_clock"),
    [
        ("Europe/Berlin", "2026-03-28T12:00", [24, 23, 24], "00:00"),
        ("Europe/Berlin", "2026-10-24T12:00", [24, 25, 24], "00:00"),
        ("Australia/Lord_Howe", "2026-04-04T12:00", [24, 24.5, 24], "00:00"),
        # The clocks go from 00:00 to 01:00: there is no midnight
        ("Africa/Cairo", "2024-04-25T12:00", [24, 23, 24], "01:00"),
        ("Asia/Beirut", "2024-03-30T12:00", [24, 23, 24], "01:00"),
        ("America/Santiago", "2024-09-07T12:00", [24, 23, 24], "01:00"),
        # From 24:00 to 23:00: the day before is longer
        ("Africa/Cairo", "2024-10-30T12:00", [24, 25, 24], "00:00"),
        ("Asia/Beirut", "2024-10-25T12:00", [24, 25, 24], "00:00"),
        ("America/Santiago", "2024-04-05T12:00", [24, 25, 24], "00:00"),
        # From 01:00 to 00:00: midnight comes twice
        ("America/Havana", "2024-11-02T12:00", [24, 25, 24], "00:00"),
        # From 23:30 to 00:30: midnight lies within what is left out
        ("America/Toronto", "1919-03-30T12:00", [23.5, 23.5, 24], "00:30"),
    ],
)
def test_days_are_as_long_as_their_clocks_make_them(time_zone, before, days, first_clock):
    found = midnights(at(before), time_zone, 4)
    assert lengths(found) == days
    assert [local(ms, time_zone)[-5:] for ms in found] == ["00:00", first_clock, "00:00", "00:00"]


def test_the_first_of_two_midnights_begins_the_day():
    began = midnights(at("2024-11-02T12:00"), "America/Havana", 2)[1]
    assert local(began, "America/Havana") == local(began + HOUR, "America/Havana") == "2024-11-03 00:00"
    assert midnights(began + HOUR, "America/Havana", 1) == (began,)


def test_a_clock_that_goes_back_over_midnight_begins_no_day_again():
    began = at("2000-10-29T02:30")  # 00:00; a minute later it is 23:01 of the day before
    assert local(began + 60_000, "America/St_Johns") == "2000-10-28 23:01"
    found = midnights(began + 30 * 60_000, "America/St_Johns", 2)
    assert found == (began, began + 25 * HOUR)


def test_a_day_that_is_left_out_begins_and_ends_nowhere():
    found = midnights(at("2011-12-29T12:00"), "Pacific/Apia", 4)
    dates = [local(ms, "Pacific/Apia")[:10] for ms in found]
    assert dates == ["2011-12-29", "2011-12-31", "2012-01-01", "2012-01-02"]
    assert lengths(found) == [24, 24, 24]


def test_a_zone_that_nobody_knows_is_an_error():
    with pytest.raises(ZoneInfoNotFoundError):
        midnights(0, "Europe/Nowhere")


ZONES = [
    *("UTC", "Africa/Cairo", "Asia/Beirut", "America/Santiago", "America/Havana", "America/St_Johns"),
    *(
        "Pacific/Apia",
        "Europe/London",
        "Asia/Gaza",
        "America/Asuncion",
        "America/Toronto",
        "Africa/Casablanca",
    ),
]


@given(st.integers(at("1900-01-01"), at("2090-01-01")), st.sampled_from(ZONES), st.integers(1, 400))
def test_the_days_of_any_zone_rise_hold_the_time_and_begin_with_their_first_instant(now, time_zone, count):
    def day(ms) -> date:
        return (
            (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms))
            .astimezone(ZoneInfo(time_zone))
            .date()
        )

    found = midnights(now, time_zone, count + 1)
    assert len(found) == count + 1
    assert found[0] <= now < found[1]
    assert all(earlier < later for earlier, later in pairwise(found))
    assert all(day(ms - 1) < day(ms) for ms in found)
    assert found[-1] - found[0] <= (count + 1) * 24 * HOUR + HOUR
