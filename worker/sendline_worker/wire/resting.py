"""How long a connection may idle and be used again: learned for each origin from what its server does.

A request that is written while the server closes is lost or not, nobody knows which. So a connection is used
again only where that was seen to be safe: a server that left one open and silent for X seconds allows 0.8 X,
and one that closed one after X seconds allows less than X. What lowers the limit counts at once and for long;
what raises it counts only where nothing speaks against it. No clock is read here: time is passed in.
"""

import math
import re
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST: Final = 50.0
"""Seconds after which no connection is used again, whatever was learned.

It is below the 60 s that AWS's application load balancer allows by default and the 75 s of nginx, and far
below what drops connections without a word, where an open socket proves nothing: Azure's load balancer after
240 s, AWS's NAT gateway and network load balancer after 350 s, a NAT as RFC 5382 (REQ-5) wants it after
7,440 s.
"""
SHORTEST: Final = 0.1
"""Seconds within which a connection is used again though others were closed sooner.

No server has so short a limit (gunicorn's 2 s is the shortest common one): it restarts, or breaks. A busy
system, whose connections idle for milliseconds, goes on using them.
"""
ENDS: Final = 8
"""The last connections whose end counts: a limit that was seen is believed until so many outlasted it."""
BROKEN_FOR: Final = 3600.0
"""Seconds for which a limit holds that was drawn from a request that got no answer, whatever is watched."""
_SHARE: Final = 0.8
_ROOM: Final = 1.0
_VALUE_LIMIT: Final = 200
_TIMEOUT: Final = re.compile(rb"(?:^|[,;\s])timeout\s*=\s*\"?(\d{1,9})(?=[\s,;\"]|$)", re.IGNORECASE)


def margin(seconds: float) -> float:
    """Return how long a connection may idle where the server closes it after `seconds`.

    A fifth less, and at least 1 s less, or half where there is less than 2 s: for timers that tick in whole
    seconds, and for the way there and back.
    """
    return min(_SHARE * seconds, max(seconds - _ROOM, seconds / 2))


def told(headers: "Iterable[tuple[bytes, bytes]]") -> float | None:
    """Return for how many seconds the server says that it keeps the connection; None if it does not say.

    That is `Keep-Alive: timeout=N`. RFC 2068 (19.7.1.1) has the header, draft-thomson-hybi-http-timeout its
    parameter; Apache and Node send it, nginx where it is told to. What is no number is not heeded.
    """
    least = None
    for name, value in headers:
        if len(name) == 10 and name.lower() == b"keep-alive" and len(value) <= _VALUE_LIMIT:  # noqa: PLR2004
            for number in _TIMEOUT.findall(value):
                least = float(number) if least is None else min(least, float(number))
    return least


class Resting:
    """What is known of one origin. Times are seconds; instants are of one clock that never goes back."""

    def __init__(self, start: float, longest: float) -> None:
        """Know nothing: a connection may idle for `start`, and never for more than `longest`."""
        self._longest = longest
        self._safe = self._limit = min(start, longest)
        self._ends: deque[float] = deque(maxlen=ENDS)
        self._below = math.inf
        self._trusted, self._broken_until = math.inf, -math.inf
        self._seen = -math.inf

    def limit(self, told: float | None = None) -> float:
        """Return for how long a connection may have idled; `told` is what its server said on it."""
        limit = self._limit if told is None else min(self.longest(told), self._below)
        return min(limit, self._trusted)

    def longest(self, told: float | None = None) -> float:
        """Return for how long a connection is worth watching: the limit where nothing speaks against it."""
        return self._longest if told is None else min(margin(told), self._longest)

    def lasted(self, idle: float, told: float | None = None, *, now: float) -> None:
        """Learn that a connection is open and silent as far as the kernel knows, having idled for `idle`.

        One that began to idle before another was seen closed proves nothing: the server may have changed
        since. At its longest it is the connection's end.
        """
        if now >= self._broken_until:
            self._trusted = math.inf
        if now - idle < self._seen:
            return
        self._safe = max(self._safe, min(_SHARE * idle, self._longest))
        self._limit = min(self._safe, self._below)
        if idle >= self.longest(told):
            self._end(math.inf if told is None else told)

    def closed(self, idle: float, *, now: float) -> None:
        """Learn that the server closed a connection that had idled for `idle`, or spoke on it.

        That proves nothing of what is safe: the server may have closed it before that was seen. Within
        SHORTEST nothing is learned of its limit.
        """
        self._seen = now
        if idle >= SHORTEST:
            self._end(idle)

    def broke(self, idle: float, *, now: float) -> None:
        """Learn that a connection brought no answer when it was used again after it had idled for `idle`.

        What drops connections without a word on the way leaves them open to the kernel: for BROKEN_FOR, that
        others seem to outlast this one proves nothing.
        """
        self.closed(idle, now=now)
        self._trusted = min(self._trusted, max(margin(idle), SHORTEST))
        self._broken_until = now + BROKEN_FOR

    def _end(self, after: float) -> None:
        self._ends.append(after)
        self._below = max(margin(min(self._ends)), SHORTEST)
        self._limit = min(self._safe, self._below)
