"""One part as a process of its own: started, waited for, watched, ended in order."""

import contextlib
import ctypes
import logging
import multiprocessing
import os
import signal
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sendline.contract.errors import SendlineError
from sendline.settings import bounds
from sendline_worker.logs import set_up_logs
from sendline_worker.stack import interrupts

if TYPE_CHECKING:
    from collections.abc import Callable

START: Final = 30.0
"""Seconds within which a part must be ready."""
_PR_SET_PDEATHSIG: Final = 1


class PartFailed(SendlineError):
    """A part could not be started, or ended by itself."""


class PartRefused(PartFailed):
    """A part said why it can't be started: its configuration, or its server, must be mended first."""


class Ready:
    """How a part tells its starter of its start: called once it is ready."""

    def __init__(self, pipe: Connection) -> None:
        """Tell it over `pipe`."""
        self._pipe = pipe

    def __call__(self, *_: object) -> None:
        """Tell that the part is ready."""
        self._tell("ready")

    def waits(self) -> None:
        """Tell that the part waits for another one, however long that takes."""
        self._tell("waits")

    def failed(self, why: str) -> None:
        """Tell that the part can't be started."""
        self._tell("failed", why)

    def _tell(self, kind: str, value: str = "") -> None:
        with contextlib.suppress(OSError):  # nobody wants to know any more
            self._pipe.send((kind, value))


class Part:
    """A process that runs `target(*arguments, on_ready=...)` until it is told to end.

    It is in a session of its own, so that Ctrl-C reaches only the process that started it. On Linux it ends
    with the thread that started it.
    """

    def __init__(self, name: str, target: "Callable[..., int]", *arguments: Any, log: Path | None) -> None:
        """`log` takes what the part writes; None: it shares our terminal."""
        context = multiprocessing.get_context("spawn")
        self.name = name
        self._log = log
        self._ready, theirs = context.Pipe(duplex=False)
        self._theirs = theirs
        self._begun_at = 0.0
        self._is_ready = False
        self._waits = False
        self._process = context.Process(
            target=_run, args=(name, (target, arguments), theirs, log, os.getpid()), name=f"sendline-{name}"
        )

    @property
    def pid(self) -> int | None:
        """Its process id, once started."""
        return self._process.pid

    def begin(self) -> None:
        """Start its process, without waiting."""
        with interrupts.deferred(), interrupts.kept_from_children():
            self._process.start()
        self._begun_at = time.monotonic()
        self._theirs.close()

    def await_ready(self) -> None:
        """Wait until it is ready. Raises PartFailed."""
        while not self.is_ready(wait=True):
            pass

    def is_ready(self, *, wait: bool = False) -> bool:
        """Return whether it is ready; with `wait`, wait for its next word on that. Raises PartFailed.

        A part that waits for another one is waited for without a bound, else START is the bound.
        """
        while not self._is_ready:
            left = max(self._begun_at + START - time.monotonic(), 0)
            bound = None if self._waits else left
            try:
                if self._ready.poll(bound if wait else 0):
                    self._hear(*self._ready.recv())
                elif self._waits or left > 0:
                    return False
                else:
                    raise PartFailed(f"{self.name} was not ready within {START:g} s{self._where()}")
            except (EOFError, OSError):
                raise PartFailed(f"{self.name} ended before it was ready{self._where()}") from None
        return True

    def _hear(self, kind: str, value: str) -> None:
        if kind == "failed":
            raise PartRefused(f"{self.name}: {value}")
        self._is_ready = kind == "ready"
        self._waits = kind == "waits"

    @property
    def exit_code(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        return self._process.exitcode

    def is_running(self) -> bool:
        """Return whether it has not ended."""
        return self._process.is_alive()

    def ask_to_end(self) -> None:
        """Send it SIGTERM."""
        if self._process.pid is not None and self._process.is_alive():
            self._process.terminate()

    def end(self, grace: float = bounds.STOP_GRACE) -> bool:
        """End it; after `grace` seconds by force. Return whether it ended in order."""
        self.ask_to_end()
        if self._process.pid is not None:
            self._process.join(grace)
        orderly = not self._process.is_alive()
        if not orderly:
            self._process.kill()
            self._process.join()
        self._ready.close()
        return orderly

    def _where(self) -> str:
        return f"; see {self._log}" if self._log else ""


def _run(
    name: str,
    job: tuple["Callable[..., int]", tuple[Any, ...]],
    ready: Connection,
    log: Path | None,
    starter: int,
) -> None:
    """Be the part."""
    target, arguments = job
    tell = Ready(ready)
    with contextlib.suppress(OSError):
        os.setsid()
    interrupts.admit()
    _end_with(starter)
    if log is not None:
        with log.open("ab", buffering=0) as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
    set_up_logs(name)
    try:
        code = target(*arguments, on_ready=tell)
    except SendlineError as error:
        tell.failed(str(error))
        code = 2
    except KeyboardInterrupt:
        code = 130
    logging.shutdown()
    sys.exit(code)


def _end_with(starter: int) -> None:
    """Let the kernel send SIGTERM to this process when the one that started it is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != starter:
        sys.exit(f"the process that wanted the {multiprocessing.current_process().name} is gone")
