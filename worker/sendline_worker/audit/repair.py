"""Mends what is derived from the records: places, timers, announcements, the index, counts.

No record is written, nothing is sent, nothing comes back from the dead. What the records can't prove, such as
a record that can't be read, or a count that only a lost message would explain, stays as it is and is told.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sendline.ledger import repair
from sendline.ledger.rows import row_name
from sendline_worker.audit.report import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sendline.ledger.connection import Ledger
    from sendline.ledger.limits import Limits
    from sendline_worker.audit.audit import Audit
    from sendline_worker.audit.report import Diagnosis, Entry, Recount, Report

ROUNDS: Final = 3
"""Audits, each followed by a repair, before the last audit: one mended thing can show another."""

WORDS: Final[dict[repair.Mended, str]] = {
    "place": "put back into its line",
    "extra place": "taken out of a line in which it stood once too often",
    "timer": "given its timer, or rid of one",
    "lifetime": "kept for as long as it must be",
    "question": "held as uncertain or asked about, or no longer",
}
"""What was mended of a message, as it is told."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair mended, and what an audit after it found."""

    mended: tuple[Finding, ...]
    report: "Report"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types: the report, and what was mended."""
        return {**self.report.to_dict(), "mended": [each.to_dict() for each in self.mended]}


class Repair:
    """One repair of one ledger. Safe beside workers, and safe to be stopped at any point."""

    def __init__(self, ledger: "Ledger", limits: "Limits", audit: "Audit", *, lease: float) -> None:
        """`lease` in seconds is given to a claim whose end is lost."""
        self._ledger = ledger
        self._limits = limits
        self._audit = audit
        self._lease = lease
        self._messages: dict[str, set[bytes]] = {}
        self._others: dict[str, int] = {}

    def run(self) -> Repaired:
        """Audit and repair, until nothing can be mended any more. Raises LedgerError."""
        diagnosis = self._audit.diagnose()
        for _ in range(ROUNDS):
            if diagnosis.behind or not self._mend(diagnosis):
                break
            diagnosis = self._audit.diagnose()
        mended = [Finding.of(what, concerned) for what, concerned in sorted(self._messages.items())]
        others = [Finding(what, number) for what, number in sorted(self._others.items())]
        return Repaired((*mended, *others), diagnosis.report)

    def _mend(self, diagnosis: "Diagnosis") -> bool:
        """Mend what can be mended; return whether anything was."""
        ran = [
            *(self._mend_message(each, rows) for each, rows in sorted(diagnosis.messages.items())),
            *(self._mend_entry(entry) for entry in diagnosis.entries),
            *(self._mend_row(row) for row in diagnosis.rows),
            *(self._mend_parked(digest) for digest in diagnosis.parked),
            diagnosis.recount is not None and self._recount(diagnosis.recount, diagnosis.report),
        ]
        return any(ran)

    def _mend_message(self, message_id: bytes, rows: "Iterable[str]") -> bool:
        call = repair.repair(self._limits, message_id, lease=self._lease, rows=sorted(rows))
        words = self._ledger.run(call)
        for word in words:
            self._messages.setdefault(WORDS[word], set()).add(message_id)
        return bool(words)

    def _mend_entry(self, entry: "Entry") -> bool:
        call = repair.reindex(
            self._limits, entry.digest, seen=entry.seen, right=entry.right, provider_id=entry.provider_id
        )
        mended = self._ledger.run(call)
        if mended:
            told = "named by the index again" if entry.right else "named by the index wrongly, no longer"
            self._messages.setdefault(told, set()).add(entry.concerned)
        return mended

    def _mend_row(self, row: str) -> bool:
        mended = self._ledger.run(repair.announce(self._limits, row))
        if mended:
            self._others[f"the {row_name(row)} was announced, or is no longer"] = 0
        return mended

    def _mend_parked(self, digest: bytes) -> bool:
        mended = self._ledger.run(repair.repark(self._limits, digest))
        if mended:
            told = "parked receipts were given their end, or dropped"
            self._others[told] = self._others.get(told, 0) + 1
        return mended

    def _recount(self, found: "Recount", report: "Report") -> bool:
        call = repair.recount(self._limits, found.sequence, found.counts, found.flying, found.campaigns)
        mended = self._ledger.run(call)
        if mended:
            for name, number in found.counts.items():
                self._others[f"{name} counted {report.counts[name]}, and counts {number}"] = 0
            for name, number in found.flying.items():
                self._others[f"account {name} counts {number} calls under way"] = 0
            for name in found.campaigns:
                self._others[f"campaign {name} counts what its records are"] = 0
        return mended
