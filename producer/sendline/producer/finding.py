"""How messages are found again, as plans: by status, campaign, recipient and time, a page at a time."""

import base64
import binascii
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal

from sendline.contract.draft import campaign_name
from sendline.contract.errors import InvalidMessage
from sendline.contract.numbers import parse_number
from sendline.contract.page import Filters, Page
from sendline.contract.status import Status
from sendline.ledger import campaigns
from sendline.ledger.limits import Limits
from sendline.ledger.record import UNREADABLE, Flag, Record, pack, unpack
from sendline.producer.plan import Plan
from sendline.producer.trails import Book, Campaigns, Members, Met, OfRecipient, Place, Trail, milliseconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sendline.contract.message import Message
    from sendline.ledger.campaigns import Enrolled

LIMIT_MOST: Final = 1000
"""Messages of one page."""
EXAMINED_MOST: Final = 5000
"""Messages that are looked at for one page: what is rare takes several."""
_CURSOR_MOST: Final = 200
_AHEAD_MS: Final = 86_400_000
"""By which the ledger's clock may be ahead of ours."""

Way = Literal["book", "campaign", "to"]


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for. None: whatever it is."""

    status: Status | None = None
    campaign: str | None = None
    to: str | None = None
    """E.164."""
    after: datetime | None = None
    """Accepted then or later."""
    before: datetime | None = None
    """Accepted earlier."""
    owner: str | None = None
    """The name of the API key that sent it, or founded its campaign."""


def search_for(region: str | None, asked: Filters) -> Search:
    """Check what is looked for; raises InvalidMessage, naming the field."""
    unknown = asked.keys() - Filters.__annotations__.keys()
    if unknown:
        raise InvalidMessage(min(unknown), f"unknown; there are {', '.join(Filters.__annotations__)}")
    status, to, campaign = asked.get("status"), asked.get("to"), asked.get("campaign")
    return Search(
        None if status is None else _status(status),
        None if campaign is None else campaign_name(campaign),
        None if to is None else _number(to, region),
        _time(asked, "after"),
        _time(asked, "before"),
        asked.get("owner"),
    )


def _status(asked: Status | str) -> Status:
    try:
        return Status(asked)
    except ValueError:
        raise InvalidMessage("status", f"must be one of {', '.join(Status)}") from None


def _number(asked: str, region: str | None) -> str:
    try:
        return parse_number(asked, region)
    except ValueError as problem:
        raise InvalidMessage("to", str(problem)) from None


def _time(asked: Filters, name: Literal["after", "before"]) -> datetime | None:
    at = asked.get(name)
    if at is not None and (not isinstance(at, datetime) or at.tzinfo is None):
        raise InvalidMessage(name, "must be a time with its time zone, as 2026-11-27T09:00:00+01:00")
    return at


def find_page(limits: Limits, search: Search, limit: int, cursor: str | None) -> Plan[Page]:
    """Return a page of messages, the newest first. Raises InvalidMessage for a bad limit or cursor."""
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= LIMIT_MOST:
        raise InvalidMessage("limit", f"must be a whole number from 1 to {LIMIT_MOST}")
    way = yield from _way(search)
    if way is None:
        read_cursor("book", cursor)  # as if there were no such campaign
        return Page((), None)
    trail = trail_of(limits, search, way, read_cursor(way, cursor))
    match = Match(search)
    found: list[Message] = []
    while trail.examined < EXAMINED_MOST:
        some: Sequence[Met] | None = yield from trail.next()
        if some is None:
            return Page(tuple(found), None)
        for met in some:
            if (yield from match.fits(met)) and (message := _shown(met)):
                found.append(message)
            if len(found) == limit:
                return Page(tuple(found), write_cursor(way, met.place))
    return Page(tuple(found), write_cursor(way, trail.place))


def _shown(met: Met) -> "Message | None":
    """Return the message; None where its record is so damaged that nobody can see it."""
    try:
        return met.record.message(met.id)
    except UNREADABLE:
        return None


def _way(search: Search) -> Plan[Way | None]:
    """Return the shortest way along which what is looked for stands; None where it can't be seen."""
    if search.to is not None:
        return "to"
    if search.campaign is None:
        return "book"
    enrolled: Enrolled | None = yield campaigns.enrolled(search.campaign)
    if enrolled is None:
        return "book"  # single messages may name one that was never founded
    return "campaign" if search.owner in (None, enrolled.owner) else None


def trail_of(limits: Limits, search: Search, way: Way, place: Place) -> Trail:
    """Return the trail along that way, from `place` on."""
    before = _AHEAD_MS + round(time.time() * 1000) if search.before is None else milliseconds(search.before)
    after = 0 if search.after is None else milliseconds(search.after)
    if way == "to":
        return OfRecipient(place, search.to or "", before_ms=before, after_ms=after, limits=limits)
    if way == "campaign":
        return Members(place, search.campaign or "")
    return Book(place, before, after, search.owner)


class Match:
    """Whether messages are what is looked for."""

    def __init__(self, search: Search) -> None:
        self._search = search
        self._before = None if search.before is None else milliseconds(search.before)
        self._after = 0 if search.after is None else milliseconds(search.after)
        self._campaign = None if search.campaign is None else search.campaign.encode()
        self._campaigns = Campaigns()

    def fits(self, met: Met) -> Plan[bool]:
        """Return whether a message is looked for."""
        search, record = self._search, met.record
        if search.status is not None and record.state is not search.status:
            return False
        if self._campaign is not None and record.campaign != self._campaign:
            return False
        if record.created < self._after or (self._before is not None and record.created >= self._before):
            return False
        return search.owner is None or (yield from owner_of(met.id, record, self._campaigns)) == search.owner


def owner_of(message_id: bytes, record: Record, campaigns: Campaigns) -> Plan[str | None]:
    """Return the name of the API key to which a message belongs; None: to none."""
    if Flag.TEMPLATED in Flag(record.flags):
        return (yield from campaigns.owner_of(record.campaign.decode(), message_id))
    return record.owner


def write_cursor(way: Way, place: Place) -> str:
    """Return what stands for a place on the way."""
    return base64.urlsafe_b64encode(pack([way, *place])).rstrip(b"=").decode()


def read_cursor(way: Way, cursor: str | None) -> Place:
    """Return the place behind a cursor; () for None. Raises InvalidMessage."""
    if cursor is None:
        return ()
    wrong = InvalidMessage("cursor", "is none that this search gave out; leave it out to begin anew")
    if not isinstance(cursor, str) or len(cursor) > _CURSOR_MOST or not cursor.isascii():
        raise wrong
    try:
        kind, *place = unpack(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, *UNREADABLE):
        raise wrong from None
    if kind != way.encode() or tuple(map(type, place)) != _SHAPES[way]:
        raise wrong
    if any(isinstance(each, int) and not 0 <= each < _LATEST_PLACE for each in place):
        raise wrong
    return tuple(place)


_LATEST_PLACE: Final = 2**53
_SHAPES: Final[dict[Way, tuple[type, ...]]] = {
    "book": (int, int, int),
    "campaign": (int,),
    "to": (int, bytes, int),
}
"""What a place consists of, by the kind of way."""
