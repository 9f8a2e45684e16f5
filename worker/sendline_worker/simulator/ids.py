"""The ids the simulator gives: random to look at, and each names its log entry, so no index is kept."""

import secrets
from uuid import UUID

_MASK = (1 << 48) - 1
_HEAD = (1 << 72) - 1
_STRIDE = 0x9E37_79B9_7F4B
"""Odd, so that multiplying by it modulo 2^48 can be undone."""
_BACK = pow(_STRIDE, -1, 1 << 48)


class Ids:
    """The ids of one run; no two runs share any, whatever their seed."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Begin a new run: ids given before are unknown from now on."""
        self._run = secrets.randbits(128) | 1
        self._offset = secrets.randbits(48)

    def of(self, n: int) -> str:
        """Return the UUID of entry `n`."""
        tail = (n * _STRIDE + self._offset) & _MASK
        head = f"{tail * self._run >> 48 & _HEAD:018x}"
        return f"{head[:8]}-{head[8:12]}-4{head[12:15]}-a{head[15:]}-{tail:012x}"

    def number(self, text: str) -> int | None:
        """Return the entry that `text` names, or None where this run never gave it."""
        try:
            tail = UUID(text).int & _MASK
        except ValueError:
            return None
        n = ((tail - self._offset) * _BACK) & _MASK
        return n if self.of(n) == text.lower() else None
