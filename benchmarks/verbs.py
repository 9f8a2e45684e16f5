"""What a message costs the server, verb by verb, by how many messages one call has.

    python benchmarks/verbs.py
    python benchmarks/verbs.py --messages 2000 --sizes 1 16 --json

One process calls one embedded server, set up as in production (every change on disk), and each call waits for
its answer. Figures are CPU of the server process, user and system, a message; of three rounds the least.
Calls of one message show what a call costs, calls of many what a message costs.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import redis

from sendline.contract import ids
from sendline.contract.draft import Draft
from sendline.contract.lane import Lane
from sendline.contract.status import Status
from sendline.ledger import verbs, work
from sendline.ledger.accounts import AccountLimits, Wake, configure
from sendline.ledger.call import Call
from sendline.ledger.connection import Ledger
from sendline.ledger.limits import Limits
from sendline_worker.embedded import EmbeddedServer

LIMITS: Final = Limits()
ROUNDS: Final = 3
TEXT: Final = "Your parcel is on its way, between 9 and 12. Reply 2 to pick another day.".ljust(120, ".")
SIZES: Final = (1, 5, 16, 50, 200)


@dataclass(frozen=True)
class Cost:
    """What a message costs in calls of one size, in microseconds."""

    size: int
    verbs: dict[str, float]

    @property
    def together(self) -> float:
        return sum(self.verbs.values())


def drafts(number: int) -> list[Draft]:
    """Return single messages with a text of 120 characters."""
    return [
        Draft(
            id=ids.new_id(),
            to=f"+1311{place:07d}",
            text=TEXT,
            sender="+13115552368",
            account=None,
            route=("main",),
            lane=Lane.NORMAL,
            segments=1,
            not_before_ms=0,
            valid_for_ms=72 * 3_600_000,
        )
        for place in range(number)
    ]


def accepts(number: int, size: int) -> Iterator[Call[Any]]:
    """Return the calls that accept messages."""
    for some in in_steps(drafts(number), size):
        yield verbs.accept(LIMITS, some)


def claims(number: int, size: int, first: int) -> Iterator[Call[Any]]:
    """Return the calls that claim them."""
    for call in range(first, first + number // size):
        asked = work.ClaimRequest("bench", call, size, size, 90, 2, 5, may_sign_off=False)
        yield work.claim(LIMITS, asked)


def settles(taken: Sequence[work.Claim], size: int, first: int) -> Iterator[Call[Any]]:
    """Return the calls that settle the claims as sent."""
    for call, some in enumerate(in_steps(taken, size), first):
        sent = [
            work.Settlement(
                *(each.message_id, each.token, each.account, Status.SENT),
                deadline=259_200,
                provider_id=str(uuid4()),
            )
            for each in some
        ]
        yield work.settle(LIMITS, "bench", call, sent)


def receives(taken: Sequence[work.Claim], size: int) -> Iterator[Call[Any]]:
    """Return the calls that take receipts in."""
    for some in in_steps(taken, size):
        yield work.receive(
            LIMITS, [work.Reported("main", Status.DELIVERED, message_id=each.message_id) for each in some]
        )


def in_steps(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Return the items, `size` at once."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


class Bench:
    """One server, and what it spends."""

    def __init__(self, ledger: Ledger, raw: redis.Redis) -> None:
        self._ledger = ledger
        self._raw = raw
        self._calls = 0

    def measure(self, size: int, number: int) -> dict[str, float]:
        """Send messages through all verbs, in calls of `size`; return what each verb cost a message."""
        first, self._calls = self._calls + 1, self._calls + number // size
        spent, found = {}, []
        spent["accept"], _ = self._run(accepts(number, size))
        spent["claim"], found = self._run(claims(number, size, first))
        taken = [claim for each in found for claim in each.claims]
        spent["settle"], _ = self._run(settles(taken, size, first))
        spent["receive"], _ = self._run(receives(taken, size))
        if len(taken) != number:
            raise SystemExit(f"{len(taken)} of {number} messages were claimed")
        return {verb: used / number * 1e6 for verb, used in spent.items()}

    def _run(self, calls: Iterator[Call[Any]]) -> tuple[float, list[Any]]:
        ready = list(calls)
        before = self._spent()
        answers = [self._ledger.run(call) for call in ready]
        return self._spent() - before, answers

    def _spent(self) -> float:
        """Return the seconds of CPU that the server has used."""
        used = self._raw.info("cpu")
        return float(used["used_cpu_user"] + used["used_cpu_sys"])


def costs(sizes: Sequence[int], messages: int) -> Iterator[Cost]:
    """Measure calls of each size."""
    with (
        tempfile.TemporaryDirectory(prefix="sl-") as place,
        EmbeddedServer(Path(place)) as server,
        closing(Ledger(server.url)) as ledger,
        redis.Redis.from_url(server.url) as raw,
    ):
        limits = AccountLimits("main", 1_000_000.0, 1_000_000)
        ledger.run(configure(LIMITS, "{}", Wake("wakes", b"envelope"), [limits]))
        bench = Bench(ledger, raw)
        for size in sizes:
            number = -(-messages // size) * size
            rounds = [bench.measure(size, number) for _ in range(ROUNDS)]
            yield Cost(size, {verb: min(each[verb] for each in rounds) for verb in rounds[0]})


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=5_000, help="of each round [5000]")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="messages a call [1 5 16 50 200]")
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = parser.parse_args()
    found = []
    for cost in costs(asked.sizes, asked.messages):
        found.append(cost)
        if not asked.json:
            parts = "".join(f"{verb} {used:6.1f}   " for verb, used in cost.verbs.items())
            print(f"{cost.size:4} a call: {cost.together:6.1f} us a message: {parts}", flush=True)
    if asked.json:
        print(json.dumps([{"size": cost.size, "us_a_message": cost.verbs} for cost in found]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
