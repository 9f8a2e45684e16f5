"""Hex and base64 as they come in headers: each value has one spelling, and nothing is skipped over."""

import binascii
import re
from base64 import b64decode, b64encode
from typing import Final

_HEX: Final = re.compile(rb"(?:[0-9A-Fa-f]{2})+")


def from_hex(text: bytes) -> bytes | None:
    """Return what `text` says in hex, of either case; None where it is none."""
    return bytes.fromhex(text.decode()) if _HEX.fullmatch(text) else None


def from_base64(text: bytes) -> bytes | None:
    """Return what `text` says in base64, with all of its padding or without any; None where it is none."""
    bare = text.rstrip(b"=")
    padded = bare + b"=" * (-len(bare) % 4)
    if not bare or text not in {bare, padded}:
        return None
    try:
        decoded = b64decode(padded, validate=True)
    except binascii.Error:
        return None
    return decoded if b64encode(decoded) == padded else None
