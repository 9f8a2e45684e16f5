"""How the accounts of a process share its connections: none takes them all by hanging on every call.

Dynamic thresholds, after A. K. Choudhury and E. L. Hahne, "Dynamic queue length thresholds for shared-memory
packet switches", IEEE/ACM Transactions on Networking 6 (2), 1998: what one may hold is a multiple of what is
free. One that hangs stops by itself while some is left for others; where nobody else needs it, it still gets
most of all; and no share has to be set.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

ALPHA: Final = 2
"""An account may have so many times as many calls under way as there are free connections: one alone has two
thirds of all, six that hang leave a thirteenth."""


@dataclass(frozen=True, slots=True)
class Room:
    """What one claim may take."""

    most: int
    not_urgent: int
    """At most so many of these are not urgent."""
    left: Mapping[str, int] = field(default_factory=dict)
    """Of these accounts no more than so many; of others as many as there is room for."""


def admitted(free: int, own: int) -> int:
    """Return how many calls more an account may begin that has `own`, while `free` connections are free.

    Each takes one of the free: so many that behind the last there are at most ALPHA times as many under way
    as are still free. One that has none may always begin one.
    """
    least = 1 if not own and free > 0 else 0
    return max(least, (ALPHA * free - own) // (ALPHA + 1))


def room_of_one(free: int, kept: int, most: int) -> Room:
    """Return what a claim of at most `most` may take of `free` connections, where there is one account.

    `kept` of them are for urgent messages only.
    """
    return Room(min(free, most), min(max(0, free - kept), most))


def room_of_several(free: int, kept: int, most: int, calls: Mapping[str, int]) -> Room:
    """Return the same where accounts share the connections. `calls`: those under way, by account.

    What is kept for urgent messages counts as free only when nothing else is. No claim takes more than an
    account without any call under way may have: so only accounts with calls are named.
    """
    below = max(0, free - kept)
    bound = min(admitted(free, 0), most)
    left = {name: more for name, own in calls.items() if (more := admitted(below or free, own)) < bound}
    return Room(bound, min(admitted(below, 0), most), left)
