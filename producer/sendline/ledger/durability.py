"""Whether the server keeps what it accepts: under `durability = "disk"` every reply follows its fsync."""

from dataclasses import dataclass
from typing import Any

from sendline.contract.errors import LedgerRefused
from sendline.ledger.call import Call


@dataclass(frozen=True, slots=True)
class Persistence:
    """What the server says of its append-only file."""

    appendonly: str
    appendfsync: str

    @property
    def on_disk(self) -> bool:
        """Whether every reply follows the fsync of what it reports."""
        return self.appendonly == "yes" and self.appendfsync == "always"


def ping() -> Call[None]:
    """Reach the server, no more."""
    return Call("PING", [], lambda _: None)


def persistence() -> Call[Persistence]:
    """Read how the server keeps what it accepts."""

    def read(reply: Any) -> Persistence:
        found = {name.decode(): value.decode() for name, value in zip(reply[::2], reply[1::2], strict=True)}
        return Persistence(found.get("appendonly", "?"), found.get("appendfsync", "?"))

    return Call("CONFIG", ["GET", "append*"], read)


def demand(found: Persistence) -> None:
    """Raise LedgerRefused where the server can't keep what durability "disk" promises."""
    if not found.on_disk:
        raise LedgerRefused(
            f'durability is "disk", but this Redis has appendonly {found.appendonly} and appendfsync '
            f'{found.appendfsync}: set "appendonly yes" and "appendfsync always" there, or '
            'durability = "memory" here if losing messages with the server is acceptable'
        )
