"""Whether what a provider shows is ours: yes, no, or not to be told."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendline_worker.providers.base import Inquiry
from sendline_worker.providers.matching import (
    MARGIN,
    distance,
    moment_of,
    same_callback,
    same_number,
    same_text,
    within,
)

BEGUN = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ASKED = Inquiry(None, "+13115552367", "+13115552368", "Hello", None, BEGUN, BEGUN + timedelta(seconds=20))
OURS = "https://sms.example.com/receipts/main/name-of-ours.signature"


@pytest.mark.parametrize(
    ("theirs", "told"),
    [
        (OURS, True),
        ("https://sms.example.com/receipts/main/name-of-ours.another", True),
        ("https://moved.example.com/receipts/main/name-of-ours.signature", True),
        ("https://sms.example.com/receipts/main/name-of-hers.signature", False),
        ("https://sms.example.com/receipts/main/", None),
        ("https://sms.example.com/receipts/main/name", None),
        ("https://sms.example.com/receipts/main/************.*********", None),
        ("https://sms.example.com", None),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_a_callback_url_is_told_by_the_name_in_it(theirs, told):
    assert same_callback(theirs, OURS) is told


def test_without_a_url_of_ours_nothing_is_told():
    assert same_callback(OURS, None) is None


@pytest.mark.parametrize(
    ("theirs", "told"),
    [
        ("+1 (311) 555-2367", True),
        (13115552367, True),
        ("13115552368", False),
        ("5552367", False),
        ("J Smith", None),
        ("1311****367", None),
        (13115552367.0, None),
        (True, None),
        (None, None),
    ],
)
def test_numbers_are_compared_by_their_digits(theirs, told):
    assert same_number(theirs, "+13115552367") is told


@pytest.mark.parametrize(
    ("theirs", "told"),
    [
        ("Hello,  world\n", True),
        ("Hello, World", False),
        ("Hello, world!", False),
        ("Hello, w****", None),
        ("Hello, wo...", None),
        ("", None),
        (None, None),
        (["Hello, world"], None),
    ],
)
def test_a_text_is_the_same_whatever_its_white_space(theirs, told):
    assert same_text(theirs, "Hello, world") is told


def test_a_text_of_ours_that_looks_masked_is_itself():
    assert same_text("** SALE **", "** SALE **") is True


@pytest.mark.parametrize(
    ("seconds", "inside"), [(0, True), (-600, True), (-601, False), (620, True), (621, False)]
)
def test_a_moment_may_differ_by_what_clocks_may(seconds, inside):
    assert timedelta(seconds=600) == MARGIN
    assert within(BEGUN + timedelta(seconds=seconds), ASKED) is inside


def test_no_moment_is_not_to_be_told():
    assert within(None, ASKED) is None
    assert distance(None, ASKED) > distance(BEGUN, ASKED)


def test_distance_counts_from_the_time_in_which_the_request_left():
    assert distance(BEGUN + timedelta(seconds=7), ASKED) == timedelta(0)
    assert distance(BEGUN - timedelta(seconds=7), ASKED) == timedelta(seconds=7)
    assert distance(BEGUN + timedelta(seconds=27), ASKED) == timedelta(seconds=7)


ZONES = st.timezones() | st.sampled_from([UTC])


@given(st.datetimes(timezones=ZONES) | st.datetimes() | st.text() | st.integers() | st.none())
def test_any_moment_can_be_compared(value):
    moment = moment_of(value.isoformat() if isinstance(value, datetime) else value)
    assert within(moment, ASKED) in {True, False, None}
    assert distance(moment, ASKED) >= timedelta(0)


@pytest.mark.parametrize("edge", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_the_ends_of_time_can_be_compared(edge):
    assert within(moment_of(edge), ASKED) is False
    assert distance(moment_of(edge), ASKED) > timedelta(0)
