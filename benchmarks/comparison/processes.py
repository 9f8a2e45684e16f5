"""Commands that are measured: started in sessions of their own, looked at as whole trees, ended by pid."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, Self, TypeVar

import psutil  # type: ignore[import-untyped]

from sendline_worker.embedded import launch

T = TypeVar("T")

BENCHMARKS: Final = Path(__file__).parents[1]
NOT_BUSY: Final = frozenset({"idle", "iowait", "guest", "guest_nice"})
"""Of the machine's times, those in which it was not busy, or which are in another as well."""
GRACE: Final = 12.0
"""Seconds in which a command ends in order, before it is killed."""


class Late(RuntimeError):
    """Something did not happen in its time."""


class Command:
    """A command and all processes that it starts. A context manager; they end with us, whatever happens."""

    def __init__(
        self,
        arguments: Sequence[str],
        log: Path,
        *,
        environment: "Mapping[str, str] | None" = None,
        ends_by: int = signal.SIGTERM,
    ) -> None:
        """`arguments` is the command; what it writes goes to `log`; the signal `ends_by` ends it in order."""
        self.log = log
        self._ends_by = ends_by
        self._arguments = [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), *arguments]
        places = os.pathsep.join([str(BENCHMARKS), *filter(None, [os.environ.get("PYTHONPATH")])])
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SENDLINE_")}
        self._environment = {**kept, "PYTHONPATH": places, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._asked = False

    def __enter__(self) -> Self:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._arguments,
                cwd=self.log.parent,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is None:
            return
        tree = self.tree()
        self.ask_to_end()
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        finally:
            for each in tree:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()

    def ask_to_end(self) -> None:
        """Tell it to end, without waiting."""
        if self._process is not None and self._process.poll() is None and not self._asked:
            self._asked = True
            self._process.send_signal(self._ends_by)

    @property
    def pid(self) -> int:
        """The process id of the command itself."""
        if self._process is None:
            raise RuntimeError("not started")
        return self._process.pid

    def tree(self) -> "list[psutil.Process]":
        """Return its process and all below it."""
        try:
            top = psutil.Process(self.pid)
            return [top, *top.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def finish(self, seconds: float) -> str:
        """Wait for its end; return what it wrote. Raises Late."""
        if self._process is None:
            raise RuntimeError("not started")
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Late(f"{self.log.stem} did not end within {seconds:g} s") from None
        return self.log.read_text(errors="replace")

    def wait_for(self, word: str, seconds: float = 30) -> str:
        """Return the first line of its log that holds `word`. Raises Late."""

        def found() -> str:
            if self._process is not None and self._process.poll() is not None:
                raise Late(f"{self.log.stem} ended: {self.log.read_text(errors='replace')[-800:]}")
            lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
            return next((line for line in lines if word in line), "")

        return wait(found, seconds, f"{self.log.stem} to say {word!r}")


def spent(commands: Iterable[Command]) -> float:
    """Return the seconds of CPU, user and system, of all processes of commands, those that ended as well."""
    total = 0.0
    for command in commands:
        for each in command.tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = each.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
    return total


def resident_mb(commands: Iterable[Command]) -> float:
    """Return the resident memory of all processes of commands; what several share counts once (PSS)."""
    total = 0
    for command in commands:
        for each in command.tree():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                total += each.memory_full_info().pss
    return total / 1_000_000


class Others:
    """How much of the machine other programs use, from its making on: what is neither ours nor idle."""

    def __init__(self) -> None:
        self._began, self._busy, self._own = time.monotonic(), _busy(), _own()

    def share(self) -> float:
        """Return it in per cent. Our processes count once they have ended."""
        took = (time.monotonic() - self._began) * (os.cpu_count() or 1)
        return max(0.0, (_busy() - self._busy - (_own() - self._own)) / took * 100)


def _busy() -> float:
    """Return the seconds of CPU that the machine has been busy."""
    times = psutil.cpu_times()._asdict()
    return float(sum(value for name, value in times.items() if name not in NOT_BUSY))


def _own() -> float:
    """Return the seconds of CPU that this process, and those below it that have ended, have used."""
    kinds = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, kinds))


def wait(condition: "Callable[[], T]", seconds: float, what: str, every: float = 0.05) -> T:
    """Return the first true answer of `condition`. Raises Late."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise Late(f"waited {seconds:g} s for {what}")
        time.sleep(every)
    return answer
