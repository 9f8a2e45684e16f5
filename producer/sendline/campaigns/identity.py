"""The ids of a campaign's messages: they follow from the campaign and the recipient, and from nothing else.

So a row that is imported once more, after a crash or by a second run, is the very message that is there.
"""

from hashlib import blake2b
from typing import Final

_TIME: Final = 6
"""Bytes of the campaign's own id that tell when it was founded: its messages sort by that, as all do."""


def message_id(own: bytes, to: str, line: int | None = None) -> bytes:
    """Return the id (a UUIDv7) of the message of the campaign `own` (16 bytes) to the recipient `to` (E.164).

    `line` tells apart the messages to one recipient, where a campaign is to send as often as its source
    names one.
    """
    told = to if line is None else f"{to}/{line}"
    raw = bytearray(own[:_TIME] + blake2b(told.encode(), key=own, digest_size=10).digest())
    raw[6] = raw[6] & 0x0F | 0x70  # version 7
    raw[8] = raw[8] & 0x3F | 0x80  # the variant of RFC 9562
    return bytes(raw)


def is_of(own: bytes, message_id: bytes) -> bool:
    """Return whether a message is of the campaign `own`, and not of another one that had its name."""
    return message_id[:_TIME] == own[:_TIME]
