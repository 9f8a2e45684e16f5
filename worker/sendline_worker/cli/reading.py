"""Reading what users type: times, lengths of time, pairs, texts. Each raises Failure with one clear line."""

import re
import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from sendline_worker.cli.failures import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_STDIN: Final = 64 * 1024
"""Bytes of a text that are read: more than any that can be sent."""

_SECONDS: Final = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_LENGTH: Final = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[a-z]*)")


def seconds(field: str, text: str) -> float:
    """Return the seconds that `text` means: 90, 90s, 10m, 72h, 3d."""
    found = _LENGTH.fullmatch(text.strip().lower())
    if found is None or found["unit"] not in _SECONDS:
        raise Failure(field, f"{text!r} is no length of time; write seconds, or 10m, 72h, 3d")
    return float(found["number"]) * _SECONDS[found["unit"]]


def instant(field: str, text: str) -> datetime:
    """Return the time that `text` means: 30m or 2h from now, or ISO 8601, without a zone in local time."""
    now = datetime.now().astimezone()
    found = _LENGTH.fullmatch(text.strip().lower())
    try:
        if found is not None and found["unit"]:
            return now + timedelta(seconds=seconds(field, text))
        return datetime.fromisoformat(text.strip()).astimezone()
    except (ValueError, OverflowError, OSError):
        tomorrow = (now + timedelta(days=1)).isoformat(timespec="seconds")
        raise Failure(field, f"{text!r} is no time; write 2h, 30m (from now), or {tomorrow}") from None


def past(field: str, text: str) -> datetime:
    """Return the time that `text` means: 30m or 2h ago, or ISO 8601, without a zone in local time."""
    found = _LENGTH.fullmatch(text.strip().lower())
    try:
        if found is not None and found["unit"]:
            return datetime.now().astimezone() - timedelta(seconds=seconds(field, text))
        return datetime.fromisoformat(text.strip()).astimezone()
    except (ValueError, OverflowError, OSError):
        raise Failure(field, f"{text!r} is no time; write 2h, 30m (ago), or 2026-11-21T03:00:00Z") from None


def pairs(field: str, texts: "Iterable[str]") -> dict[str, str]:
    """Return what `key=value` texts say."""
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise Failure(field, f"{text!r} has no =; write it as key=value")
        if key in found:
            raise Failure(field, f"{key!r} is given twice; leave one")
        found[key] = value
    return found


def text_of(value: str | None) -> str | None:
    """Return the text to send: `value`, or what standard input holds where that is `-`."""
    if value != "-":
        return value
    raw = sys.stdin.buffer.read(MAX_STDIN)
    try:
        return raw.decode("utf-8-sig").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise Failure("text", "standard input is not UTF-8; convert it, as with iconv -t utf-8") from None
