"""How a message moves in memory: as the ledger's scripts move it, along the same table, with the same words.

The tests of this package drive the real ledger and this one through the same scenes and compare them.
"""

from typing import TYPE_CHECKING, Final

from sendline.contract.campaign import BAD, CampaignState
from sendline.contract.codes import ErrorCode
from sendline.contract.errors import SendlineError
from sendline.contract.lane import LANE_CODES, Lane
from sendline.contract.status import EDGES, MOVES, Cause, Status
from sendline.ledger.record import Flag, pack_provider_id, short

if TYPE_CHECKING:
    from sendline.testing.entry import Entry
    from sendline.testing.memory import Memory

OPTED_OUT: Final = "the recipient has opted out"
_ORDINARY: Final = {(edge.source, edge.target) for edge in EDGES if edge.cause is not Cause.PROOF}
_PROVED: Final = {(edge.source, edge.target) for edge in EDGES if edge.cause is Cause.PROOF}
_OVER: Final = "its validity ended"
_A_PERSON: Final = "a person said so"
RETRY_AFTER: Final = 1000
"""Milliseconds until a message that waits again is due: it says so, and nobody waits for it."""
NO_ACCOUNT: Final = "recorded"
"""The account that messages are bound to where none is known."""


class NoSuchMove(SendlineError, ValueError):
    """The test asks for a status that the message can't come to from where it stands."""


class Moves:
    """What workers, providers and people do to a message."""

    def __init__(self, memory: "Memory") -> None:
        """Move what `memory` keeps; who calls holds its lock."""
        self._memory = memory

    def move(
        self, entry: "Entry", to: Status, code: str = "", reason: str = "", *, proof: bool = False
    ) -> bool:
        """Change the status, where the table allows it; return whether it did."""
        edge = (entry.state, to)
        if edge not in _ORDINARY and not (proof and entry.attempts > 0 and edge in _PROVED):
            return False
        before = entry.state
        if to is Status.RETRYING:
            entry.set(Flag.RETRIED, on=True)
        entry.state, entry.error = to, code
        self._memory.write_down(entry, code, short(reason))
        self._watch(entry, before)
        return True

    def claim(self, entry: "Entry") -> None:
        """Take a message that waits for its route's first account, as a worker does; it may end here."""
        if entry.has(Flag.TEMPLATED):
            campaign = self._memory.campaigns[entry.campaign]
            if campaign.state is not CampaignState.RUNNING:
                raise NoSuchMove(f"message {entry.text_id}: its campaign {campaign.name} is {campaign.state}")
            entry.expires = entry.expires or max(campaign.times["ends"] - entry.created, 1)
        entry.due = 0
        if entry.to in self._memory.suppressed:
            self.give_up(entry, Status.SUPPRESSED, ErrorCode.OPTED_OUT, OPTED_OUT)
        elif entry.created + entry.expires <= self._memory.now():
            self.expire(entry)
        elif entry.has(Flag.CANCEL):
            self.give_up(entry, Status.CANCELED, entry.error, _A_PERSON)
        else:
            self._bind(entry)

    def _bind(self, entry: "Entry") -> None:
        entry.route = entry.route or entry.account or NO_ACCOUNT
        account = entry.route.split(",")[0]
        by = f"by account {account}" if entry.route != account else ""
        entry.account, entry.attempts = account, entry.attempts + 1
        self._memory.claims += 1
        entry.claim = self._memory.claims
        self.move(entry, Status.SENDING, "", by)

    def send(self, entry: "Entry", reason: str, provider_id: str | None, *, reports: bool = True) -> None:
        """Let the provider accept what is being sent. `reports`: a receipt may follow, else it is final."""
        self.move(entry, Status.SENT, "", reason)
        self._entrust(entry, provider_id, self._memory.deadline if reports else 0)

    def _entrust(self, entry: "Entry", provider_id: str | None, deadline: int) -> None:
        now = self._memory.now()
        if provider_id and not entry.provider_id:
            entry.provider_id = pack_provider_id(provider_id)
        entry.text, entry.expires = "", 0
        entry.due = max(now + deadline - entry.created, 1)
        self._await_news(entry, now + deadline)

    def give_back(self, entry: "Entry", code: str, reason: str, *, unsent: bool = False) -> None:
        """Let what was certainly not accepted wait again. `unsent`: its call was not begun."""
        entry.attempts -= unsent
        if entry.has(Flag.CANCEL):
            self.give_up(entry, Status.CANCELED, code, "canceled before the provider accepted it")
            return
        again = not unsent or entry.has(Flag.RETRIED)
        self.move(entry, Status.RETRYING if again else Status.CREATED, code, reason)
        entry.due = 0 if unsent else self._memory.now() + RETRY_AFTER - entry.created

    def doubt(self, entry: "Entry", code: str, reason: str) -> None:
        """Let nobody know whether the provider accepted it; send it again where its policy says so."""
        self.move(entry, Status.UNCERTAIN, code, reason)
        spent = entry.attempts >= self._memory.max_attempts
        if entry.has(Flag.CANCEL) or spent or not self._resends(entry):
            self._hold(entry)
        else:
            self.resend(entry, code, "sent again, as its policy says")

    def _resends(self, entry: "Entry") -> bool:
        if entry.flags & (Flag.HOLD | Flag.RESEND):
            return entry.has(Flag.RESEND)
        return entry.lane == LANE_CODES[Lane.URGENT]

    def resend(self, entry: "Entry", code: str, reason: str) -> None:
        """Let what may have been accepted wait again."""
        self.move(entry, Status.RETRYING, code, reason)
        entry.set(Flag.DOUBTED, on=True)
        entry.route = entry.account
        entry.due = self._memory.now() + RETRY_AFTER - entry.created

    def decide_to_resend(self, entry: "Entry", reason: str) -> None:
        """Let a person decide that what is uncertain is sent again: not what was canceled, or is over."""
        if not entry.has(Flag.CANCEL) and entry.created + entry.expires > self._memory.now():
            self.resend(entry, entry.error, reason)

    def decide_to_fail(self, entry: "Entry", reason: str) -> None:
        """Let a person decide that what is uncertain was not sent."""
        self.move(entry, Status.FAILED, entry.error, reason)
        self._finish(entry)

    def prove(self, entry: "Entry", to: Status, code: str, reason: str) -> bool:
        """Take in what a receipt tells; return whether it changed anything."""
        if not self.move(entry, to, code, reason, proof=True):
            return False
        if to is Status.SENT:
            self._entrust(entry, None, self._memory.deadline)
        else:
            self._finish(entry)
        return True

    def expire(self, entry: "Entry", reason: str = _OVER) -> None:
        """End the validity of a message that waits."""
        self.give_up(entry, Status.EXPIRED, entry.error, reason)

    def cancel(self, entry: "Entry") -> None:
        """Cancel a message that waits; ask for it while it is being sent."""
        if entry.waits:
            entry.set(Flag.CANCEL, on=entry.has(Flag.DOUBTED))
            self.give_up(entry, Status.CANCELED, "", _A_PERSON)
        elif entry.state is Status.SENDING:
            entry.set(Flag.CANCEL, on=True)

    def give_up(self, entry: "Entry", to: Status, code: str, reason: str) -> None:
        """End a message that is not sent, or not again."""
        if entry.has(Flag.DOUBTED):
            maybe = f"{reason}; but an earlier attempt may have been accepted"
            self.move(entry, Status.UNCERTAIN, code, maybe)
            self._hold(entry)
        elif self.move(entry, to, code, reason):
            self._finish(entry)

    def _hold(self, entry: "Entry") -> None:
        until = self._memory.now() + self._memory.deadline
        entry.due = until - entry.created
        self._await_news(entry, until)

    def _finish(self, entry: "Entry") -> None:
        entry.text, entry.due, entry.expires = "", 0, 0
        if entry.has(Flag.TEMPLATED) and entry.state not in BAD:
            entry.extras = b""

    def _await_news(self, entry: "Entry", until: int) -> None:
        if entry.has(Flag.TEMPLATED):
            campaign = self._memory.campaigns[entry.campaign]
            campaign.open_until = max(campaign.open_until, until)

    def _watch(self, entry: "Entry", before: Status) -> None:
        """Remember the outcome for a campaign that pauses by itself when too many fail."""
        if entry.has(Flag.WATCHED) and entry.state in (Status.SENT, Status.FAILED, Status.UNDELIVERED):
            good = entry.state is Status.SENT
            self._memory.campaigns[entry.campaign].outcomes += (
                "0" if good else "x" if before is Status.SENT else "1"
            )


def where_to(entry: "Entry") -> str:
    """Return what a message may become from where it stands, for people."""
    targets = sorted(MOVES[entry.state])
    return ", ".join(targets) if targets else "nothing else"
