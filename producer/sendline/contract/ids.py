"""Message ids: UUIDv7, so that ids sort by the time they were made."""

from uuid import UUID

from uuid_utils import uuid7


def new_id() -> bytes:
    """Return the 16 bytes of a new UUIDv7; later ids of one process compare greater."""
    return uuid7().bytes


def time_of(raw: bytes) -> int:
    """Return when the id of these 16 bytes was made: milliseconds since the epoch."""
    return int.from_bytes(raw[:6], "big")


def to_text(raw: bytes) -> str:
    """Return the usual 36-character form of the 16 bytes `raw`."""
    digits = raw.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def to_bytes(text: str) -> bytes | None:
    """Return the 16 bytes behind `text`, or None where `text` is no UUID."""
    try:
        return UUID(text).bytes
    except (ValueError, AttributeError, TypeError):
        return None
