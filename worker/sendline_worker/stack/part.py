"""One part as a process of its own: started, waited for, watched, ended in order."""

import contextlib
import ctypes
import logging
import multiprocessing
import os
import signal
import sys
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
        self._theirs.close()

    def await_ready(self) -> None:
        """Wait until it is ready. Raises PartFailed."""
        try:
            if not self._ready.poll(START):
                raise PartFailed(f"{self.name} was not ready within {START:g} s{self._where()}")
            kind, value = self._ready.recv()
        except EOFError:
            raise PartFailed(f"{self.name} ended before it was ready{self._where()}") from None
        if kind == "failed":
            raise PartFailed(f"{self.name}: {value}")

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
        code = target(*arguments, on_ready=lambda *_: ready.send(("ready", None)))
    except SendlineError as error:
        with contextlib.suppress(OSError):
            ready.send(("failed", str(error)))
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
