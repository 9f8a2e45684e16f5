"""Proves that the ledger is whole, without holding it up: it reads in small steps while all goes on.

What looks wrong is read again a few times before it is told, because between two steps the ledger moves.
Counts are compared with the records only where nothing moved during a whole pass.
"""

import time
from typing import TYPE_CHECKING, Final, TypeVar

from sendline.contract.status import Status
from sendline.ledger import audit, verbs
from sendline.ledger.standing import account_state, read_lines, read_pulse
from sendline_worker.audit_report import Finding, Pass, Report, count_findings, note, shown, sum_findings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sendline.ledger.connection import Ledger
    from sendline.ledger.limits import Limits

__all__ = ["Audit", "Finding", "Report"]

Subject = TypeVar("Subject", bytes, str)

PASSES: Final = 3
"""Passes until one is still."""
LOOKS: Final = 3
"""How often a suspect is read again; it must look wrong each time."""
PAUSE: Final = 0.2
"""Seconds between two looks at the same suspects."""
STUCK: Final = 60.0
"""Seconds for which a line may go and doesn't, until that is told."""
STEP: Final = 200
SUSPECTS: Final = 5000


class Audit:
    """One audit of one ledger."""

    def __init__(self, ledger: "Ledger", limits: "Limits", *, pause: float = PAUSE) -> None:
        """`pause` is in seconds."""
        self._ledger = ledger
        self._limits = limits
        self._pause = pause

    def run(self) -> Report:
        """Read everything and return what isn't so. Raises LedgerError."""
        seen = self._pass()
        for _ in range(PASSES - 1):
            if seen.still:
                break
            seen = self._pass()
        findings = [
            *sum_findings(seen.counts),
            *(count_findings(seen) if seen.still else ()),
            *self._message_findings(seen),
            *self._index_findings(seen),
            *self._line_findings(seen),
        ]
        return Report(
            counts=seen.counts,
            records={status.value: seen.by_status[status] for status in Status},
            lines=len(seen.where),
            left_behind=len(seen.where) - seen.queued if seen.still else None,
            compared=seen.still,
            findings=tuple(findings),
        )

    def _pass(self) -> Pass:
        seen = Pass()
        before = self._ledger.run(audit.sequence())
        messages, accounts = self._scan(seen)
        for line in seen.lines:
            self._read_line(seen, line)
        for some in _in_steps(sorted(messages), STEP):
            for found in self._ledger.run(audit.examine(self._limits, some)):
                note(seen, found)
        self._read_timers(seen)
        seen.flying = {name: self._ledger.run(audit.flying(name)) for name in accounts}
        seen.counts = self._ledger.run(verbs.counts())
        seen.still = self._ledger.run(audit.sequence()) == before
        return seen

    def _scan(self, seen: Pass) -> tuple[set[bytes], set[str]]:
        """Return the ids of all messages and the names of all accounts."""
        cursor, messages, accounts = 0, set[bytes](), set[str]()
        while True:
            keys = self._ledger.run(audit.scan(cursor))
            messages.update(keys.messages)
            accounts.update(keys.accounts)
            seen.index.update(keys.index)
            seen.lines.update(keys.lines)
            cursor = keys.cursor
            if cursor == 0:
                return messages, accounts

    def _read_line(self, seen: Pass, line: str) -> None:
        start = 0
        while part := self._ledger.run(audit.line_part(line, start, audit.SCANNED)):
            for message_id in part:
                if message_id in seen.where:
                    seen.again.add(message_id)
                seen.where.setdefault(message_id, line)
            start += len(part)

    def _read_timers(self, seen: Pass) -> None:
        cursor = 0
        while True:
            cursor, found = self._ledger.run(audit.timers(cursor))
            unknown = [message_id for message_id in found if message_id not in seen.seen]
            for some in _in_steps(unknown, STEP):
                examined = self._ledger.run(audit.examine(self._limits, some))
                seen.suspects += [each.message_id for each in examined if audit.faults(each)]
            if cursor == 0:
                return

    def _message_findings(self, seen: Pass) -> "Iterator[Finding]":
        wrong = self._confirmed(dict.fromkeys(seen.suspects[:SUSPECTS]), self._faults)
        by_fault: dict[str, list[bytes]] = {}
        for message_id, faults in wrong.items():
            for fault in sorted(faults):
                by_fault.setdefault(fault, []).append(message_id)
        for fault, concerned in by_fault.items():
            yield Finding(fault, len(concerned), shown(concerned))

    def _faults(self, message_id: bytes) -> set[str]:
        [found] = self._ledger.run(audit.examine(self._limits, [message_id]))
        return set(audit.faults(found))

    def _confirmed(
        self, suspects: "Iterable[Subject]", check: "Callable[[Subject], set[str]]"
    ) -> "dict[Subject, set[str]]":
        """Return what `check` says of each suspect every time that it is asked."""
        wrong: dict[Subject, set[str]] = {suspect: set() for suspect in suspects}
        for look in range(LOOKS):
            if look and wrong:
                time.sleep(self._pause)
            said = {suspect: check(suspect) for suspect in wrong}
            wrong = {
                suspect: kept
                for suspect, before in wrong.items()
                if (kept := said[suspect] & before if look else said[suspect])
            }
        return wrong

    def _index_findings(self, seen: Pass) -> "Iterator[Finding]":
        wrong: list[bytes] = []
        for some in _in_steps(sorted(seen.index), STEP):
            pointed = self._ledger.run(audit.indexed(some))
            known = {entry: each for entry, each in zip(some, pointed, strict=True) if each}
            examined = self._ledger.run(audit.examine(self._limits, list(known.values())))
            pairs = zip(known, examined, strict=True)
            wrong += [
                found.message_id for entry, found in pairs if not audit.is_indexed_rightly(found, entry)
            ]
        if wrong:
            yield Finding("an index entry names it by another provider id", len(wrong), shown(wrong))

    def _line_findings(self, seen: Pass) -> "Iterator[Finding]":
        for line, faults in self._confirmed(sorted(seen.lines), self._line_faults).items():
            for fault in sorted(faults):
                length = self._ledger.run(audit.line_length(line))
                yield Finding(f"the {audit.line_name(line)} {fault}", length)

    def _line_faults(self, line: str) -> set[str]:
        """Return what isn't so with a line, where messages stand in it."""
        length = self._ledger.run(audit.line_length(line))
        _, _, route = line.partition(":")
        ready_at = self._ledger.run(audit.line_ready_at(line))
        pulse = read_pulse(self._ledger)
        if length == 0:
            return set()
        if not route:
            return {"is not served"} if pulse.ticking and self._waits_long(pulse.now) else set()
        if ready_at is None:
            return {"holds messages, and is not announced to the workers"}
        late = STUCK * 1_000_000
        if not pulse.ticking or pulse.now - ready_at < late:
            return set()
        for state in (self._ledger.run(account_state(name)) for name in route.split(",")):
            if state.interval is None or state.stopped:
                continue
            full = state.in_flight and state.flying >= state.in_flight
            idle = state.paused_until * 1000 < pulse.now - late and state.tat < pulse.now - late
            return {f"may go since {STUCK:g} s and does not"} if idle and not full else set()
        return set()

    def _waits_long(self, now: int) -> bool:
        heads = [line.since for line in read_lines(self._ledger) if not line.route and line.since]
        return any(now / 1_000_000 - since.timestamp() > STUCK for since in heads)


def _in_steps(items: "Sequence[bytes]", size: int) -> "Iterator[Sequence[bytes]]":
    for start in range(0, len(items), size):
        yield items[start : start + size]
