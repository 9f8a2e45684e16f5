"""Whether the server keeps what it accepts: under `durability = "disk"` every reply follows its fsync."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sendline.contract.errors import LedgerRefused
from sendline.ledger.call import Call

if TYPE_CHECKING:
    from sendline.ledger.connection import Ledger


@dataclass(frozen=True, slots=True)
class Persistence:
    """What the server says of its append-only file."""

    appendonly: str
    appendfsync: str
    no_fsync_on_rewrite: bool = False
    """While it rewrites its file, which it does by itself, replies don't wait for the disk."""

    @property
    def on_disk(self) -> bool:
        """Whether every reply follows the fsync of what it reports."""
        return self.appendonly == "yes" and self.appendfsync == "always" and not self.no_fsync_on_rewrite


def ping() -> Call[None]:
    """Reach the server, no more."""
    return Call("PING", [], lambda _: None)


def persistence() -> Call[Persistence]:
    """Read how the server keeps what it accepts. A server may forbid it: see unproven()."""

    def read(reply: Any) -> Persistence:
        found = _texts(reply)
        return Persistence(
            found.get("appendonly", "?"),
            found.get("appendfsync", "?"),
            found.get("no-appendfsync-on-rewrite") == "yes",
        )

    return Call("CONFIG", ["GET", "*append*"], read)


def snapshots() -> Call[str]:
    """Read when the server writes a snapshot of everything, as its `save` says; empty: never."""
    return Call("CONFIG", ["GET", "save"], lambda reply: _texts(reply).get("save", ""))


def demand(found: Persistence) -> None:
    """Raise LedgerRefused where the server can't keep what durability "disk" promises."""
    if found.on_disk:
        return
    if found.appendonly == "yes" and found.appendfsync == "always":
        raise LedgerRefused(
            'durability is "disk", but this Redis has no-appendfsync-on-rewrite yes, so it does not write to '
            'disk while it rewrites its file: set "no-appendfsync-on-rewrite no" there, or '
            'durability = "memory" here if losing messages with the server is acceptable'
        )
    raise LedgerRefused(
        f'durability is "disk", but this Redis has appendonly {found.appendonly} and appendfsync '
        f'{found.appendfsync}: set "appendonly yes" and "appendfsync always" there, or '
        'durability = "memory" here if losing messages with the server is acceptable'
    )


def demand_of(ledger: "Ledger") -> None:
    """Ask the server, and raise LedgerRefused where it can't keep the promise, or does not say.

    Raises LedgerUnavailable where it is away.
    """
    try:
        found = ledger.run(persistence())
    except LedgerRefused as error:
        raise unproven(error) from error
    demand(found)


def unproven(error: LedgerRefused) -> LedgerRefused:
    """Return what it means that the server refuses to answer persistence()."""
    text = str(error)
    if "does not permit" not in text and "unknown command" not in text.lower():
        return error
    return LedgerRefused(
        'durability is "disk", but this Redis does not permit CONFIG GET, so it can\'t show that it keeps '
        'what it accepts: permit "CONFIG GET" to the user of redis_url there, or set durability = "memory" '
        "here if losing messages with the server is acceptable"
    )


def _texts(reply: Any) -> dict[str, str]:
    """Return the settings in the reply of CONFIG GET."""
    return {name.decode(): value.decode() for name, value in zip(reply[::2], reply[1::2], strict=True)}
