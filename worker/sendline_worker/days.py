"""Where days begin in a time zone: the midnights between which daily caps count. Pure: the time comes in."""

from bisect import bisect_left
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND: Final = timedelta(milliseconds=1)
DAY: Final = timedelta(days=1)


def midnights(now_ms: int, time_zone: str, count: int = 8) -> tuple[int, ...]:
    """Return the instants (ms since the epoch) at which `count` days begin, only the first at or before now.

    They rise strictly: by 24 h, or by as much more or less as the clocks are set back or forward. Where
    midnight is left out, a day begins with its first instant; where it comes twice, with the first of them; a
    day that is left out is passed over. Raises zoneinfo.ZoneInfoNotFoundError where the zone is unknown here.
    """
    zone = UTC if time_zone == "UTC" else ZoneInfo(time_zone)
    today = (EPOCH + now_ms * MILLISECOND).astimezone(zone).date()
    around = sorted({_begin(today + ahead * DAY, zone) for ahead in range(-2, count + 3)})
    first = max(place for place, at in enumerate(around) if at <= now_ms)
    return tuple(around[first : first + count])


def _begin(day: date, zone: tzinfo) -> int:
    """Return the first instant (ms) of a local day, or of the next one where the zone left it out."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    first = _ms(midnight)
    earlier = _ms(midnight.replace(fold=1))
    if earlier >= first:
        return first

    def local(ms: int) -> date:
        return (EPOCH + ms * MILLISECOND).astimezone(zone).date()

    # Midnight lies in a gap, which the two instants enclose: the day begins where the gap does.
    return earlier + bisect_left(range(earlier, first), day, key=local)


def _ms(moment: datetime) -> int:
    return (moment - EPOCH) // MILLISECOND
