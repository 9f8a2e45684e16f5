"""The verbs about accounts: what they may send, what a person says of them, and how they have changed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Literal

from sendline.contract.message import instant, stamp
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
    receipt_time: float | None = field(default=None, kw_only=True)
    """Seconds until its provider is asked about what is sent and not reported on; None: it never is."""
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
    callback_url: str = field(default="", repr=False)
    """The endpoint that is told of its messages' events, but for those that name their own; empty: none."""

    @property
    def stored(self) -> dict[str, int]:
        """The limits as the ledger keeps them: see FIELDS. 0 where one is not set."""
        return {
            "interval": interval(self.rate),
            "burst": self.burst or 0,
            "in_flight": self.in_flight or 0,
            "cap": self.daily_cap or 0,
            "s_interval": interval(self.sender_rate) if self.sender_rate else 0,
            "s_burst": self.sender_burst or 0,
            "s_cap": self.sender_daily_cap or 0,
        }

    @property
    def packed(self) -> bytes:
        """As configure.lua takes it."""
        others = {
            "on_uncertain": self.on_uncertain or "",
            "asks": int(self.asks),
            "receipt_ms": round((self.receipt_time or 0) * 1000),
            "unit": self.unit,
            "zone": self.time_zone,
            "sender": self.sender,
            "callback_url": self.callback_url,
        }
        return pack([self.name, self.stored, others])


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
FIELDS: Final[dict[str, str]] = dict(
    zip(LIMITS, ("interval", "burst", "in_flight", "cap", "s_interval", "s_burst", "s_cap"), strict=True)
)
"""How the state of an account calls its limits."""
_RATES, _BURSTS, _CAPS = (1e-5, 10_000), (1, 10_000), (1, 10_000_000)
BOUNDS: Final[dict[str, tuple[float, float]]] = dict(
    zip(
        LIMITS,
        (_RATES, _BURSTS, (1, 10_000), _CAPS, _RATES, _BURSTS, _CAPS),
        strict=True,
    )
)
"""The least and the most of each, as for a configured one."""
LIFTED: Final = frozenset(LIMITS) - {"rate", "burst", "sender_burst"}
"""Limits that an account can do without: 0 lifts them."""


def adjust(limits: Limits, name: str, changes: Mapping[str, float | None]) -> Call[bool]:
    """Let other limits be in force at once, until they are taken back. False where the account is unknown.

    `changes` are of LIMITS; None takes one back: the configured one is in force again; 0 lifts one of LIFTED.
    Raises ValueError where one is beyond BOUNDS. A rate of 0 is, too: `halt` is the verb for that.
    """
    return _adjust(limits, name, {FIELDS[limit]: _stored(limit, value) for limit, value in changes.items()})


def reset(limits: Limits, name: str) -> Call[bool]:
    """Take back whatever is adjusted of an account. False where it is unknown."""
    return _adjust(limits, name, {"*": -1})


def _adjust(limits: Limits, name: str, changes: dict[str, int]) -> Call[bool]:
    return Call(script("adjust"), [limits.packed, name, pack(changes)], lambda reply: reply == 1)


def _stored(limit: str, value: float | None) -> int:
    """Return a limit as adjust.lua takes it. Raises ValueError."""
    if value is None:
        return -1
    if value == 0 and limit in LIFTED:
        return 0
    least, most = BOUNDS[limit]
    if not least <= value <= most:
        raise ValueError(f"{limit}: must be at least {least:.5f} and at most {most:.0f}")
    return interval(value) if limit.endswith("rate") else int(value)


def halt(limits: Limits, name: str, reason: str) -> Call[bool]:
    """Let an account send nothing until `resume`; again: for another reason. False where it is unknown."""
    return Call(script("halt"), [limits.packed, name, short(reason)], lambda reply: reply == 1)


def resume(limits: Limits, name: str) -> Call[bool]:
    """Take back a person's pause; where there is none, lift whatever else holds it up. False: it is unknown.

    Then it goes on at its whole rate; one that was stopped, or whose breaker is open, is tried at once, with
    one message.
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
    PAUSED = "paused"
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
        return {
            "seq": self.seq,
            "account": self.account,
            "change": str(self.change),
            "at": stamp(self.at),
            "cause": self.cause,
        }


def changes_after(seq: int, *, count: int = 100) -> Call[list[AccountChange]]:
    """Read up to `count` changes of accounts behind number `seq`; the newest thousand are kept."""
    return Call("XRANGE", [KEYS["changes"], f"({seq}-{2**64 - 1}", "+", "COUNT", count], _changes)


def newest_change() -> Call[int]:
    """Read the number of the newest change; 0 where there never was one."""
    return Call("HGET", [KEYS["meta"], "changes"], lambda reply: int(reply or 0))


Teller = Literal["log", "command"]
"""What tells people of changes: the log of a worker, and a command of theirs."""


def told(by: Teller) -> Call[int | None]:
    """Read up to which change people have been told `by` this; None: of none yet."""
    return Call("HGET", [KEYS["told"], by], lambda reply: None if reply is None else int(reply))


def tell(by: Teller, seq: int) -> Call[int]:
    """Write down that people have been told of changes up to number `seq` `by` this."""
    return Call("HSET", [KEYS["told"], by, seq], int)


def _changes(reply: Any) -> list[AccountChange]:
    found = []
    for number, fields in reply:
        account, change, at, cause = unpack(fields[1])[:4]
        word = change.decode()
        known = Change(word) if word in set(Change) else word
        seq = int(number.split(b"-")[0])
        said: str = cause.decode()
        if known is Change.ADJUSTED:
            said = ", ".join(_adjustment(each) for each in said.split(", "))
        found.append(AccountChange(seq, account.decode(), known, instant(at), said))
    return found


def _adjustment(text: str) -> str:
    """Return in people's words what adjust.lua wrote of one limit."""
    field, now, configured = text.split(" ")
    limit = next((limit for limit, stored in FIELDS.items() if stored == field), field)
    if now == "-":
        return f"{limit} as configured"
    return f"{limit} {_shown(limit, int(now))} (configured {_shown(limit, int(configured))})"


def _shown(limit: str, stored: int) -> str:
    if not stored:
        return "none"
    return f"{1_000_000 / stored:.4g}" if limit.endswith("rate") else str(stored)
