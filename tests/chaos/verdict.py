"""What a run came to, by its three witnesses: who sent, the ledger, the provider. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from chaos.messages import number_of
from sendline import Message, Status
from sendline_worker.simulator.client import Received

TAKEN: Final = frozenset({Status.SENT, Status.DELIVERED, Status.UNDELIVERED})
"""The ledger says that the provider accepted it."""
NOT_TAKEN: Final = frozenset({Status.FAILED, Status.EXPIRED, Status.CANCELED, Status.SUPPRESSED})
"""The ledger says that it did not go."""
UNDER_WAY: Final = frozenset({Status.CREATED, Status.SENDING, Status.RETRYING})
SHOWN: Final = (
    Status.DELIVERED, Status.UNDELIVERED, Status.SENT, Status.FAILED, Status.EXPIRED, Status.UNCERTAIN,
)  # fmt: skip
"""The statuses that a run ends in."""


@dataclass(frozen=True, slots=True)
class Witnesses:
    """What the three say once all is quiet."""

    total: int
    """Messages of the campaign."""
    acknowledged: Sequence[tuple[int, str]]
    """Number and id, each time that send() or send_many() returned one."""
    held: Mapping[str, Message | None]
    """What the ledger has under each of these ids."""
    counts: Mapping[str, int]
    """What the ledger counts."""
    audit: Sequence[str]
    """What the ledger's audit found wrong."""
    log: Sequence[Received]
    """Every request that the provider received."""


@dataclass(frozen=True, slots=True)
class Offender:
    """Something that breaks a promise. `number` and `message_id` are those of a message, if it is one."""

    promise: str
    """lost, twice, lie, count or audit."""
    what: str
    number: int | None = None
    message_id: str | None = None

    def __str__(self) -> str:
        who = f"message {self.number} ({self.message_id}): " if self.number is not None else ""
        return f"{self.promise}: {who}{self.what}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found. No offenders: the promises hold."""

    policy: str
    accepted: int
    by_status: Mapping[str, int]
    lost: int
    twice: int
    bound: int
    """So many were in doubt: under `resend` no more may have been sent twice."""
    unclear: int
    """Requests of those that the provider accepted and did not say so."""
    uncertain_taken: Mapping[str, int]
    """Messages that stayed `uncertain` and that the provider has, by account."""
    offenders: tuple[Offender, ...]

    @property
    def holds(self) -> bool:
        """Whether every promise holds."""
        return not self.offenders

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "policy": self.policy,
            "holds": self.holds,
            "accepted": self.accepted,
            **{status.value: self.by_status.get(status, 0) for status in SHOWN},
            "lost": self.lost,
            "sent_twice": self.twice,
            "in_doubt": self.bound,
            "uncertain_taken": dict(self.uncertain_taken),
            "offenders": [str(each) for each in self.offenders],
        }


def judge(seen: Witnesses, policy: str, in_doubt: int) -> Verdict:
    """Hold the witnesses against each other.

    `in_doubt` is how many messages were on the wire when a process was killed or frozen or a link broke.
    """
    taken: dict[int | None, list[Received]] = defaultdict(list)
    for received in seen.log:
        if received.provider_id is not None:
            taken[number_of(received.text)].append(received)
    ids = dict(seen.acknowledged)
    offenders = list(_about_accepting(seen, taken))
    for number, message_id in ids.items():
        message = seen.held.get(message_id)
        offenders += [
            Offender(promise, what, number, message_id)
            for promise, what in _about(message, number, taken.get(number, []), policy)
        ]
    offenders += [Offender("audit", finding) for finding in seen.audit]
    twice = sum(len(requests) > 1 for requests in taken.values())
    unclear = sum(_is_unclear(received) for received in seen.log)
    bound = in_doubt + unclear
    if policy == "resend" and twice > bound:
        offenders.append(Offender("twice", f"{twice} messages, and only {bound} were ever in doubt"))
    held = [message for message in seen.held.values() if message is not None]
    uncertain = {m.id: m.account or "" for m in held if m.status is Status.UNCERTAIN}
    return Verdict(
        policy=policy,
        accepted=len(ids),
        by_status=Counter(message.status for message in held),
        lost=len({o.number for o in offenders if o.promise == "lost"}),
        twice=twice,
        bound=bound if policy == "resend" else 0,
        unclear=unclear,
        uncertain_taken=Counter(uncertain[ids[n]] for n in taken if n in ids and ids[n] in uncertain),
        offenders=tuple(offenders),
    )


def _about(
    message: Message | None, number: int, taken: Sequence[Received], policy: str
) -> Iterator[tuple[str, str]]:
    """Yield what isn't so with one acknowledged message."""
    if message is None:
        yield "lost", "acknowledged, and unknown to the ledger"
        return
    if message.metadata.get("n") != str(number):
        yield "lie", f"under its id the ledger has message {message.metadata.get('n')}"
    if message.status in UNDER_WAY:
        yield "lost", f"still {message.status} at the end"
    if message.status in TAKEN and not taken:
        yield "lost", f"{message.status} by the ledger, and the provider never accepted it"
    if message.status in NOT_TAKEN and taken:
        yield "lie", f"{message.status} by the ledger, and the provider accepted it ({_entries(taken)})"
    if message.provider_id is not None and message.provider_id not in {r.provider_id for r in taken}:
        yield "lie", "the provider never gave the id that the ledger has"
    if len(taken) > 1:
        doubts = sum(entry.status is Status.UNCERTAIN for entry in message.timeline)
        if policy == "hold":
            yield "twice", f"accepted {len(taken)} times by the provider ({_entries(taken)})"
        elif len(taken) > 1 + doubts:
            yield "twice", f"accepted {len(taken)} times, and in doubt {doubts} times ({_entries(taken)})"


def _about_accepting(seen: Witnesses, taken: Mapping[int | None, Sequence[Received]]) -> Iterator[Offender]:
    """Yield where what was acknowledged, what the ledger counts and what the provider has do not agree."""
    ids: dict[int, str] = {}
    for number, message_id in seen.acknowledged:
        if ids.setdefault(number, message_id) != message_id:
            yield Offender("twice", f"accepted before under id {ids[number]}", number, message_id)
    if len(ids) != seen.total:
        yield Offender("lost", f"{seen.total - len(ids)} messages could not be handed in to the end")
    elif seen.counts["accepted"] != seen.total:
        yield Offender("count", f"the ledger counts {seen.counts['accepted']} accepted, not {seen.total}")
    for number, requests in taken.items():
        if number is not None and number not in ids:
            yield Offender("lie", f"sent, never acknowledged ({_entries(requests)})", number)
        elif number is None:
            yield Offender("lie", f"the provider has what nobody sent ({_entries(requests)})")


def _is_unclear(received: Received) -> bool:
    """Return whether the provider accepted it and did not say so."""
    return received.provider_id is not None and received.behaviour.startswith(("accepted_", "slow"))


def _entries(requests: Sequence[Received]) -> str:
    return "entries " + ", ".join(str(received.n) for received in requests) + " of its log"
