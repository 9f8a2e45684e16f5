"""The ways along which messages are looked for: the book, a campaign's list, the lists of recipients.

Each begins at the newest and brings some messages at a time, each with the place behind it, from which one
goes on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, Protocol

from sendline.campaigns.identity import is_of, message_id
from sendline.ledger import campaigns, finding
from sendline.ledger.finding import HOUR_MS, WEEK_MS, Stretch
from sendline.ledger.limits import Limits
from sendline.ledger.record import Record
from sendline.producer.plan import Plan

if TYPE_CHECKING:
    from sendline.ledger.campaigns import Enrolled

STEP: Final = 200
"""Messages that are looked at together."""
_ENROLLED: Final = 1000
_LISTED: Final = 1000
"""Places of a recipient's list that are looked at together."""
_LATEST: Final = 2**62

Place = tuple[int | bytes, ...]


@dataclass(frozen=True, slots=True)
class Met:
    """A message on the way, and the place behind it."""

    id: bytes
    record: Record
    place: Place


class Trail(Protocol):
    """One way along which messages are looked for."""

    place: Place
    """Where one goes on."""
    examined: int
    """Ids that were looked at."""

    def next(self) -> Plan[Sequence[Met] | None]:
        """Return some more messages, perhaps none; None at the end."""
        ...


def _met(ids: Sequence[bytes], places: Sequence[Place]) -> Plan[list[Met]]:
    if not ids:
        return []
    kept: list[Record | None] = yield finding.records(ids)
    return [Met(*one) for one in zip(ids, kept, places, strict=True) if one[1] is not None]  # type: ignore[arg-type]


class Campaigns:
    """Campaigns, as far as who looks for messages must know them, read once each."""

    def __init__(self) -> None:
        self._known: dict[str, Enrolled | None] = {}

    def get(self, name: str) -> Plan["Enrolled | None"]:
        """Return the campaign of that name; None where it is not kept."""
        if name not in self._known:
            self._known[name] = yield campaigns.enrolled(name)
        return self._known[name]

    def owner_of(self, name: str, message_id: bytes) -> Plan[str | None]:
        """Return the owner of the campaign that sent a message; None: nobody, or it is not kept any more."""
        campaign = yield from self.get(name)
        if campaign is None or not is_of(campaign.own, message_id):
            return None  # its name was used again
        return campaign.owner


class Book:
    """All messages, hour by hour."""

    def __init__(self, place: Place, before_ms: int, after_ms: int, owner: str | None) -> None:
        """`place`: hour, entries of it that are left, and of the stretch behind them; () at the beginning.

        Messages of campaigns that are not `owner`'s are passed over, unless it is None.
        """
        self.place = place
        self.examined = 0
        self._newest = before_ms // HOUR_MS
        self._oldest = after_ms // HOUR_MS
        self._owner = owner
        self._campaigns = Campaigns()
        self._read: dict[int, finding.Entry] = {}
        """Entries of the hour that were read, by their places."""

    def next(self) -> Plan[Sequence[Met] | None]:
        """Return some more messages; see Trail."""
        if not self.place:
            return (yield from self._enter(self._newest))
        hour, left, within = map(int, self.place)
        if not left:
            return (yield from self._enter(hour - 1))
        if left - 1 not in self._read:
            first = max(left - STEP, 0)
            entries: list[finding.Entry] = yield finding.entries(hour, first, left - 1)
            self._read = dict(enumerate(entries, first))
            if left - 1 not in self._read:
                return (yield from self._enter(hour - 1))  # its list is kept no longer
        entry = self._read[left - 1]
        if isinstance(entry, Stretch):
            return (yield from self._along(entry, hour, left, within or entry.number))
        return (yield from self._singles(hour, left))

    def _enter(self, newest: int) -> Plan[Sequence[Met] | None]:
        listed: list[int] = yield finding.hours()
        hour = next((hour for hour in listed if self._oldest <= hour <= newest), None)
        if hour is None:
            return None
        self._read = {}
        self.place = (hour, (yield finding.entries_number(hour)), 0)
        return []

    def _singles(self, hour: int, left: int) -> Plan[Sequence[Met]]:
        ids: list[bytes] = []
        while isinstance(one := self._read.get(left - 1 - len(ids)), bytes):
            ids.append(one)
        self.place = (hour, left - len(ids), 0)
        self.examined += len(ids)
        return (yield from _met(ids, [(hour, left - each, 0) for each in range(1, len(ids) + 1)]))

    def _along(self, stretch: Stretch, hour: int, left: int, within: int) -> Plan[Sequence[Met]]:
        """Go on in the stretch of a campaign of which the first `within` messages are left."""
        behind: Place = (hour, left - 1, 0)
        self.examined += 1
        campaign = yield from self._campaigns.get(stretch.campaign)
        if campaign is None or not campaign.own.endswith(stretch.own_end):
            self.place = behind  # it is not kept any more
            return []
        if self._owner is not None and campaign.owner != self._owner:
            self.place = behind
            return []
        begin = max(within - STEP, 0)
        found: list[bytes] = yield campaigns.members(stretch.campaign, stretch.first + begin, within - begin)
        ids = found[::-1]
        places: list[Place] = [(hour, left, within - each) for each in range(1, len(ids) + 1)]
        self.place = (hour, left, begin) if begin else behind
        if places and not begin:
            places[-1] = behind
        self.examined += within - begin
        return (yield from _met(ids, places))


class Members:
    """The messages of one campaign."""

    def __init__(self, place: Place, campaign: str) -> None:
        """`place`: how many of its messages are left; () at the beginning."""
        self.place = place
        self.examined = 0
        self._campaign = campaign

    def next(self) -> Plan[Sequence[Met] | None]:
        """Return some more messages; see Trail."""
        left = int(self.place[0]) if self.place else (yield campaigns.members_number(self._campaign))
        first = max(left - STEP, 0)
        ids: list[bytes] = []
        if left:
            ids = (yield campaigns.members(self._campaign, first, left - first))[::-1]
        if not ids:
            return None
        self.place = (first,)
        self.examined += len(ids)
        return (yield from _met(ids, [(left - each,) for each in range(1, len(ids) + 1)]))


class OfRecipient:
    """The messages to one number, week by week. Ids of a campaign's messages are reckoned, not looked up."""

    def __init__(self, place: Place, to: str, *, before_ms: int, after_ms: int, limits: Limits) -> None:
        """`place`: when (ms) the last one was accepted, its id, and the week; () at the beginning."""
        self.place = place
        self.examined = 0
        self._to = to
        self._newest = before_ms // WEEK_MS
        self._oldest = after_ms // WEEK_MS
        self._limits = limits
        self._of_campaigns: list[tuple[bytes, Record]] | None = None

    def next(self) -> Plan[Sequence[Met] | None]:
        """Return some more messages; see Trail."""
        if self._of_campaigns is None:
            self._of_campaigns = yield from self._reckoned()
            hours: list[int] = yield finding.hours()
            oldest = [r.created for _, r in self._of_campaigns] + [hour * HOUR_MS for hour in hours]
            self._oldest = max(self._oldest, min(oldest, default=_LATEST) // WEEK_MS)
        week = int(self.place[2]) if self.place else self._newest
        if week < self._oldest:
            return None
        found = {id_: r for id_, r in self._of_campaigns if r.created // WEEK_MS == week}
        found.update((yield from self._listed(week)))
        met = [Met(id_, r, (r.created, id_, week)) for id_, r in found.items()]
        met.sort(key=lambda one: (one.record.created, one.id), reverse=True)
        if self.place and self.place[1]:
            met = [one for one in met if one.place[:2] < self.place[:2]]
        self.place = (0, b"", week - 1)
        return met

    def _listed(self, week: int) -> Plan[dict[bytes, Record]]:
        kept: dict[bytes, Record] = {}
        left = _LATEST
        while left:
            left, found = yield finding.addressed(self._limits, week, self._to, left, _LISTED)
            kept.update(found)
            self.examined += STEP
        return kept

    def _theirs(self, ids: Sequence[bytes]) -> Plan[list[tuple[bytes, Record]]]:
        if not ids:
            return []
        self.examined += len(ids)
        found: list[Record | None] = yield finding.records(ids)
        to = self._to.encode()
        return [(id_, r) for id_, r in zip(ids, found, strict=True) if r is not None and r.to == to]

    def _reckoned(self) -> Plan[list[tuple[bytes, Record]]]:
        kept: list[tuple[bytes, Record]] = []
        start = 0
        while enrolled := (yield campaigns.roster(self._limits, start, _ENROLLED)):
            some: list[Enrolled] = enrolled
            kept += yield from self._theirs([message_id(each.own, self._to) for each in some])
            start += _ENROLLED
        return kept


def milliseconds(at: datetime) -> int:
    """Return the ms since the epoch of an aware time."""
    return round(at.timestamp() * 1000)
