"""A message that came in: what somebody wrote to one of our numbers."""

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from sendline.contract.keywords import Keyword
from sendline.contract.message import stamp


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """One SMS that a provider brought us, once, however often it did."""

    seq: int
    """Its number among what came in; pass it as `after` to go on behind it."""
    account: str
    """The account whose provider brought it."""
    sender: str = field(repr=False)
    """Who wrote: E.164, or as the provider told it where that is no number."""
    to: str = field(repr=False)
    """The number of ours that was written to."""
    text: str = field(repr=False)
    at: datetime
    """When it came in, by the ledger's clock."""
    keyword: Keyword | None
    """What it asks for; None where it is no keyword."""
    provider_id: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {**asdict(self), "at": stamp(self.at)}
