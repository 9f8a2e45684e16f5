"""Sends messages whose receipts misbehave, forges some, takes away receiver and ledger, asks the provider."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from faulty import lasts
from parts import audit_findings
from reported.forger import ANOTHERS, Forger
from reported.ground import Ground
from reported.messages import message
from reported.verdict import NOBODY, TAKEN, Verdict, judge
from sendline import Message, Status
from sendline.contract.errors import LedgerError
from waiting import poll

BATCH: Final = 500
UNDER_WAY: Final = (Status.CREATED, Status.SENDING, Status.RETRYING)
LEAST_A_SECOND: Final = 15
"""Messages; a slower run is given up."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a run came to."""

    seed: int
    verdict: Verdict
    forged: Mapping[tuple[str, str], int]
    """How often which forgery got which answer."""
    faults: tuple[str, ...]
    offenders: tuple[str, ...]
    """Whatever breaks a promise; none, and all hold."""
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "seed": self.seed,
            "seconds": round(self.seconds, 1),
            **self.verdict.to_dict(),
            "forged": {f"{kind}: {answer}": number for (kind, answer), number in sorted(self.forged.items())},
            "faults": list(self.faults),
            "offenders": list(self.offenders),
        }


class Faults:
    """Takes the receiver and the ledger away, each twice, as the receipts come in."""

    def __init__(self, ground: Ground, total: int) -> None:
        self._ground = ground
        self._total = total
        self._plan: Iterator[tuple[float, str, Callable[[], None]]] = iter(
            [
                (0.15, "receiver killed", self._receiver_killed),
                (0.5, "ledger killed", self._ledger_killed),
                (0.9, "ledger frozen", self._ledger_frozen),
                (1.2, "receiver killed", self._receiver_killed),
            ]
        )
        """Each at so many receipts taken for each message, of about two."""
        self._next = next(self._plan, None)
        self.done: list[str] = []

    @property
    def is_over(self) -> bool:
        """Whether all were there."""
        return self._next is None

    def step(self, taken: int) -> None:
        """Do what is due."""
        if self._next is not None and taken >= self._next[0] * self._total:
            _, name, harm = self._next
            harm()
            self.done.append(name)
            self._next = next(self._plan, None)

    def _receiver_killed(self) -> None:
        self._ground.kill_receiver()
        poll(lasts(0.5))
        self._ground.start_receiver()

    def _ledger_killed(self) -> None:
        self._ground.server.kill()
        poll(lasts(1.0))
        self._ground.server.start()

    def _ledger_frozen(self) -> None:
        with self._ground.server.frozen():
            poll(lasts(3.0))


def run(seed: int, total: int, directory: Path, watch: Callable[[str], None] = lambda _: None) -> Result:
    """Run it; everything that it starts has ended when it returns. `directory` takes the logs."""
    began = time.monotonic()
    with Ground(directory) as ground, Forger(ground, seed) as forger:
        ground.simulator.settings(receipt_delay=(0.0, 0.5))
        ground.start_worker()
        ids = list(_send(ground, seed, total))
        faults = Faults(ground, total)

        def is_quiet() -> bool:
            forger.step()
            summary = ground.simulator.summary()
            faults.step(summary.receipts_taken)
            watch(f"{summary.accepted} accepted, {summary.receipts_taken} receipts taken")
            if summary.received < total or summary.receipts_pending or not faults.is_over:
                return False
            return _is_settled(ground)

        poll(is_quiet, timeout=60 + total / LEAST_A_SECOND, every=0.05)
        forger.step()
        held = [ground.judge.producer.get(each) for each in ids]
        verdict = judge(held, list(ground.simulator.whole_log()))
        wrong = [f"the audit: {finding}" for finding in audit_findings(ground.past_proxies)]
    wrong += _believed(forger.posted)
    return Result(
        seed=seed,
        verdict=verdict,
        forged=forger.posted,
        faults=tuple(faults.done),
        offenders=(*verdict.offenders, *wrong),
        seconds=time.monotonic() - began,
    )


def _send(ground: Ground, seed: int, total: int) -> Iterator[str]:
    for first in range(0, total, BATCH):
        batch = [message(seed, number) for number in range(first, min(first + BATCH, total))]
        for each in ground.judge.producer.send_many(batch):
            assert isinstance(each, Message)
            yield each.id


def _is_settled(ground: Ground) -> bool:
    with suppress(LedgerError):
        counts = ground.judge.producer.counts()
        return not any(counts[status] for status in UNDER_WAY)
    return False


def _believed(posted: Counter[tuple[str, int]]) -> list[str]:
    """Return which forgeries got an answer that they should not get."""
    refused = {int(NOBODY)}
    allowed = {ANOTHERS: {int(TAKEN), 503}}  # where the ledger is away nobody asks further
    return [
        f"forged with {kind}: answered {answer}, {number} times"
        for (kind, answer), number in posted.items()
        if answer not in allowed.get(kind, refused)
    ]
