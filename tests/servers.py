"""Real Valkey servers with odd configurations, for tests of what is refused and of what survives."""

import contextlib
import resource
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from places import data_directory
from sendline.settings.instances import unix_url
from sendline_worker.embedded.process import find_binary
from waiting import poll

DURABLE = ("--appendonly", "yes", "--appendfsync", "always")


def free_port() -> int:
    """Return a port of this machine on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ValkeyServer:
    """A server on a socket of its own; a context manager. It may be killed and started again on its data."""

    def __init__(self, *options: str) -> None:
        self._options = options or DURABLE
        self._directory = data_directory()
        self.socket = Path(self._directory.name) / "s"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return unix_url(self.socket)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def data_size(self) -> int:
        """The bytes of its largest file."""
        return max(
            (each.stat().st_size for each in Path(self._directory.name).rglob("*") if each.is_file()),
            default=0,
        )

    def url_with(self, user: str, password: str) -> str:
        return self.url.replace("unix://", f"unix://{user}:{password}@")

    @contextlib.contextmanager
    def client(self) -> Iterator[redis.Redis]:
        """Talk to it past all proxies; nothing is tried again."""
        once = Retry(NoBackoff(), 0)
        with contextlib.closing(redis.Redis(unix_socket_path=str(self.socket), retry=once)) as made:
            yield made

    def start(self) -> None:
        where = ("--dir", self._directory.name, "--unixsocket", str(self.socket), "--port", "0")
        self._process = subprocess.Popen(
            [str(find_binary()), *where, "--save", "", *self._options],
            stdout=subprocess.DEVNULL,
            restore_signals=False,  # SIGXFSZ stays ignored: a write past the limit fails, as on a full disk
        )
        poll(self._answers, 20)

    def is_running(self) -> bool:
        """Return whether its process is there."""
        return self._process is not None and self._process.poll() is None

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "the server ended"
        with self.client() as client:
            try:
                return bool(client.ping())
            except redis.AuthenticationError:
                return True
            except redis.RedisError:
                return False

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it stand still (SIGSTOP) while a block lasts."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def fill_disk(self, room: int = 0) -> None:
        """Let it write at most `room` bytes more to its append-only file, until its end."""
        limit = self.data_size + room
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    def fill_memory(self) -> None:
        """Let it be out of memory, with nothing that it may evict."""
        with self.client() as client:
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", 1)

    def free_memory(self) -> None:
        """Let it have all the memory it wants again."""
        with self.client() as client:
            client.config_set("maxmemory", 0)

    def kill_clients(self) -> int:
        """Cut every connection from the server's side; return how many there were."""
        with self.client() as client:
            killed: list[Any] = [
                client.client_kill_filter(_type=kind, skipme=True) for kind in ("normal", "pubsub")
            ]
            return sum(map(int, killed))

    def wait_ended(self, timeout: float = 10) -> int:
        """Wait until it has ended by itself; return its exit code."""
        assert self._process is not None
        code = self._process.wait(timeout)
        self._process = None
        return code

    def shut_down(self) -> None:
        """End it in order."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        assert self.wait_ended() == 0

    def kill(self) -> None:
        """End it as the kernel's out-of-memory killer would."""
        self._end(signal.SIGKILL)

    def _end(self, sign: int) -> None:
        if self._process is not None:
            self._process.send_signal(sign)
            self._process.wait(10)
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end(signal.SIGKILL)
        self._directory.cleanup()
