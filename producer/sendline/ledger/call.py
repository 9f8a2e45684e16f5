"""One call to the ledger, as data: the sync and the async connection both run it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sendline.ledger.scripts import Script

if TYPE_CHECKING:
    from sendline.ledger.lineage import Lineage

T = TypeVar("T")

Argument = bytes | str | int | float


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A script or a command with its arguments, and how to read its reply."""

    target: Script | str
    """A script, or the name of a Redis command."""
    arguments: Sequence[Argument] = field(repr=False)
    """May hold texts and numbers: never shown."""
    read: Callable[[Any], T]
    """Turns the server's reply into what the caller wants."""

    def command(self, seen: bytes) -> tuple[Argument, ...]:
        """Return the command as it goes over the wire, the script named by its SHA1.

        `seen` is what the caller has seen of the ledger (see lineage.py).
        """
        if isinstance(self.target, Script):
            return ("EVALSHA", self.target.sha, b"0", *self.arguments, seen)
        return (self.target, *self.arguments)

    def command_with_source(self, seen: bytes) -> tuple[Argument, ...]:
        """Return the same with the script's source, for a server that does not know it yet."""
        if isinstance(self.target, Script):
            return ("EVAL", self.target.source, b"0", *self.arguments, seen)
        return self.command(seen)

    def answer(self, reply: Any, lineage: "Lineage") -> T:
        """Return what the caller wants of `reply`; `lineage` learns how far the ledger has come."""
        return self.read(lineage.take(reply) if isinstance(self.target, Script) else reply)
