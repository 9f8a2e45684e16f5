"""Who may have a connection: so many calls at a time, and no more."""

from queue import Empty, SimpleQueue
from time import monotonic
from typing import Final

from sendline.ledger.link import left

LATE: Final = 1.0
"""Seconds after the end of its time when a call that has not given its turn back never will."""


class NoTurn(TimeoutError):
    """Every connection was in use until the caller's time was over: the server was not asked."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most


class Turns:
    """The turns of threads.

    What is thrown into a thread from outside (by a signal's handler, a task's time limit) may come where
    nothing guards a turn. Every call ends in time, so a turn that is out for longer is lost, and made anew.
    """

    __slots__ = ("_free", "_until")

    def __init__(self, most: int) -> None:
        """Begin with all of them free."""
        self._free: SimpleQueue[object] = SimpleQueue()  # a Semaphore takes ten times as long
        self._until: dict[object, float] = {}
        for _ in range(most):
            self._add()

    def take(self, until: float) -> object:
        """Return a turn; `until` is when the call it is for ends. Raises TimeoutError, NoTurn."""
        seconds = left(until)
        try:
            turn = self._free.get_nowait()
        except Empty:
            turn = self._wait(seconds)
        self._until[turn] = until
        return turn

    def give_back(self, turn: object) -> None:
        """Let another call have it."""
        if turn in self._until:
            self._free.put(turn)

    def _wait(self, seconds: float) -> object:
        too_old = monotonic() - LATE
        for turn, until in tuple(self._until.items()):
            if until < too_old and self._until.pop(turn, None) is not None:
                self._add()
        try:
            return self._free.get(timeout=seconds)
        except Empty:
            raise NoTurn(len(self._until)) from None

    def _add(self) -> None:
        turn = object()
        self._until[turn] = monotonic()
        self._free.put(turn)
