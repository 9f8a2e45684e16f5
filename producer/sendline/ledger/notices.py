"""The verbs about endpoints: URLs of apps that are told of events.

A notice is one event to tell one endpoint. An endpoint is a URL without its query; its mark, 16 hex digits,
stands for it. Notices about one message are told one after the other, in order; notices about different
messages wait for no other's.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha1
from itertools import chain
from secrets import token_hex
from typing import Any, Final, Literal

import msgpack

from sendline.contract.inbound import InboundMessage
from sendline.contract.keywords import Keyword
from sendline.contract.message import Event, Message, instant
from sendline.ledger.call import Call
from sendline.ledger.keys import KEYS
from sendline.ledger.limits import Limits
from sendline.ledger.record import UNREADABLE, Record, event_of, pack, short
from sendline.ledger.scripts import script

Verdict = Literal["taken", "failed", "gone", "back"]
"""`back`: what was not taken goes back as it was; that says nothing about the endpoint."""
Told = Literal["told", "waits", "rests", "stopped", "unknown"]

MESSAGE_ID: Final = 16
"""Bytes of a message's id; what came in is told of under a name of another length."""
REPLAYED: Final = 500
"""Notices that one call takes out of what is lost."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One event that an endpoint is to be told, and its number among the ledger's events, or what came in."""

    number: int
    since: int
    """The instant (ms) of its first failure; before that, of the event."""
    event: Event | InboundMessage


@dataclass(frozen=True, slots=True)
class Parcel:
    """All that an endpoint is to be told of one message now, in order; claimed until `until`."""

    mark: str
    url: str = field(repr=False)
    """The endpoint: what messages and accounts name may have a query besides."""
    about: bytes
    notices: tuple[Notice, ...] = field(repr=False)
    tries: int
    """How often its first notice was tried in vain."""
    message: Message | None = field(repr=False)
    """The message as it stands now; None where its record is gone, or where it is about what came in."""
    taken: int
    until: int
    """ms since the epoch."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Parcels to carry, and when to look again."""

    born: int
    """What the ledger is told by, with its number, in an event's id: unique among ledgers."""
    next_ms: int
    """The instant (ms since the epoch) at which something may be told next; 0 where nothing waits."""
    now_ms: int
    parcels: tuple[Parcel, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a parcel."""

    parcel: Parcel
    taken: int
    """How many of its notices the endpoint took, from the first on."""
    verdict: Verdict
    delay_ms: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How it stands with one endpoint."""

    mark: str
    url: str = field(repr=False)
    waiting: int
    """Messages that it is to be told of."""
    under_way: int
    lost: int
    """Notices that are kept for a replay: it was not told in time, or there were too many."""
    told: int
    told_at: datetime | None
    failures: int
    """Tries in vain, one after the other."""
    failing_since: datetime | None
    reason: str
    rests_until: datetime | None
    stopped_at: datetime | None


def take_notices(
    limits: Limits,
    *,
    most: int,
    lease: float,
    most_each: int,
    host_most: int = 1000,
    under_way: Mapping[str, int] | None = None,
) -> Call[Taken]:
    """Claim up to `most` parcels for `lease` seconds, at most `most_each` for one endpoint at a time.

    `under_way` is how many calls of the caller's there are to each host now; it makes at most `host_most`.
    """
    left = {host: host_most - number for host, number in (under_way or {}).items()}

    def read(reply: Any) -> Taken:
        next_ms, now_ms, born, *found = reply
        return Taken(born, next_ms, now_ms, tuple(_parcel(each, now_ms) for each in found))

    return Call(
        script("notices"),
        [limits.packed, most, round(lease * 1000), most_each, pack(left), host_most],
        read,
    )


def host_of(url: str) -> str:
    """Return the part of an endpoint's URL by which calls to one host are counted."""
    return url.partition("://")[2].partition("/")[0]


def mark_of(url: str) -> str:
    """Return the mark of the endpoint that `url` belongs to."""
    base = re.split(r"[?#]", url)[0]
    return sha1(base.encode(), usedforsecurity=False).hexdigest()[:16]


def told(limits: Limits, outcomes: Sequence[Outcome], *, kept_for: float) -> Call[list[Told]]:
    """Write what became of parcels; a notice is tried for `kept_for` seconds."""
    packed = [
        pack(
            [
                *(each.parcel.mark, each.parcel.about, each.parcel.until, each.parcel.taken),
                *(each.verdict, each.delay_ms, short(each.reason)),
                *chain.from_iterable((n.number, n.since) for n in each.parcel.notices[: each.taken]),
            ]
        )
        for each in outcomes
    ]
    return Call(
        script("told"),
        [limits.packed, round(kept_for * 1000), *packed],
        lambda reply: [word.decode() for word in reply],
    )


def readmit(limits: Limits, mark: str) -> Call[int]:
    """Tell an endpoint again that was stopped or rests; return what waits for it, -1 where there is none."""
    return Call(script("readmit"), [limits.packed, mark], int)


def replay(limits: Limits, mark: str, *, name: str | None = None) -> Call[int]:
    """Tell up to REPLAYED notices that were lost, the oldest first; return how many, -1: no such endpoint."""
    return Call(script("replay"), [limits.packed, mark, REPLAYED, name or token_hex(8)], int)


def drop(limits: Limits, mark: str) -> Call[int]:
    """Forget an endpoint and all that it was not told; return how many, -1 where there is none."""
    return Call(script("drop"), [limits.packed, mark], int)


def bell(seconds: float) -> Call[bool]:
    """Wait until something may be told, at most for `seconds`."""
    return Call("BLPOP", [KEYS["notice_bell"], seconds], lambda reply: reply is not None)


def marks() -> Call[list[str]]:
    """Read the marks of all endpoints that anything was told lately, or is to be."""
    return Call("ZRANGE", [KEYS["endpoints"], 0, -1], lambda reply: [mark.decode() for mark in reply])


def endpoints(limits: Limits, some: Sequence[str]) -> Call[list[Endpoint]]:
    """Read how it stands with some endpoints; those that are gone are left out."""
    return Call(
        script("endpoints"),
        [limits.packed, *some],
        lambda reply: [_endpoint(mark.decode(), found) for mark, *found in reply],
    )


def _endpoint(mark: str, found: Any) -> Endpoint:
    waiting, under_way, lost, pairs = found
    state = {name.decode(): value for name, value in zip(pairs[::2], pairs[1::2], strict=True)}

    def number(name: str) -> int:
        return int(state.get(name, 0))

    def moment(name: str) -> datetime | None:
        return instant(int(float(state[name]))) if name in state else None

    return Endpoint(
        mark=mark,
        url=state.get("url", b"").decode(),
        waiting=waiting,
        under_way=under_way,
        lost=lost,
        told=number("told"),
        told_at=moment("told_at"),
        failures=number("failures"),
        failing_since=moment("failing_since"),
        reason=state.get("reason", b"").decode(),
        rests_until=moment("rests_until"),
        stopped_at=moment("stopped"),
    )


def _parcel(found: Any, now_ms: int) -> Parcel:
    mark, url, about, packed, tries, raw, until = found
    message = _message(about, raw) if raw else None
    return Parcel(mark.decode(), url.decode(), about, tuple(_notices(packed)), tries, message, now_ms, until)


def _message(message_id: bytes, raw: bytes) -> Message | None:
    """Return the message, or None where its record can't be read: `sendline audit` names it."""
    try:
        return Record(raw).message(message_id)
    except UNREADABLE:
        return None


def _notices(packed: bytes) -> Iterable[Notice]:
    """Yield the notices, up to one that can't be read."""
    unpacker = msgpack.Unpacker(raw=True, max_buffer_size=len(packed) + 1)
    unpacker.feed(packed)
    try:
        for number, since, values in zip(*[iter(unpacker)] * 3, strict=True):
            about, *_ = values
            read = event_of if len(about) == MESSAGE_ID else _inbound
            yield Notice(number, since, read(number, values))
    except UNREADABLE:
        return


def _inbound(number: int, values: Any) -> InboundMessage:
    _about, at, account, provider_id, sender, to, text, keyword, *_ = values
    return InboundMessage(
        seq=number,
        account=account.decode(),
        sender=sender.decode(),
        to=to.decode(),
        text=text.decode(),
        at=instant(at),
        keyword=Keyword(keyword.decode()) if keyword else None,
        provider_id=provider_id.decode() or None,
    )
