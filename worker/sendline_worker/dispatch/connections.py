"""The connections of a worker process: how many are free, and whose calls hold the others."""

from collections import Counter
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from sendline_worker.dispatch.sharing import room_of_one, room_of_several

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sendline_worker.dispatch.sharing import Room

MOST: Final = 32
"""Messages a claim: small, so that limits are shared evenly and little is on hand when a process dies."""
URGENT_SHARE: Final = 0.1
"""The part of the connections that only urgent messages may use."""
MANY_FREE: Final = 0.2
"""The part of the connections that are not waited for any longer, once they are free again."""


class Freed(Enum):
    """What a call that ended makes room for."""

    NONE = auto()
    """Nothing that had none before."""
    SOME = auto()
    """A little: worth a claim, once other calls have ended, too."""
    AT_ONCE = auto()
    """An urgent message, or many others."""


class Connections:
    """Counts calls. What a claim may take is asked for, and told when it has been taken."""

    def __init__(self, number: int, *, accounts: int) -> None:
        """Prepare `number` free connections, for the calls of so many accounts."""
        self.kept_for_urgent = max(1, round(number * URGENT_SHARE)) if number > 1 else 0
        self._number = number
        self._many = max(round(number * MANY_FREE), 1)
        self._is_shared = accounts > 1
        self._calls: Counter[str] = Counter()
        self._full: set[str] = set()
        """The accounts that have their share: when a call of one ends, more may go."""

    @property
    def free(self) -> int:
        """How many calls more there can be."""
        return self._number - self._calls.total()

    @property
    def are_many_free(self) -> bool:
        """Whether a claim is worth it now: else more come free soon."""
        return self.free >= self.kept_for_urgent + self._many

    def room(self) -> "Room":
        """Return what a claim may take now."""
        if not self._is_shared:
            return room_of_one(self.free, self.kept_for_urgent, MOST)
        room = room_of_several(self.free, self.kept_for_urgent, MOST, self._calls)
        self._full = set(room.left)  # one of these calls may end before the claim is answered
        return room

    def taken(self, left: "Mapping[str, int]", accounts: "Iterable[str]") -> None:
        """Note of which accounts a claim has taken, each as often as it did, that was bounded by `left`."""
        taken = Counter(accounts)
        self._full = {name for name, most in left.items() if taken[name] >= most}

    def begin(self, account: str) -> None:
        """Count a call of `account`."""
        self._calls[account] += 1

    def end(self, account: str) -> "Freed":
        """Take a call of `account` off; return what there is room for now."""
        self._calls[account] -= 1
        if not self._calls[account]:
            del self._calls[account]
        free = self.free
        if free == 1 or free == self.kept_for_urgent + self._many:
            return Freed.AT_ONCE
        if account in self._full or free == self.kept_for_urgent + 1:
            return Freed.SOME
        return Freed.NONE
