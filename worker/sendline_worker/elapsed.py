"""A clock for how long ago something was: it is never set, and goes on while the machine sleeps."""

import time
from typing import Final

_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Where there is no clock that counts a machine's sleep, the one that doesn't."""


def now() -> float:
    """Return seconds since some instant."""
    return time.clock_gettime(_CLOCK)
