"""Reading requests as providers document them; each function raises RequestRefused(400) for a wrong one."""

import functools
import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from sendline_worker.simulator.face import RequestRefused

if TYPE_CHECKING:
    from starlette.requests import Request

E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")
NUMBER: Final = re.compile(r"\+?[1-9][0-9]{6,14}")
"""E.164 with or without its +."""


def header(request: "Request", name: bytes) -> str:
    """Return the header `name`, in lower case, or nothing."""
    for key, value in request.scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return ""


def json_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in `body`."""
    try:
        data = json.loads(body)
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise RequestRefused(400, "the body is no JSON object")
    return data


def phone(data: dict[str, Any], name: str, form: re.Pattern[str] = E164) -> str:
    """Return the phone number in field `name`, with +."""
    value = data.get(name)
    if not isinstance(value, str) or not form.fullmatch(value):
        raise RequestRefused(400, f"{name}: a phone number")
    return value if value.startswith("+") else f"+{value}"


def text(data: dict[str, Any], name: str, longest: int | None = None) -> str:
    """Return the text in field `name`, at most `longest` characters."""
    value = data.get(name)
    if not isinstance(value, str) or not value or (longest is not None and len(value) > longest):
        raise RequestRefused(400, f"{name}: a text" + (f" of 1 to {longest} characters" if longest else ""))
    return value


def url(data: dict[str, Any], name: str, lengths: range) -> str | None:
    """Return the URL in field `name`, or None where there is none."""
    value = data.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) not in lengths or not value.startswith("http"):
        raise RequestRefused(400, f"{name}: a URL of {lengths.start} to {lengths.stop - 1} characters")
    return value


def whole(data: dict[str, Any], name: str, default: int, allowed: range) -> int:
    """Return the whole number in field `name`."""
    try:
        value = int(data.get(name, default))
    except (TypeError, ValueError):
        value = allowed.start - 1
    if value not in allowed:
        raise RequestRefused(400, f"{name}: {allowed.start} to {allowed.stop - 1}")
    return value


def instant(data: dict[str, Any], name: str, default: float) -> float:
    """Return the date-time in field `name` as unix seconds; without a zone it is UTC."""
    if data.get(name) is None:
        return default
    try:
        moment = datetime.fromisoformat(data[name])
    except (TypeError, ValueError):
        raise RequestRefused(400, f"{name}: a date-time") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def mask(data: dict[str, Any], name: str) -> re.Pattern[str] | None:
    """Return what the mask in field `name` stands for: `*` and `%` any characters, the rest itself."""
    value = data.get(name)
    if value is None:
        return None
    if type(value) not in {str, int}:
        raise RequestRefused(400, f"{name}: a mask")
    return re.compile(".*".join(map(re.escape, re.split(r"[*%]", str(value)))), re.DOTALL)


def iso(moment: float) -> str:
    """Return unix seconds as providers write them: UTC, milliseconds, Z."""
    second, micros = divmod(round(moment * 1_000_000), 1_000_000)
    return f"{_second(second)}.{micros // 1000:03d}Z"


@functools.lru_cache
def _second(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat().removesuffix("+00:00")
