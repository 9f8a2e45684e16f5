"""What an audit found: for people, and for the repair."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sendline.contract import ids

SHOWN: Final = 10
"""Ids told of each finding."""
_ID: Final = 16


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that isn't so, or was mended; `number` messages are concerned, `ids` are some of them."""

    what: str
    number: int = 0
    ids: tuple[str, ...] = ()

    @classmethod
    def of(cls, what: str, message_ids: Collection[bytes]) -> "Finding":
        """Return a finding that concerns these messages."""
        some = sorted(message_ids)[:SHOWN]
        return cls(what, len(message_ids), tuple(shown(each) for each in some))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"what": self.what, "number": self.number, "ids": list(self.ids)}


def shown(message_id: bytes) -> str:
    """Return an id as people write it; what is none, in hexadecimal digits."""
    return ids.to_text(message_id) if len(message_id) == _ID else message_id.hex()


@dataclass(frozen=True, slots=True)
class Report:
    """What the audit read, and what it found."""

    counts: dict[str, int]
    """As producers see them: accepted, and each status."""
    records: dict[str, int]
    """Records found, by status."""
    lines: int
    """Messages that stand in lines."""
    left_behind: int | None
    """Ids in lines whose messages don't wait any more; they are dropped when their turn comes.

    None where the pass was not still.
    """
    compared: bool
    """Whether a pass was still, so that counts and records could be compared."""
    findings: tuple[Finding, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "ok": not self.findings,
            "compared": self.compared,
            "counts": self.counts,
            "records": self.records,
            "in_lines": self.lines,
            "left_behind": self.left_behind,
            "findings": [finding.to_dict() for finding in self.findings],
        }


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the index of provider ids that isn't right."""

    digest: bytes
    seen: bytes
    """What it holds; empty: it is not there."""
    right: bytes
    """The id that it must hold; empty: it must end."""
    provider_id: bytes
    """In the record of `right`, else of `seen`; as it is stored."""
    what: str

    @property
    def concerned(self) -> bytes:
        """The message that it names, or must name."""
        return self.right or self.seen


@dataclass(frozen=True, slots=True)
class Recount:
    """Counts as the records tell them, while `sequence` was the number of the newest event."""

    sequence: int
    counts: Mapping[str, int]
    """Only those that were otherwise."""
    flying: Mapping[str, int]
    """Calls under way by account; only those that were otherwise."""
    campaigns: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """All counts of campaigns of which some were otherwise."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A report, with everything that a repair needs to know of it."""

    report: Report
    behind: bool
    """Whether the ledger has to be recovered before anything else."""
    messages: Mapping[bytes, frozenset[str]]
    """Messages of which something isn't so, each with the rows in which its id was seen."""
    rows: tuple[str, ...]
    """Rows that are not announced as they must be."""
    entries: tuple[Entry, ...]
    parked: tuple[bytes, ...]
    """Digests of parked receipts that have no end, or of ends without one."""
    recount: Recount | None
    """None where the counts are right, or nothing proves what is."""
