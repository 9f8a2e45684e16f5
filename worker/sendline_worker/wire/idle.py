"""Connections that nobody uses: those that may be used again, and a few that show how long a server waits."""

import math
from collections import deque
from typing import TYPE_CHECKING, Final

from sendline_worker.wire.resting import Resting

if TYPE_CHECKING:
    import asyncio

    from sendline_worker.wire.connection import Connection
    from sendline_worker.wire.pool import Origin

WATCHED: Final = 2
"""The connections of an origin that are kept, unused, past the instant until which they may be used again."""
ORIGINS: Final = 256
"""The origins of which something is remembered."""
_STEP: Final = 1.25
"""A connection that is watched is looked at again when it has idled for so many times as long."""
_TICK: Final = 0.001


class _Place:
    """One origin: what is known of it, and its connections, those that idle longest first.

    That they are open proves nothing where something on the way drops them without a word. So what has idled
    for longer than any that brought an answer is on trial: one at a time, and the others are passed over.
    """

    def __init__(self, start: float, longest: float) -> None:
        self.resting = Resting(start, longest)
        self.idle: deque[Connection] = deque()
        self._start = self._proven = start
        self._trial: Connection | None = None

    def may_use(self, idle: float) -> bool:
        """Return whether a connection that has idled for so long may be used now."""
        return self._trial is None or idle <= self._proven

    def begin(self, connection: "Connection", idle: float) -> None:
        """Note that it is used, having idled for so long."""
        connection.rested = idle
        if idle > self._proven:
            self._trial = connection

    def end(self, connection: "Connection", *, proven: bool) -> None:
        """Note what came of it: an answer, or nothing that proves anything."""
        if self._trial is connection:
            self._trial = None
        if proven and connection.rested is not None:
            self._proven = max(self._proven, connection.rested)

    def broke(self, idle: float, *, now: float) -> None:
        """Note that one brought no answer after it had idled for so long: all are on trial again."""
        self._proven = self._start
        self.resting.broke(idle, now=now)


class Idle:
    """Keeps idle connections, and learns for each origin how long they may idle."""

    def __init__(self, loop: "asyncio.AbstractEventLoop", *, start: float, longest: float) -> None:
        """Prepare: see Resting for `start` and `longest`, in seconds."""
        self._loop = loop
        self._start = start
        self._longest = longest
        self._places: dict[Origin, _Place] = {}
        self._sweeping: asyncio.TimerHandle | None = None
        self._sweep_at = math.inf
        self._on_left = self._left

    def put(self, connection: "Connection") -> None:
        """Keep `connection`, which is open and silent, and brought an answer if it was used again."""
        place = self._place(connection.origin)
        place.end(connection, proven=True)
        connection.idle_since = now = self._loop.time()
        connection.on_left = self._on_left
        place.idle.append(connection)
        self._sweep_by(now + place.resting.limit(connection.told))

    def take(self, origin: "Origin") -> "Connection | None":
        """Return the connection that was used last, if it can be used."""
        place = self._places.get(origin)
        if place is None:
            return None
        now = self._loop.time()
        while place.idle:
            connection = place.idle[-1]
            idle = now - connection.idle_since
            if not connection.is_usable():
                self._drop(place.idle.pop())
                place.resting.closed(idle, now=now)
            elif idle < place.resting.limit(connection.told) and place.may_use(idle):
                place.idle.pop()
                connection.on_left = None
                place.begin(connection, idle)
                return connection
            else:
                return None  # the others idle for longer; the sweep looks after them
        return None

    def failed(self, connection: "Connection") -> None:
        """Learn from `connection`, which brought no answer, where that may be because it had idled.

        What drops connections without a word leaves them open, and mute. A slow provider is mute, too: within
        the limit from which all begin, that proves nothing.
        """
        rested = connection.rested
        if rested is None:
            return
        place = self._place(connection.origin)
        place.end(connection, proven=False)
        if rested > self._start and (connection.was_cut or connection.was_mute):
            place.broke(rested, now=self._loop.time())
        elif connection.was_cut:
            place.resting.closed(rested, now=self._loop.time())

    def close(self) -> None:
        """Close every connection at once."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        for place in self._places.values():
            for connection in place.idle:
                connection.on_left = None
                connection.abort()
        self._places.clear()

    def _place(self, origin: "Origin") -> _Place:
        place = self._places.get(origin)
        if place is None:
            if len(self._places) >= ORIGINS:
                self._forget()
            place = self._places[origin] = _Place(self._start, self._longest)
        return place

    def _forget(self) -> None:
        """Forget the origin that is known longest; its idle connections are closed."""
        place = self._places.pop(next(iter(self._places)))
        while place.idle:
            self._drop(place.idle.pop())

    def _left(self, connection: "Connection") -> None:
        """Learn that the server closed an idle connection, or spoke on it."""
        place = self._places[connection.origin]
        place.idle.remove(connection)
        now = self._loop.time()
        place.resting.closed(now - connection.idle_since, now=now)
        self._drop(connection)

    def _sweep_by(self, instant: float) -> None:
        if instant < self._sweep_at:
            if self._sweeping is not None:
                self._sweeping.cancel()
            self._sweep_at = instant
            self._sweeping = self._loop.call_at(instant, self._sweep)

    def _sweep(self) -> None:
        """Close what has idled for too long; look at what is watched."""
        self._sweeping, self._sweep_at = None, math.inf
        now = self._loop.time()
        self._sweep_by(
            min((self._sweep_place(place, now) for place in self._places.values()), default=math.inf)
        )

    def _sweep_place(self, place: _Place, now: float) -> float:
        """Return the instant at which `place` is to be looked at again."""
        due, watched = math.inf, 0
        kept: deque[Connection] = deque()
        for connection in place.idle:
            idle, limit = now - connection.idle_since, place.resting.limit(connection.told)
            if idle < limit:
                due = min(due, connection.idle_since + limit)
            elif watched < WATCHED and self._look(connection, place.resting, now):
                watched += 1
                until = min(idle * _STEP, place.resting.longest(connection.told))
                due = min(due, max(connection.idle_since + until, now + _TICK))
            else:
                self._drop(connection)
                continue
            kept.append(connection)
        place.idle = kept
        return due

    def _look(self, connection: "Connection", resting: Resting, now: float) -> bool:
        """Learn from a connection past its limit; return whether it is looked at again."""
        idle = now - connection.idle_since
        if not connection.is_usable():
            resting.closed(idle, now=now)
            return False
        resting.lasted(idle, connection.told, now=now)
        return idle < resting.longest(connection.told)

    def _drop(self, connection: "Connection") -> None:
        connection.on_left = None
        connection.close()
