"""Campaigns in the ledger: what they send, how far their import has come, and their counts."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sendline.contract.campaign import CampaignSpec, CampaignState, Imported, Progress
from sendline.contract.lane import OnUncertain
from sendline.contract.message import instant
from sendline.contract.status import Status
from sendline.ledger.call import Argument, Call
from sendline.ledger.keys import KEYS
from sendline.ledger.limits import Limits
from sendline.ledger.record import ASKED, Flag, pack
from sendline.ledger.scripts import script

_PARTS = 1_000_000
"""A part of one, as the scripts reckon with it."""

Founded = Literal["new", "same", "other"]


def found(
    limits: Limits,
    spec: CampaignSpec,
    own: bytes,
    *,
    weight: float = 1,
    source: str | None = "",
    owner: str | None = None,
) -> Call[tuple[Founded, bytes]]:
    """Found a campaign; `own` is its 16 bytes, by which the ids of its messages are made.

    `source` tells its source apart from others ('': nobody can; None: `bind` says it later). `owner` is the
    name of an API key.

    Returns whether it is new, or is there already with the same spec or with another one, and its 16 bytes.
    """
    heeded: dict[str, object] = {"valid_for": round(spec.valid_for * 1000)}
    if source is not None:
        heeded["source"] = source
    if owner:
        heeded["owner"] = owner
    if spec.callback_url:
        heeded["callback_url"] = spec.callback_url
    if spec.pause_at is not None:
        heeded |= {"pause_at": round(spec.pause_at * _PARTS), "pause_over": spec.pause_over}
    words: dict[int, Founded] = {1: "new", 2: "same", 3: "other"}
    arguments: list[Argument] = [
        limits.packed,
        spec.name,
        own,
        json.dumps(spec.to_plain(), sort_keys=True),
        "" if weight == 1 else weight,
        pack(heeded),
    ]
    return Call(script("found"), arguments, lambda reply: (words[reply[0]], reply[1]))


def bind(limits: Limits, name: str, own: bytes, source: str) -> Call[str | None]:
    """Bind a campaign that was founded without a source to its first one; None where there is no such one.

    Returns the source that it is bound to, which may be an earlier one.
    """

    def read(reply: Any) -> str | None:
        return reply.decode() if reply is not None else None

    return Call(script("bind"), [limits.packed, name, own, source], read)


@dataclass(frozen=True, slots=True)
class Enlisted:
    """One checked recipient of a campaign, not accepted yet."""

    id: bytes
    to: str = field(repr=False)
    segments: int
    values: Mapping[str, str] = field(repr=False)
    """Of the variables that the text uses."""
    sender: str = field(default="", repr=False)
    zones: str = ""
    """The key of its time zones, where the campaign has a window."""
    not_before_ms: int = 0
    route: int = 0
    """The place of its route among those of the stretch."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some rows of a source, one behind the other, and what of them is to be accepted."""

    campaign: str
    own: bytes
    before: int
    """The last line that was done with before."""
    line: int
    """The last line of this stretch."""
    rows: int
    rejected: int
    recipients: Sequence[Enlisted]
    routes: Sequence[tuple[str, ...]]
    account: str | None = None
    on_uncertain: OnUncertain | None = None
    is_hooked: bool = False
    is_watched: bool = False
    """It pauses by itself when too many fail."""
    hours: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """By key of time zones, the instants (us) at which the window opens and closes, in turns."""
    is_last: bool = False
    repeats: bool = False
    """A recipient may get more than one, so ids can't be reckoned from the recipient alone."""


EnlistVerdict = Literal["done", "again", "elsewhere", "unknown", "closed"]


def enlist(limits: Limits, stretch: Stretch) -> Call[tuple[EnlistVerdict, int]]:
    """Accept a stretch of recipients, all or nothing and once; return how it went, and the last line done.

    "again": it was done before. "elsewhere": another stretch is to come. "closed": it takes no more.
    """
    flags = ASKED[stretch.on_uncertain] | Flag.TEMPLATED
    flags |= (Flag.HOOKED if stretch.is_hooked else 0) | (Flag.WATCHED if stretch.is_watched else 0)
    words: dict[int, EnlistVerdict] = {1: "done", 2: "again", 0: "elsewhere", -1: "unknown", -2: "closed"}
    arguments: list[Argument] = [
        limits.packed,
        stretch.campaign,
        stretch.own,
        stretch.before,
        stretch.line,
        stretch.rows,
        stretch.rejected,
        int(stretch.is_last),
        pack([int(flags), stretch.account or "", _joined(stretch.routes), int(stretch.repeats)]),
        pack({zones: list(instants) for zones, instants in stretch.hours.items()}),
        *map(_packed_recipient, stretch.recipients),
    ]
    return Call(script("enlist"), arguments, lambda reply: (words[reply[0]], reply[1]))


def _joined(routes: Sequence[tuple[str, ...]]) -> list[str]:
    return [",".join(route) for route in routes]


def _packed_recipient(r: Enlisted) -> bytes:
    values = pack(dict(r.values)) if r.values else b""
    return pack([r.id, r.to, r.segments, values, r.sender, r.zones, r.not_before_ms, r.route + 1])


Steering = Literal["start", "schedule", "pause", "resume", "cancel"]


def steer(limits: Limits, name: str, what: Steering, argument: str = "") -> Call[tuple[bool, str] | None]:
    """Start, pause, resume or cancel a campaign. Returns whether that was done, and its state before.

    None where there is no such campaign; the state is "late" where it was not started in time. `argument`:
    of `schedule` the instant in ms, of `pause` the cause.
    """

    def read(reply: Any) -> tuple[bool, str] | None:
        return None if reply[0] == -1 else (reply[0] == 1, reply[1].decode())

    return Call(script("steer"), [limits.packed, name, what, argument], read)


@dataclass(frozen=True, slots=True)
class Found:
    """A campaign as the ledger holds it."""

    spec: CampaignSpec
    own: bytes
    progress: Progress
    source: str = ""
    """What tells its source apart from others; empty: nobody can."""
    owner: str | None = None
    """The name of the API key that founded it; None: an app of the house did."""


def read_campaign(name: str) -> Call[Found | None]:
    """Read a campaign with its counts, all of one instant; None where there is none."""
    return Call("HGETALL", [KEYS["campaign"] + name], lambda reply: _campaign(name, reply))


def campaign_names(start: int = 0, most: int = 1000) -> Call[list[str]]:
    """Read the names of campaigns, the newest first."""
    return Call(
        "ZREVRANGE",
        [KEYS["campaigns"], start, start + most - 1],
        lambda reply: [name.decode() for name in reply],
    )


def founded(before_ms: int, skip: int, most: int) -> Call[list[tuple[str, int]]]:
    """Read the names of campaigns and when they were founded (ms), the newest first, none after `before_ms`.

    The first `skip` of them are passed over. Some may be kept no longer.
    """

    def read(reply: Any) -> list[tuple[str, int]]:
        return [(name.decode(), int(at)) for name, at in zip(reply[::2], reply[1::2], strict=True)]

    which: list[Argument] = [KEYS["campaigns"], str(before_ms), "-inf", "WITHSCORES", "LIMIT", skip, most]
    return Call("ZREVRANGEBYSCORE", which, read)


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A campaign, as far as who looks for messages must know it."""

    name: str
    own: bytes
    owner: str | None


def roster(limits: Limits, start: int, most: int) -> Call[list[Enrolled]]:
    """Read up to `most` campaigns, the newest first, from place `start` on."""

    def read(reply: Any) -> list[Enrolled]:
        return [Enrolled(name.decode(), own, owner.decode() or None) for name, own, owner in reply]

    return Call(script("roster"), [limits.packed, start, most], read)


def enrolled(name: str) -> Call[Enrolled | None]:
    """Read a campaign as `roster` does; None where there is none."""

    def read(reply: Any) -> Enrolled | None:
        own, owner = reply
        return Enrolled(name, own, owner.decode() if owner else None) if own else None

    return Call("HMGET", [KEYS["campaign"] + name, "own", "owner"], read)


def owner_of(name: str) -> Call[str | None]:
    """Read the name of the API key that founded a campaign; None: an app of the house, or there is none."""
    return Call("HGET", [KEYS["campaign"] + name, "owner"], lambda reply: reply.decode() if reply else None)


def members_number(name: str) -> Call[int]:
    """Read how many messages a campaign has."""
    return Call("LLEN", [KEYS["members"] + name], int)


def members(name: str, start: int, most: int) -> Call[list[bytes]]:
    """Read the ids of a campaign's messages, in the order of its source, from place `start` on."""
    return Call("LRANGE", [KEYS["members"] + name, start, start + most - 1], list)


def hours_of(name: str) -> Call[list[str]]:
    """Read the keys of time zones for which a campaign's window is published."""
    return Call("HKEYS", [KEYS["hours"] + name], lambda reply: [zones.decode() for zones in reply])


def publish_hours(name: str, hours: Mapping[str, Sequence[int]]) -> Call[int]:
    """Publish when a campaign's window opens and closes (us, in turns), by key of time zones."""
    pairs: list[Argument] = []
    for zones, instants in hours.items():
        pairs += [zones, pack(list(instants))]
    return Call("HSET", [KEYS["hours"] + name, *pairs], int)


def _campaign(name: str, reply: Any) -> Found | None:
    pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
    fields = {key.decode(): value for key, value in pairs}
    if "spec" not in fields:
        return None
    spec = CampaignSpec.from_plain(json.loads(fields["spec"]))
    return Found(
        spec,
        fields["own"],
        _progress(name, fields),
        source=fields.get("source", b"").decode(),
        owner=fields.get("owner", b"").decode() or None,
    )


def _progress(name: str, fields: Mapping[str, bytes]) -> Progress:
    def number(field: str) -> int:
        return int(fields.get(field, b"0"))

    def when(field: str) -> datetime | None:
        return instant(number(field)) if field in fields else None

    imported = Imported(
        rows=number("rows"),
        accepted=number("accepted"),
        rejected=number("rejected"),
        duplicates=number("duplicates"),
        complete=number("complete") == 1,
        line=number("line"),
    )
    errors = {key[2:]: int(value) for key, value in fields.items() if key.startswith("e:") and int(value)}
    return Progress(
        name=name,
        state=CampaignState(fields["state"].decode()),
        imported=imported,
        statuses={status: number(status.value) for status in Status},
        errors=errors,
        cause=fields.get("cause", b"").decode(),
        created_at=when("at"),
        start_at=when("start_at"),
        started_at=when("started"),
        ends_at=when("ends"),
        ended_at=when("ended"),
    )
