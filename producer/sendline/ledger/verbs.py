"""The verbs that producers use: one typed function for each script, and the plain reads."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sendline.contract.draft import Draft
from sendline.contract.lane import LANE_CODES
from sendline.contract.message import Event, Message
from sendline.contract.status import Status
from sendline.ledger.call import Argument, Call
from sendline.ledger.directory import Directory
from sendline.ledger.keys import KEYS
from sendline.ledger.limits import Limits
from sendline.ledger.recall import recall
from sendline.ledger.record import ASKED, UNREADABLE, Flag, Record, digest, events, pack
from sendline.ledger.scripts import script

_EVENT_FIELD = b"e"
_LAST = 2**64 - 1
"""No second half of a stream's id is greater."""
ENTRIES_A_READ = 100
"""Of the stream of events; one holds up to 100."""


@dataclass(frozen=True, slots=True)
class New:
    """The message was accepted, at `at` (ms since the epoch)."""

    at: int


@dataclass(frozen=True, slots=True)
class Known:
    """Its idempotency key was used for the same content: `message` is the first, None if no longer kept."""

    message_id: bytes
    message: Message | None


@dataclass(frozen=True, slots=True)
class Conflict:
    """Its idempotency key was used for other content, by `message_id`."""

    message_id: bytes


@dataclass(frozen=True, slots=True)
class Suppressed:
    """The message was accepted, but its recipient has opted out: `message` is final."""

    message: Message


Acceptance = New | Known | Conflict | Suppressed


def accept(limits: Limits, drafts: Sequence[Draft]) -> Call[list[Acceptance]]:
    """Accept messages: one round trip, each with its own verdict."""

    def read(reply: Any) -> list[Acceptance]:
        at = reply[0]
        verdicts: list[Acceptance] = []
        for verdict, message_id, raw in reply[1:]:
            if verdict == 1:
                verdicts.append(New(at))
            elif verdict == 2:  # noqa: PLR2004 - the verdicts are listed in accept.lua
                verdicts.append(Known(message_id, Record(raw).message(message_id) if raw else None))
            elif verdict == 4:  # noqa: PLR2004 - as above
                verdicts.append(Suppressed(Record(raw).message(message_id)))
            else:
                verdicts.append(Conflict(message_id))
        return verdicts

    return Call(script("accept"), [limits.packed, *map(_packed_draft, drafts)], read)


def _packed_draft(draft: Draft) -> bytes:
    extras: dict[str, object] = {}
    if draft.callback_url:
        extras["callback_url"] = draft.callback_url
    if draft.metadata:
        extras["metadata"] = draft.metadata
    if draft.owner:
        extras["owner"] = draft.owner
    return pack(
        [
            draft.id,
            LANE_CODES[draft.lane],
            ASKED[draft.on_uncertain] | (Flag.HOOKED if draft.callback_url else 0),
            draft.not_before_ms,
            draft.valid_for_ms,
            ",".join(draft.route),
            draft.account or "",
            draft.to,
            draft.sender or "",
            draft.segments,
            draft.text or "",
            pack(extras) if extras else b"",
            digest(draft.idempotency_key) if draft.idempotency_key else b"",
            draft.fingerprint if draft.idempotency_key else b"",
            draft.campaign or "",
        ]
    )


def known_keys(keys: Sequence[str]) -> Call[set[str]]:
    """Return those of some idempotency keys, at least one, by which a message was accepted."""
    stored: list[Argument] = [KEYS["idempotency"].encode() + digest(key) for key in keys]
    return Call("MGET", stored, lambda reply: {key for key, kept in zip(keys, reply, strict=True) if kept})


def get(message_id: bytes) -> Call[Message | None]:
    """Read a message; None where it is unknown."""
    return recall([message_id], lambda raws: Record(raws[0]).message(message_id) if raws[0] else None)


def get_all(message_ids: Sequence[bytes]) -> Call[list[Message | None]]:
    """Read messages, 1 to 1,000 of them; None for each that is unknown, or whose record is damaged."""

    def read(raws: list[bytes | None]) -> list[Message | None]:
        pairs = zip(message_ids, raws, strict=True)
        return [_message(message_id, raw) for message_id, raw in pairs]

    return recall(message_ids, read)


def _message(message_id: bytes, raw: bytes | None) -> Message | None:
    try:
        return Record(raw).message(message_id) if raw else None
    except UNREADABLE:
        return None


def cancel(limits: Limits, message_id: bytes) -> Call[Message | None]:
    """Cancel a message that waits, or ask for it where it is being sent; None where it is unknown."""
    return Call(
        script("cancel"),
        [limits.packed, message_id],
        lambda raw: Record(raw).message(message_id) if raw else None,
    )


def directory() -> Call[Directory]:
    """Read what workers published of accounts and routes."""
    return Call(
        "GET", [KEYS["directory"]], lambda raw: Directory.parse(json.loads(raw)) if raw else Directory()
    )


def counts() -> Call[dict[str, int]]:
    """Read how many messages were accepted and how many have each status: one consistent view."""

    def read(reply: Any) -> dict[str, int]:
        found = {name.decode(): int(number) for name, number in _pairs(reply)}
        return {"accepted": found.get("accepted", 0), **{s.value: found.get(s.value, 0) for s in Status}}

    return Call("HGETALL", [KEYS["counts"]], read)


def _pairs(reply: Any) -> Iterable[tuple[Any, Any]]:
    return zip(reply[::2], reply[1::2], strict=True)


def newest_event() -> Call[int]:
    """Read the number of the newest event; 0 where there never was one."""
    return Call("HGET", [KEYS["meta"], "seq"], lambda reply: int(reply or 0))


def oldest_event() -> Call[int | None]:
    """Read the number of the oldest event that is still kept."""

    def read(entries: Any) -> int | None:
        return _events_of(entries[0])[0].seq if entries else None

    return Call("XRANGE", [KEYS["events"], "-", "+", "COUNT", 1], read)


def events_after(seq: int, *, block_ms: int | None) -> Call[list[Event]]:
    """Read events behind number `seq`, as many as a read brings; wait up to `block_ms` for the first."""
    waiting: list[Argument] = ["BLOCK", block_ms] if block_ms is not None else []

    def read(reply: Any) -> list[Event]:
        entries = reply[0][1] if reply else []
        return [event for entry in entries for event in _events_of(entry) if event.seq > seq]

    behind = f"{seq}-{_LAST}"
    return Call("XREAD", ["COUNT", ENTRIES_A_READ, *waiting, "STREAMS", KEYS["events"], behind], read)


def _events_of(entry: Any) -> list[Event]:
    """Return the events of one entry of the stream, whose id is the number of its last one."""
    number, fields = entry
    return events(_seq(number), fields[fields.index(_EVENT_FIELD) + 1])


def _seq(stream_id: bytes) -> int:
    return int(stream_id.split(b"-")[0])
