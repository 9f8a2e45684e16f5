"""Where settings come from besides arguments: the environment, files that hold secrets, sendline.toml.

The one module that reads os.environ. Nothing raised here quotes a value.
"""

import difflib
import json
import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic_settings import PydanticBaseSettingsSource

from sendline.contract.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic.fields import FieldInfo

PREFIX: Final = "SENDLINE_"
DEFAULT_FILE: Final = "sendline.toml"
MAX_FILE: Final = 1 << 20
"""The largest configuration file, in bytes."""
MAX_SECRET: Final = 1 << 16
"""The largest file of a secret, in bytes."""

_NESTED: Final = ("accounts",)
_DEPTH: Final = 3
_SERVICE_LINK: Final = re.compile(r"(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)")
_SERVICE_URL: Final = re.compile(r"(tcp|udp|sctp)://")


class EnvironmentSource(PydanticBaseSettingsSource):
    """SENDLINE_* variables and the files that SENDLINE_*_FILE variables name."""

    def get_field_value(self, field: "FieldInfo", field_name: str) -> tuple[Any, str, bool]:
        """Return nothing: this source reads all fields at once."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return what the environment sets; raises ConfigurationError."""
        return read_environment(os.environ, self.settings_cls.model_fields)


class FileSource(PydanticBaseSettingsSource):
    """The configuration file that the stronger sources name, or sendline.toml in this directory."""

    def get_field_value(self, field: "FieldInfo", field_name: str) -> tuple[Any, str, bool]:
        """Return nothing: this source reads all fields at once."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return what the file sets, and where it is; raises ConfigurationError."""
        named = self.current_state.get("config")
        if named is None and not Path(DEFAULT_FILE).exists():
            return {}
        path = Path(named or DEFAULT_FILE)
        return {**read_file(path), "config": path}


def read_environment(environ: "Mapping[str, str]", fields: "Iterable[str]") -> dict[str, Any]:
    """Return the settings in `environ` as nested dicts. An empty variable counts as not set."""
    known = frozenset(fields)
    found: dict[tuple[str, ...], str] = {}
    values: dict[tuple[str, ...], str] = {}
    for name, value in environ.items():
        if not name.startswith(PREFIX) or not value or _is_service_link(name, value):
            continue
        path, is_file = _path(name, known)
        if path in found:
            raise ConfigurationError(f"{found[path]} and {name}: both are set; leave one")
        found[path] = name
        values[path] = _read_secret(name, Path(value)) if is_file else value
    data: dict[str, Any] = {}
    for path in sorted(values, key=len):
        _place(data, path, values[path], found[path])
    return data


def read_file(path: Path) -> dict[str, Any]:
    """Return what the TOML file at `path` holds; raises ConfigurationError naming the line."""
    raw = _read(str(path), path, MAX_FILE)
    try:
        data = tomllib.loads(raw.decode())
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: not UTF-8 text; save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        problem, _, place = str(error).rpartition(" (at ")
        line = place.rstrip(")").replace("end of document", f"line {len(raw.splitlines())}, its end")
        raise ConfigurationError(f"{path}: {line}: not TOML: {problem}") from None
    except RecursionError:
        raise ConfigurationError(f"{path}: not TOML: nested too deeply") from None
    if "config" in data:
        raise ConfigurationError(f"config: a file can't name another ({path}); use SENDLINE_CONFIG")
    return data


def did_you_mean(word: str, known: "Iterable[str]") -> str:
    """Return ` did you mean X?` or what to do where nothing is near."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.7)
    return f"did you mean {near[0]}?" if near else "remove it"


def variable(path: "Iterable[str | int]") -> str:
    """Return the name of the variable that sets the setting at `path`."""
    return PREFIX + "__".join(str(part) for part in path).upper()


def _path(name: str, known: frozenset[str]) -> tuple[tuple[str, ...], bool]:
    """Return the path of the setting that `name` sets, and whether through a file."""
    path = tuple(name.removeprefix(PREFIX).lower().split("__"))
    if _is_setting(path, known) and not (len(path) == _DEPTH and path[-1].endswith("_file")):
        return path, False
    base = (*path[:-1], path[-1].removesuffix("_file"))
    if base not in {path, ("config",)} and _is_setting(base, known):
        return base, True
    if path[0] in _NESTED and len(path) > 1:
        raise ConfigurationError(
            f"{name}: not a setting; accounts are set by {PREFIX}ACCOUNTS__<NAME>__<OPTION>"
        )
    names = [variable((field,)) for field in sorted(known)]
    files = [f"{each}_FILE" for each in names if each != f"{PREFIX}CONFIG"]
    raise ConfigurationError(f"{name}: not a setting; {did_you_mean(name.upper(), [*names, *files])}")


def _is_setting(path: tuple[str, ...], known: frozenset[str]) -> bool:
    deepest = _DEPTH if path[0] in _NESTED else 1
    return path[0] in known and len(path) <= deepest and all(path)


def _is_service_link(name: str, value: str) -> bool:
    """Return whether Kubernetes set this variable, for a service that is called sendline-something."""
    rest = name.removeprefix(PREFIX)
    return _SERVICE_LINK.fullmatch(rest) is not None or (
        rest.endswith("PORT") and _SERVICE_URL.match(value) is not None
    )


def _place(data: dict[str, Any], path: tuple[str, ...], value: str, name: str) -> None:
    nested = (path[0] in _NESTED and len(path) < _DEPTH) or path == ("routes",)
    for part in path[:-1]:
        data = data.setdefault(part, {})
        if not isinstance(data, dict):
            raise ConfigurationError(
                f"{name}: its account is set to something else; write it as a JSON object"
            )
    data[path[-1]] = _json(name, value) if nested else value


def _json(name: str, value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise ConfigurationError(f"{name}: not JSON; correct it, or use {DEFAULT_FILE}") from None


def _read_secret(name: str, path: Path) -> str:
    raw = _read(name, path, MAX_SECRET)
    try:
        text = raw.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{name}: its file is not UTF-8 text") from None
    if not text:
        raise ConfigurationError(f"{name}: its file is empty; write the secret into it")
    return text


def _read(what: str, path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            raw = file.read(limit + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        raise ConfigurationError(f"{what}: its file can't be read: {reason}") from None
    if len(raw) > limit:
        raise ConfigurationError(f"{what}: its file is larger than {limit // 1024} KiB")
    return raw
