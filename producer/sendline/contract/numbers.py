"""Phone numbers and sender ids: what users write, made canonical, which is E.164: +13115552367."""

import re
from functools import cache
from typing import Final

from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    NumberParseException,
    PhoneMetadata,
    PhoneNumberFormat,
    ValidationResult,
    format_number,
    is_possible_number_with_reason,
    parse,
)

MAX_INPUT: Final = 32
"""The longest text that is read as a number, in characters."""

_CANONICAL: Final = re.compile(r"\+[0-9]{8,15}")
_SENDER_NAME: Final = re.compile(r"[A-Za-z0-9 ]{1,11}")
_INVISIBLE: Final = "\u200b\u200e\u200f\u202a\u202c\u202d\u2066\u2068\u2069\ufeff"
_WRITTEN: Final = re.compile(r"[(\s]*[+\uff0b]?[\d\s()./\u00ad\u2010-\u2015\u2060\u2212-]*\d[\d\s()./-]*")
_EXAMPLE: Final = "write it as +13115552367"
_WRONG_LENGTH: Final = {
    ValidationResult.TOO_SHORT: f"too short for a phone number of its country; {_EXAMPLE}",
    ValidationResult.TOO_LONG: f"too long for a phone number of its country; {_EXAMPLE}",
    ValidationResult.INVALID_LENGTH: f"no phone number of its country has this length; {_EXAMPLE}",
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: "has no area code; write it whole, as +13115552367",
    ValidationResult.INVALID_COUNTRY_CODE: f"has an unknown country code; {_EXAMPLE}",
}


def is_number(text: str) -> bool:
    """Return whether `text` has the form of a canonical number: + and 8 to 15 digits."""
    return _CANONICAL.fullmatch(text) is not None


def parse_number(text: str, region: str | None) -> str:
    """Return the number that `text` means in E.164; `region` ("US") reads what has no country code.

    The number is one that could exist by its country's rules of length; whether it does, nobody knows
    but its network. Raises ValueError with one sentence and the fix, never quoting the number.
    """
    if not isinstance(text, str):
        raise ValueError(f"not text; {_EXAMPLE}")  # noqa: TRY004 - callers handle one error
    if len(text) > MAX_INPUT:
        raise ValueError(f"longer than {MAX_INPUT} characters; {_EXAMPLE}")
    if is_number(text) and _is_settled(text):
        return text
    written = text.strip(_INVISIBLE)
    if _WRITTEN.fullmatch(written) is None:
        raise ValueError(f"not a phone number; {_EXAMPLE}")
    return _parse(written, region)


def parse_sender(text: str, region: str | None) -> str:
    """Return a canonical sender: a phone number as `parse_number` reads it, or an alphanumeric sender id.

    A sender id is 1 to 11 ASCII letters, digits and spaces, at least one of them a letter. Raises ValueError
    with one sentence and the fix.
    """
    if not isinstance(text, str):
        raise ValueError(f"not text; {_EXAMPLE}")  # noqa: TRY004 - callers handle one error
    if is_number(text) or not any(char.isalpha() for char in text[: MAX_INPUT + 1]):
        return parse_number(text, region)
    name = text.strip()
    if _SENDER_NAME.fullmatch(name) is None:
        raise ValueError(
            "neither a phone number nor a sender id; a sender id is 1 to 11 letters (A-Z), digits and spaces"
        )
    return name


def mask(number: str) -> str:
    """Return `number` fit for logs: its first 3 and last 2 characters, and nothing of its length."""
    if len(number) < 8:  # noqa: PLR2004 - the shortest number there is; less would show most of it
        return "***"
    return f"{number[:3]}***{number[-2:]}"


def _parse(written: str, region: str | None) -> str:
    international = "+" in written or "\uff0b" in written
    try:
        number = parse(written, region)
    except NumberParseException as error:
        if error.error_type != NumberParseException.INVALID_COUNTRY_CODE:
            raise ValueError(f"not a phone number; {_EXAMPLE}") from None
        if international:
            raise ValueError(_WRONG_LENGTH[ValidationResult.INVALID_COUNTRY_CODE]) from None
        raise ValueError("has no country code; write it with + or set default_region") from None
    verdict = is_possible_number_with_reason(number)
    if verdict != ValidationResult.IS_POSSIBLE:
        raise ValueError(_WRONG_LENGTH.get(verdict, f"not a phone number; {_EXAMPLE}"))
    canonical = format_number(number, PhoneNumberFormat.E164)
    if not is_number(canonical):
        raise ValueError(f"not 8 to 15 digits with its country code; {_EXAMPLE}")
    return canonical


def _is_settled(canonical: str) -> bool:
    """Return whether phonenumbers would surely return `canonical` as it is (2 µs instead of 20).

    False only sends it the long way: where its length is odd, or where its country's rules may strip a
    national prefix that was written after the country code (+44 07911... is +44 7911...).
    """
    for width in (1, 2, 3):
        plan = _plan(canonical[1 : 1 + width])
        if plan is not None:
            lengths, national_prefix = plan
            national = canonical[1 + width :]
            if len(national) not in lengths:
                return False
            return national_prefix is None or national_prefix.match(national) is None
    return False


@cache  # at most 1,110 different codes
def _plan(country_code: str) -> tuple[frozenset[int], re.Pattern[str] | None] | None:
    """Return the lengths of national numbers and the pattern of the national prefix, or None."""
    regions = COUNTRY_CODE_TO_REGION_CODE.get(int(country_code))
    if regions is None or country_code.startswith("0"):
        return None
    metadata = PhoneMetadata.metadata_for_region_or_calling_code(int(country_code), regions[0])
    if metadata is None or metadata.general_desc is None:
        return None
    prefix = metadata.national_prefix_for_parsing
    return frozenset(metadata.general_desc.possible_length), re.compile(prefix) if prefix else None
