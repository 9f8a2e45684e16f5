"""Whether every message stands where the provider's own log puts it. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sendline import Message, Status
from sendline_worker.simulator.client import Posted, Received

TAKEN: Final = "200"
NOBODY: Final = "404"
"""What a receipt that went astray is answered."""
TOLD: Final = frozenset({Status.DELIVERED, Status.UNDELIVERED})


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found. No offenders: no receipt was lost, and none that was forged changed anything."""

    messages: int
    by_status: Mapping[Status, int]
    by_answer: Mapping[str, int]
    """Receipts that the provider posted, by what they were answered."""
    unclear: int
    """Messages of which a receipt got no answer and was not tried again: it may have been stored."""
    offenders: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "messages": self.messages,
            "by_status": {str(status): number for status, number in self.by_status.items()},
            "receipts_by_answer": dict(self.by_answer),
            "unclear": self.unclear,
            "offenders": list(self.offenders),
        }


def judge(held: Sequence[Message], log: Sequence[Received]) -> Verdict:
    """Hold each message against what the provider says that it posted, and was answered."""
    accepted: dict[str | None, list[Received]] = defaultdict(list)
    for received in log:
        if received.provider_id is not None:
            accepted[received.text].append(received)
    offenders = [
        f"{message.id} ({text_of(message)}): {what}"
        for message in held
        for what in _about(message, accepted.get(text_of(message), []))
    ]
    receipts = [receipt for received in log for receipt in received.receipts]
    return Verdict(
        messages=len(held),
        by_status=Counter(message.status for message in held),
        by_answer=Counter(receipt.result for receipt in receipts),
        unclear=sum(bool(doubtful(received.receipts)) for received in log),
        offenders=tuple(offenders),
    )


def text_of(message: Message) -> str:
    """Return the text, which the ledger keeps no longer than it is needed."""
    return message.metadata["text"]


def _about(message: Message, accepted: Sequence[Received]) -> Iterator[str]:
    """Yield what isn't so with one message."""
    if len(accepted) != 1:
        yield f"accepted {len(accepted)} times by the provider"
        return
    [received] = accepted
    if message.provider_id != received.provider_id:
        yield f"its provider's id is {message.provider_id}, and was given as {received.provider_id}"
    taken = {Status(receipt.report) for receipt in received.receipts if receipt.result == TAKEN}
    perhaps = doubtful(received.receipts)
    possible = {implied(taken), *(implied(taken | {each}) for each in perhaps), implied(taken | perhaps)}
    if message.status not in possible:
        yield f"{message.status}, and by the provider's log ({received.behaviour}) {implied(taken)}"
    for told in {entry.status for entry in message.timeline} & (TOLD - taken - perhaps):
        yield f"was {told} once, which the provider never reported"


def implied(taken: set[Status]) -> Status:
    """Return the status of a message of which these reports were taken; it was accepted."""
    if Status.DELIVERED in taken:
        return Status.DELIVERED
    return Status.UNDELIVERED if Status.UNDELIVERED in taken else Status.SENT


def doubtful(receipts: Sequence[Posted]) -> set[Status]:
    """Return the reports of which nobody can say whether they were taken in: a try failed, and none was 2xx.

    A 404 was not: it went where nobody reads.
    """
    taken = {receipt.report for receipt in receipts if receipt.result == TAKEN}
    failed = {receipt.report for receipt in receipts if receipt.result not in {TAKEN, NOBODY}}
    return {Status(report) for report in failed - taken}
