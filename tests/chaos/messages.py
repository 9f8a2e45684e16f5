"""The messages of a run: a pure function of the seed. Each text holds its message's number."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sendline.contract.draft import Fields
from sendline.contract.lane import Lane
from sendline_worker.simulator.behaviours import number_for

ACCOUNTS: Final = ("plain", "traced")
"""Two accounts: in doubt, the first can't be asked; the second takes a callback URL and can be asked."""
BATCHES: Final = {1: 50, 10: 20, 60: 20, 300: 10}
"""Sizes of the calls, by weight; 1 is send(), the rest send_many()."""
SPREAD: Final = 0.85
"""The part of the faults' time over which the messages are sent."""
ODD: Final = (
    "refused", "unavailable", "throttled", "jittery", "duplicate", "reordered", "early", "silent",
    "undelivered", "corrected", "early_undelivered",
)  # fmt: skip
"""How the provider behaves towards a few of the recipients."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One call of send() or send_many()."""

    numbers: range
    due: float
    """Seconds after the beginning."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """All messages of a run: `total` of them, numbered from 0, sent while faults come for `seconds`."""

    seed: int
    total: int
    seconds: float

    def batches(self) -> Iterator[Batch]:
        """Return the calls in their order."""
        rng = random.Random(f"{self.seed} batches")
        first = 0
        while first < self.total:
            [size] = rng.choices(list(BATCHES), list(BATCHES.values()))
            numbers = range(first, min(first + size, self.total))
            yield Batch(numbers, first / self.total * self.seconds * SPREAD)
            first = numbers.stop

    def message(self, number: int) -> Fields:
        """Return the arguments of send() for message `number`, the same at each call but for times."""
        rng = random.Random(f"{self.seed} message {number}")
        fields: Fields = {
            "to": self._recipient(rng),
            "text": f"Chaos {number}",
            "lane": rng.choices(list(Lane), [1, 5, 14])[0],
            "account": rng.choice([*ACCOUNTS, None]),
            "idempotency_key": f"{self.seed}-{number}",
            "metadata": {"n": str(number)},
        }
        chance = rng.random()
        if chance < 0.03:
            fields["not_before"] = datetime.now(UTC) + timedelta(seconds=rng.uniform(1, 8))
        elif chance < 0.04:
            fields["valid_for"] = rng.uniform(1, 3)
        return fields

    def _recipient(self, rng: random.Random) -> str:
        if rng.random() < 0.02:
            return number_for(rng.choice(ODD), digit=rng.randrange(10))
        return f"+1311555{rng.randrange(9000):04d}"


def number_of(text: str | None) -> int | None:
    """Return the number of the message with this text; None where it is none of ours."""
    word, _, number = (text or "").partition(" ")
    return int(number) if word == "Chaos" and number.isdecimal() else None
