"""One pass of an audit over the whole ledger: in small steps, while all goes on.

What it holds in memory is bounded: of a large ledger it reads one part of the messages after the other.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from sendline.contract.lane import LANE_CODES
from sendline.contract.status import Status
from sendline.ledger import audit, campaigns, rows, verbs
from sendline.ledger.record import Flag
from sendline.ledger.standing import clock
from sendline_worker.audit.entries import Entries
from sendline_worker.audit.message import faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sendline.contract.campaign import Progress
    from sendline.ledger.call import Call
    from sendline.ledger.connection import Ledger
    from sendline.ledger.limits import Limits
    from sendline_worker.audit.report import Entry

STEP: Final = 200
"""Messages read at once."""
SHELVES: Final = 20
"""Of the archive, of which each may hold a hundred records, read at once."""
PART: Final = 250_000
"""Keys of the server for which one part more is made."""
PARTS: Final = (1, 2, 4, 8, 16)


@dataclass(slots=True)
class Pass:
    """What one pass over the ledger saw."""

    sequence: int
    """The number of the newest event when it began."""
    by_status: Counter[Status] = field(default_factory=Counter)
    sending: Counter[str] = field(default_factory=Counter)
    """Messages that are being sent, by account."""
    by_campaign: dict[str, Counter[Status]] = field(default_factory=dict)
    """The same, of each campaign that was founded."""
    unreadable: int = 0
    rows: set[str] = field(default_factory=set)
    """Of lines."""
    standing: int = 0
    """Ids in rows."""
    queued: int = 0
    """Those whose messages wait there."""
    flying: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    campaigns: dict[str, dict[str, int]] = field(default_factory=dict)
    """Each campaign's own counts."""
    suspects: dict[bytes, frozenset[str]] = field(default_factory=dict)
    """Messages of which something looked wrong, and what."""
    entries: "set[Entry]" = field(default_factory=set)
    """Entries of the index that looked wrong."""
    idempotency: set[bytes] = field(default_factory=set)
    """Digests of idempotency keys whose message seemed not to be there."""
    read: int = 0
    """Entries and records read so far."""
    still: bool = False
    """Whether nothing moved meanwhile."""


class Standing:
    """Where ids stand in rows of lines."""

    def __init__(self) -> None:
        """Begin without any."""
        self._names: list[str] = []
        self._first: dict[bytes, int] = {}
        self._more: dict[bytes, list[int]] = {}

    def __len__(self) -> int:
        """Return how many ids stand somewhere."""
        return len(self._first)

    def __iter__(self) -> "Iterator[bytes]":
        """Iterate over the ids."""
        return iter(self._first)

    def __contains__(self, message_id: bytes) -> bool:
        """Return whether an id stands somewhere."""
        return message_id in self._first

    def add(self, row: str, message_ids: "Iterable[bytes]") -> None:
        """Take in some ids of a row."""
        if not self._names or self._names[-1] != row:
            self._names.append(row)
        number = len(self._names) - 1
        for message_id in message_ids:
            if message_id in self._first:
                self._more.setdefault(message_id, []).append(number)
            else:
                self._first[message_id] = number

    def rows_of(self, message_id: bytes) -> list[str]:
        """Return the rows in which an id stands, each as often as it stands there."""
        if message_id not in self._first:
            return []
        numbers = [self._first[message_id], *self._more.get(message_id, ())]
        return [self._names[number] for number in numbers]

    def locate(self, found: audit.Examined) -> audit.Examined:
        """Return a message together with where it stands."""
        seen, own = self.rows_of(found.message_id), found.rows
        places = sum(row in own for row in seen)
        return replace(found, places=min(places, 2), elsewhere=frozenset(seen) - own)


class Reader:
    """Reads a ledger from end to end."""

    def __init__(
        self, ledger: "Ledger", limits: "Limits", progress: "Callable[[int], None] | None" = None
    ) -> None:
        """`progress` is told now and then how many entries and records were read so far."""
        self._ledger = ledger
        self._limits = limits
        self._entries = Entries(ledger, limits)
        self._progress = progress or (lambda _: None)

    def read(self) -> Pass:
        """Read all. Raises LedgerError."""
        seen = Pass(self._ledger.run(audit.sequence()))
        accounts = self._scan(seen)
        seen.rows.update(self.rows_announced())
        parts = self._parts()
        for part in range(parts):
            self._read_part(seen, part, parts)
        self._read_dangling(seen, audit.timers)
        self._read_dangling(seen, audit.questions)
        self._read_dangling(seen, audit.late)
        seen.flying = {name: self._ledger.run(audit.flying(name)) for name in sorted(accounts)}
        seen.counts = self._ledger.run(verbs.counts())
        seen.campaigns = self._campaigns()
        seen.still = self._ledger.run(audit.sequence()) == seen.sequence
        return seen

    def rows_announced(self) -> set[str]:
        """Return the rows that are announced to the workers, and those of messages without a route."""
        run, lanes = self._ledger.run, LANE_CODES.values()
        lines = [line for lane in lanes for line in run(rows.announced(lane))]
        announced = {
            row for line in lines for row in (*run(rows.rows_in_turn(line)), *run(rows.rows_held(line)))
        }
        return announced | {f"{lane}:" for lane in lanes}

    def standing(self, searched: "Iterable[str]", wanted: "Callable[[bytes], bool]") -> Standing:
        """Read where the ids that are `wanted` stand in the rows that are `searched`."""
        standing = Standing()
        for row in sorted(searched):
            start, full = 0, True
            while full:  # a row that grows meanwhile is not run after
                part = self._ledger.run(rows.row_part(row, start, audit.SCANNED))
                standing.add(row, filter(wanted, part))
                start += len(part)
                full = len(part) == audit.SCANNED
        return standing

    def examine(self, message_ids: "Sequence[bytes]") -> "Iterator[list[audit.Examined]]":
        """Read messages, STEP at once."""
        for some in in_steps(message_ids, STEP):
            yield self._ledger.run(audit.examine(self._limits, some))

    def _campaigns(self) -> dict[str, dict[str, int]]:
        names: list[str] = []
        while more := self._ledger.run(campaigns.campaign_names(len(names))):
            names += more
        found = {name: self._ledger.run(campaigns.read_campaign(name)) for name in names}
        return {name: _counts(each.progress) for name, each in found.items() if each}

    def _parts(self) -> int:
        keys = self._ledger.run(audit.keys_held())
        return next((parts for parts in PARTS if keys <= parts * PART), PARTS[-1])

    def _scan(self, seen: Pass) -> set[str]:
        """Find rows and accounts, and look at what points to messages; return the accounts' names."""
        now = self._ledger.run(clock()) // 1000
        cursor, accounts = 0, set[str]()
        while True:
            keys = self._ledger.run(audit.scan(cursor))
            accounts.update(keys.accounts)
            seen.rows.update(keys.rows)
            seen.entries |= self._entries.wrong_on(keys.index, now)
            seen.idempotency |= self._entries.pointless(keys.idempotency, now)
            self._tell(seen, len(keys.index) + len(keys.idempotency))
            cursor = keys.cursor
            if cursor == 0:
                return accounts

    def _read_part(self, seen: Pass, part: int, parts: int) -> None:
        standing = self.standing(seen.rows, lambda each: audit.part_of(each, parts) == part)
        seen.standing += len(standing)
        known, cursor = set[bytes](), 0
        while True:
            keys = self._ledger.run(audit.scan(cursor, part=part, parts=parts))
            fresh = [each for each in dict.fromkeys(keys.messages) if each not in known]
            known.update(fresh)
            self._note_all(seen, standing, fresh)
            cursor = keys.cursor
            if cursor == 0:
                break
        for filed in self._archived(part, parts):  # behind the others: what moves there meanwhile is seen
            fresh = [each for each in filed if each not in known]
            known.update(each for each in fresh if each in standing)  # all of them would be too many
            self._note_all(seen, standing, fresh)
        self._note_all(seen, standing, [each for each in standing if each not in known])

    def _archived(self, part: int, parts: int) -> "Iterator[list[bytes]]":
        """Read the ids of the messages of a part whose records are on shelves."""
        cursor, read = 0, set[bytes]()
        while True:
            cursor, found = self._ledger.run(audit.scan_archive(cursor, part=part, parts=parts))
            fresh = [each for each in dict.fromkeys(found) if each not in read]
            read.update(fresh)
            for some in in_steps(fresh, SHELVES):
                yield self._ledger.run(audit.filed(some))
            if cursor == 0:
                return

    def _note_all(self, seen: Pass, standing: Standing, message_ids: "Sequence[bytes]") -> None:
        for found in self.examine(message_ids):
            for each in found:
                self._note(seen, standing.locate(each))
            seen.entries |= self._entries.missing(found)
            self._tell(seen, len(found))

    def _tell(self, seen: Pass, number: int) -> None:
        seen.read += number
        self._progress(seen.read)

    def _note(self, seen: Pass, found: audit.Examined) -> None:
        wrong = faults(found, self._limits)
        if wrong:
            seen.suspects[found.message_id] = wrong
        record = found.record
        if record is None:
            seen.unreadable += found.exists
            return
        state = record.state
        seen.by_status[state] += 1
        if record.flags & Flag.TEMPLATED:
            seen.by_campaign.setdefault(record.campaign.decode(), Counter())[state] += 1
        if state is Status.SENDING:
            seen.sending[record.account.decode()] += 1
        seen.queued += found.is_queued and bool(found.places)

    def _read_dangling(self, seen: Pass, read: "Callable[[int], Call[tuple[int, list[bytes]]]]") -> None:
        """Look for ids in a sorted set that have no record."""
        cursor = 0
        while True:
            cursor, members = self._ledger.run(read(cursor))
            for some in in_steps(members, STEP):
                if self._ledger.run(audit.records_there(some)) < len(some):
                    for each in self._ledger.run(audit.examine(self._limits, some)):
                        if not each.exists and (wrong := faults(each, self._limits)):
                            seen.suspects[each.message_id] = seen.suspects.get(each.message_id, wrong) | wrong
            if cursor == 0:
                return


def _counts(progress: "Progress") -> dict[str, int]:
    return {
        "accepted": progress.imported.accepted,
        **{status.value: number for status, number in progress.statuses.items()},
    }


def in_steps(items: "Sequence[bytes]", size: int) -> "Iterator[Sequence[bytes]]":
    """Return the items, `size` at once."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
