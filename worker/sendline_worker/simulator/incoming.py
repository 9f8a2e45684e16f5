"""Reading what shall come in: a message that somebody wrote to one of the account's numbers."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from sendline_worker.simulator.face import Incoming
from sendline_worker.simulator.options import url_or_none
from sendline_worker.simulator.reading import NUMBER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sendline_worker.simulator.face import Face, Reporter

FIELDS: Final = ("from", "to", "text", "times", "provider_id", "provider", "callback_url")
MOST_TIMES: Final = 100


@dataclass(frozen=True, slots=True)
class Asked:
    """A message that shall come in, by which provider, where to, and how often it is told."""

    message: Incoming
    reporter: "Reporter"
    url: str
    times: int


def read_incoming(data: Any, faces: "Mapping[str, Face]", usual_url: str | None) -> Asked:
    """Return what the JSON object `data` asks for; raises ValueError, one clear line."""
    if not isinstance(data, dict):
        raise ValueError(f"an object with from, to, text, and perhaps {', '.join(FIELDS[3:])}")  # noqa: TRY004
    unknown = sorted(set(data) - set(FIELDS))
    if unknown:
        raise ValueError(f"{unknown[0]}: no such field; there are {', '.join(FIELDS)}")
    url = url_or_none(data.get("callback_url")) or usual_url
    if url is None:
        raise ValueError("callback_url: none is set, so nobody can be told; give one, or set it in settings")
    provider_id = data.get("provider_id")
    if not isinstance(provider_id, str | None):
        raise ValueError("provider_id: a text")  # noqa: TRY004 - a mistake of the caller's JSON
    text = data.get("text")
    if not isinstance(text, str):
        raise ValueError("text: a text")  # noqa: TRY004
    message = Incoming(provider_id or str(uuid4()), _number(data, "from"), _number(data, "to"), text)
    return Asked(message, _reporter(data.get("provider"), faces), url, _times(data.get("times", 1)))


def _number(data: "Mapping[str, Any]", name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not NUMBER.fullmatch(value):
        raise ValueError(f"{name}: a phone number such as +13115552367")
    return value if value.startswith("+") else f"+{value}"


def _reporter(name: Any, faces: "Mapping[str, Face]") -> "Reporter":
    known = {each: face.reporter for each, face in faces.items() if face.reporter is not None}
    if name is None and len(known) == 1:
        return next(iter(known.values()))
    if not isinstance(name, str) or name not in known:
        raise ValueError(f"provider: one of {', '.join(sorted(known))}")
    return known[name]


def _times(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_TIMES:
        raise ValueError(f"times: 1 to {MOST_TIMES}")
    return value
