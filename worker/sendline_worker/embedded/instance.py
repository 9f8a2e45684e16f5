"""Instances: one directory each, which only one server may use at a time."""

import contextlib
import fcntl
import os
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, cast

import redis
from pydantic import SecretStr
from redis.backoff import NoBackoff
from redis.retry import Retry

from sendline.contract.errors import ConfigurationError
from sendline.settings.instances import ServerRecord, instance_dir, is_alive, read_record
from sendline_worker.embedded.files import prepare

if TYPE_CHECKING:
    from sendline.settings.model import Settings

MAX_INSTANCES: Final = 100
"""How many instances are tried where the user named none."""

_ORPHAN_GRACE: Final = 5.0
_STARTING_GRACE: Final = 1.0
_KEY_FILE: Final = "secret_key"


class InstanceInUse(ConfigurationError):
    """The instance's data is in use by another server."""


class InstanceLock:
    """The right to use an instance's data. The server inherits it: it ends when both have ended."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._descriptor: int | None = None

    @property
    def descriptor(self) -> int:
        """The open file that carries the lock."""
        if self._descriptor is None:
            raise RuntimeError("the lock is not held")
        return self._descriptor

    def acquire(self) -> None:
        """Take the lock, ending a server whose starter was killed; raises InstanceInUse."""
        prepare(self._directory)
        descriptor = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._wait_for(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock up. Does nothing where it is not held."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _wait_for(self, descriptor: int) -> None:
        if _locked(descriptor):
            return
        record = read_record(self._directory)
        if record is not None and is_alive(record.owner):
            raise self._in_use(f"by process {record.owner}")
        if record is not None:
            end_orphan(record)
        deadline = time.monotonic() + (_STARTING_GRACE if record is None else _ORPHAN_GRACE)
        while not _locked(descriptor):
            if time.monotonic() > deadline:
                raise self._in_use("by another process")
            time.sleep(0.02)

    def _in_use(self, whom: str) -> InstanceInUse:
        return InstanceInUse(
            f"instance: {self._directory.name} is in use {whom}; "
            "stop that, or set SENDLINE_INSTANCE to another name"
        )


def client(socket: Path) -> redis.Redis:
    """Return a client for the server at `socket` that gives up after a second and never repeats."""
    return redis.Redis(
        unix_socket_path=str(socket), socket_timeout=1, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0)
    )


def end_orphan(record: ServerRecord) -> None:
    """Ask the server of `record`, whose starter is dead, to end; the answer is not waited for."""
    with contextlib.suppress(redis.RedisError), contextlib.closing(client(record.socket)) as server:
        told = cast("dict[str, object]", server.info("server"))
        if told.get("process_id") == record.pid:
            server.shutdown()


def claim_instance(settings: "Settings") -> Path:
    """Return the directory of the instance to use: the named one, or the first free one where none is named.

    Free ones are tried as `default`, `default-2`, `default-3`... Raises InstanceInUse. Only the start of the
    server takes the instance for good: where two start at the same instant, one may still meet InstanceInUse.
    """
    first = instance_dir(settings)
    named = "instance" in settings.model_fields_set
    last = 1 if named else MAX_INSTANCES
    for number in range(1, last + 1):
        directory = first if number == 1 else first.with_name(f"{first.name}-{number}")
        try:
            with InstanceLock(directory):
                return directory
        except InstanceInUse:
            if number == last:
                raise
    raise AssertionError


def secret_key(directory: Path) -> SecretStr:
    """Return the signing key of the instance in `directory`, made at the first call and kept in a file."""
    prepare(directory)
    path = directory / _KEY_FILE
    if not path.exists():
        draft = directory / f".{_KEY_FILE}.{secrets.token_hex(8)}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
        draft.unlink()
    try:
        key = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        key = ""
    if len(key) < 16:  # noqa: PLR2004 - as settings ask of secret_key
        raise ConfigurationError(
            f"secret_key: the instance's own is broken: remove {path}, or set SENDLINE_SECRET_KEY"
        )
    return SecretStr(key)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
