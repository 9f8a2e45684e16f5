"""A part that is started again when it ends, as a supervisor does, unless a fault keeps it down."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Final

import psutil

from sendline.settings import bounds
from sendline_worker.stack import Part

BACK_AFTER: Final = 0.5
"""Seconds until a part that ended by itself is started again."""


class Supervised:
    """One part, its restarts, and what happened to it. To be used by one thread, which lives on."""

    def __init__(
        self, name: str, make: Callable[[], Part], tell: Callable[[str], None], *, once: bool = False
    ) -> None:
        """`tell` hears of starts and ends. `once`: it is done when it ends with code 0."""
        self.name = name
        self._tell = tell
        self.notes: list[str] = []
        """What it did that nobody had asked for."""
        self.done = False
        self._make = make
        self._once = once
        self._part: Part | None = None
        self._held = False
        self._start_at = 0.0
        self._asked_at: float | None = None
        self._orphans: list[psutil.Process] = []

    @property
    def is_running(self) -> bool:
        """Whether it runs, and was not told to end."""
        return self._part is not None and self._part.is_running() and self._asked_at is None

    def start(self) -> None:
        """Start it, without waiting."""
        self._part = self._make()
        self._part.begin()
        self._tell(f"{self.name} started as process {self._part.pid}")
        self._asked_at = None

    def await_ready(self) -> None:
        """Wait until it is ready. Raises PartFailed."""
        assert self._part is not None
        self._part.await_ready()

    def tend(self) -> None:
        """Start it again if it has ended, and kill it if it does not end in time."""
        part = self._part
        if part is None:
            if not (self._held or self.done) and time.monotonic() >= self._start_at:
                self.start()
        elif not part.is_running():
            self._ended(part)
        elif self._asked_at is not None and time.monotonic() - self._asked_at > bounds.STOP_GRACE:
            self.notes.append(f"{self.name} did not end within {bounds.STOP_GRACE} s of SIGTERM")
            self.kill()

    def _ended(self, part: Part) -> None:
        code = part.exit_code
        self._tell(f"{self.name} ended with code {code}")
        if self._once and code == 0:
            self.done = True
        elif self._asked_at is None and not self._held:
            self.notes.append(f"{self.name} ended by itself with code {code}")
            self._start_at = time.monotonic() + BACK_AFTER
        elif self._asked_at is not None and code != 0:
            self.notes.append(f"{self.name} ended with code {code} at SIGTERM")
        part.end()
        self._part = None

    def ask_to_end(self) -> None:
        """Send it SIGTERM."""
        if self._part is not None:
            self._part.ask_to_end()
            self._asked_at = time.monotonic()

    def kill(self, *, alone: bool = False) -> None:
        """Kill -9 its process, and its children unless `alone`."""
        if self._part is None:
            return
        tree = self.tree()
        _signal(tree[:1] if alone else tree, signal.SIGKILL)
        self._orphans += tree[1:] if alone else []
        self._part.end()
        self._part = None

    @contextlib.contextmanager
    def held_down(self) -> Iterator[None]:
        """Do not start it again while a block lasts."""
        self._held = True
        try:
            yield
        finally:
            self._held = False

    def tree(self) -> list[psutil.Process]:
        """Return its process and the processes below, the parent first."""
        if self._part is None or self._part.pid is None:
            return []
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(self._part.pid)
            return [parent, *parent.children(recursive=True)]
        return []

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop its whole tree while a block lasts."""
        processes = self.tree()
        _signal(processes, signal.SIGSTOP)
        try:
            yield
        finally:
            _signal(processes, signal.SIGCONT)

    def orphans(self) -> int:
        """Return how many children of killed parents still run."""
        return sum(each.is_running() for each in self._orphans)

    def end(self) -> None:
        """End it in order, what is left of it by force, and its orphans."""
        if self._part is not None:
            processes = self.tree()
            if not self._part.end():
                self.notes.append(f"{self.name} had to be killed at the end")
            _signal(processes[1:], signal.SIGKILL)
            self._part = None
        _signal(self._orphans, signal.SIGKILL)


def kill_child(processes: list[psutil.Process], number: int) -> bool:
    """Kill -9 one of the children in a tree; return whether there was one."""
    children = processes[1:]
    if not children:
        return False
    _signal([children[number % len(children)]], signal.SIGKILL)
    return True


def _signal(processes: list[psutil.Process], sign: int) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            if process.is_running() and process.pid != os.getpid():
                process.send_signal(sign)
