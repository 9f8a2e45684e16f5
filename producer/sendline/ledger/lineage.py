"""What a process has seen of the ledger, so that one that came back from an older state is noticed.

Every script is told it with each call, and tells in each reply how far the ledger has come (see
lua/prelude/lineage.lua).
"""

from typing import Any, NamedTuple

from sendline.ledger.record import pack


class Seen(NamedTuple):
    """How far a ledger has come."""

    born: int
    """The instant (us) of its first event: tells it from any other ledger. 0: nothing was seen."""
    era: int
    """How often it has recovered."""
    seq: int
    """The number of its newest event."""
    mark: int
    """The instant (us) of its newest event."""


class Lineage:
    """The most that one process has seen. Safe across threads: a lost update only tells a little less."""

    def __init__(self) -> None:
        """Begin without having seen anything."""
        self.seen = Seen(0, 0, 0, 0)
        self.packed = b""
        """The last ARGV of every script."""

    def take(self, reply: Any) -> Any:
        """Return what a script answered, out of what it told."""
        answer = reply[0]
        told = Seen(*reply[1:])
        seen = self.seen
        if told.born and (told.born != seen.born or told[1:3] > seen[1:3]):
            self.seen = told
            self.packed = pack(told)
        return answer
