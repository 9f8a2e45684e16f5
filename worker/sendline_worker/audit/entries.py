"""What points to messages: the index of provider ids, idempotency keys, parked receipts."""

from typing import TYPE_CHECKING, Final

from sendline.contract.status import Status
from sendline.ledger import audit
from sendline.ledger.record import readable, timeline
from sendline_worker.audit.message import must_be_there
from sendline_worker.audit.report import Entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sendline.ledger.connection import Ledger
    from sendline.ledger.limits import Limits
    from sendline.ledger.record import Record

SHORTENED: Final = 2048
"""Bytes of a timeline from which on its oldest entries may be gone."""
SHELVES_A_CALL: Final = 16
"""Shelves of the index that are read together: about a thousand entries."""
_ID: Final = 16

ANOTHERS: Final = "an index entry names it by another provider id"
NOBODYS: Final = "an index entry names it, and it has no record"
GARBAGE: Final = "an index entry names no message"
MISSING: Final = "its provider id is not in the index, so that no receipt finds it"


class Entries:
    """Looks at what points to messages."""

    def __init__(self, ledger: "Ledger", limits: "Limits") -> None:
        """Prepare."""
        self._ledger = ledger
        self._limits = limits

    def wrong_on(self, shelves: "Sequence[bytes]", now: int) -> set[Entry]:
        """Return which entries on these shelves of the index aren't right; `now` in milliseconds."""
        found: set[Entry] = set()
        for first in range(0, len(shelves), SHELVES_A_CALL):
            some = shelves[first : first + SHELVES_A_CALL]
            found |= self._wrong(self._ledger.run(audit.shelved(self._limits, some)), now)
        return found

    def wrong(self, digests: "Sequence[bytes]", now: int) -> set[Entry]:
        """Return which of these entries of the index aren't right; `now` in milliseconds."""
        held = self._ledger.run(audit.indexed(self._limits, digests)) if digests else []
        named = {entry: each for entry, each in zip(digests, held, strict=True) if each is not None}
        return self._wrong(named, now)

    def _wrong(self, named: "Mapping[bytes, bytes]", now: int) -> set[Entry]:
        if not named:
            return set()
        raws = self._ledger.run(audit.raw_records(list(named.values())))
        looked = (
            self._look(entry, message_id, raw, now)
            for (entry, message_id), raw in zip(named.items(), raws, strict=True)
        )
        return {entry for entry in looked if entry}

    def _look(self, entry: bytes, message_id: bytes, raw: bytes | None, now: int) -> Entry | None:
        if len(message_id) != _ID:
            return Entry(entry, message_id, b"", b"", GARBAGE)
        if raw is None:  # past its retention the entry ends by itself
            lost = must_be_there(message_id, now, self._limits)
            return Entry(entry, message_id, b"", b"", NOBODYS) if lost else None
        record = readable(raw)
        if record is None or entry in audit.index_digests(record):
            return None
        return Entry(entry, message_id, b"", record.provider_id, ANOTHERS)

    def missing(self, messages: "Iterable[audit.Examined]") -> set[Entry]:
        """Return the entries of the index that these messages must have, and haven't."""
        must = [
            (found.message_id, found.record)
            for found in messages
            if found.record and found.record.provider_id and self._is_indexed(found.record, found.now)
        ]
        if not must:
            return set()
        digests = [audit.index_digest(record.account.decode(), record) for _, record in must]
        held = self._ledger.run(audit.indexed(self._limits, digests))
        return {
            Entry(entry, b"", message_id, record.provider_id, MISSING)
            for entry, there, (message_id, record) in zip(digests, held, must, strict=True)
            if there is None and not self._is_indexed_otherwise(record)
        }

    def _is_indexed(self, record: "Record", now: int) -> bool:
        """Return whether the index must still name a message by its provider id.

        It does from the moment when the id was learned, which is not before the first attempt.
        """
        deadline = self._limits.deadline * 1000
        if now < record.created + deadline:
            return True
        if record.state is not Status.SENT or now >= record.created + record.due:
            return False
        if len(record.timeline) > SHORTENED:
            return False
        entries = timeline(record.timeline, record.created)
        first = next((entry.at for entry in entries if entry.status is Status.SENDING), None)
        return first is not None and now < first.timestamp() * 1000 + deadline

    def _is_indexed_otherwise(self, record: "Record") -> bool:
        held = self._ledger.run(audit.indexed(self._limits, sorted(audit.index_digests(record))))
        return any(each is not None for each in held)

    def pointless(self, digests: "Sequence[bytes]", now: int) -> set[bytes]:
        """Return which of these idempotency keys name messages that must be there, and aren't."""
        if not digests:
            return set()
        held = self._ledger.run(audit.remembered(digests))
        named = {entry: each[:_ID] for entry, each in zip(digests, held, strict=True) if each is not None}
        if not named or self._ledger.run(audit.records_there(list(named.values()))) == len(named):
            return set()
        raws = self._ledger.run(audit.raw_records(list(named.values())))
        return {
            entry
            for (entry, message_id), raw in zip(named.items(), raws, strict=True)
            if raw is None and must_be_there(message_id, now, self._limits)
        }

    def parked(self) -> set[bytes]:
        """Return digests: of parked receipts without an end, of ends without one, of unreadable ones."""
        receipts = self._ledger.run(audit.parked())
        until = self._ledger.run(audit.parked_until())
        ends = set(until)
        return {name for name in receipts.keys() | ends if name not in ends or not receipts.get(name)}
