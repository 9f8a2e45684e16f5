"""How what is kept of a number is erased in memory: as erase.lua and forget.lua do it."""

from typing import TYPE_CHECKING, Any, Final

from sendline.contract.status import FINAL, Status
from sendline.ledger import erasing
from sendline.ledger.erasing import AT_ONCE, BEGINNING, Blanked, Forgotten
from sendline.ledger.record import Flag, Record, pack, unpack
from sendline.producer.erasing import erased, recipient_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sendline.contract.erased import Erased
    from sendline.ledger.limits import Limits
    from sendline.producer.plan import Plan
    from sendline.settings import Settings
    from sendline.testing.entry import Entry
    from sendline.testing.memory import Memory
    from sendline.testing.moves import Moves

_ERASED: Final = "what was kept of its recipient was erased"
_NOTHING, _FINAL, _CANCELED, _UNDER_WAY = range(4)
_SENDER: Final = 1
"""The place of its sender in a packed message that came in."""


def erase(
    settings: "Settings", limits: "Limits", memory: "Memory", number: str, *, keep_opt_out: bool
) -> "Plan[Erased]":
    """Erase all that is kept of a number. Raises InvalidMessage."""
    to = recipient_of(number, settings.default_region)
    with memory.lock:
        theirs = [(entry.created, entry.id) for entry in memory.entries.values() if entry.to == to]
    found = [message_id for _, message_id in sorted(theirs, reverse=True)]
    blanked: list[Blanked] = []
    for first in range(0, len(found), AT_ONCE):
        blanked += yield erasing.erase(limits, to, found[first : first + AT_ONCE])
    forgotten: Forgotten = yield erasing.forget(limits, to, BEGINNING, keep_opt_out=keep_opt_out)
    return erased(blanked, forgotten)


class Erasing:
    """Takes out what is kept of a number."""

    def __init__(self, memory: "Memory", moves: "Moves") -> None:
        """Erase from `memory`, whose lock the caller holds."""
        self._memory, self._moves = memory, moves

    def erase(self, arguments: "Sequence[Any]") -> list[int]:
        """Erase what messages hold of a number; answer as erase.lua does."""
        _, to, *message_ids = arguments
        return [self._erase_one(self._memory.entries.get(each), to) for each in message_ids]

    def _erase_one(self, entry: "Entry | None", to: str) -> int:
        if entry is None or entry.to != to:
            return _NOTHING
        before = entry.state
        if entry.waits:
            entry.set(Flag.CANCEL, on=entry.has(Flag.DOUBTED))
            self._moves.give_up(entry, Status.CANCELED, "", _ERASED)
        elif before in (Status.SENDING, Status.UNCERTAIN):
            entry.set(Flag.CANCEL, on=True)
        _blank(entry)
        if entry.state is Status.CANCELED and before is not Status.CANCELED:
            return _CANCELED
        awaited = entry.state in (Status.SENT, Status.UNCERTAIN)
        is_over = awaited and entry.created + entry.due <= self._memory.now()
        return _FINAL if entry.state in FINAL or is_over else _UNDER_WAY

    def forget(self, arguments: "Sequence[Any]") -> tuple[int, bytes, int, int]:
        """Forget what a number wrote, and that it opted out; answer as forget.lua does."""
        _, number, keeps_opt_out, _ = arguments
        memory, wrote = self._memory, 0
        for place, raw in enumerate(memory.inbound):
            if raw and unpack(raw)[_SENDER].decode() == number:
                memory.inbound[place] = b""
                wrote += 1
        was_listed = number in memory.suppressed and not keeps_opt_out
        if was_listed:
            memory.suppressed.discard(number)
        return wrote, b"", int(was_listed), 0


def _blank(entry: "Entry") -> None:
    owner = None if entry.has(Flag.TEMPLATED) else Record(entry.raw()).owner
    entry.set(Flag.HOOKED, on=False)
    entry.to, entry.text, entry.said = "", "", None
    entry.extras = pack({"owner": owner}) if owner else b""
