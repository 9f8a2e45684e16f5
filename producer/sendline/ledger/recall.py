"""The one way in which records of messages are read, wherever the ledger keeps them."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from sendline.ledger.call import Call
from sendline.ledger.scripts import script

T = TypeVar("T")


def recall(message_ids: Sequence[bytes], read: Callable[[list[bytes | None]], T]) -> Call[T]:
    """Read records of messages, 1 to 5,000 of them, and what `read` makes of them; None: it is not kept."""
    return Call(script("recall"), [*message_ids], read)
