"""Tells people how accounts have changed: a line in the log, and a command of theirs where one is set."""

import contextlib
import json
import logging
import os
import queue
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from sendline.contract.errors import LedgerError
from sendline.ledger.accounts import Change, changes_after, newest_change, tell, told

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sendline.ledger.accounts import AccountChange, Teller
    from sendline.ledger.connection import Ledger

log = logging.getLogger("sendline.accounts")

LONGEST: Final = 10.0
"""Seconds that the command may take for one change."""
KEPT: Final = 100
"""Changes that wait for the command at the same time; others are read later."""
READ: Final = 1000
"""Changes that are read for the log at once: all that are kept."""
STEP: Final = 0.1
"""Seconds after which an end that was asked for is seen."""
END_WITHIN: Final = 1.0
"""Seconds that a command gets to end when the worker ends, or when it is killed."""
LEFT: Final = 5
"""Commands that could not be ended; while there are so many, no further one is begun."""

WARNINGS: Final = frozenset((Change.STOPPED, Change.BROKEN, Change.PAUSED, Change.THROTTLED))
"""What somebody may have to do something about."""

_WAIT: Final = "its messages wait, or go by the next account of their route"
_SAID: Final[dict[str, str]] = {
    Change.STOPPED: "is stopped{cause}; {wait}, and it is tried again with one message every 60 s",
    Change.BROKEN: "fails: its circuit breaker is open{cause}; {wait}, and one message tries it in 2 s",
    Change.RECOVERED: "works again: its messages go on",
    Change.THROTTLED: "was asked to slow down{cause}; it pauses, and its rate is halved, then climbs back",
    Change.FULL_RATE: "is back at its full rate",
    Change.PAUSED: "was paused by a person{cause}; {wait}",
    Change.RESUMED: "was let go on by a person",
    Change.ADJUSTED: "has other limits, set by a person{cause}",
}


def sentence(change: "AccountChange") -> str:
    """Return what happened to an account, as it follows its name."""
    cause = f": {change.cause}" if change.cause else ""
    said = _SAID.get(change.change)
    if said is None:
        return f"has changed: {change.change}{cause}"
    return said.format(cause=cause, wait=_WAIT)


class Alerts:
    """Goes on where the last worker ended. What was under way when that one died comes again."""

    def __init__(self, ledger: "Ledger", command: "Sequence[str]", providers: "Mapping[str, str]") -> None:
        """Prepare: `command` is run for each change; empty: none. `providers` has each account's provider."""
        self._providers = providers
        self._hook = Hook(command) if command else None
        self._for_log = _Reader(ledger, "log")
        self._for_command = _Reader(ledger, "command")

    def look(self) -> None:
        """Tell of what has changed. To be called by one worker at a time, often. Raises LedgerError."""
        self._for_log.begin()
        self._for_command.begin()
        for change, lost in self._for_log.read(READ):
            if lost:
                log.warning("%d changes of accounts were lost", lost)
            level = logging.WARNING if change.change in WARNINGS else logging.INFO
            log.log(level, "account %s %s", change.account, sentence(change))
        self._for_log.write(self._for_log.seen)
        if self._hook is None:
            self._for_command.write(self._for_log.seen)
            return
        for change, lost in self._for_command.read(self._hook.room):
            if lost:
                log.error("alert_command was not told of %d changes of accounts: they were lost", lost)
            self._hook.put(change.seq, change.to_dict() | {"provider": self._providers.get(change.account)})
        self._for_command.write(self._hook.done_up_to(self._for_command.seen))

    def stop(self) -> None:
        """End the command's thread, and a command that runs."""
        if self._hook is None:
            return
        self._hook.stop()
        with contextlib.suppress(LedgerError):
            self._for_command.write(self._hook.done_up_to(self._for_command.seen))


class _Reader:
    """Reads changes in their order, on from the last one that people have been told of by one means."""

    def __init__(self, ledger: "Ledger", by: "Teller") -> None:
        self._ledger = ledger
        self._by: Teller = by
        self._written = 0
        self.seen = 0
        """The number of the newest change that was read."""

    def begin(self) -> None:
        """Learn how far people have been told; at the very first time, nothing older is told."""
        cursor = self._ledger.run(told(self._by))
        if cursor is None:
            cursor = self._ledger.run(newest_change())
            self._ledger.run(tell(self._by, cursor))
        if cursor < self._written:
            self.seen = cursor  # the ledger came back from an older state
        self._written = cursor
        self.seen = max(self.seen, cursor)

    def read(self, most: int) -> "Iterator[tuple[AccountChange, int]]":
        """Yield what is new, each with how many before it are not kept any more."""
        for change in self._ledger.run(changes_after(self.seen, count=most)) if most else ():
            lost, self.seen = change.seq - self.seen - 1, change.seq
            yield change, lost

    def write(self, done: int) -> None:
        """Write down that people have been told up to this change."""
        if done > self._written:
            self._ledger.run(tell(self._by, done))
            self._written = done


class Hook:
    """Runs a command for each change, one after the other, in a thread of its own."""

    def __init__(self, command: "Sequence[str]") -> None:
        """Prepare; the thread begins with the first change."""
        self._command = list(command)
        self._waiting: queue.Queue[tuple[int, dict[str, Any]]] = queue.Queue(KEPT)
        self._under_way: list[int] = []
        self._left: list[subprocess.Popen[bytes]] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sendline-alerts", daemon=True)

    @property
    def room(self) -> int:
        """How many more changes may wait."""
        return KEPT - len(self._under_way)

    def put(self, seq: int, told_of: dict[str, Any]) -> None:
        """Let the command be told of one more change."""
        self._under_way.append(seq)
        self._waiting.put_nowait((seq, told_of))
        if self._thread.ident is None:
            self._thread.start()

    def done_up_to(self, seen: int) -> int:
        """Return the number of the change up to which the command has been told, of all `seen`."""
        waiting = self._under_way[:1]
        return waiting[0] - 1 if waiting else seen

    def stop(self) -> None:
        """Begin no further command, and end the one that runs."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(2 * END_WITHIN + 1)

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                _, told_of = self._waiting.get(timeout=STEP)
            except queue.Empty:
                continue
            about = f"account {told_of['account']}, {told_of['change']}"
            try:
                problem = self._call(json.dumps(told_of).encode())
            except Exception:  # a fault here must not end what tells people
                log.exception("alert_command failed: %s", about)
                problem = ""
            if self._ended.is_set() and problem:
                return  # it was cut off, and comes again
            if problem:
                log.error("alert_command %s: %s", problem, about)
            self._under_way.pop(0)

    def _call(self, text: bytes) -> str:
        """Run the command once. Returns what went wrong, or nothing."""
        self._left = [each for each in self._left if each.poll() is None]
        if len(self._left) >= LEFT:
            return f"can't be run ({LEFT} earlier ones still run, and can't be ended)"
        try:
            process = subprocess.Popen(  # noqa: S603 - the owner's own command, without a shell
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            return f"can't be run ({getattr(error, 'strerror', None) or type(error).__name__})"
        if not self._wait(process, text):
            if _end(process):
                return f"was ended after {LONGEST:g} s"
            self._left.append(process)
            return f"can't be ended after {LONGEST:g} s, and still runs"
        return f"failed with exit code {process.returncode}" if process.returncode else ""

    def _wait(self, process: "subprocess.Popen[bytes]", text: bytes) -> bool:
        """Return whether the command came to its end in time."""
        end, given = time.monotonic() + LONGEST, text or None
        asked = False
        while time.monotonic() < end:
            try:
                process.communicate(given, timeout=STEP)
            except subprocess.TimeoutExpired:
                given = None
                if self._ended.is_set() and not asked:
                    asked, end = True, min(end, time.monotonic() + END_WITHIN)
            else:
                return True
        return False


def _end(process: "subprocess.Popen[bytes]") -> bool:
    """End a command, and what it has started. Returns whether it has ended: one with other rights may not."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except OSError:
        with contextlib.suppress(OSError):
            process.kill()
    if process.stdin:
        with contextlib.suppress(OSError):
            process.stdin.close()
    try:
        process.wait(END_WITHIN)
    except subprocess.TimeoutExpired:
        return False
    return True
