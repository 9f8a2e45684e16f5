"""The verbs about messages in doubt: asking their providers; which are uncertain, and a person's decision."""

from collections.abc import Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, Final, Literal

from sendline.ledger.call import Call
from sendline.ledger.keys import KEYS
from sendline.ledger.limits import Limits
from sendline.ledger.record import Record, short
from sendline.ledger.scripts import script

SCANNED: Final = 1000
"""Messages that one step reads."""

Decision = Literal["resend", "fail"]
Decided = Literal["decided", "settled", "over", "expired", "canceled", "unknown"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A message whose provider shall be asked about it now: uncertain, or sent, and its receipt is late."""

    message_id: bytes
    record: Record


def inquire(limits: Limits, accounts: Sequence[str]) -> Call[list[Asked]]:
    """Take what `accounts` shall be asked about now: at most one each, and a token of its rate."""

    def read(reply: Any) -> list[Asked]:
        return [Asked(message_id, Record(raw)) for message_id, raw in reply]

    return Call(script("inquire"), [limits.packed, *accounts], read)


def decide(
    limits: Limits, decision: Decision, message_ids: Sequence[bytes], reason: str
) -> Call[list[Decided]]:
    """Let a person's decision hold for uncertain messages; return what became of it for each."""
    return Call(
        script("decide"),
        [limits.packed, decision, short(reason), token_hex(8), *message_ids],
        lambda reply: [word.decode() for word in reply],
    )


def uncertain(cursor: int) -> Call[tuple[int, list[bytes]]]:
    """Read the ids of some uncertain messages, and the cursor of the next ones: 0 at the end."""
    return Call(
        "ZSCAN",
        [KEYS["uncertain"], cursor, "COUNT", SCANNED],
        lambda reply: (int(reply[0]), list(reply[1][::2])),
    )
