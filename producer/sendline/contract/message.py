"""A message as its sender sees it: where it stands, and how it came there."""

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from sendline.contract.codes import ErrorCode
from sendline.contract.lane import Lane, OnUncertain
from sendline.contract.status import FINAL, Status


def instant(milliseconds: float) -> datetime:
    """Return the UTC time `milliseconds` after the epoch."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One change of a message: when, to what, and why. Times are the ledger's clock."""

    at: datetime
    status: Status
    code: ErrorCode | str | None = None
    """One of Sendline's error codes, or a text that a newer release wrote."""
    reason: str = ""
    """A person's words: the provider's answer in short, the account. Never text or numbers."""


@dataclass(frozen=True, slots=True)
class Message:
    """One SMS to one recipient, as the ledger held it when it was read."""

    id: str
    """UUIDv7: ids sort by the time they were made."""
    status: Status
    to: str = field(repr=False)
    """The recipient, E.164."""
    sender: str | None = field(repr=False)
    """The sender; None: the account's own."""
    lane: Lane
    account: str | None
    """The account that a worker bound it to, or that it named itself; None before."""
    route: tuple[str, ...]
    """The accounts that may carry it. Empty: no account was known yet."""
    created_at: datetime
    expires_at: datetime | None
    """The end of its validity: it is not sent after. None once final."""
    due_at: datetime | None
    """Waiting: not sent before. `sent` or `uncertain`: final from then on."""
    attempts: int
    """Calls to a provider that count: pauses of the account and hand-backs don't."""
    segments: int
    """SMS that the text takes; 0 where the account carries no text of ours."""
    provider_id: str | None
    error: ErrorCode | str | None
    """Why it failed, was not delivered, or waits; None when all is well."""
    text: str | None = field(repr=False)
    """None once it is not needed any more: erased when sent or final."""
    on_uncertain: OnUncertain | None
    """What the message itself asks for; None: the account's or the lane's policy."""
    cancel_requested: bool
    callback_url: str | None
    metadata: dict[str, str]
    timeline: tuple[TimelineEntry, ...]
    campaign: str | None = None
    """The campaign that it belongs to; None: it stands alone."""

    @property
    def final(self) -> bool:
        """Whether its status will not change any more by itself."""
        return is_final(self.status, self.due_at)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types: what `--json` prints."""
        plain = asdict(self)
        for name in ("created_at", "expires_at", "due_at"):
            plain[name] = stamp(plain[name])
        plain["route"] = list(self.route)
        plain["final"] = self.final
        plain["timeline"] = [
            {"at": stamp(entry.at), "status": entry.status, "code": entry.code, "reason": entry.reason}
            for entry in self.timeline
        ]
        return plain


def is_final(status: Status, due_at: datetime | None) -> bool:
    """Return whether a message of this status will not change any more by itself; see Message.due_at."""
    if status in FINAL:
        return True
    if status not in (Status.SENT, Status.UNCERTAIN):
        return False
    return due_at is None or due_at <= datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Event:
    """One recorded change of one message's status."""

    seq: int
    """Its number in the ledger; pass it as `after` to go on behind it."""
    message_id: str
    status: Status
    at: datetime
    code: ErrorCode | str | None = None
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        plain = asdict(self)
        plain["at"] = stamp(self.at)
        return plain


def stamp(at: datetime | None) -> str | None:
    """Return `at` as ISO 8601 with milliseconds and Z, or None."""
    if at is None:
        return None
    utc = at if at.tzinfo is UTC else at.astimezone(UTC)
    return utc.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
