"""One message as the memory keeps it: the fields of a stored record, changed in place."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sendline.contract import ids
from sendline.contract.status import CODES, WAITING, Status
from sendline.ledger.record import FIELDS, VERSION, Flag, Record, pack

if TYPE_CHECKING:
    from sendline.contract.message import Message


@dataclass(slots=True)
class Entry:
    """One message. Times in ms; `due` and `expires` are reckoned from `created`, as in a record."""

    id: bytes
    said: str | None = field(repr=False)
    """What it says. The ledger erases a text that it needs no more; the memory shows it to tests."""
    lane: int
    flags: int
    created: int
    expires: int
    route: str
    account: str
    to: str = field(repr=False)
    sender: str = field(repr=False)
    segments: int
    text: str = field(repr=False)
    extras: bytes = field(repr=False)
    campaign: str
    zones: str = ""
    state: Status = Status.CREATED
    due: int = 0
    attempts: int = 0
    claim: int = 0
    provider_id: bytes = b""
    error: str = ""
    timeline: bytes = b""
    version: int = VERSION

    @property
    def status(self) -> int:
        """Return the stored number of its status."""
        return CODES[self.state]

    @property
    def waits(self) -> bool:
        """Whether it was not sent yet, or is to be sent again."""
        return self.state in WAITING

    @property
    def text_id(self) -> str:
        """Return its id as people see it."""
        return ids.to_text(self.id)

    def has(self, flag: Flag) -> bool:
        """Return whether `flag` is set."""
        return bool(self.flags & flag)

    def set(self, flag: Flag, *, on: bool) -> None:
        """Set `flag`, or take it away."""
        self.flags = self.flags | flag if on else self.flags & ~flag

    def raw(self) -> bytes:
        """Return the record as the ledger stores it."""
        return pack([getattr(self, name) for name in FIELDS])

    def message(self) -> "Message":
        """Return it as a producer hands it out."""
        return Record(self.raw()).message(self.id)
