"""How the readers of a group share the events, as plans."""

import os
import re
import secrets
import socket
from collections import deque
from dataclasses import dataclass
from typing import Final

from sendline.contract.errors import EventsLost, InvalidMessage, LedgerError, LedgerRefused
from sendline.contract.message import Event
from sendline.ledger import groups, verbs
from sendline.producer.following import EVENTS, Patience, first_kept, starting_point
from sendline.producer.plan import Plan

IDLE: Final = 60.0
"""Seconds after which others are given what a reader was given and has not finished."""
ENTRIES_A_READ: Final = 10
"""Few, so that the readers share what waits."""
GATHERED_FOR: Final = 0.05
"""Seconds for which finished entries are gathered: each call that acknowledges some waits for the disk."""
KEEPS_A_TIME: Final = 4
"""How often a reader shows in the idle time that it is at work."""
LONGEST_IDLE: Final = 3600
"""Seconds that a reader may ask for as its idle time."""
FORGOTTEN_AFTER: Final = 86_400
"""Seconds after which a reader that has nothing pending and asks for nothing is forgotten."""
_GROUP: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CONSUMER: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class Names:
    """Names for readers that were given none. One that is free is used again, with what was left with it."""

    def __init__(self) -> None:
        """Begin without any."""
        self._free: dict[tuple[int, str], list[str]] = {}

    def take(self, group: str) -> str:
        """Return a name that no other reader of the group has."""
        free = self._free.get((os.getpid(), group))  # after a fork, the parent's names are the parent's
        try:
            return free.pop() if free else _new_name()
        except IndexError:  # another thread was quicker
            return _new_name()

    def give_back(self, group: str, name: str) -> None:
        """Let another reader of this process have the name."""
        self._free.setdefault((os.getpid(), group), []).append(name)


def _new_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


@dataclass(frozen=True, slots=True)
class Share:
    """Which group to read in, and how. Raises InvalidMessage, naming the argument."""

    group: str
    consumer: str | None
    after: int | None
    idle: float

    def __post_init__(self) -> None:
        """Check what a person gave."""
        if not _GROUP.fullmatch(self.group):
            raise InvalidMessage("group", "must be 1 to 64 letters, digits, '.', '_' or '-'")
        if self.consumer is not None and not _CONSUMER.fullmatch(self.consumer):
            raise InvalidMessage("consumer", "must be 1 to 128 letters, digits, '.', '_', ':' or '-'")
        if not 0 < self.idle <= LONGEST_IDLE:
            raise InvalidMessage("idle", f"must be more than 0 and at most {LONGEST_IDLE} seconds")


class Sharing:
    """One reader of a group."""

    def __init__(self, share: Share, patience: Patience, names: Names) -> None:
        """Begin nothing yet."""
        self._group, self._idle = share.group, share.idle
        self._after, self._patience, self._names = share.after, patience, names
        self._borrowed = share.consumer is None
        self._name = share.consumer or names.take(share.group)
        self._held: deque[groups.Entry] = deque()
        self._handed = 0
        """Events of the first of them that were handed out."""
        self._finished: list[bytes] = []
        self._finished_since = 0.0
        self._kept_at = 0.0
        self._come_to = 0
        self._cursor = b"0-0"

    def begin(self) -> Plan[None]:
        """Make the group where there is none yet, and let it forget the dead. Raises EventsLost."""
        found = yield from self._standing()
        if found is None:
            yield from self._create()
        else:
            newest: int = yield verbs.newest_event()
            if found.given > newest:
                yield groups.set_to(self._group, newest)
                raise EventsLost(found.given, newest + 1)
        known: list[groups.Consumer] = yield groups.consumers(self._group)
        for each in known:
            if not each.pending and each.idle_ms > FORGOTTEN_AFTER * 1000:
                yield groups.forget(self._group, each.name)

    def next(self) -> Plan[Event | None]:
        """Return the next event, once it is there; None: it was quiet for too long. Raises EventsLost."""
        self._patience.renew()
        try:
            yield from self._finish()
            if self._held:
                yield from self._keep()
            while not self._held:
                block = self._patience.block_ms()
                if block is None:
                    return None
                yield from self._ask(block)
        except LedgerError:
            self._held.clear()  # not known to be ours, and not to be handed back now
            self._finished.clear()
            raise
        self._handed += 1
        return self._held[0].events[self._handed - 1]

    def end(self) -> Plan[None]:
        """Hand back what is not finished, where the ledger can be reached; else the idle time does it."""
        try:
            yield from self._acknowledge()
            if self._held:
                yield from self._hand_back()
        except LedgerError:
            pass
        self._held.clear()
        self._finished.clear()
        if self._borrowed:
            self._borrowed = False
            self._names.give_back(self._group, self._name)

    def _standing(self) -> Plan[groups.Standing | None]:
        try:
            found: groups.Standing | None = yield groups.standing(self._group)
        except LedgerRefused:  # there is no stream; any other cause is told by the next call
            return None
        return found

    def _create(self) -> Plan[None]:
        after = yield from starting_point(EVENTS, self._after)
        try:
            yield groups.create(self._group, after)
        except LedgerRefused:
            if (yield from self._standing()) is None:
                raise
        self._come_to = after

    def _finish(self) -> Plan[None]:
        """Take the entry away whose last event was handed out; acknowledge it, soon or now."""
        if self._held and self._handed >= len(self._held[0].events):
            if not self._finished:
                self._finished_since = self._patience.clock()
            self._finished.append(self._held.popleft().id)
            self._handed = 0
        if not self._held or self._patience.clock() - self._finished_since >= GATHERED_FOR:
            yield from self._acknowledge()

    def _acknowledge(self) -> Plan[None]:
        if self._finished:
            yield groups.acknowledge(self._group, self._finished)
            self._finished = []

    def _keep(self) -> Plan[None]:
        """Show that this reader is at work, now and then; drop what was taken over by others meanwhile."""
        if self._patience.clock() - self._kept_at < self._idle / KEEPS_A_TIME:
            return
        self._kept_at = self._patience.clock()
        mine: set[bytes] = yield groups.held_by(self._group, self._name, [each.id for each in self._held])
        if mine:
            yield groups.keep(self._group, self._name, sorted(mine))
        if len(mine) == len(self._held):
            return
        oldest = yield from first_kept(EVENTS)  # what is trimmed nobody else can have taken over
        current = self._held[0]
        self._held = deque(each for each in self._held if each.id in mine or each.last < oldest)
        if not self._held or self._held[0] is not current:
            self._handed = 0

    def _hand_back(self) -> Plan[None]:
        mine: set[bytes] = yield groups.held_by(self._group, self._name, [each.id for each in self._held])
        oldest = yield from first_kept(EVENTS)
        # What is trimmed stays pending, so that somebody is told of it: XCLAIM would drop it.
        ids = [each.id for each in self._held if each.id in mine and each.last >= oldest]
        if ids:
            yield groups.hand_back(self._group, self._name, ids)

    def _ask(self, block_ms: int) -> Plan[None]:
        """Hold what was left to this reader or by others; else what nobody was given yet."""
        found = yield from self._standing()
        if found is None:
            yield from self._tell_gone()
            return
        self._come_to = found.given
        if found.pending:
            yield from self._pick_up()
        if self._held:
            return
        given = yield from self._take(block_ms)
        self._hold(given)
        if given:
            yield from self._look_for_gaps(given, found.given)
            self._handed = max(0, found.given - given[0].first + 1)  # the group was begun within this entry

    def _take(self, block_ms: int) -> Plan[list[groups.Entry]]:
        try:
            given: list[groups.Entry] = yield groups.give(
                self._group, self._name, count=ENTRIES_A_READ, block_ms=block_ms
            )
        except LedgerRefused:
            if (yield from self._standing()) is None:
                yield from self._tell_gone()
            raise
        return given

    def _tell_gone(self) -> Plan[None]:
        """Raise EventsLost: the group was there, and is not any more."""
        raise EventsLost(self._come_to, (yield from first_kept(EVENTS)))

    def _pick_up(self) -> Plan[None]:
        own: groups.Pending = yield groups.left_with(self._group, self._name, count=ENTRIES_A_READ)
        self._hold(own.entries)
        if own.trimmed:
            yield groups.acknowledge(self._group, own.trimmed)
            yield from self._tell_trimmed(own.trimmed)
        if self._held:
            return
        idle = max(1, round(self._idle * 1000))
        left: groups.Pending = yield groups.take_over(
            self._group, self._name, idle_ms=idle, cursor=self._cursor, count=ENTRIES_A_READ
        )
        self._cursor = left.cursor
        self._hold(left.entries)
        if left.trimmed:
            yield from self._tell_trimmed(left.trimmed)

    def _hold(self, entries: list[groups.Entry]) -> None:
        self._held = deque(entries)
        self._handed = 0
        self._kept_at = self._patience.clock()

    def _tell_trimmed(self, ids: list[bytes]) -> Plan[None]:
        """Raise EventsLost with all that may have stood in the entries `ids`."""
        oldest = min(map(groups.number_of, ids))
        raise EventsLost(max(0, oldest - groups.EVENTS_AN_ENTRY), (yield from first_kept(EVENTS)))

    def _look_for_gaps(self, given: list[groups.Entry], before: int) -> Plan[None]:
        """Raise EventsLost where events are missing right before or between the entries `given`.

        `before` is how far the group had come shortly before. Of all readers only one is given the entry
        behind a gap, so one is told.
        """
        if given[0].first > before + 1:
            neighbour: int | None = yield groups.newest_before(given[0].id)
            before = before if neighbour is None else neighbour
        lasts = [before, *(entry.last for entry in given)]
        for last, entry in zip(lasts, given, strict=False):
            if entry.first > last + 1:
                raise EventsLost(last, entry.first)
