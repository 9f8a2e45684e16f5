"""One call to the ledger, as data: the sync and the async connection both run it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sendline.ledger.replies import ErrorReply, is_full
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
        """Return the command as it goes over the wire, a script named by the function that the server keeps.

        `seen` is what the caller has seen of the ledger (see lineage.py).
        """
        if isinstance(self.target, Script):
            return ("FCALL", self.target.function, b"0", *self._told(seen))
        return (self.target, *self.arguments)

    def loading(self) -> tuple[Argument, ...]:
        """Return the command by which a server learns the function that it does not know yet."""
        return ("FUNCTION", "LOAD", self.target.library if isinstance(self.target, Script) else "")

    def again(self, loaded: Any, seen: bytes) -> tuple[Argument, ...]:
        """Return the command that follows `loading`, which was answered by `loaded`.

        Raises ErrorReply where the server refuses functions; but it may still answer what only reads.
        """
        if not isinstance(loaded, ErrorReply) or str(loaded).endswith("already exists"):
            return self.command(seen)
        if self._is_alone or is_full(loaded):
            return self.unkept(seen)
        raise loaded

    def unkept(self, seen: bytes) -> tuple[Argument, ...]:
        """Return the call with the script's text, for a server that has no memory left, or takes no writes.

        It keeps no function then, and calls none that may write; what only has to look is answered this way,
        such as a message that was accepted before.
        """
        if isinstance(self.target, Script):
            return ("EVAL", self.target.unkept, b"0", *self._told(seen))
        return self.command(seen)

    def answer(self, reply: Any, lineage: "Lineage") -> T:
        """Return what the caller wants of `reply`; `lineage` learns how far the ledger has come."""
        tells = isinstance(self.target, Script) and not self._is_alone
        return self.read(lineage.take(reply) if tells else reply)

    @property
    def _is_alone(self) -> bool:
        return isinstance(self.target, Script) and self.target.alone

    def _told(self, seen: bytes) -> tuple[Argument, ...]:
        """Return the arguments of a script, with what its caller has seen."""
        return (*self.arguments,) if self._is_alone else (*self.arguments, seen)
