"""Delivers the spool in the background: a thread of a process that spooled, or found something there."""

import atexit
import contextlib
import logging
import os
import random
import threading
import time
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sendline.contract.errors import LedgerError
from sendline.spool.delivery import Delivery, Tally

if TYPE_CHECKING:
    from collections.abc import Callable

    from sendline.ledger.connection import Ledger
    from sendline.settings import Settings
    from sendline.spool.directory import SpoolDirectory

log = logging.getLogger("sendline.spool")

FIRST_WAIT, LONGEST_WAIT = 0.5, 10.0
"""Seconds between two tries while the ledger is away: at first, then doubling, at most; less up to half."""
OTHERS_LOOK: Final = 1.0
"""Seconds between two looks whether another process, which is delivering, has done with it."""
OTHERS: Final = "another process is delivering it"
BREATH: Final = 1.0
"""How long it rests after a batch, in times of what that took: the app comes first."""


@dataclass(slots=True, eq=False)
class _Run:
    """One life of the thread."""

    woken: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    until: float | None = None
    """When it must end, by the monotonic clock, delivered or not; None: it goes on until nothing waits."""

    def is_over(self) -> bool:
        """Return whether its time has run out."""
        return self.until is not None and time.monotonic() >= self.until


class Drainer:
    """The thread, where there is one. It ends when nothing waits, and begins again when something does."""

    def __init__(
        self, directory: "SpoolDirectory", settings: "Settings", connect: "Callable[[], Ledger]"
    ) -> None:
        """`connect` opens a ledger that only this uses."""
        self._directory = directory
        self._settings = settings
        self._connect = connect
        self.reset()
        _drainers.add(self)

    def reset(self) -> None:
        """Forget the thread: a forked child has none."""
        self._lock = threading.RLock()  # a handler of signals may send, and interrupts what holds it
        self._pid = os.getpid()
        self._run: _Run | None = None
        self._thread: threading.Thread | None = None
        self._more = False

    @property
    def is_at_work(self) -> bool:
        """Whether something waits, as far as this process knows."""
        return self._run is not None

    def start(self, *, at_once: bool = False) -> None:
        """See to it that what waits is delivered; `at_once`: the ledger is there, as far as is known."""
        self._notice_fork()
        with self._lock:
            self._more = True
            if self._run is None:
                run = _Run()
                thread = threading.Thread(target=self._live, args=(run,), name="sendline-spool", daemon=True)
                with contextlib.suppress(RuntimeError):  # the interpreter is ending: another process delivers
                    thread.start()
                    self._run, self._thread = run, thread
            if at_once and self._run is not None:
                self._run.woken.set()

    def close(self, timeout: float) -> None:
        """Try once more to deliver what waits, for `timeout` seconds at most, and end the thread."""
        self._notice_fork()
        with self._lock:
            run, thread = self._run, self._thread
            self._run = self._thread = None
            if run is None or thread is None:
                return
            run.until = time.monotonic() + timeout
            run.ended.set()
            run.woken.set()
        thread.join(timeout + 0.1)

    def _notice_fork(self) -> None:
        """Forget the parent's thread, where this is a child that C code has forked: Python was not told."""
        if self._pid != os.getpid():
            self.reset()

    def _live(self, run: _Run) -> None:
        try:
            with contextlib.closing(self._connect()) as ledger:
                self._deliver(Delivery(self._directory, ledger, self._settings), run)
        except Exception as error:  # noqa: BLE001 - nothing of a message, and no password, may be quoted
            log.error("the spool waits: a fault in Sendline: %s", type(error).__name__)
        finally:
            with self._lock:
                if self._run is run:
                    self._run = self._thread = None

    def _deliver(self, delivery: Delivery, run: _Run) -> None:
        wait, told = FIRST_WAIT, ""
        while not run.is_over():
            run.woken.wait(wait * random.uniform(0.5, 1))
            run.woken.clear()
            if run.is_over():
                break
            with self._lock:
                self._more = False
            trouble = self._try(delivery, run)
            if run.until is not None or self._ends(run):
                break
            if trouble not in {"", OTHERS, told}:
                log.warning("the spool waits: %s", trouble)
            wait = _next_wait(wait, trouble)
            told = trouble

    def _ends(self, run: _Run) -> bool:
        with self._lock:
            if self._more or not self._directory.is_empty():
                return False
            if self._run is run:
                self._run = self._thread = None
            return True

    def _try(self, delivery: Delivery, run: _Run) -> str:
        """Deliver what waits. Return what is in the way; empty: nothing."""
        begun = time.monotonic()

        def after_batch(_: Tally) -> bool:
            nonlocal begun
            run.ended.wait(BREATH * (time.monotonic() - begun))
            begun = time.monotonic()
            return not run.is_over()

        try:
            with self._directory.delivering() as is_ours:
                if not is_ours:
                    return OTHERS
                tally = delivery.run(after_batch)
        except LedgerError as error:
            return str(error)
        except OSError as error:
            return f"{self._directory.path} can't be read: {(error.strerror or '').lower()}"
        except Exception as error:  # noqa: BLE001 - a fault of ours must not end the delivery, nor quote a message
            return f"a fault in Sendline: {type(error).__name__}"
        if tally.done:
            log.info("%d messages of the spool were delivered to the ledger", tally.done)
        return "some of it can't be read by this release" if tally.left else ""


def _next_wait(wait: float, trouble: str) -> float:
    if trouble == OTHERS:
        return OTHERS_LOOK
    return min(wait * 2, LONGEST_WAIT) if trouble else FIRST_WAIT


_drainers: "weakref.WeakSet[Drainer]" = weakref.WeakSet()


def _forget_threads() -> None:
    for drainer in list(_drainers):
        drainer.reset()


def _end_threads() -> None:
    """End them with the interpreter, which does not wait for them; what waits, others deliver."""
    for drainer in list(_drainers):
        drainer.close(0)


atexit.register(_end_threads)
os.register_at_fork(after_in_child=_forget_threads)
