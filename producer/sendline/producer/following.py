"""How a stream is read on from a number, as plans: events, and what came in."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

from sendline.contract.errors import EventsLost, InvalidMessage
from sendline.contract.inbound import InboundMessage
from sendline.contract.message import Event
from sendline.ledger import inbound, verbs
from sendline.ledger.call import Call
from sendline.ledger.erasing import are_erased
from sendline.producer.plan import Plan

LONGEST_BLOCK: Final = 0.5
"""Seconds that one read waits, at most; half of `redis_timeout` where that is less."""


class Numbered(Protocol):
    """What stands in a stream."""

    @property
    def seq(self) -> int:
        """Return its number; the next one's is one more."""
        ...


T_co = TypeVar("T_co", covariant=True)
N = TypeVar("N", bound=Numbered)


class Reader(Protocol[T_co]):
    """One who reads a stream: what both faces drive."""

    def begin(self) -> Plan[None]:
        """Find where to read from."""
        ...

    def next(self) -> Plan[T_co | None]:
        """Return what comes next, once it is there; None: it was quiet for too long."""
        ...

    def end(self) -> Plan[None]:
        """Leave what was begun to others."""
        ...


@dataclass(frozen=True, slots=True)
class Stream(Generic[N]):
    """One kind of stream: how the ledger is asked for it."""

    newest: Callable[[], Call[int]]
    oldest: Callable[[], Call[int | None]]
    after: Callable[[int, int], Call[list[N]]]
    """Of a number, and for how long to wait (ms)."""
    what: str = "event"
    """What stands in it, for people."""
    are_erased: Callable[[range], Call[bool]] | None = None
    """Whether all of these numbers were taken out; None: nothing ever is."""


EVENTS: Final[Stream[Event]] = Stream(
    verbs.newest_event, verbs.oldest_event, lambda seq, block_ms: verbs.events_after(seq, block_ms=block_ms)
)
INBOUND: Final[Stream[InboundMessage]] = Stream(
    inbound.newest_inbound,
    inbound.oldest_inbound,
    lambda seq, block_ms: inbound.inbound_after(seq, block_ms=block_ms),
    "inbound message",
    are_erased,
)
ERASED_MOST: Final = 10_000
"""Numbers that are missing, one behind the other, of which it is asked whether they were erased."""


def first_kept(stream: Stream[Any]) -> Plan[int]:
    """Return the oldest number that is kept; the next one where none is."""
    newest: int = yield stream.newest()
    return (yield from _first_of(stream, newest))


def starting_point(stream: Stream[Any], after: int | None) -> Plan[int]:
    """Return the number behind which to read: `after`, or the newest there is.

    Raises EventsLost, and InvalidMessage where `after` is no number that can be.
    """
    if after is not None and after < 0:
        raise InvalidMessage("after", "is negative; give the number of the last one read, or 0 for all")
    newest: int = yield stream.newest()
    if after is None:
        return newest
    first = yield from _first_of(stream, newest)
    if after > newest or (after < first - 1 and not (yield from _erased_before(stream, after, first))):
        raise EventsLost(after, first, stream.what)
    return after


def _erased_before(stream: Stream[Any], after: int, first: int) -> Plan[bool]:
    """Return whether all that is missing between these numbers was erased for somebody's privacy."""
    missing = range(after + 1, first)
    if stream.are_erased is None or len(missing) > ERASED_MOST:
        return False
    erased: bool = yield stream.are_erased(missing)
    return erased


def _first_of(stream: Stream[Any], newest: int) -> Plan[int]:
    oldest: int | None = yield stream.oldest()
    return oldest or newest + 1


class Patience:
    """How long a reader waits: for one read, and in all."""

    def __init__(self, clock: Callable[[], float], timeout: float | None, redis_timeout: float) -> None:
        """All in seconds. `timeout` None: without end."""
        self.clock = clock
        self._timeout = timeout
        self._longest = min(LONGEST_BLOCK, redis_timeout / 2)
        self.renew()

    def renew(self) -> None:
        """Begin to wait anew."""
        self._since = self.clock()

    def block_ms(self) -> int | None:
        """Return how long the next read may wait; None where the time is up."""
        longest = self._longest
        if self._timeout is not None:
            left = self._timeout - (self.clock() - self._since)
            if left <= 0:
                return None
            longest = min(longest, left)
        return max(1, round(longest * 1000))


class Following(Generic[N]):
    """One who reads a stream alone, from a number on."""

    def __init__(self, stream: Stream[N], after: int | None, patience: Patience) -> None:
        """Read behind `after`, or what happens from begin() on."""
        self._stream = stream
        self._after = after
        self._seq = 0
        self._patience = patience
        self._read: deque[N] = deque()

    def begin(self) -> Plan[None]:
        """Find where to read from. Raises EventsLost."""
        self._seq = yield from starting_point(self._stream, self._after)

    def next(self) -> Plan[N | None]:
        """Return the next one, once it is there; None: it was quiet for too long. Raises EventsLost."""
        self._patience.renew()
        while not self._read:
            block = self._patience.block_ms()
            if block is None:
                return None
            more: list[N] = yield self._stream.after(self._seq, block)
            self._read.extend(more)
        one = self._read[0]
        if one.seq != self._seq + 1 and not (yield from _erased_before(self._stream, self._seq, one.seq)):
            self._read.clear()
            raise EventsLost(self._seq, one.seq, self._stream.what)
        self._read.popleft()
        self._seq = one.seq
        return one

    def end(self) -> Plan[None]:
        """Do nothing: nobody else waits for what one who reads alone has read."""
        yield from ()
