"""Windows: between which hours of the recipient's day a campaign may send.

A window is open only at instants whose local time lies within its hours. Where clocks are set forward, an
hour that doesn't exist opens and closes it at the instant of the change. Where they are set back and an hour
comes twice, it opens at the second occurrence of its start and closes at the first of its end, so that it is
inside the hours whichever of the two was meant; hours that lie wholly within the doubled hour may then not
open at all on that day.
"""

import heapq
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from functools import reduce
from typing import Final, Self
from zoneinfo import ZoneInfo

from sendline.campaigns.zones import SEPARATOR, change_between, known_zone
from sendline.contract.errors import InvalidCampaign

MARGIN: Final = 2.0
"""Seconds before the end of a window from which nothing is begun any more: a call takes its time."""

DAYS: Final = 8
"""Days that a schedule looks ahead: a window on one day of the week is in it whenever it is asked for."""

ALL_DAYS: Final = frozenset(range(7))

Schedule = tuple[tuple[int, int], ...]
"""When sending is allowed: intervals in order, apart, in microseconds since the epoch, without their ends."""

_NAMES: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY: Final = r"(?:mon|tue|wed|thu|fri|sat|sun)"
_SHAPE: Final = re.compile(
    rf"(?:({_DAY}(?:\s?[,-]\s?{_DAY})*)\s+)?([0-9]{{1,2}}):([0-9]{{2}})\s?-\s?([0-9]{{1,2}}):([0-9]{{2}})",
    re.IGNORECASE,
)
_EXAMPLE: Final = 'write it as "09:00-20:00" or "Mon-Fri 09:00-20:00"'
_MOST: Final = 100
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Interval:
    """When a window is open, in UTC: from `opens_at`, to before `closes_at`."""

    opens_at: datetime
    closes_at: datetime


@dataclass(frozen=True, slots=True)
class Window:
    """The local hours, and the days of the week, at which recipients may be sent to.

    `end` is outside; midnight as `end` is the day's end. An `end` before `start` is on the next day, and the
    night belongs to the day on which it begins. `days` counts from Monday, 0. `default_zone` is the time zone
    of recipients whose number leaves it open. Raises InvalidCampaign.
    """

    start: time
    end: time
    days: frozenset[int] = ALL_DAYS
    default_zone: str | None = None

    def __post_init__(self) -> None:
        for hour in (self.start, self.end):
            if hour.tzinfo is not None or hour.second or hour.microsecond:
                raise InvalidCampaign("window", f"hours are local and in whole minutes; {_EXAMPLE}")
        if self.start == self.end != time(0):
            raise InvalidCampaign("window", 'it ends where it begins; the whole day is "00:00-24:00"')
        if not self.days or not self.days <= ALL_DAYS:
            raise InvalidCampaign("window", "days are some of 0 (Monday) to 6 (Sunday)")
        if self.default_zone is not None:
            _zone(self.default_zone)

    @classmethod
    def parse(cls, text: str, default_zone: str | None = None) -> Self:
        """Return the window that `text` means: "09:00-20:00", "Mon-Fri,Sun 22:00-06:00", "00:00-24:00".

        Raises InvalidCampaign.
        """
        if len(text) > _MOST:
            raise InvalidCampaign("window", f"longer than {_MOST} characters; {_EXAMPLE}")
        found = _SHAPE.fullmatch(text.strip().replace("\u2013", "-"))
        if found is None:
            raise InvalidCampaign("window", f"is not understood; {_EXAMPLE}")
        named, *clock = found.groups()
        start, end = _hour(clock[0], clock[1]), _hour(clock[2], clock[3], last=True)
        return cls(start, end, _days(named) if named else ALL_DAYS, default_zone)

    def to_text(self) -> str:
        """Return the text that `parse` reads as this window; `default_zone` is not in it."""
        end = "24:00" if self.end == time(0) else f"{self.end:%H:%M}"
        hours = f"{self.start:%H:%M}-{end}"
        return hours if self.days == ALL_DAYS else f"{_days_text(self.days)} {hours}"

    def opens(self, zone: str, now: datetime, margin: float = MARGIN) -> Interval | None:
        """Return the interval in which the window is open at `now`, or else the next one.

        Open means that more than `margin` seconds are left. `closes_at` is the end by the clock, which
        `schedule` has `margin` seconds earlier; of a window that never closes, 17 days on. None if it
        doesn't open within 16 days: a clock's change can take a weekly window away, but not twice in a row.
        Raises InvalidCampaign for an unknown zone.
        """
        found = self.schedule(zone, now, 2 * DAYS, margin)
        if not found:
            return None
        opens, closes = (_EPOCH + timedelta(microseconds=instant) for instant in found[0])
        return Interval(opens, closes + timedelta(seconds=margin))

    def schedule(self, zone: str, now: datetime, days: int = DAYS, margin: float = MARGIN) -> Schedule:
        """Return when the window is open in `zone`, from the interval that holds `now` to `days` days on.

        The last `margin` seconds of each interval are left out. Raises InvalidCampaign for an unknown zone.
        """
        return _trimmed(self._open(zone, now, days), now, margin)

    def strictest(
        self, zones: tuple[str, ...], now: datetime, days: int = DAYS, margin: float = MARGIN
    ) -> Schedule:
        """Return when the window is open in all of `zones`; () if it never is."""
        if not zones:
            return ()
        common = reduce(_intersection, (self._open(zone, now, days) for zone in zones))
        return _trimmed(common, now, margin)

    def schedule_for(self, key: str, now: datetime, days: int = DAYS, margin: float = MARGIN) -> Schedule:
        """Return the schedule of a key: a zone, or several joined by "|" of which all must be open."""
        return self.strictest(tuple(key.split(SEPARATOR)), now, days, margin)

    def _open(self, zone: str, now: datetime, days: int) -> Schedule:
        """Return the open intervals from yesterday on, by the clock, those that touch made one."""
        info = _zone(zone)
        today = now.astimezone(info).date()
        found: list[tuple[int, int]] = []
        for day in range(-1, days + 1):
            first = today + timedelta(days=day)
            if first.weekday() not in self.days:
                continue
            last = first if self.end > self.start else first + timedelta(days=1)
            begin, end = _instant(first, self.start, info, fold=1), _instant(last, self.end, info, fold=0)
            if found and begin <= found[-1][1]:
                found[-1] = (found[-1][0], max(end, found[-1][1]))
            elif begin < end:
                found.append((begin, end))
        return tuple(found)


def finish_at(
    schedules_with_counts: Mapping[str, tuple[Schedule, int]], rate: float, now_us: int
) -> int | None:
    """Return when all messages have gone, in microseconds since the epoch; None if a schedule ends before.

    Each key has its schedule and its count of messages; all share `rate` messages a second (math.inf: no
    limit). Of those open, the one that closes first goes first. An estimate: a steady flow, in exact
    arithmetic; what is behind another key's messages can miss its window, and goes in the next.
    """
    waiting = {key: count for key, (_, count) in schedules_with_counts.items() if count > 0}
    begins = sorted(
        (max(begin, now_us), end, key)
        for key in waiting
        for begin, end in schedules_with_counts[key][0]
        if end > now_us
    )
    if not waiting:
        return now_us
    if rate == math.inf:
        first = {key: begin for begin, _, key in reversed(begins)}
        return max(first.values()) if len(first) == len(waiting) else None
    return _flow(waiting, begins, Fraction(rate), now_us) if rate > 0 else None


def _flow(
    waiting: Mapping[str, int], begins: list[tuple[int, int, str]], rate: Fraction, now_us: int
) -> int | None:
    """Return when all that waits has flowed through the intervals, which are sorted by their begin."""
    scale, cost = rate.numerator, 1_000_000 * rate.denominator  # a unit of time is 1/scale µs: all are whole
    left = {key: count * cost for key, count in waiting.items()}
    closing: list[tuple[int, str]] = []
    instant, place = now_us * scale, 0
    while left:
        while place < len(begins) and begins[place][0] * scale <= instant:
            heapq.heappush(closing, begins[place][1:])
            place += 1
        if not closing:
            if place == len(begins):
                return None
            instant = begins[place][0] * scale
            continue
        end, key = closing[0]
        if key not in left or end * scale <= instant:
            heapq.heappop(closing)
            continue
        until = min(end, begins[place][0]) if place < len(begins) else end
        step = min(left[key], until * scale - instant)
        instant += step
        left[key] -= step
        if not left[key]:
            del left[key]
    return -(-instant // scale)


def _zone(name: str) -> ZoneInfo:
    zone = known_zone(name)
    if zone is None:
        raise InvalidCampaign(
            "window",
            "no time zone of this name is known here; write it as Europe/Berlin, or install tzdata",
        )
    return zone


def _instant(day: date, hour: time, zone: ZoneInfo, *, fold: int) -> int:
    """Return when it is `hour` on `day`, or when the clock jumps over it; of two occurrences the `fold`th."""
    local = datetime.combine(day, hour, zone)
    first, second = (local.replace(fold=which).astimezone(UTC) for which in (0, 1))
    if first > second:
        return _micros(change_between(zone, second, first))
    return _micros(second if fold else first)


def _micros(instant: datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND


def _trimmed(intervals: Schedule, now: datetime, margin: float) -> Schedule:
    """Return `intervals` without their last `margin` seconds, and without those that are over at `now`."""
    cut, instant = round(margin * 1_000_000), _micros(now)
    return tuple((begin, end - cut) for begin, end in intervals if end - cut > max(begin, instant))


def _intersection(these: Schedule, those: Schedule) -> Schedule:
    found = []
    mine, other = 0, 0
    while mine < len(these) and other < len(those):
        begin, end = max(these[mine][0], those[other][0]), min(these[mine][1], those[other][1])
        if begin < end:
            found.append((begin, end))
        if these[mine][1] < those[other][1]:
            mine += 1
        else:
            other += 1
    return tuple(found)


def _hour(hours: str, minutes: str, *, last: bool = False) -> time:
    hour, minute = int(hours), int(minutes)
    if last and (hour, minute) == (24, 0):
        return time(0)
    try:
        return time(hour, minute)
    except ValueError:
        raise InvalidCampaign("window", f"{hours}:{minutes} is no time of day; {_EXAMPLE}") from None


def _days(text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in re.sub(r"\s", "", text).title().split(","):
        first, *rest = (_NAMES.index(name) for name in part.split("-"))
        if len(rest) > 1:
            raise InvalidCampaign("window", f"{part!r} is no range of days; {_EXAMPLE}")
        last = rest[0] if rest else first
        found.update((first + step) % 7 for step in range((last - first) % 7 + 1))
    return frozenset(found)


def _days_text(days: frozenset[int]) -> str:
    """Return "Mon-Wed,Sat": runs of three days and more as ranges, some of them over the week's end."""
    parts = []
    for first in sorted(day for day in days if (day - 1) % 7 not in days):
        run = next(step for step in range(1, 8) if (first + step) % 7 not in days)
        names = [_NAMES[(first + step) % 7] for step in range(run)]
        parts += [f"{names[0]}-{names[-1]}"] if run > 2 else names  # noqa: PLR2004 - two read better as a list
    return ",".join(parts)
