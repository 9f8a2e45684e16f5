"""Real Valkey servers with odd configurations, for tests of what is refused and of what survives."""

import contextlib
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

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
        self._directory = tempfile.TemporaryDirectory(prefix="sl-")
        self.socket = Path(self._directory.name) / "s"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return unix_url(self.socket)

    def url_with(self, user: str, password: str) -> str:
        return self.url.replace("unix://", f"unix://{user}:{password}@")

    def start(self) -> None:
        where = ("--dir", self._directory.name, "--unixsocket", str(self.socket), "--port", "0")
        self._process = subprocess.Popen(
            [str(find_binary()), *where, "--save", "", *self._options], stdout=subprocess.DEVNULL
        )
        poll(self._answers, 20)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "the server ended"
        once = Retry(NoBackoff(), 0)
        with contextlib.closing(redis.Redis(unix_socket_path=str(self.socket), retry=once)) as client:
            try:
                return bool(client.ping())
            except redis.AuthenticationError:
                return True
            except redis.RedisError:
                return False

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
