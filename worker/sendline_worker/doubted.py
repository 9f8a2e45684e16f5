"""Messages that are uncertain: which there are, and carrying out a person's decision about many."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sendline.contract.codes import ErrorCode
from sendline.contract.status import Status
from sendline.ledger import doubts, verbs

if TYPE_CHECKING:
    from datetime import datetime

    from sendline.contract.message import Message
    from sendline.ledger.connection import Ledger
    from sendline.ledger.limits import Limits

STEP: Final = 500
"""Messages a call."""


@dataclass(frozen=True, slots=True)
class Doubted:
    """An uncertain message, and since when and why it is."""

    message: "Message"
    since: "datetime"
    reason: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of the uncertain messages are meant; None does not choose."""

    account: str | None = None
    error: str | None = None
    before: "datetime | None" = None
    """Uncertain since earlier than that."""

    def takes(self, doubted: Doubted) -> bool:
        """Return whether `doubted` is meant."""
        return (
            (self.account is None or doubted.message.account == self.account)
            and (self.error is None or doubted.message.error == self.error)
            and (self.before is None or doubted.since < self.before)
        )


def chosen(ledger: "Ledger", choice: Choice) -> Iterator[Doubted]:
    """Yield the uncertain messages that are meant, first accepted first. Raises LedgerError.

    One whose record is damaged is passed over: `sendline audit` names it.
    """
    cursor, found = 0, set[bytes]()
    while True:
        cursor, some = ledger.run(doubts.uncertain(cursor))
        found.update(some)
        if cursor == 0:
            break
    message_ids = sorted(found)
    for start in range(0, len(message_ids), STEP):
        part = message_ids[start : start + STEP]
        for message in ledger.run(verbs.get_all(part)):
            if message is not None and message.status is Status.UNCERTAIN:
                doubted = _doubted(message)
                if choice.takes(doubted):
                    yield doubted


def decide(
    ledger: "Ledger", limits: "Limits", decision: doubts.Decision, message_ids: Sequence[bytes], reason: str
) -> Iterator[Counter[doubts.Decided]]:
    """Carry a decision out, STEP messages a call; yield what became of them. Raises LedgerError."""
    for start in range(0, len(message_ids), STEP):
        part = message_ids[start : start + STEP]
        became = ledger.run(doubts.decide(limits, decision, part, reason))
        yield Counter(became)


def _doubted(message: "Message") -> Doubted:
    told = [
        each for each in message.timeline if each.status is Status.UNCERTAIN and each.code != ErrorCode.LATE
    ]
    return Doubted(message, told[-1].at, told[-1].reason)
