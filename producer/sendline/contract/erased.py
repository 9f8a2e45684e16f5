"""What was erased of a number, for a privacy request."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Erased:
    """How much this call erased of one number. Ids, statuses, errors and instants of messages stay."""

    messages: int = 0
    """Messages to it, those below included."""
    canceled: int = 0
    """Of these, how many had waited: they are not sent any more."""
    under_way: int = 0
    """Of these, how many a provider may have: their fate is still followed, without the number."""
    inbound: int = 0
    """Messages that it wrote to us."""
    rejected: int = 0
    """Requests of providers that could not be read and held it."""
    opted_out: bool = False
    """Whether it was taken off the suppression list: who writes to it next should know why that is right."""

    spooled: int = 0
    """Messages to it that were taken out of this machine's spool; those that waited there are canceled, and
    counted above, too."""
    spool_left: int = 0
    """Files of that spool that may hold it and could not be read or changed: a later release wrote them, or
    the disk hinders it."""

    def to_dict(self) -> dict[str, int | bool]:
        """Return plain JSON types."""
        return asdict(self)
