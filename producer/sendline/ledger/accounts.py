"""The verbs about accounts: what they may send, what a person says of them, and how they have changed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Literal

from sendline.contract.message import instant
from sendline.ledger.call import Argument, Call
from sendline.ledger.keys import KEYS, account_key
from sendline.ledger.limits import Limits
from sendline.ledger.record import pack, short, unpack
from sendline.ledger.scripts import script

Unit = Literal["messages", "segments"]
"""What an account's limits count."""


@dataclass(frozen=True, slots=True)
class AccountLimits:
    """What claims are held to for one account."""

    name: str
    rate: float
    """Units a second."""
    burst: int | None = None
    """Units that may go at once after a pause; None: from the rate."""
    in_flight: int | None = None
    """Calls at the same time."""
    on_uncertain: str | None = None
    asks: bool = False
    """Whether its provider can be asked what became of a message."""
    unit: Unit = "messages"
    daily_cap: int | None = None
    """Units from one midnight to the next."""
    time_zone: str = "UTC"
    """Whose midnights: see `calendar`."""
    sender: str = field(default="", repr=False)
    """The sender of messages that name none."""
    sender_rate: float | None = None
    """Units a second from one sender."""
    sender_burst: int | None = None
    sender_daily_cap: int | None = None

    @property
    def packed(self) -> bytes:
        """As configure.lua takes it."""
        limits = {
            "interval": interval(self.rate),
            "burst": self.burst or 0,
            "in_flight": self.in_flight or 0,
            "cap": self.daily_cap or 0,
            "s_interval": interval(self.sender_rate) if self.sender_rate else 0,
            "s_burst": self.sender_burst or 0,
            "s_cap": self.sender_daily_cap or 0,
        }
        others = {
            "on_uncertain": self.on_uncertain or "",
            "asks": int(self.asks),
            "unit": self.unit,
            "zone": self.time_zone,
            "sender": self.sender,
        }
        return pack([self.name, limits, others])


def interval(rate: float) -> int:
    """Return the microseconds between two units at `rate` a second, rounded up: never exceeded."""
    return -int(-1_000_000 // rate)


@dataclass(frozen=True, slots=True)
class Wake:
    """The Celery message that starts a dispatcher, as kombu serialized it."""

    queue: str
    envelope: bytes


def configure(
    limits: Limits, directory_json: str, wake: Wake, accounts: Sequence[AccountLimits]
) -> Call[int]:
    """Publish accounts, routes, limits and the wake."""
    arguments: list[Argument] = [
        limits.packed,
        directory_json,
        wake.queue,
        wake.envelope,
        *(a.packed for a in accounts),
    ]
    return Call(script("configure"), arguments, int)


def calendar(name: str, midnights: Sequence[int]) -> Call[int]:
    """Publish the midnights (ms) between which daily caps count; beyond the last, days of 24 h."""
    return Call("HSET", [account_key(name), "days", json.dumps(list(midnights))], int)


LIMITS: Final = ("rate", "burst", "in_flight", "daily_cap", "sender_rate", "sender_burst", "sender_daily_cap")
"""What a person may adjust."""
_STORED: Final[dict[str, str]] = dict(
    zip(LIMITS, ("interval", "burst", "in_flight", "cap", "s_interval", "s_burst", "s_cap"), strict=True)
)
_ADJUSTABLE: Final[dict[str, str]] = {stored: limit for limit, stored in _STORED.items()}


def adjust(limits: Limits, name: str, changes: Mapping[str, float | None]) -> Call[bool]:
    """Let other limits be in force at once, until they are taken back. False where the account is unknown.

    `changes` are of LIMITS; None takes one back: the configured one is in force again; 0 lifts one. Raises
    ValueError where the rate would be 0: `halt` is the verb for that.
    """
    if changes.get("rate") == 0:
        raise ValueError("rate: must be above 0; an account that shall send nothing is paused")
    packed: dict[str, int] = {}
    for limit, value in changes.items():
        given = -1 if value is None else value
        packed[_STORED[limit]] = interval(given) if limit.endswith("rate") and given > 0 else int(given)
    return Call(script("adjust"), [limits.packed, name, pack(packed)], lambda reply: reply == 1)


def halt(limits: Limits, name: str, reason: str) -> Call[bool]:
    """Let an account send nothing until `resume`. False where it is unknown."""
    return Call(script("halt"), [limits.packed, name, short(reason)], lambda reply: reply == 1)


def resume(limits: Limits, name: str) -> Call[bool]:
    """Let an account go on, whatever had held it up, at its whole rate. False where it is unknown.

    One that was stopped, or whose breaker is open, is tried at once, with one message.
    """
    return Call(script("resume"), [limits.packed, name], lambda reply: reply == 1)


class Change(StrEnum):
    """What may happen to an account."""

    STOPPED = "stopped"
    """The provider does not serve it: a person is needed."""
    BROKEN = "broken"
    """Its calls failed one after the other: the circuit breaker is open."""
    RECOVERED = "recovered"
    """It works again."""
    THROTTLED = "throttled"
    """The provider asked it to slow down."""
    FULL_RATE = "full_rate"
    """After that, its rate has climbed back."""
    HALTED = "halted"
    """A person paused it."""
    RESUMED = "resumed"
    """A person let it go on."""
    ADJUSTED = "adjusted"
    """A person changed its limits."""


@dataclass(frozen=True, slots=True)
class AccountChange:
    """One recorded change of one account."""

    seq: int
    """Its number: the next change has a greater one."""
    account: str
    change: Change | str
    """Ours, or a newer release's."""
    at: datetime
    cause: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        at = self.at.isoformat(timespec="milliseconds")
        return {
            "seq": self.seq,
            "account": self.account,
            "change": str(self.change),
            "at": at,
            "cause": self.cause,
        }


def changes_after(seq: int, *, count: int = 100) -> Call[list[AccountChange]]:
    """Read up to `count` changes of accounts behind number `seq`; the newest thousand are kept."""
    return Call("XRANGE", [KEYS["changes"], f"({seq}-{2**64 - 1}", "+", "COUNT", count], _changes)


def newest_change() -> Call[int]:
    """Read the number of the newest change; 0 where there never was one."""
    return Call("HGET", [KEYS["meta"], "changes"], lambda reply: int(reply or 0))


def told() -> Call[int | None]:
    """Read up to which change people have been told; None: of none yet."""
    return Call("GET", [KEYS["told"]], lambda reply: None if reply is None else int(reply))


def tell(seq: int) -> Call[bool]:
    """Write down that people have been told of changes up to number `seq`."""
    return Call("SET", [KEYS["told"], seq], lambda reply: reply is not None)


def _changes(reply: Any) -> list[AccountChange]:
    found = []
    for number, fields in reply:
        account, change, at, cause = unpack(fields[1])[:4]
        word = change.decode()
        known = Change(word) if word in set(Change) else word
        seq = int(number.split(b"-")[0])
        said: str = cause.decode()
        if known is Change.ADJUSTED:
            said = ", ".join(_ADJUSTABLE.get(limit, limit) for limit in said.split(", "))
        found.append(AccountChange(seq, account.decode(), known, instant(at), said))
    return found
