"""Whether a demo run was right: what Sendline says, held against the provider's own log. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sendline.contract.message import Message
from sendline.contract.status import Status
from sendline_worker.simulator.behaviours import Report

if TYPE_CHECKING:
    from sendline_worker.simulator.client import Received

SHOWN: Final = 20
"""Problems listed; the rest are counted."""
_TAKEN: Final = "200"
_REPORTED: Final = {
    Report.SENT: Status.SENT,
    Report.DELIVERED: Status.DELIVERED,
    Report.UNDELIVERED: Status.UNDELIVERED,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found. No problems: everything is as it must be."""

    problems: tuple[str, ...]
    by_status: Mapping[str, int]
    requests: int
    accepted_once: int
    accepted_twice: int
    refused: int
    """Messages that the provider never accepted, and was not to."""


def judge(messages: Sequence[Message], must: Mapping[str, Status], log: "Iterable[Received]") -> Verdict:
    """Hold `messages` as the ledger has them against `must` (by id) and the provider's `log`."""
    requests = 0
    by_recipient: dict[str, list[Received]] = defaultdict(list)
    for received in log:
        requests += 1
        if received.provider_id is not None:
            by_recipient[received.recipient].append(received)
    problems: list[str] = []
    times: Counter[int] = Counter()
    for message in messages:
        kept = by_recipient.pop(message.to, [])
        times[len(kept)] += 1
        problems += _problems(message, must[message.id], kept)
    if by_recipient:
        problems.append(f"the provider accepted messages to {len(by_recipient)} numbers that nobody sent")
    return Verdict(
        problems=tuple(problems),
        by_status=Counter(str(message.status) for message in messages),
        requests=requests,
        accepted_once=times[1],
        accepted_twice=sum(number for count, number in times.items() if count > 1),
        refused=times[0],
    )


def _problems(message: Message, must: Status, kept: "list[Received]") -> list[str]:
    found = []
    if message.status is not must:
        found.append(f"message {message.id} is {message.status} and must be {must}")
    if len(kept) > 1:
        found.append(f"message {message.id} was accepted {len(kept)} times")
    if message.status in {Status.SENT, Status.DELIVERED, Status.UNDELIVERED} and not kept:
        found.append(f"message {message.id} is {message.status}, but the provider never accepted it")
    for received in kept:
        if message.provider_id not in (None, received.provider_id):
            found.append(f"message {message.id} has another provider id than the provider gave")
        implied = implied_status(received)
        if message.provider_id is not None and message.status is not implied:
            found.append(f"message {message.id} is {message.status}; the provider's log implies {implied}")
    return found


def implied_status(received: "Received") -> Status:
    """Return the status that the receipts which were taken imply: nothing overrides a delivery."""
    reported = [_REPORTED[Report(r.report)] for r in received.receipts if r.result == _TAKEN]
    for status in (Status.DELIVERED, Status.UNDELIVERED):
        if status in reported:
            return status
    return Status.SENT
