"""The ids the simulator gives: random to look at, and each names its log entry, so no index is kept."""

import hashlib
import os
from uuid import UUID

_MASK = (1 << 48) - 1
_STRIDE = 0x9E37_79B9_7F4B
"""Odd, so that multiplying by it modulo 2^48 can be undone."""
_BACK = pow(_STRIDE, -1, 1 << 48)
_VARIANT = (0x4 << 76) | (0x2 << 62)
_VARIANT_BITS = (0xF << 76) | (0x3 << 62)


class Ids:
    """The ids of one run; no two runs share any, whatever their seed."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Begin a new run: ids given before are unknown from now on."""
        self._run = os.urandom(16)
        self._offset = int.from_bytes(os.urandom(6), "big")

    def of(self, n: int) -> str:
        """Return the UUID of entry `n`."""
        tail = (n * _STRIDE + self._offset) & _MASK
        head = hashlib.blake2b(tail.to_bytes(6, "big"), digest_size=10, key=self._run).digest()
        value = (int.from_bytes(head, "big") << 48) | tail
        return str(UUID(int=(value & ~_VARIANT_BITS) | _VARIANT))

    def number(self, text: str) -> int | None:
        """Return the entry that `text` names, or None where this run never gave it."""
        try:
            tail = UUID(text).int & _MASK
        except ValueError:
            return None
        n = ((tail - self._offset) * _BACK) & _MASK
        return n if self.of(n) == text.lower() else None
