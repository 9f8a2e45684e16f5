"""The time zone of a recipient, as far as the phone number tells it.

A number of an area has the zone of that area; any other, a mobile number in most countries, has all the zones
of its country. What a number's zones are is libphonenumber's answer, at a tenth of its cost, but for three
cases, in which it would have people sent messages by another country's clock. Numbers that it calls invalid
have the zones of their country: a range newly given out is still there. What shares a calling code with a
larger country but is told by its first digits, as Jamaica or Kazakhstan, is that area only, whatever kind of
number it is. And six countries have their own zone instead of a neighbour's, which changes its clocks on
other days.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    PhoneMetadata,
    PhoneNumberDesc,
    PhoneNumberType,
    is_number_type_geographical,
)

SEPARATOR: Final = "|"
"""Stands between the zones of a key that names several."""

_SPECIAL: Final = (
    "premium_rate",
    "toll_free",
    "shared_cost",
    "voip",
    "personal_number",
    "pager",
    "uan",
    "voicemail",
)
_YEAR: Final = 366
_CORRECTED: Final = {
    "211": "Africa/Juba",
    "212": "Africa/Casablanca",
    "213": "Africa/Algiers",
    "218": "Africa/Tripoli",
    "505": "America/Managua",
    "970": "Asia/Hebron",
}
"""Countries, by calling code, that the library's data give a zone with other hours (as of 9.0.43)."""


def zone_of(number: str, default: str | None = None) -> str | None:
    """Return the IANA time zone of `number` (E.164), or None where it can't be told.

    Where its zones are several that keep the same time for the whole coming year, they are as good as one:
    the first. Where they differ, `default` decides if it keeps the time of one of them. `default` also
    stands in where nothing at all is known of the number. A zone that this machine has no data for is not
    known.
    """
    return _answer(_deciding_prefix(number), default)[0]


def zone_key(number: str, default: str | None = None) -> str:
    """Return the zone of `number`, or its possible zones joined by "|", or "" if nothing is known.

    Zones that keep the same time for the whole coming year are named once.
    """
    return _answer(_deciding_prefix(number), default)[1]


@cache
def known_zone(name: str) -> ZoneInfo | None:
    """Return the time zone `name` ("Europe/Berlin"), or None if this machine knows no such zone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def change_between(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """Return the second, after `before`, from which `zone` has the offset that it has at `after`."""
    offset = after.astimezone(zone).utcoffset()
    while (span := after - before) > timedelta(seconds=1):
        middle = before + timedelta(seconds=span // timedelta(seconds=2))
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after


@lru_cache(maxsize=1 << 14)
def _answer(prefix: str, default: str | None) -> tuple[str | None, str]:
    """Return the one zone of the numbers with `prefix`, if there is one, and their key."""
    zones = _prefixes().get(prefix, ())
    if default is not None and known_zone(default) is None:
        default = None
    if not zones or any(known_zone(zone) is None for zone in zones):
        return default, default or ""
    different = {_offsets(zone): zone for zone in reversed(zones)}
    if len(different) == 1:
        return zones[0], zones[0]
    if default is not None and _offsets(default) in different:
        return default, default
    return None, SEPARATOR.join(sorted(different.values()))


@cache
def _offsets(zone: str) -> tuple[tuple[datetime, timedelta | None], ...]:
    """Return the offsets from UTC that `zone` has in the coming year, and since when it has them."""
    info, days = ZoneInfo(zone), _coming_days()
    found = [(days[0], days[0].astimezone(info).utcoffset())]
    for begin, end in pairwise(days):
        offset = end.astimezone(info).utcoffset()
        if offset != found[-1][1]:
            found.append((change_between(info, begin, end), offset))
    return tuple(found)


@cache  # one year for all zones, however long the process lives: they are compared with each other
def _coming_days() -> tuple[datetime, ...]:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return tuple(today + timedelta(days=day) for day in range(_YEAR + 1))


@cache  # 0.6 MB, which only those who ask for zones shall hold
def _prefixes() -> dict[str, tuple[str, ...]]:
    from phonenumbers.tzdata import TIMEZONE_DATA  # noqa: PLC0415

    known = {prefix: zones for prefix, zones in TIMEZONE_DATA.items() if "Etc/Unknown" not in zones}
    return known | {code: (zone,) for code, zone in _CORRECTED.items()}


def _deciding_prefix(number: str) -> str:
    """Return the prefix, without +, that the zones of `number` hang on: its area's or its country's code."""
    plan = _plan(number[1:4])
    if plan is None:
        return ""
    found = plan.pattern.fullmatch(number, 1 + len(plan.code)) if plan.pattern is not None else None
    if found is None or found.lastindex is None:
        return plan.code
    prefixes = _prefixes()
    return next((prefix for end in plan.ends if (prefix := number[1:end]) in prefixes), plan.code)


@dataclass(frozen=True, slots=True)
class _Plan:
    """How the numbers of one calling code are given out.

    `pattern` fits national numbers; its groups, those that have an area. Regions that share the code are in
    it in the library's order. None where all have the same zones. `ends` is how far into a number the
    prefixes of areas go, the longest first.
    """

    code: str
    pattern: re.Pattern[str] | None
    ends: tuple[int, ...] = ()


@cache  # at most 1,110 different texts
def _plan(digits: str) -> _Plan | None:
    """Return the plan of the calling code that `digits` begin with, or None if there is none."""
    for width in (1, 2, 3):
        code = digits[:width]
        if code.isdecimal() and int(code) in COUNTRY_CODE_TO_REGION_CODE and not code.startswith("0"):
            return _plan_of(code)
    return None


@cache
def _plan_of(code: str) -> _Plan:
    areas = {prefix: zones for prefix, zones in _prefixes().items() if prefix.startswith(code)}
    if not areas or (code in areas and len(set(areas.values())) == 1):
        return _Plan(code, None)
    main, *others = (
        data
        for region in COUNTRY_CODE_TO_REGION_CODE[int(code)]
        if (data := PhoneMetadata.metadata_for_region(region)) is not None
    )
    begins = main.leading_digits if others else None
    first = _valid(main, int(code)) if begins is None else _told_by(begins, _valid(main, int(code)))
    rest = [
        _valid(data, int(code)) if data.leading_digits is None else _told_by(data.leading_digits, r"(\d*)")
        for data in others
    ]
    ends = sorted({1 + len(prefix) for prefix in areas}, reverse=True)
    return _Plan(code, re.compile("|".join([first, *rest])), tuple(ends))


def _told_by(begins: str, pattern: str) -> str:
    """Return the expression for a region that has all the numbers with its leading digits, valid or not."""
    return rf"(?={begins})(?:{pattern}|\d*)"


def _valid(data: PhoneMetadata, code: int) -> str:
    """Return the expression for the valid numbers of a region; its one group are those that have an area."""
    area, others = [_shape(data.fixed_line)], [_shape(data.mobile)]
    if is_number_type_geographical(PhoneNumberType.MOBILE, code):
        area, others = area + others, []
    kinds = "|".join([*(_shape(getattr(data, name)) for name in _SPECIAL), f"({'|'.join(area)})", *others])
    return rf"(?={_shape(data.general_desc)}\Z)(?:{kinds})"


def _shape(kind: PhoneNumberDesc | None) -> str:
    """Return the expression for numbers of one kind, length and all; or one that fits nothing."""
    if kind is None or kind.national_number_pattern is None:
        return "(?!)"
    lengths = "|".join(rf"\d{{{length}}}" for length in kind.possible_length) or r"\d*"
    return rf"(?=(?:{lengths})\Z)(?:{kind.national_number_pattern})"
