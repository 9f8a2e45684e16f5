"""What users write as phone numbers and sender ids, and what becomes of it."""

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sendline.contract import numbers
from sendline.contract.numbers import is_number, mask, parse_number, parse_sender


@pytest.mark.parametrize("text", ["+13115552368", "+12345678", "+123456789012345"])
def test_canonical_form_is_plus_and_8_to_15_digits(text):
    assert is_number(text)


@pytest.mark.parametrize(
    "text",
    ["", "13115552368", "+1311555", "+1234567890123456", "+1311555236x", "+13115552368\n", "+١٢٣٤٥٦٧٨٩٠"],
)
def test_everything_else_is_not_canonical(text):
    assert not is_number(text)


@pytest.mark.parametrize(
    ("text", "region", "canonical"),
    [
        ("+13115552368", None, "+13115552368"),
        ("+13115552368", "DE", "+13115552368"),
        ("(311) 555-2368", "US", "+13115552368"),
        ("1-311-555-2368", "US", "+13115552368"),
        ("+1 311 555 2368", None, "+13115552368"),
        ("\u202a+1\u00a0(311)\u00a0555\u20112368\u202c", None, "+13115552368"),
        ("0151 12345678", "DE", "+4915112345678"),
        ("+44 (0)7911 123456", None, "+447911123456"),
        ("+4407911123456", None, "+447911123456"),
        ("06 12345678", "IT", "+390612345678"),
        ("+٤٤٧٩١١١٢٣٤٥٦", None, "+447911123456"),
    ],
)
def test_what_people_write_becomes_e164(text, region, canonical):
    assert parse_number(text, region) == canonical


@pytest.mark.parametrize(
    ("text", "region", "problem"),
    [
        ("311 555 2368", None, "no country code; write it with \\+ or set default_region"),
        ("555 2368", "US", "no area code"),
        ("+15552368", None, "no area code"),
        ("+1212867530", None, "too short"),
        ("+131155523689", None, "too long"),
        ("+9991234567", None, "unknown country code"),
        ("+00123456789", None, "unknown country code"),
        ("+6834002", None, "8 to 15 digits"),
        ("", None, "not a phone number"),
        ("+", "US", "not a phone number"),
        ("hello", "US", "not a phone number"),
        ("call 311 555 2368", "US", "not a phone number"),
        ("+1 800 FLOWERS", "US", "not a phone number"),
        ("+13115552368;ext=5", None, "not a phone number"),
        ("+13115552367, +13115552368", None, "not a phone number"),
        ("+1" + "3" * 31, None, "longer than 32 characters"),
        (13115552368, None, "not text"),
        (None, None, "not text"),
    ],
)
def test_what_is_no_number_gets_one_sentence_that_does_not_quote_it(text, region, problem):
    with pytest.raises(ValueError, match=problem) as caught:
        parse_number(text, region)
    said = str(caught.value)
    assert "\n" not in said
    digits = "".join(char for char in str(text) if char.isdigit())
    assert len(digits) < 6 or digits not in said


def _slowly(text):
    try:
        return numbers._parse(text, None)
    except ValueError:
        return None


def _parsed(text):
    try:
        return parse_number(text, None)
    except ValueError:
        return None


@given(
    st.sampled_from(sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)),
    st.text("0123456789", min_size=1, max_size=14),
)
@example(44, "07911123456")
@example(39, "0612345678")
def test_the_short_way_for_canonical_numbers_gives_what_phonenumbers_gives(code, national):
    assert _parsed(f"+{code}{national}") == _slowly(f"+{code}{national}")


@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_every_regions_example_number_is_its_own_canonical_form_or_too_short_for_sendline(region):
    number = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    if number is None:
        number = phonenumbers.example_number(region)
    canonical = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    assert _parsed(canonical) == (canonical if is_number(canonical) else None)


@given(st.text(max_size=40), st.sampled_from([None, "US", "DE", "AR"]))
def test_any_text_gives_a_canonical_number_or_a_value_error(text, region):
    try:
        number = parse_number(text, region)
    except ValueError:
        return
    assert is_number(number)
    assert parse_number(number, None) == number


@pytest.mark.parametrize(
    ("text", "sender"),
    [
        ("+1 311 555 2368", "+13115552368"),
        ("Sendline", "Sendline"),
        (" My Shop 24 ", "My Shop 24"),
        ("4ever", "4ever"),
    ],
)
def test_a_sender_is_a_number_or_a_name(text, sender):
    assert parse_sender(text, None) == sender


@pytest.mark.parametrize(
    "text", ["", "    ", "A" * 12, "My-Shop", "Büro", "Shop\n24", "x" * 100_000, "12345", None]
)
def test_what_is_neither_is_refused(text):
    with pytest.raises(ValueError, match=";"):
        parse_sender(text, "US")


def test_a_masked_number_shows_five_characters_and_not_its_length():
    assert mask("+13115552368") == "+13***68"
    assert mask("+447911123456") == "+44***56"
    assert mask("12345") == "***"
