"""Groups of readers in memory: each event goes to one reader, and again where it was not finished."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sendline.ledger.record import event_of, unpack
from sendline.producer.following import EVENTS, Patience, starting_point
from sendline.producer.sharing import Names, Share, Sharing

if TYPE_CHECKING:
    from collections.abc import Callable

    from sendline.contract.message import Event
    from sendline.producer.plan import Plan
    from sendline.testing.memory import Memory


@dataclass(slots=True)
class Group:
    """What is known of a group."""

    given: int
    """The number of the newest event that a reader was given."""
    left: "list[Event]" = field(default_factory=list)
    """What readers were given and have not finished, the oldest first."""


class Once(Patience):
    """Looks once, and waits for nothing: what there is to read, the test has done already."""

    def __init__(self, clock: "Callable[[], float]") -> None:
        """Begin."""
        super().__init__(clock, None, 1)

    def renew(self) -> None:
        """Allow one look."""
        self._looked = False

    def block_ms(self) -> int | None:
        """Return 1 for the first look, then None."""
        looked, self._looked = self._looked, True
        return None if looked else 1


class MemorySharing(Sharing):
    """One reader of a group. An entry is one event here; nobody dies, so nothing is taken over by time."""

    def __init__(self, memory: "Memory", share: Share, patience: Patience, names: Names) -> None:
        """Begin nothing yet."""
        super().__init__(share, patience, names)
        self._memory = memory
        self._current: Event | None = None

    def begin(self) -> "Plan[None]":
        """Make the group where there is none yet. Raises EventsLost."""
        if self._group not in self._memory.groups:
            after = yield from starting_point(EVENTS, self._after)
            with self._memory.lock:
                self._memory.groups.setdefault(self._group, Group(after))

    def next(self) -> "Plan[Event | None]":
        """Finish the event that was handed out, and return the next one; None: there is none."""
        yield from ()
        with self._memory.lock:
            self._current = None
            group = self._memory.groups.setdefault(self._group, Group(0))
            if group.left:
                self._current = group.left.pop(0)
            elif group.given < len(self._memory.events):
                group.given += 1
                self._current = event_of(group.given, unpack(self._memory.events[group.given - 1]))
            return self._current

    def end(self) -> "Plan[None]":
        """Hand back what is not finished."""
        with self._memory.lock:
            group = self._memory.groups.get(self._group)
            if self._current is not None and group is not None:
                group.left = sorted([*group.left, self._current], key=lambda event: event.seq)
            self._current = None
        yield from ()
