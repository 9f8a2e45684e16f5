"""How a simulator is started, and what of it can be changed while it runs."""

import json
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydantic import SecretStr


class Shape(StrEnum):
    """Which of the documented shapes of a receipt a provider uses that documents two."""

    DATA = "data"
    """An object `data` with event_type and payload: the status of each recipient tells."""
    EVENT = "event"
    """An envelope with timestamp, message, type and payload: `state` and `delivered` tell.

    No page has a word in it for a message that was not delivered.
    """


@dataclass(frozen=True, slots=True)
class Settings:
    """What `POST /_simulator/settings` can change. Seconds throughout."""

    callback_url: str | None = None
    """The account profile's own URL, for requests that name none. None: those get no receipts."""
    shape: Shape = Shape.DATA
    receipt_delay: tuple[float, float] = (0.05, 0.3)
    """Shortest and longest wait before each receipt of a message."""
    latency: float = 0.0
    """Wait before each answer, in addition to what a behaviour waits."""
    numbers: bool = True
    """Recipients whose number ends in 9KKd misbehave. False: only the control endpoint makes trouble."""


@dataclass(frozen=True, slots=True)
class SimulatorOptions:
    """How a simulator is started. Seconds throughout."""

    host: str = "127.0.0.1"
    port: int = 8710
    """0 picks a free one."""
    callback_url: str | None = None
    shape: Shape = Shape.DATA
    receipt_delay: tuple[float, float] = (0.05, 0.3)
    receipt_retries: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0)
    """Waits before a receipt is tried again that met a failure, a 429 or a 5xx."""
    receipt_concurrency: int = 32
    latency: float = 0.0
    numbers: bool = True
    seed: int | None = None
    """Makes the random waits repeatable."""
    hang_limit: float = 60.0
    """A hanging request is cut off after this long, if the client has not gone before."""
    log_file: "Path | None" = None
    """Gets a JSON line for each request before it is answered, and for each receipt tried."""
    max_entries: int = 2_000_000
    """Requests kept in memory; the oldest go first."""
    api_keys: "tuple[SecretStr, ...]" = ()
    """The keys that are let in. Empty: any."""
    client_secrets: "Mapping[str, SecretStr]" = field(default_factory=dict)
    """Client id to the secret that its tokens must be signed with. Empty: any well-formed token."""

    def settings(self) -> Settings:
        """Return the settings that a simulator starts with."""
        return Settings(self.callback_url, self.shape, self.receipt_delay, self.latency, self.numbers)


def changed(settings: Settings, data: Any) -> Settings:
    """Return `settings` with what the JSON object `data` names; raises ValueError, one clear line."""
    known = {each.name for each in fields(Settings)}
    if not isinstance(data, dict):
        raise ValueError(f"settings: an object with any of {', '.join(sorted(known))}")  # noqa: TRY004
    readers = {
        "callback_url": url_or_none,
        "shape": _shape,
        "receipt_delay": lambda value: seconds_between("receipt_delay", value),
        "latency": lambda value: seconds_between("latency", value)[0],
        "numbers": _flag,
    }
    unknown = sorted(set(data) - known)
    if unknown:
        raise ValueError(f"{unknown[0]}: no such setting; there are {', '.join(sorted(known))}")
    changes: dict[str, Any] = {name: readers[name](value) for name, value in data.items()}
    return replace(settings, **changes)


def seconds_between(name: str, value: Any) -> tuple[float, float]:
    """Return (shortest, longest) from a number or a pair of numbers; raises ValueError."""
    pair = value if isinstance(value, list | tuple) else [value, value]
    numbers = [n for n in pair if isinstance(n, int | float) and not isinstance(n, bool)]
    if len(pair) != 2 or len(numbers) != 2 or not 0 <= numbers[0] <= numbers[1] < 86400:  # noqa: PLR2004
        raise ValueError(f"{name}: seconds, or [shortest, longest], not {json.dumps(value)}")
    return float(numbers[0]), float(numbers[1])


def url_or_none(value: Any) -> str | None:
    """Return the URL that `value` is, or None; raises ValueError."""
    if value is None:
        return None
    if isinstance(value, str) and urlsplit(value).scheme in {"http", "https"} and urlsplit(value).netloc:
        return value
    raise ValueError("callback_url: an http or https URL, or null")


def _shape(value: Any) -> Shape:
    try:
        return Shape(value)
    except ValueError:
        raise ValueError(f"shape: one of {', '.join(Shape)}") from None


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError("numbers: true or false")
