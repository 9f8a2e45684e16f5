"""The messages of a run: a pure function of the seed. Each text holds its message's number."""

import random
from typing import Any, Final

from sendline_worker.simulator.behaviours import number_for

ACCOUNTS: Final = ("main", "traced")
"""The first is told by the provider's id at its own URL; the second by a URL with a token of the message."""
BEHAVIOURS: Final = {
    "ordinary": 8, "jittery": 1, "late": 1, "duplicate": 3, "reordered": 3, "early": 3, "silent": 1,
    "sent_only": 2, "undelivered": 2, "corrected": 2, "early_undelivered": 2, "respelled": 3, "astray": 3,
}  # fmt: skip
"""How the provider behaves, by weight."""


def message(seed: int, number: int) -> dict[str, Any]:
    """Return the arguments of send() for message `number`."""
    rng = random.Random(f"{seed} message {number}")
    [behaviour] = rng.choices(list(BEHAVIOURS), list(BEHAVIOURS.values()))
    text = f"Reported {number}"
    return {
        "to": number_for(behaviour, digit=rng.randrange(10)),
        "text": text,
        "account": rng.choice(ACCOUNTS),
        "metadata": {"text": text},
    }
