"""The files of an instance: its directory, the server's configuration, socket and log."""

import contextlib
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from sendline.contract.errors import ConfigurationError

if TYPE_CHECKING:
    from sendline.settings.instances import ServerRecord

SOCKET: Final = "server.sock"
LOG: Final = "server.log"
MAX_LOG: Final = 1 << 20
"""A log larger than this, in bytes, is set aside at the next start; one older log is kept."""
SOCKET_PATH_LIMIT: Final = 107 if sys.platform == "linux" else 103
"""The longest path of a Unix socket, in bytes."""

_SHORT_PREFIX: Final = "sendline-"
_LOG_LINE: Final = re.compile(r"\d+:[A-Z] .{11,20} [\d:.]{8,16} (?P<level>[.*#-]) (?P<text>.*)")
_LOG_TAIL: Final = 8192

_CONFIGURATION: Final = """\
# Written at each start of the server: changes here are lost.
port 0
unixsocket {socket}
unixsocketperm 700
daemonize no
dir {directory}
save ""
appendonly yes
appendfsync {fsync}
aof-load-truncated yes
maxmemory-policy noeviction
enable-debug-command no
enable-module-command no
enable-protected-configs no
loglevel notice
"""


def prepare(directory: Path) -> None:
    """Make the instance's directory, for its user only; raises ConfigurationError."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if directory.stat().st_mode & 0o077:
            directory.chmod(0o700)
    except OSError as error:
        raise ConfigurationError(
            f"state_dir: {directory} can't be used: {error.strerror}; set SENDLINE_STATE_DIR to another"
        ) from None


def choose_socket(directory: Path) -> Path:
    """Return where the socket shall be: in `directory`, or where that is too long, in a short private one."""
    if _fits(directory / SOCKET):
        return directory / SOCKET
    for parent in (None, Path("/tmp")):  # noqa: S108 - mkdtemp makes it private
        short = Path(tempfile.mkdtemp(prefix=_SHORT_PREFIX, dir=parent))
        if _fits(short / SOCKET):
            return short / SOCKET
        short.rmdir()
    raise ConfigurationError(
        "state_dir: its path is too long for a socket; set SENDLINE_STATE_DIR to a shorter one"
    )


def remove_socket(path: Path) -> None:
    """Remove a socket that nobody listens at, and its short directory, where it has one."""
    with contextlib.suppress(OSError):
        if path.is_socket():
            path.unlink()
    _remove_short(path.parent)


def remove_leftovers(directory: Path, record: "ServerRecord | None") -> None:
    """Remove what a killed server left behind. Call it only with the instance's lock held."""
    remove_socket(directory / SOCKET)
    if record is not None and record.socket.name == SOCKET and _is_short(record.socket.parent):
        remove_socket(record.socket)


def write_configuration(directory: Path, socket: Path, durability: Literal["disk", "memory"]) -> Path:
    """Write the server's configuration file and return its path."""
    path = directory / "server.conf"
    fsync = {"disk": "always", "memory": "no"}[durability]
    text = _CONFIGURATION.format(socket=_quoted(socket), directory=_quoted(directory), fsync=fsync)
    path.write_text(text, encoding="ascii")
    return path


def set_large_log_aside(directory: Path) -> None:
    """Begin a new log where the old one has grown large."""
    log = directory / LOG
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > MAX_LOG:
            log.replace(log.with_suffix(".log.old"))


def last_words(log: Path, since: int) -> str:
    """Return the line of the log, after its first `since` bytes, that tells best why the server ended."""
    with log.open("rb") as file:
        file.seek(max(since, file.seek(0, os.SEEK_END) - _LOG_TAIL))
        lines = [line.strip() for line in file.read().decode(errors="replace").splitlines()]
    lines = [line for line in lines if line]
    if not lines:
        return "it said nothing"
    parsed = [_LOG_LINE.fullmatch(line) for line in lines]
    if parsed[-1] is None:
        return lines[-1]
    warnings = [match["text"] for match in parsed if match is not None and match["level"] == "#"]
    return warnings[-1] if warnings else parsed[-1]["text"]


def log_size(log: Path) -> int:
    """Return the size of the log in bytes; 0 where there is none."""
    return log.stat().st_size if log.exists() else 0


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= SOCKET_PATH_LIMIT


def _is_short(directory: Path) -> bool:
    parents = {Path(tempfile.gettempdir()), Path("/tmp")}  # noqa: S108 - compared, not written
    return directory.name.startswith(_SHORT_PREFIX) and directory.parent in parents


def _remove_short(directory: Path) -> None:
    if _is_short(directory):
        with contextlib.suppress(OSError):
            directory.rmdir()


def _quoted(path: Path) -> str:
    """Return `path` as the server's configuration files quote it."""
    plain = re.compile(rb"[A-Za-z0-9/._-]")
    raw = os.fsencode(path)
    return '"' + "".join(chr(byte) if plain.match(bytes([byte])) else f"\\x{byte:02x}" for byte in raw) + '"'
