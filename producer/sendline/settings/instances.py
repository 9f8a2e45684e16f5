"""Where the embedded server of an instance keeps its things, and how a client on this machine finds it."""

import contextlib
import json
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote, urlsplit

from pydantic import SecretStr

from sendline.contract.errors import ConfigurationError
from sendline.settings import checks

if TYPE_CHECKING:
    from sendline.settings.model import Settings

SERVER_FILE: Final = "server.json"
"""The file in the instance's directory that says where its server is."""

_MAX_RECORD: Final = 4096
_CONNECT_TIMEOUT: Final = 1.0


@dataclass(frozen=True, slots=True)
class ServerRecord:
    """What a running embedded server tells about itself."""

    pid: int
    url: str
    """unix://, its path percent-encoded."""
    started: float
    """Unix time in seconds."""
    owner: int
    """The process that started it and lives as long."""

    @property
    def socket(self) -> Path:
        """The path of the server's socket."""
        return Path(unquote(urlsplit(self.url).path))

    def write(self, directory: Path) -> None:
        """Write it into the instance's directory: whole or not at all, for its user only."""
        draft = directory / f".{SERVER_FILE}.{os.getpid()}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(self), file)
        draft.replace(directory / SERVER_FILE)


def unix_url(path: Path) -> str:
    """Return the URL of the server that listens at the socket `path`."""
    return f"unix://{quote(str(path))}"


def instance_dir(settings: "Settings") -> Path:
    """Return the directory of the instance that `settings` name. It need not exist."""
    return settings.state_path / settings.instance


def read_record(directory: Path) -> ServerRecord | None:
    """Return what the server of the instance in `directory` wrote, or None; it may be dead by now."""
    try:
        with (directory / SERVER_FILE).open("rb") as file:
            record = ServerRecord(**json.loads(file.read(_MAX_RECORD)))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    numbers = (record.pid, record.owner)
    if not all(isinstance(number, int) and number > 0 for number in numbers):
        return None
    return record if isinstance(record.url, str) and record.url.startswith("unix:///") else None


def is_alive(pid: int) -> bool:
    """Return whether there is a process `pid`."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def running_server(settings: "Settings") -> str | None:
    """Return the URL of the instance's embedded server if that is alive and can be connected to."""
    record = read_record(instance_dir(settings))
    if record is None or not is_alive(record.pid):
        return None
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as probe:
        probe.settimeout(_CONNECT_TIMEOUT)
        try:
            probe.connect(str(record.socket))
        except (OSError, ValueError):
            return None
    return record.url


def check_redis_url(url: str) -> None:
    """Check a URL that takes the place of the setting. Raises ConfigurationError."""
    try:
        checks.redis_url(SecretStr(url))
    except ValueError as error:
        raise ConfigurationError(f"redis_url: {error}") from None


def ledger_url(settings: "Settings") -> str:
    """Return the URL of the ledger's Redis: the configured one, or the running embedded server's.

    The URL may hold a password. Raises ConfigurationError where there is neither.
    """
    if settings.redis_url is not None:
        return settings.redis_url.get_secret_value()
    url = running_server(settings)
    if url is None:
        raise ConfigurationError(
            "redis_url: not set, and no embedded server is running: start `sendline up`, "
            "or set SENDLINE_REDIS_URL"
        )
    return url
