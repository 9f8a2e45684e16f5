"""The log of all that the simulator received: bounded, in memory, and on disk where asked for."""

import json
from typing import TYPE_CHECKING, Any

from sendline_worker.simulator.counts import Counts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sendline_worker.simulator.behaviours import Step
    from sendline_worker.simulator.ids import Ids


class Entry:
    """One request to send a message, and what the simulator did with it."""

    __slots__ = (
        "accepted", "account", "answer", "at", "behaviour", "callback_url", "mono_ns", "n", "plan",
        "provider", "reached", "receipts", "recipient", "sender", "text",
    )  # fmt: skip

    def __init__(self, at: float, mono_ns: int, provider: str) -> None:
        self.n = 0
        self.at = at
        """When it arrived, in unix seconds."""
        self.mono_ns = mono_ns
        self.provider = provider
        self.account = ""
        self.recipient = ""
        self.sender = ""
        self.text: str | None = None
        self.callback_url: str | None = None
        """The one that the request itself carried."""
        self.accepted = False
        self.behaviour = ""
        self.answer = ""
        """The status answered, or `reset`, `hang`, `cut`, `gone`."""
        self.plan: tuple[Step, ...] = ()
        self.reached = 0
        """How many steps of the plan were posted."""
        self.receipts: list[tuple[str, float, str]] | None = None
        """Each receipt tried: what it says, when, and what the callback URL answered."""

    def as_json(self, provider_id: str | None) -> dict[str, Any]:
        """Return the entry as the log shows it."""
        return {
            "n": self.n,
            "at": self.at,
            "mono_ns": self.mono_ns,
            "provider": self.provider,
            "account": self.account,
            "recipient": self.recipient,
            "sender": self.sender,
            "text": self.text,
            "provider_id": provider_id,
            "behaviour": self.behaviour,
            "answer": self.answer,
            "receipts": [
                {"report": report, "at": at, "result": result} for report, at, result in self.receipts or ()
            ],
        }


class Log:
    """Entries numbered from 1; the newest `limit` are kept. Writes each to `path` before it is answered."""

    def __init__(self, limit: int, ids: "Ids", path: "Path | None" = None) -> None:
        self._limit = max(1, limit)
        self._ids = ids
        self._ring: list[Entry] = []
        self.last = 0
        """The number of the newest entry."""
        self.counts = Counts()
        self._file = path.open("a", buffering=1, encoding="utf-8") if path else None

    @property
    def first(self) -> int:
        """The number of the oldest entry that is kept; one past `last` when there is none."""
        return self.last - len(self._ring) + 1

    def add(self, entry: Entry) -> None:
        """Give the entry its number, count it and write it."""
        self.last += 1
        entry.n = self.last
        if len(self._ring) < self._limit:
            self._ring.append(entry)
        else:
            place = (entry.n - 1) % self._limit
            self.counts.forget(self._ring[place])
            self._ring[place] = entry
        self.counts.add(entry)
        if self._file:
            self._write({"event": "request", **entry.as_json(self.provider_id(entry))})

    def tried(self, entry: Entry, report: str, at: float, result: str, *, done: bool) -> None:
        """Record that a receipt was tried; `done` says that the callback URL took it."""
        if entry.receipts is None:
            entry.receipts = []
        entry.receipts.append((report, at, result))
        self.counts.receipts_taken += done
        self.counts.receipts_failed += not done
        if self._file:
            self._write({"event": "receipt", "n": entry.n, "report": report, "at": at, "result": result})

    def provider_id(self, entry: Entry) -> str | None:
        """Return the id that the provider gave the message, or None where it did not accept it."""
        return self._ids.of(entry.n) if entry.accepted else None

    def find(self, provider_id: str) -> Entry | None:
        """Return the accepted entry with this id, or None."""
        n = self._ids.number(provider_id)
        if n is None or not self.first <= n <= self.last:
            return None
        entry = self._ring[(n - 1) % self._limit]
        return entry if entry.accepted else None

    def page(self, after: int, limit: int) -> list[dict[str, Any]]:
        """Return at most `limit` entries with numbers above `after`, oldest first."""
        start = max(after + 1, self.first)
        chosen = (self._ring[(n - 1) % self._limit] for n in range(start, min(start + limit, self.last + 1)))
        return [entry.as_json(self.provider_id(entry)) for entry in chosen]

    def newest(self) -> "Iterator[Entry]":
        """Return all kept entries, newest first."""
        return (self._ring[(n - 1) % self._limit] for n in range(self.last, self.first - 1, -1))

    def clear(self) -> None:
        """Forget all entries and begin at 1 again. The file keeps what it has."""
        self._ring = []
        self.last = 0
        self.counts = Counts()
        if self._file:
            self._write({"event": "reset"})

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()
            self._file = None

    def _write(self, line: dict[str, Any]) -> None:
        if self._file:
            self._file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
