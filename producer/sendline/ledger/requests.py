"""The verb about requests for many messages at once: what an idempotency key of one stands for."""

from hashlib import blake2b

from sendline.ledger.call import Call
from sendline.ledger.limits import Limits
from sendline.ledger.record import digest
from sendline.ledger.scripts import script


def remember(limits: Limits, key: str, first_id: bytes, content: bytes) -> Call[bool]:
    """Remember that `key` stands for the request `content`, whose first message has the id `first_id`.

    False where it stands for another request, or for a message, within the time for which keys are kept. The
    same again is the same call again.
    """
    arguments = [limits.packed, digest(key), first_id, blake2b(content, digest_size=8).digest()]
    return Call(script("remember"), arguments, lambda reply: int(reply) == 1)
