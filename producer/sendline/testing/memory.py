"""What a ledger keeps, in memory: for one outbox, and gone with it."""

import json
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from threading import RLock
from typing import TYPE_CHECKING, Any, Final

from sendline.contract.accounts import AccountCard, Capabilities
from sendline.contract.campaign import BAD, CampaignState
from sendline.contract.status import CODES, Status
from sendline.ledger.directory import Directory
from sendline.ledger.record import pack

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sendline.contract.codes import ErrorCode
    from sendline.testing.entry import Entry
    from sendline.testing.sharing import Group

    Accounts = Mapping[str, Sequence[str] | AccountCard]
    """By name: the senders of an account, or all that is known of it."""

DEADLINE: Final = 72 * 3600 * 1000
"""Milliseconds for which `sent` and `uncertain` wait for news, until a producer's settings tell."""


def directory_of(accounts: "Accounts | None") -> Directory:
    """Return what a worker with these accounts would publish."""
    cards = {
        name: given if isinstance(given, AccountCard) else AccountCard(name, Capabilities(), tuple(given))
        for name, given in (accounts or {}).items()
    }
    return Directory(cards)


@dataclass(slots=True)
class KeptCampaign:
    """One campaign. Times in ms."""

    name: str
    own: bytes
    spec: str = field(repr=False)
    at: int
    heeded: "Mapping[bytes, Any]"
    """What the ledger itself reads of the spec."""
    state: CampaignState = CampaignState.CREATED
    cause: str = ""
    times: dict[str, int] = field(default_factory=dict)
    """start_at, started, ends, ended: those that are known."""
    rows: int = 0
    rejected: int = 0
    duplicates: int = 0
    line: int = 0
    complete: bool = False
    members: list[bytes] = field(default_factory=list)
    outcomes: str = ""
    open_until: int = 0


class Memory:
    """Messages, events, what came in, opt-outs and campaigns. Whoever touches them holds `lock`."""

    def __init__(self, accounts: "Accounts | None" = None) -> None:
        """Begin empty, with what a worker with these accounts would have published."""
        self.lock = RLock()
        self.directory = directory_of(accounts)
        self.deadline = DEADLINE
        self.max_attempts = 12
        self.clear()

    def clear(self) -> None:
        """Forget everything but the accounts."""
        with self.lock:
            self.entries: dict[bytes, Entry] = {}
            self.keys: dict[bytes, tuple[bytes, bytes, int]] = {}
            """By digest of an idempotency key: id, digest of the content, until when it is known (ms)."""
            self.events: list[bytes] = []
            self.inbound: list[bytes] = []
            """What came in, by its number less one; empty where it was erased."""
            self.inbound_seen: set[bytes] = set()
            self.suppressed: set[str] = set()
            self.campaigns: dict[str, KeptCampaign] = {}
            self.groups: dict[str, Group] = {}
            self.failures: deque[ErrorCode | Exception] = deque()
            """What becomes of the next messages: see Outbox.fail_next()."""
            self.claims = 0
            self._latest = 0

    def now(self) -> int:
        """Return the time (ms); it never goes back."""
        self._latest = max(self._latest, int(time.time() * 1000))
        return self._latest

    def directory_json(self) -> bytes | None:
        """Return what a worker would have published; None where no account was declared."""
        return json.dumps(self.directory.to_plain()).encode() if self.directory.accounts else None

    def write_down(self, entry: "Entry", code: str, reason: str) -> None:
        """Add where a message stands now to its timeline, and to the events."""
        at = self.now() if entry.timeline else entry.created
        status = CODES[entry.state]
        parts = (status, at - entry.created, code, reason)
        entry.timeline += b"".join(map(pack, parts))
        self.events.append(pack([entry.id, status, at, code, reason]))

    def counts(self, entries: "Iterable[Entry] | None" = None) -> dict[str, int]:
        """Return how many messages there are, and how many have each status."""
        found = list(self.entries.values() if entries is None else entries)
        statuses = Counter(entry.state.value for entry in found)
        return {"accepted": len(found), **{s.value: statuses[s.value] for s in Status}}

    def of_campaign(self, campaign: KeptCampaign) -> "list[Entry]":
        """Return the messages of a campaign, in the order of its source."""
        return [self.entries[each] for each in campaign.members]

    def errors_of(self, campaign: KeptCampaign) -> dict[str, int]:
        """Return how many messages of a campaign came to a bad end, by code."""
        return Counter(e.error for e in self.of_campaign(campaign) if e.state in BAD and e.error)
