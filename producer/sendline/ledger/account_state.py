"""How one account stands: its limits in force, what it has used, and what holds it up."""

import json
import math
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from sendline.ledger.call import Call
from sendline.ledger.keys import account_key

CLIMB: Final = 45_000_000
"""Microseconds in which a lowered rate climbs from nothing to the whole: see easing.lua."""
USE_OVER: Final = 10.0
"""Seconds over which the rate in use is averaged: see limits.lua."""
DAY: Final = 86_400_000
SHORTEST_DAY: Final = 72_000_000
"""Milliseconds from one count's midnight to the next's: see limits.lua."""

Breaker = Literal["closed", "open", "half-open"]

_NUMBERS: Final = (
    "interval", "burst", "in_flight", "flying", "cap", "s_interval", "s_burst", "s_cap", "tat",
    "paused_until", "used", "day", "failures", "eased_at",
)  # fmt: skip
_OTHERS: Final = (
    "eased", "use", "use_at", "stopped", "broken", "halted", "cause", "unit", "zone", "days",
    "configured", "adjusted", "pace",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class AccountState:
    """What claims are held to for one account, and how it stands. 0 where a limit or a count is not set."""

    name: str
    interval: int = 0
    """Microseconds between two units; 0: no worker is configured for it."""
    burst: int = 1
    in_flight: int = 0
    """Calls at the same time, at most."""
    flying: int = 0
    """Calls under way."""
    cap: int = 0
    """Units a day."""
    s_interval: int = 0
    """Microseconds between two units from one sender."""
    s_burst: int = 1
    s_cap: int = 0
    tat: int = 0
    """When it has used up what it may send, in microseconds of the server's clock, at the pace `paced`."""
    paced: int = 0
    """Microseconds between two units when `tat` was written."""
    paused_until: int = 0
    """Milliseconds of the server's clock. Stopped or broken: when one message tries it."""
    used: int = 0
    """Units of the day that began at `day` (ms)."""
    day: int = 0
    failures: int = 0
    """Calls that failed one after the other."""
    eased_at: int = 0
    eased: float | None = None
    """The fraction of its rate that was in force at `eased_at` (us): it was asked to slow down."""
    use: float = 0
    use_at: float = 0
    stopped: str | None = None
    """Why it is stopped, or its breaker open; None: it is not."""
    broken: bool = False
    """It is its breaker that is open."""
    halted: str | None = None
    """Why a person paused it; None: nobody did."""
    cause: str = ""
    """Why it was paused, stopped or broken last."""
    unit: str = "messages"
    zone: str = "UTC"
    days: tuple[int, ...] = ()
    """The coming midnights (ms)."""
    configured: dict[str, int] = field(default_factory=dict)
    """The limits that are configured: interval, burst, in_flight, cap, s_interval, s_burst, s_cap."""
    adjusted: dict[str, int] = field(default_factory=dict)
    """Those of them that a person has adjusted."""

    @property
    def rate(self) -> float | None:
        """Return the units a second that it is limited to; None: no worker is configured for it."""
        return 1_000_000 / self.interval if self.interval else None

    @property
    def configured_rate(self) -> float | None:
        """Return the units a second that are configured, whatever a person has adjusted."""
        interval = self.configured.get("interval", self.interval)
        return 1_000_000 / interval if interval else None

    def fraction(self, now: int) -> float:
        """Return the part of its rate that is in force at `now` (us): below 1 after a 429."""
        if self.eased is None:
            return 1.0
        return min(1.0, self.eased + max(0, now - self.eased_at) / CLIMB)

    def pace(self, now: int) -> int:
        """Return the microseconds between two units in force at `now` (us)."""
        return math.ceil(self.interval / self.fraction(now))

    def rate_in_force(self, now: int) -> float:
        """Return the units a second at `now` (us): 0 where nothing goes."""
        if not self.interval or self.halted is not None or self.stopped is not None or self.is_paused(now):
            return 0.0
        return 0.0 if self.is_spent(now) else 1_000_000 / self.pace(now)

    def rate_in_use(self, now: int) -> float:
        """Return the units a second that went lately."""
        return self.use * math.exp(-max(now - self.use_at, 0) / 1_000_000 / USE_OVER)

    def is_paused(self, now: int) -> bool:
        """Return whether nothing goes before `paused_until`."""
        return self.paused_until * 1000 > now

    def breaker(self, now: int) -> Breaker:
        """Return how its circuit breaker stands: half-open where one message may show that it works again."""
        if not self.broken:
            return "closed"
        return "open" if self.is_paused(now) else "half-open"

    def used_today(self, now: int) -> int:
        """Return the units that went since the last midnight."""
        start, _ = self._day(now)
        return 0 if start >= self.day + SHORTEST_DAY else self.used

    def is_spent(self, now: int) -> bool:
        """Return whether the day's cap is used up."""
        return bool(self.cap) and self.used_today(now) >= self.cap

    def day_ends(self, now: int) -> int:
        """Return the next midnight (ms)."""
        return self._day(now)[1]

    def free_at(self, now: int, units: int = 1) -> int:
        """Return the instant (us) by which `units` could go, by its rate alone."""
        return max(now, self.spent_until(now) + (units - self.burst) * self.pace(now))

    def spent_until(self, now: int) -> int:
        """Return `tat` at the pace in force at `now` (us): as many units are missing as were then."""
        ahead = max(self.tat - now, 0)
        return now + (math.ceil(ahead * self.pace(now) / self.paced) if self.paced else ahead)

    def _day(self, now: int) -> tuple[int, int]:
        ms = now // 1000
        for start, end in zip(self.days, self.days[1:], strict=False):
            if start <= ms < end:
                return start, end
        first = 0 if not self.days else self.days[0] if ms < self.days[0] else self.days[-1]
        start = first + (ms - first) // DAY * DAY
        return start, start + DAY


def account_state(name: str) -> Call[AccountState]:
    """Read how an account stands."""

    def read(reply: Any) -> AccountState:
        found = dict(zip((*_NUMBERS, *_OTHERS), reply, strict=True))
        numbers: dict[str, Any] = {key: int(found[key]) for key in _NUMBERS if found[key]}
        texts: dict[str, Any] = {
            key: found[key].decode() for key in ("cause", "unit", "zone") if found[key] is not None
        }
        plain: dict[str, Any] = {
            key: json.loads(found[key]) for key in ("configured", "adjusted") if found[key]
        }
        return AccountState(
            name,
            **numbers,
            **texts,
            **plain,
            eased=float(found["eased"]) if found["eased"] else None,
            use=float(found["use"] or 0),
            use_at=float(found["use_at"] or 0),
            stopped=_maybe_text(found["stopped"]),
            broken=bool(found["broken"]),
            halted=_maybe_text(found["halted"]),
            paced=int(found["pace"] or 0),
            days=tuple(json.loads(found["days"])) if found["days"] else (),
        )

    return Call("HMGET", [account_key(name), *_NUMBERS, *_OTHERS], read)


def _maybe_text(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode()
