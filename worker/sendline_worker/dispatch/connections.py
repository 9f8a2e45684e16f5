"""The connections of a worker process: how many are free, and whose calls hold the others."""

from collections import Counter
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from sendline.ledger.work import Sharing

if TYPE_CHECKING:
    from collections.abc import Iterable

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


@dataclass(frozen=True, slots=True)
class Room:
    """What one claim may take."""

    most: int
    not_urgent: int
    """At most so many of these are not urgent."""
    sharing: Sharing | None
    """How accounts share the connections, where there are several."""


class Connections:
    """Counts calls. What a claim may take is asked for, and told when it has been taken."""

    def __init__(self, number: int, *, accounts: int) -> None:
        """Prepare `number` free connections, which so many accounts share."""
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

    def room(self) -> Room:
        """Return what a claim may take now."""
        free, kept = self.free, self.kept_for_urgent
        sharing = None
        if self._is_shared:
            self._full = set(self._calls)  # one of these calls may end before the claim is answered
            sharing = Sharing(free, kept, dict(self._calls))
        return Room(min(free, MOST), min(max(0, free - kept), MOST), sharing)

    def answered(self, full: "Iterable[str]") -> None:
        """Note which accounts had their share when a claim was answered."""
        self._full = set(full)

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
        if self._is_shared and free <= self.kept_for_urgent:
            return Freed.SOME  # for an urgent message of an account that had its share of these
        return Freed.NONE
