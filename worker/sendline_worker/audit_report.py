"""What an audit saw and found, and the comparisons that need no more reading."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sendline.contract import ids
from sendline.contract.status import Status
from sendline.ledger import audit

SHOWN: Final = 10
"""Ids told of each finding."""
EXACT: Final = (Status.CREATED, Status.RETRYING, Status.SENDING)
"""The statuses whose records never end by themselves, so that there are as many as counted."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that isn't so; `number` messages are concerned, `ids` are some of them."""

    what: str
    number: int = 0
    ids: tuple[str, ...] = ()


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
            "findings": [{"what": f.what, "number": f.number, "ids": list(f.ids)} for f in self.findings],
        }


@dataclass(slots=True)
class Pass:
    """What one pass over the ledger saw."""

    seen: set[bytes] = field(default_factory=set)
    by_status: Counter[Status] = field(default_factory=Counter)
    sending: Counter[str] = field(default_factory=Counter)
    where: dict[bytes, str] = field(default_factory=dict)
    again: set[bytes] = field(default_factory=set)
    """Ids that stand in lines more than once."""
    index: set[bytes] = field(default_factory=set)
    lines: set[str] = field(default_factory=set)
    flying: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    suspects: list[bytes] = field(default_factory=list)
    queued: int = 0
    still: bool = False


def note(seen: Pass, found: audit.Examined) -> None:
    """Take one message of a pass in."""
    seen.seen.add(found.message_id)
    if found.record is None:
        return
    state = found.record.state
    seen.by_status[state] += 1
    if state is Status.SENDING:
        seen.sending[found.record.account.decode()] += 1
    places = int(seen.where.get(found.message_id) == found.line) + (found.message_id in seen.again)
    seen.queued += found.is_queued and places > 0
    if audit.faults(replace(found, places=places)):
        seen.suspects.append(found.message_id)


def sum_findings(counts: dict[str, int]) -> Iterator[Finding]:
    """Return what isn't so with the counts alone."""
    total = sum(number for name, number in counts.items() if name != "accepted")
    if total != counts["accepted"]:
        yield Finding(f"{counts['accepted']} messages were accepted, but the statuses count {total}")
    for name, number in counts.items():
        if number < 0:
            yield Finding(f"the count of {name} is {number}")


def count_findings(seen: Pass) -> Iterator[Finding]:
    """Return where counts and records differ, for a pass in which nothing moved."""
    for status in Status:
        counted, found = seen.counts[status.value], seen.by_status[status]
        if found > counted or (status in EXACT and found != counted):
            yield Finding(f"{counted} messages count as {status.value}, and {found} records are")
    for account in sorted(seen.flying.keys() | seen.sending.keys()):
        counted, found = seen.flying.get(account, 0), seen.sending[account]
        if counted != found:
            yield Finding(
                f"account {account} counts {counted} calls under way, and {found} messages are sending"
            )


def shown(message_ids: Sequence[bytes]) -> tuple[str, ...]:
    """Return some of the ids, as people write them."""
    return tuple(ids.to_text(each) for each in message_ids[:SHOWN])
