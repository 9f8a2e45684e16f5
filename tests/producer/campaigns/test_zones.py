"""The time zones that a phone number leaves open, against libphonenumber's own answers."""

import random
import subprocess
import sys
from functools import cache

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from phonenumbers import timezone
from phonenumbers.tzdata import TIMEZONE_DATA

from sendline.campaigns import zones
from sendline.campaigns.zones import known_zone, zone_key, zone_of

CODES = sorted(map(str, phonenumbers.COUNTRY_CODE_TO_REGION_CODE))
PREFIXES = sorted(TIMEZONE_DATA)
UNKNOWN = ("Etc/Unknown",)
CORRECTED = zones._CORRECTED
NOWHERE = "+88213000000"
"""A satellite's number."""


def answer(number):
    """Return what zones.py takes for the number's zones, before the default is asked."""
    return zones._prefixes().get(zones._deciding_prefix(number), UNKNOWN)


@cache
def told_apart(code):
    """Return the regions that share `code` with a larger one and are told by their first digits."""
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code][1:]
    return {r for r in regions if phonenumbers.PhoneMetadata.metadata_for_region(r).leading_digits}


def expected(parsed):
    if (code := str(parsed.country_code)) in CORRECTED:
        return (CORRECTED[code],)
    if phonenumbers.region_code_for_number(parsed) in told_apart(parsed.country_code):
        return timezone.time_zones_for_geographical_number(parsed)
    found = timezone.time_zones_for_number(parsed)
    return TIMEZONE_DATA.get(code, UNKNOWN) if found == UNKNOWN else found


def canonical(digits):
    """Return the number that `digits` are, or None where phonenumbers writes it otherwise."""
    try:
        parsed = phonenumbers.parse("+" + digits)
    except phonenumbers.NumberParseException:
        return None
    written = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return parsed if written == "+" + digits else None


@given(
    begin=st.sampled_from(CODES + PREFIXES),
    rest=st.text("0123456789", min_size=14, max_size=14),
    size=st.integers(8, 15),
)
@hypothesis_settings(max_examples=1500, deadline=None)
def test_any_number_has_the_zones_that_the_library_gives_it(begin, rest, size):
    digits = (begin + rest)[:size]
    if (parsed := canonical(digits)) is not None:
        assert answer("+" + digits) == expected(parsed)


def test_numbers_of_every_kind_and_region_have_the_zones_that_the_library_gives_them():
    chance = random.Random(6)
    seen = set()
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        for kind in phonenumbers.PhoneNumberType.values():
            example = phonenumbers.example_number_for_type(region, kind)
            if example is None:
                continue
            whole = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)[1:]
            for changed in range(5):
                ending = "".join(chance.choices("0123456789", k=changed))
                digits = whole[: len(whole) - changed] + ending
                if (parsed := canonical(digits)) is not None:
                    assert answer("+" + digits) == expected(parsed), (region, kind)
                    seen.add((region, phonenumbers.number_type(parsed)))
    assert len(seen) > 1000


@pytest.mark.parametrize(
    ("number", "default", "zone"),
    [
        ("+4930123456", None, "Europe/Berlin"),
        ("+4915112345678", None, "Europe/Berlin"),
        ("+12125551234", None, "America/New_York"),
        ("+12125551234", "America/Denver", "America/New_York"),
        ("+13035551234", None, "America/Denver"),
        ("+18765551234", "America/New_York", "America/Jamaica"),
        ("+919876543210", None, "Asia/Calcutta"),
        ("+9779812345678", None, "Asia/Katmandu"),
    ],
)
def test_a_number_of_one_zone_has_it_whatever_the_default(number, default, zone):
    assert zone_of(number, default) == zone
    assert zone_key(number, default) == zone


@pytest.mark.parametrize("number", ["+447911123456", "+393331234567"])
def test_zones_that_keep_the_same_time_all_year_are_as_good_as_one(number):
    assert len(answer(number)) > 1
    assert zone_of(number, "America/New_York") == answer(number)[0] == zone_key(number)


@pytest.mark.parametrize(
    ("number", "default"),
    [
        ("+18005551234", "America/New_York"),
        ("+18005551234", "America/Detroit"),
        ("+79123456789", "Europe/Moscow"),
        ("+61412345678", "Australia/Melbourne"),
        ("+13115552368", "America/Chicago"),
    ],
)
def test_the_default_decides_between_the_zones_of_a_number(number, default):
    assert zone_of(number, default) == default
    assert zone_key(number, default) == default


@pytest.mark.parametrize("default", [None, "America/New_York", "Europe/Nowhere"])
def test_a_number_of_several_zones_keeps_them_all_where_no_default_is_one_of_them(default):
    assert zone_of("+61412345678", default) is None
    named = zone_key("+61412345678", default).split("|")
    assert {"Australia/Perth", "Australia/Sydney", "Australia/Eucla"} <= set(named)
    assert len(named) == len({zones._offsets(name) for name in named})
    assert {zones._offsets(name) for name in named} == {zones._offsets(name) for name in TIMEZONE_DATA["61"]}


def test_a_default_stands_in_where_nothing_is_known_of_a_number():
    assert zone_of(NOWHERE, "Europe/Berlin") == zone_key(NOWHERE, "Europe/Berlin") == "Europe/Berlin"


@pytest.mark.parametrize("default", [None, "Europe/Nowhere", "../../etc/passwd", ""])
@pytest.mark.parametrize("number", [NOWHERE, "+", "", "+0", "+00123456", "+xyz", "hello"])
def test_without_a_zone_and_a_known_default_there_is_none(number, default):
    assert zone_of(number, default) is None
    assert zone_key(number, default) == ""


@pytest.mark.parametrize("code", CORRECTED)
def test_what_is_corrected_is_still_wrong_in_the_library(code):
    """Once this fails, the library has been mended, and the line can go."""
    assert [prefix for prefix in PREFIXES if prefix.startswith(code)] == [code]
    assert zones._offsets(CORRECTED[code]) not in {zones._offsets(zone) for zone in TIMEZONE_DATA[code]}


def test_a_new_range_of_numbers_is_still_in_its_country():
    parsed = phonenumbers.parse("+4910000000")
    assert not phonenumbers.is_valid_number(parsed)
    assert zone_of("+4910000000", "America/New_York") == "Europe/Berlin"


@pytest.mark.parametrize(
    "name", ["Europe/Nowhere", "../etc/passwd", "/etc/passwd", "", "Europe", "a\0b", "x" * 5000]
)
def test_a_name_that_is_no_zone_is_not_known(name):
    assert known_zone(name) is None


def test_a_set_with_a_zone_that_this_machine_lacks_is_not_known():
    """Half a country's zones would send the other half messages at night."""
    code = """
import zoneinfo
zoneinfo.reset_tzpath([])
import sys
sys.modules["tzdata"] = None
from sendline.campaigns.zones import zone_key, zone_of
print([zone_of("+4930123456"), zone_key("+61412345678"), zone_of("+4930123456", "Europe/Berlin")])
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[None, '', None]"


def test_zones_are_told_apart_by_the_second_at_which_their_offset_changes():
    berlin, london, madrid = map(zones._offsets, ["Europe/Berlin", "Europe/London", "Europe/Madrid"])
    assert berlin == madrid != london
    assert len(berlin) == 3
    assert all((since.minute, since.second) == (0, 0) for since, _ in berlin)
    assert {since.hour for since, _ in berlin[1:]} == {1}


def test_the_data_of_zones_are_not_loaded_by_importing_the_module():
    code = "import sys, sendline.campaigns.zones; print('phonenumbers.tzdata' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
