"""The record of a message as it is stored: one packed array, written here and in Lua.

Both releases of a rolling upgrade read it: fields are only ever appended, and a writer keeps those that it
does not know. msgpack without its `bin` type, which Redis' Lua does not read.
"""

from datetime import datetime
from enum import IntFlag
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

import msgpack

from sendline.contract import ids
from sendline.contract.codes import ErrorCode
from sendline.contract.lane import LANE_CODES, Lane, OnUncertain
from sendline.contract.message import Event, Message, TimelineEntry, instant
from sendline.contract.status import CODES, Status

VERSION: Final = 1

FIELDS: Final = (
    "version",
    "status",
    "lane",
    "flags",
    "created",  # ms since the epoch, by the server's clock
    "due",  # ms after created: not sent before; of sent and uncertain, the deadline; 0: none
    "expires",  # ms after created; 0 once final
    "attempts",
    "claim",  # token of the newest claim; 0 once a dead claim was judged
    "route",  # account names joined by commas; empty: no account was known
    "account",
    "to",
    "sender",
    "provider_id",
    "error",
    "segments",
    "text",
    "extras",  # packed map of what only senders read: callback_url, metadata
    "timeline",  # packed (status, ms after created, code, reason), one after the other
    "campaign",
    "zones",  # key of the recipient's time zones, where its campaign has a window
)
"""The stored order. Append, never reorder."""

_APPENDED: Final = {"campaign": b"", "zones": b""}
"""What stands for a field that a record of an earlier release lacks."""


class Flag(IntFlag):
    """The bits of a record's `flags`."""

    HOLD = 1
    RESEND = 2
    CANCEL = 4
    """A person canceled it while it was being sent."""
    QUEUED = 8
    """Its id stands in its line."""
    RETRIED = 16
    """It was `retrying` once: a hand-back returns it there."""
    DOUBTED = 32
    """It was `uncertain` and is sent again: a later attempt proves nothing about the earlier one."""
    HOOKED = 64
    """It names a `callback_url`: that endpoint is told of each of its events."""
    TEMPLATED = 128
    """It is of a campaign that was founded: that has its text, its end and its `callback_url`, and counts it.

    `extras` hold the values of its variables. `expires` is 0 until its first claim.
    """
    WATCHED = 256
    """Its campaign pauses by itself when too many fail."""
    UNREPORTED = 512
    """It is `sent`, of a campaign, and its account reports no deliveries: it is final."""


ASKED: Final = {None: 0, OnUncertain.HOLD: int(Flag.HOLD), OnUncertain.RESEND: int(Flag.RESEND)}
"""The flags by which a message asks what becomes of it when its fate is unknown; None: it doesn't ask."""

_HOLD, _CANCEL, _TEMPLATED = int(Flag.HOLD), int(Flag.CANCEL), int(Flag.TEMPLATED)
_ASKS = int(Flag.HOLD | Flag.RESEND)
"""Plain numbers, for what is read a million times."""

UNREADABLE: Final = (
    *(ValueError, TypeError, LookupError, OverflowError),
    *(AttributeError, msgpack.UnpackException),
)
"""What reading something raises that was damaged, or written by a release that is not known yet."""
MAX_REASON: Final = 200
"""Characters of one reason; a timeline holds at least the newest four."""

_TEXTS: Final = frozenset(
    ("route", "account", "to", "sender", "provider_id", "error", "text", "extras", "timeline")
)
_SHAPE: Final = tuple(bytes if name in _TEXTS else int for name in FIELDS[: FIELDS.index("timeline") + 1])
"""The types of the fields that every release has written."""
_STATUS, _LANE, _FLAGS, _CREATED = map(FIELDS.index, ("status", "lane", "flags", "created"))
_PROVIDER_ID, _EXTRAS, _TIMELINE, _CAMPAIGN = map(
    FIELDS.index, ("provider_id", "extras", "timeline", "campaign")
)
_SHOWN: Final = tuple(map(FIELDS.index, ("route", "account", "to", "sender", "error", "text")))

_STATUSES = tuple(CODES)
_LANES = tuple(LANE_CODES)
_ERRORS: dict[str, ErrorCode] = {code.value: code for code in ErrorCode}
_RAW_UUID = b"\xff"  # begins no UTF-8 text
_UUID_LENGTH: Final = 36
_packer_options: dict[str, Any] = {"use_bin_type": False}


def pack(value: object) -> bytes:
    """Return `value` in the form that Redis' Lua reads."""
    return msgpack.packb(value, **_packer_options)  # type: ignore[no-any-return]


def unpack(raw: bytes) -> Any:
    """Return what `pack`, or the scripts, packed; texts stay bytes."""
    return msgpack.unpackb(raw, raw=True, strict_map_key=False)


def short(reason: str) -> str:
    """Return `reason` as a timeline keeps it: bounded, one line, encodable whatever a provider answered."""
    kept = reason[:MAX_REASON]
    if kept.isprintable():
        return kept
    printable = "".join(char if char.isprintable() else " " for char in kept)
    return printable.encode(errors="replace").decode()


def pack_provider_id(provider_id: str) -> bytes:
    """Return the stored form of a provider's id: UUIDs in 17 bytes instead of 36."""
    if len(provider_id) == _UUID_LENGTH:
        try:
            raw = bytes.fromhex(provider_id.replace("-", ""))
        except ValueError:
            raw = b""
        if ids.to_text(raw) == provider_id:
            return _RAW_UUID + raw
    return provider_id.encode(errors="replace")


def unpack_provider_id(raw: bytes) -> str | None:
    """Return the provider's id behind its stored form, None where there is none."""
    if not raw:
        return None
    if raw.startswith(_RAW_UUID):
        return ids.to_text(raw[1:])
    return raw.decode()


def digest(*parts: str, size: int = 10) -> bytes:
    """Return `size` bytes that stand for `parts`, each kept apart from the next."""
    data = [part.encode(errors="surrogatepass") for part in parts]
    kept_apart = b"".join(len(each).to_bytes(4, "big") + each for each in data)
    return blake2b(kept_apart, digest_size=size).digest()


def error_code(raw: bytes) -> ErrorCode | str | None:
    """Return the code behind `raw`: ours, a newer release's text, or None."""
    text = raw.decode()
    return _ERRORS.get(text, text) if text else None


def timeline(raw: bytes, created_ms: int) -> tuple[TimelineEntry, ...]:
    """Return the entries of a packed timeline."""
    return tuple(
        TimelineEntry(instant(created_ms + after), _STATUSES[status], error_code(code), reason.decode())
        for status, after, code, reason in steps(raw)
    )


def steps(raw: bytes) -> list[tuple[int, int, bytes, bytes]]:
    """Return a packed timeline as it is stored: code of a status, ms after creation, error, reason."""
    unpacker = msgpack.Unpacker(raw=True, max_buffer_size=len(raw) + 1)
    unpacker.feed(raw)
    return list(zip(*[iter(list(unpacker))] * 4, strict=True))


def events(last: int, raw: bytes) -> list[Event]:
    """Return the events packed one after the other in `raw`; the last one has the number `last`."""
    unpacker = msgpack.Unpacker(raw=True, max_buffer_size=len(raw) + 1)
    unpacker.feed(raw)
    packed = list(unpacker)
    return [event_of(seq, values) for seq, values in enumerate(packed, last - len(packed) + 1)]


def event_of(seq: int, values: Any) -> Event:
    """Return the event number `seq` that was unpacked to `values`."""
    message_id, status, at, code, reason, *_ = values
    return Event(
        seq, ids.to_text(message_id), _STATUSES[status], instant(at), error_code(code), reason.decode()
    )


class Record:
    """A read-only view of one stored record; attributes are the FIELDS, texts as bytes."""

    __slots__ = ("_values",)

    def __init__(self, raw: bytes) -> None:
        self._values: list[Any] = unpack(raw)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    @property
    def state(self) -> Status:
        """Return its status."""
        status: int = self.status
        return _STATUSES[status]

    def at(self, after: int) -> datetime | None:
        """Return the time `after` ms behind its creation; None for 0."""
        return instant(self.created + after) if after else None

    @property
    def steps(self) -> list[tuple[int, int, bytes, bytes]]:
        """Return its timeline as it is stored; see `steps`."""
        return steps(self.timeline)

    @property
    def owner(self) -> str | None:
        """Return the name of the API key that sent it. What a campaign sent belongs to the campaign's."""
        if not self.extras or Flag.TEMPLATED in Flag(self.flags):
            return None
        owner: bytes | None = unpack(self.extras).get(b"owner")
        return owner.decode() if owner else None

    def message(self, message_id: bytes) -> Message:
        """Return the message as its sender sees it."""
        flags: int = self.flags
        extras: dict[bytes, Any] = unpack(self.extras) if self.extras and not flags & _TEMPLATED else {}
        route: str = self.route.decode()
        asked = OnUncertain.HOLD if flags & _HOLD else OnUncertain.RESEND
        return Message(
            id=ids.to_text(message_id),
            status=self.state,
            to=self.to.decode(),
            sender=self.sender.decode() or None,
            lane=_LANES[self.lane],
            account=self.account.decode() or None,
            route=tuple(route.split(",")) if route else (),
            created_at=instant(self.created),
            expires_at=self.at(self.expires),
            due_at=self.at(self.due),
            attempts=self.attempts,
            segments=self.segments,
            provider_id=unpack_provider_id(self.provider_id),
            error=error_code(self.error),
            text=self.text.decode() or None,
            on_uncertain=asked if flags & _ASKS else None,
            cancel_requested=bool(flags & _CANCEL),
            callback_url=extras[b"callback_url"].decode() if b"callback_url" in extras else None,
            metadata={k.decode(): v.decode() for k, v in extras.get(b"metadata", {}).items()},
            timeline=timeline(self.timeline, self.created),
            campaign=self.campaign.decode() or None,
        )


def _field(name: str, place: int) -> property:
    """Return the attribute of a field: quicker than `__getattr__`, for what is read a million times."""
    if name not in _APPENDED:
        return property(lambda record: record._values[place])
    absent = _APPENDED[name]
    return property(lambda record: record._values[place] if place < len(record._values) else absent)


for _place, _name in enumerate(FIELDS):
    setattr(Record, _name, _field(_name, _place))


def readable(raw: bytes | None) -> Record | None:
    """Return the record in `raw`; None where there is none, or none that this release can read."""
    if raw is None:
        return None
    try:
        record = Record(raw)
        values = record._values
        if not isinstance(values, list) or tuple(map(type, values[: len(_SHAPE)])) != _SHAPE:
            return None
        known = 0 <= values[_STATUS] < len(CODES) and 0 <= values[_LANE] < len(LANE_CODES)
        for place in _SHOWN:
            values[place].decode()
        for appended in values[_CAMPAIGN:]:
            appended.decode()
        unpack_provider_id(values[_PROVIDER_ID])
        instant(values[_CREATED])
        known = known and _are_extras(values[_EXTRAS], values[_FLAGS])
        return record if known and _is_timeline(values[_TIMELINE]) else None
    except UNREADABLE:
        return None


def _are_extras(raw: bytes, flags: int) -> bool:
    return not raw or bool(flags & _TEMPLATED) or isinstance(unpack(raw), dict)


def _is_timeline(raw: bytes) -> bool:
    unpacker = msgpack.Unpacker(raw=True, max_buffer_size=len(raw) + 1)
    unpacker.feed(raw)
    values = list(unpacker)
    texts = b"".join([*values[2::4], *values[3::4]])
    texts.decode()
    statuses, instants = values[::4], values[1::4]
    numbers = all(type(value) is int for value in (*statuses, *instants))
    return len(values) % 4 == 0 and numbers and all(0 <= status < len(CODES) for status in statuses)


def lane_of(code: int) -> Lane:
    """Return the lane behind its stored number."""
    return _LANES[code]
