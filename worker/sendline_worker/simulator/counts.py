"""What the summary counts, kept up with each request."""

from collections import Counter, deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sendline_worker.simulator.entries import Entry

SECOND_NS = 1_000_000_000


class Meter:
    """The most arrivals in any one second, exact: a fullest second ends with an arrival."""

    __slots__ = ("_recent", "most")

    def __init__(self) -> None:
        self._recent: deque[int] = deque()
        self.most = 0

    def arrive(self, mono_ns: int) -> None:
        """Count an arrival at `mono_ns`; two arrivals a whole second apart share no second."""
        recent = self._recent
        recent.append(mono_ns)
        while recent[0] <= mono_ns - SECOND_NS:
            recent.popleft()
        self.most = max(self.most, len(recent))


class Counts:
    """The numbers behind `GET /_simulator/summary`."""

    def __init__(self) -> None:
        self.received = 0
        self.accepted = 0
        self.accepted_twice = 0
        """Messages (same recipient, sender and text) that were accepted more than once."""
        self.by_behaviour: Counter[str] = Counter()
        self.by_answer: Counter[str] = Counter()
        self.meter = Meter()
        self.meters: dict[str, Meter] = {}
        self.receipts_taken = 0
        self.receipts_failed = 0
        self.asked = 0
        """Look-ups and searches."""
        self.redirects_followed = 0
        self.redirects_with_credentials = 0
        self.first_at: float | None = None
        self.last_at: float | None = None
        self._times: dict[int, int] = {}

    def add(self, entry: "Entry") -> None:
        """Count a request."""
        self.received += 1
        self.by_behaviour[entry.behaviour] += 1
        self.by_answer[entry.answer] += 1
        self.first_at = entry.at if self.first_at is None else self.first_at
        self.last_at = entry.at
        self.meter.arrive(entry.mono_ns)
        if entry.account not in self.meters:
            self.meters[entry.account] = Meter()
        self.meters[entry.account].arrive(entry.mono_ns)
        if entry.accepted:
            self.accepted += 1
            key = _key(entry)
            times = self._times[key] = self._times.get(key, 0) + 1
            self.accepted_twice += times == 2  # noqa: PLR2004

    def forget(self, entry: "Entry") -> None:
        """Drop what is kept of an entry that left the log; the counts stay."""
        if not entry.accepted:
            return
        key = _key(entry)
        left = self._times.get(key, 0) - 1
        if left > 0:
            self._times[key] = left
        else:
            self._times.pop(key, None)

    def as_json(self) -> dict[str, Any]:
        """Return the counts as the summary shows them."""
        return {
            "received": self.received,
            "accepted": self.accepted,
            "accepted_twice": self.accepted_twice,
            "by_behaviour": dict(self.by_behaviour),
            "by_answer": dict(self.by_answer),
            "max_per_second": self.meter.most,
            "max_per_second_by_account": {account: meter.most for account, meter in self.meters.items()},
            "receipts_taken": self.receipts_taken,
            "receipts_failed": self.receipts_failed,
            "asked": self.asked,
            "redirects_followed": self.redirects_followed,
            "redirects_with_credentials": self.redirects_with_credentials,
            "first_at": self.first_at,
            "last_at": self.last_at,
        }


def _key(entry: "Entry") -> int:
    """Return what tells one message from another; a hash, since millions are kept."""
    return hash((entry.provider, entry.recipient, entry.sender, entry.text))
