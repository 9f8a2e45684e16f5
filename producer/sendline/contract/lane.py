"""The three waiting lines of a route, and what to do with a message whose fate is uncertain."""

from enum import StrEnum
from typing import Final


class Lane(StrEnum):
    """The waiting line of a route. Earlier ones go first."""

    URGENT = "urgent"
    """One-time codes and the like: valid for ten minutes, re-sent when uncertain, by default."""
    NORMAL = "normal"
    """Most messages."""
    BULK = "bulk"
    """Campaigns."""


class OnUncertain(StrEnum):
    """What becomes of a message that the provider may or may not have accepted."""

    HOLD = "hold"
    """Never sent twice: it stays `uncertain` until a receipt, a look-up, a person or its deadline."""
    RESEND = "resend"
    """Sent again; the recipient may get it twice."""


LANE_CODES: Final[dict[Lane, int]] = {lane: code for code, lane in enumerate(Lane)}
"""The number of each lane in records. Part of the stored format: append, never renumber."""
