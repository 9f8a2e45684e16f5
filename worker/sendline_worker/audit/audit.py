"""Proves that the ledger is whole, without holding it up: it reads in small steps while all goes on.

What looks wrong is read again a few times before it is told, because between two steps the ledger moves.
Counts are compared with the records only where nothing moved during a whole pass.
"""

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

from sendline.contract.status import Status
from sendline.ledger import audit, recovery
from sendline.ledger.rows import line_name, row_length, row_name
from sendline.ledger.standing import clock
from sendline_worker.audit.counts import (
    campaign_findings,
    campaigns_derived,
    count_findings,
    derived,
    flying_findings,
    flying_found,
    sum_findings,
)
from sendline_worker.audit.entries import MISSING, Entries
from sendline_worker.audit.lines import ANNOUNCEMENTS, OF_A_ROW, row_faults
from sendline_worker.audit.message import UNREADABLE, faults
from sendline_worker.audit.reading import Pass, Reader, in_steps
from sendline_worker.audit.report import Diagnosis, Entry, Finding, Recount, Report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from sendline.ledger.connection import Ledger
    from sendline.ledger.limits import Limits

Suspect = TypeVar("Suspect")

PASSES: Final = 3
"""Passes until one is still."""
LOOKS: Final = 3
"""How often a suspect is read again; it must look wrong each time."""
PAUSE: Final = 0.2
"""Seconds between two looks at the same suspects."""
CLOSELY: Final = 1000
"""Suspects that are read one by one at last, each with its places at one instant."""


class Audit:
    """One audit of one ledger."""

    def __init__(
        self,
        ledger: "Ledger",
        limits: "Limits",
        *,
        pause: float = PAUSE,
        progress: "Callable[[int], None] | None" = None,
    ) -> None:
        """`pause` is in seconds; `progress` is told now and then how much a pass has read."""
        self._ledger = ledger
        self._limits = limits
        self._pause = pause
        self._reader = Reader(ledger, limits, progress)
        self._entries = Entries(ledger, limits)

    def run(self) -> Report:
        """Read everything and return what isn't so. Raises LedgerError."""
        return self.diagnose().report

    def diagnose(self) -> Diagnosis:
        """Read everything; return what isn't so, and what a repair needs to know. Raises LedgerError."""
        seen = self._reader.read()
        for _ in range(PASSES - 1):
            if seen.still:
                break
            seen = self._reader.read()
        behind = self._ledger.run(recovery.state()).behind is not None
        messages, places = self._messages(seen)
        rows = self._confirmed(sorted(seen.rows), lambda row: row_faults(self._ledger, row))
        entries = self._wrong_entries(seen)
        parked = self._again(self._entries.parked(), lambda _: self._entries.parked())
        findings = [
            *_lineage_findings(behind=behind),
            *sum_findings(seen.counts),
            *flying_findings(seen.flying),
            *(count_findings(seen) if seen.still else ()),
            *campaign_findings(seen),
            *_by_fault(messages),
            *_entry_findings(entries),
            *self._idempotency_findings(seen),
            *self._row_findings(rows),
            *([Finding("parked receipts have no end, or can't be read", len(parked))] if parked else ()),
        ]
        return Diagnosis(
            report=_report(seen, findings),
            behind=behind,
            messages={each: places[each] for each, said in messages.items() if UNREADABLE not in said},
            rows=tuple(row for row, wrong in rows.items() if wrong & ANNOUNCEMENTS),
            entries=tuple(sorted(entries, key=lambda entry: entry.digest)),
            parked=tuple(sorted(parked)),
            recount=_recount(seen),
        )

    def _messages(self, seen: Pass) -> tuple[dict[bytes, frozenset[str]], dict[bytes, frozenset[str]]]:
        """Return the messages that look wrong each time, with what is wrong, and the rows they stand in."""
        wrong = dict(seen.suspects)
        places: dict[bytes, frozenset[str]] = {}
        for look in range(LOOKS):
            if not wrong:
                break
            if look:
                time.sleep(self._pause)
            closely = look == LOOKS - 1 and len(wrong) <= CLOSELY
            said = self._look_closely(places) if closely else self._look(wrong, seen, places)
            wrong = {each: kept for each, before in wrong.items() if (kept := said[each] & before)}
            places = {each: places[each] for each in wrong}
        return wrong, places

    def _look(
        self, message_ids: "Iterable[bytes]", seen: Pass, places: dict[bytes, frozenset[str]]
    ) -> dict[bytes, frozenset[str]]:
        """Read messages together; fill in `places`, the rows in which they stand."""
        wanted = set(message_ids)
        rows = seen.rows | self._reader.rows_announced()
        standing = self._reader.standing(rows, wanted.__contains__)
        said = {}
        for some in self._reader.examine(sorted(wanted)):
            for found in some:
                said[found.message_id] = faults(standing.locate(found), self._limits)
                places[found.message_id] = frozenset(standing.rows_of(found.message_id))
        return said

    def _look_closely(self, places: "dict[bytes, frozenset[str]]") -> dict[bytes, frozenset[str]]:
        """Read messages one by one, each with all that belongs to it at one instant."""
        said = {}
        for message_id, rows in places.items():
            [found] = self._ledger.run(audit.examine(self._limits, [message_id], rows))
            said[message_id] = faults(_at_home(found), self._limits)
        return said

    def _confirmed(
        self, suspects: "Iterable[Suspect]", check: "Callable[[Suspect], set[str]]"
    ) -> "dict[Suspect, set[str]]":
        """Return what `check` says of each suspect every time that it is asked."""
        wrong = {suspect: said for suspect in suspects if (said := check(suspect))}
        for _ in range(LOOKS - 1):
            if not wrong:
                break
            time.sleep(self._pause)
            wrong = {each: kept for each, before in wrong.items() if (kept := check(each) & before)}
        return wrong

    def _again(
        self, suspects: "set[Suspect]", check: "Callable[[set[Suspect]], set[Suspect]]"
    ) -> "set[Suspect]":
        """Return the suspects that `check` returns every time."""
        for _ in range(LOOKS - 1):
            if not suspects:
                break
            time.sleep(self._pause)
            suspects = suspects & check(suspects)
        return suspects

    def _wrong_entries(self, seen: Pass) -> set[Entry]:
        def check(entries: set[Entry]) -> set[Entry]:
            now = self._ledger.run(clock()) // 1000
            held = sorted(each.digest for each in entries if each.what != MISSING)
            owed = sorted(each.right for each in entries if each.what == MISSING)
            found = set[Entry]()
            for digests in in_steps(held, audit.SCANNED):
                found |= self._entries.wrong(digests, now)
            for messages in self._reader.examine(owed):
                found |= self._entries.missing(messages)
            return found

        return self._again(seen.entries, check)

    def _idempotency_findings(self, seen: Pass) -> "Iterator[Finding]":
        def check(digests: set[bytes]) -> set[bytes]:
            return self._entries.pointless(sorted(digests), self._ledger.run(clock()) // 1000)

        wrong = self._again(seen.idempotency, check)
        if wrong:
            yield Finding("idempotency keys name messages that have no record", len(wrong))

    def _row_findings(self, rows: "dict[str, set[str]]") -> "Iterator[Finding]":
        """Tell what is wrong with rows, what concerns a whole line only once."""
        lengths: dict[str, int] = {}
        for row, wrong in rows.items():
            for fault in wrong:
                named = row_name(row) if fault in OF_A_ROW else line_name(row)
                told = f"the {named} {fault}"
                lengths[told] = lengths.get(told, 0) + self._ledger.run(row_length(row))
        for told, length in sorted(lengths.items()):
            yield Finding(told, length)


def _at_home(found: audit.Examined) -> audit.Examined:
    """Return a message with its places in either of its rows counted together."""
    places = (found.places or 0) + len(found.elsewhere & found.rows)
    return replace(found, places=min(places, 2), elsewhere=found.elsewhere - found.rows)


def _lineage_findings(*, behind: bool) -> "Iterator[Finding]":
    if behind:
        yield Finding("the ledger came back from an older state: nothing is sent until `sendline recover`")


def _by_fault(wrong: "Mapping[bytes, frozenset[str]]") -> "Iterator[Finding]":
    concerned: dict[str, list[bytes]] = {}
    for message_id, said in wrong.items():
        for fault in said:
            concerned.setdefault(fault, []).append(message_id)
    for fault in sorted(concerned):
        yield Finding.of(fault, concerned[fault])


def _entry_findings(entries: set[Entry]) -> "Iterator[Finding]":
    for what in sorted({entry.what for entry in entries}):
        yield Finding.of(what, [entry.concerned for entry in entries if entry.what == what])


def _report(seen: Pass, findings: "list[Finding]") -> Report:
    return Report(
        counts=seen.counts,
        records={status.value: seen.by_status[status] for status in Status},
        lines=seen.standing,
        left_behind=seen.standing - seen.queued if seen.still else None,
        compared=seen.still,
        findings=tuple(findings),
    )


def _recount(seen: Pass) -> Recount | None:
    """Return what a still pass proves the counts to be, where they are otherwise."""
    if not seen.still:
        return None
    right = None if seen.unreadable else derived(seen.counts, seen.by_status)
    counts = {name: number for name, number in (right or {}).items() if seen.counts[name] != number}
    flying = flying_found(seen)
    campaigns = {} if seen.unreadable else campaigns_derived(seen)
    changed = counts or flying or campaigns
    return Recount(seen.sequence, counts, flying, campaigns) if changed else None
