"""A Valkey server of our own: private socket, private directory, and no longer alive than its starter."""

import contextlib
import os
import time
from pathlib import Path
from typing import Final, Literal, Self

import redis

from sendline.contract.errors import ConfigurationError, LedgerUnavailable
from sendline.settings.instances import SERVER_FILE, ServerRecord, read_record, unix_url
from sendline_worker.embedded import files
from sendline_worker.embedded.instance import InstanceLock, client
from sendline_worker.embedded.process import ServerProcess, find_binary

START_TIMEOUT: Final = 60.0
"""How long a server may take to load its data, in seconds."""

_POLL: Final = 0.01


class EmbeddedServer:
    """The server of one instance; a context manager. Not for use by several threads at once.

    `directory` keeps the data. `durability` "disk" writes each change to the disk before it answers;
    "memory" leaves it to the system when: a crash of the machine may lose the last half minute.

    On Linux the server ends when the process that started it is killed. Elsewhere it lives on, and ends
    when its instance is started again.
    """

    def __init__(self, directory: Path, durability: Literal["disk", "memory"] = "disk") -> None:
        self._directory = Path(directory).absolute()
        self._durability: Literal["disk", "memory"] = durability
        self._lock = InstanceLock(self._directory)
        self._process: ServerProcess | None = None
        self._socket: Path | None = None

    @property
    def directory(self) -> Path:
        """The instance's directory."""
        return self._directory

    @property
    def log(self) -> Path:
        """The server's log file."""
        return self._directory / files.LOG

    @property
    def url(self) -> str:
        """Where clients reach it: unix:///path, percent-encoded. Raises RuntimeError before its start."""
        if self._socket is None:
            raise RuntimeError("the embedded server is not started")
        return unix_url(self._socket)

    @property
    def pid(self) -> int | None:
        """The server's process id; None where it is not started."""
        return None if self._process is None else self._process.pid

    def is_running(self) -> bool:
        """Return whether the server is started and its process has not ended."""
        return self._process is not None and not self._process.ended_within(0)

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises ConfigurationError (also InstanceInUse) where it can't be started here, and LedgerUnavailable
        where it ends or does not answer within a minute.
        """
        if self._process is not None:
            raise RuntimeError("the embedded server is started already")
        binary = find_binary()
        self._lock.acquire()
        try:
            self._start(binary)
        except OSError as error:
            self.stop()
            raise ConfigurationError(
                f"state_dir: no server can be started in {self._directory}: {error.strerror}"
            ) from None
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it in order, or by force after 10 s, and remove its traces. Nothing where it is stopped."""
        pid, process, self._process = self.pid, self._process, None
        try:
            if process is not None:
                process.end()
                self._remove_traces(pid)
        finally:
            self._lock.release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self, binary: Path) -> None:
        files.remove_leftovers(self._directory, read_record(self._directory))
        (self._directory / SERVER_FILE).unlink(missing_ok=True)
        files.set_large_log_aside(self._directory)
        said_before = files.log_size(self.log)
        socket = self._socket = files.choose_socket(self._directory)
        configuration = files.write_configuration(self._directory, socket, self._durability)
        command = [str(binary), str(configuration)]
        process = self._process = ServerProcess(command, self._directory, self.log, self._lock.descriptor)
        process.begin()
        self._wait(process, socket, said_before)
        pid = process.pid
        if pid is not None:
            ServerRecord(pid, self.url, time.time(), os.getpid()).write(self._directory)

    def _remove_traces(self, pid: int | None) -> None:
        record = read_record(self._directory)
        if record is not None and record.pid == pid:
            (self._directory / SERVER_FILE).unlink(missing_ok=True)
        if self._socket is not None:
            files.remove_socket(self._socket)
            self._socket = None

    def _wait(self, process: ServerProcess, socket: Path, said_before: int) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        with contextlib.closing(client(socket)) as server:
            while not _answers(server):
                if process.ended_within(_POLL):
                    raise LedgerUnavailable(self._complaint("did not start", said_before))
                if time.monotonic() > deadline:
                    raise LedgerUnavailable(
                        self._complaint(f"did not answer within {START_TIMEOUT:g} s", said_before)
                    )

    def _complaint(self, what: str, said_before: int) -> str:
        return f"the embedded server {what}: {files.last_words(self.log, said_before)} (see {self.log})"


def _answers(server: redis.Redis) -> bool:
    """Return whether the server answers; it does not while it loads its data."""
    try:
        return bool(server.ping())
    except redis.RedisError:
        return False
