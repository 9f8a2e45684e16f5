"""Reads the numbers of what came in, as providers tell them: with +, without, or as people dial. Pure.

Who writes STOP must be found under the number that we send to, and nobody else must be. So digits alone are
read as a number of a country only where that country has such a number.
"""

import re
from typing import TYPE_CHECKING, Final

from phonenumbers import (
    NumberParseException,
    PhoneMetadata,
    PhoneNumber,
    PhoneNumberType,
    is_valid_number,
    normalize_digits_only,
    number_type,
    parse,
    region_code_for_country_code,
)

from sendline.contract.numbers import MAX_INPUT, parse_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LEAST_DIGITS: Final = 7
"""Fewer are a short code: nowhere do so few reach a mobile from abroad."""
_DIGITS: Final = re.compile(r"[\d\s()./\u2010-\u2015-]+")
_MOBILE: Final = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)
_PLUS: Final = ("+", "\uff0b")


def read_sender(told: str, to: str | None, default_region: str | None) -> str | None:
    """Return in E.164 who wrote, to our number `to` where that is known; None where no reading is sure.

    Digits alone are read as of the country of `to`, then of `default_region`, then as international.
    """
    return _read(told, [each for each in (region_of(to) if to else None, default_region) if each])


def read_ours(told: str, senders: "Sequence[str]", default_region: str | None) -> str | None:
    """Return which number of ours was written to: one of `senders`, else as `read_sender` reads it."""
    digits = normalize_digits_only(told)
    for sender in senders:
        if sender == told or (sender.startswith("+") and sender[1:] == digits):
            return sender
        if sender.startswith("+") and _parsed(told, region_of(sender)) == sender:
            return sender
    return _read(told, [default_region] if default_region else [])


def region_of(number: str) -> str | None:
    """Return the region, such as US, in whose way the neighbours of `number` (E.164) are written."""
    try:
        region = region_code_for_country_code(_of(number).country_code or 0)
    except NumberParseException:
        return None  # a short code or a name
    return region if region.isalpha() and region != "ZZ" else None  # +800 is of no country


def _read(told: str, regions: "Sequence[str]") -> str | None:
    if told.strip().startswith(_PLUS):
        return _parsed(told, None)
    if len(told) > MAX_INPUT or _DIGITS.fullmatch(told) is None:
        return None
    digits = normalize_digits_only(told)
    if len(digits) < LEAST_DIGITS:
        return None
    if digits.startswith("00"):
        return _parsed(f"+{digits[2:]}", None)
    readings = list(_readings(digits, regions))
    signs = (_is_mobile, _is_known, _has_its_length)
    return next((each for fits in signs for each in readings if fits(each)), None)


def _readings(digits: str, regions: "Sequence[str]") -> "Iterator[str]":
    """Yield what `digits` can mean, the likeliest first; 011 is an area's code in some countries."""
    dialled = _parsed(f"+{digits[3:]}", None) if digits.startswith("011") else None
    for region in regions:
        number = _parsed(digits, region)
        if number is not None:
            yield number
    international = dialled or _parsed(f"+{digits}", None)
    if international is not None:
        yield international


def _parsed(told: str, region: str | None) -> str | None:
    try:
        return parse_number(told, region)
    except ValueError:
        return None


def _is_mobile(number: str) -> bool:
    """Say whether it may be a mobile's: they write. So 4915112345678 is none of the German area 04915."""
    return number_type(_of(number)) in _MOBILE


def _is_known(number: str) -> bool:
    """Say whether its country is known to give out such numbers."""
    return bool(is_valid_number(_of(number)))


def _has_its_length(number: str) -> bool:
    """Say whether its country has numbers of one length only, which makes digits of that length one.

    For what its country gives out since the metadata was made. Where numbers may have many lengths, nearly
    all digits could be one, and a stranger's.
    """
    region = region_of(number)
    metadata = PhoneMetadata.metadata_for_region(region) if region else None
    return (
        metadata is not None
        and metadata.general_desc is not None
        and len(metadata.general_desc.possible_length) == 1
    )


def _of(number: str) -> PhoneNumber:
    return parse(number, None)
