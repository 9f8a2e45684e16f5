"""One clear line for what pydantic found wrong: the field, the problem and the fix, and where it was set."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from sendline.contract.errors import ConfigurationError
from sendline.settings.accounts import RouteSettings
from sendline.settings.sources import DEFAULT_FILE, did_you_mean, read_environment, variable

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails
    from pydantic_settings import BaseSettings

Location = tuple[str | int, ...]

_WORDS: Final = {
    "Input should be": "must be",
    "valid dictionary": "table",
    " or instance of AccountSettings": "",
    " or instance of RouteSettings": "",
}


def explain(error: "ValidationError", model: "type[BaseSettings]", overrides: Mapping[str, Any]) -> str:
    """Return one line for the first of the errors, an unknown key before others. It quotes no value."""
    details = error.errors(include_url=False, include_input=False)
    first = next((detail for detail in details if detail["type"] == "extra_forbidden"), details[0])
    where = tuple(part for part in first["loc"] if part != "[key]")
    line = f"{_dotted(where)}: {_problem(first, where, model)}" if where else _text(first)
    origin = _origin(where, model, overrides)
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    return line + origin + more


def _problem(detail: "ErrorDetails", where: Location, model: "type[BaseSettings]") -> str:
    if detail["type"] == "missing":
        return "missing; set it"
    if detail["type"] == "extra_forbidden":
        fields = RouteSettings.model_fields if where[0] == "routes" else model.model_fields
        return f"not a setting; {did_you_mean(str(where[-1]), fields)}"
    return _text(detail)


def _text(detail: "ErrorDetails") -> str:
    text = detail["msg"].removeprefix("Value error, ")
    for pydantics, ours in _WORDS.items():
        text = text.replace(pydantics, ours)
    return text


def _dotted(where: Location) -> str:
    text = ""
    for part in where:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def _origin(where: Location, model: "type[BaseSettings]", overrides: Mapping[str, Any]) -> str:
    """Return where the wrong value was set, as ` (...)`; nothing for arguments and where it is unclear."""
    if not where or where[0] in overrides:
        return ""
    for length in range(len(where), 0, -1):
        for name in (variable(where[:length]), variable(where[:length]) + "_FILE"):
            if os.environ.get(name):
                return f" (set by {name})"
    try:
        environment = read_environment(os.environ, model.model_fields)
    except ConfigurationError:
        return ""
    if where[0] in environment:
        return ""
    file: str | Path = overrides.get("config") or environment.get("config") or DEFAULT_FILE
    return f" (in {file})"
