"""A campaign as its owner sees it: what it sends, where it stands, and how its counts add up."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sendline.contract.lane import OnUncertain
from sendline.contract.message import stamp
from sendline.contract.status import Status


class CampaignState(StrEnum):
    """Where a campaign stands. The values are what users see."""

    CREATED = "created"
    """Its recipients are imported, or can be; nothing is sent."""
    SCHEDULED = "scheduled"
    """It starts by itself at a given instant."""
    RUNNING = "running"
    """Its messages go as limits, lanes and windows allow."""
    PAUSED = "paused"
    """Nothing more is sent until a person resumes it; what was on the wire is settled."""
    CANCELED = "canceled"
    """What had not been sent is not sent any more."""
    FINISHED = "finished"
    """Every message is final."""


ENDED: Final = frozenset({CampaignState.CANCELED, CampaignState.FINISHED})

BAD: Final = frozenset({Status.FAILED, Status.UNDELIVERED, Status.EXPIRED})
"""What `retry --failed` tries again, and what counts as a failure."""


@dataclass(frozen=True, slots=True)
class CampaignSpec:
    """What a campaign sends, and how: it never changes. Times in seconds."""

    name: str
    text: str = field(repr=False)
    """A template."""
    variables: tuple[str, ...] = ()
    """Those that the template uses, sorted."""
    sender: str | None = field(default=None, repr=False)
    account: str | None = None
    valid_for: float = 72 * 3600
    """Counted from its start: what has not been sent by then is not sent any more."""
    on_uncertain: OnUncertain | None = None
    callback_url: str | None = None
    window: str | None = None
    """Local hours of the recipient: see sendline.campaigns.windows."""
    default_zone: str | None = None
    """The time zone of numbers whose own can't be told."""
    keep_duplicates: bool = False
    """Send to a recipient as often as the source names it."""
    pause_at: float | None = None
    """It pauses by itself when this part of the last `pause_over` outcomes were failures."""
    pause_over: int = 200
    price: str | None = None
    """Of one segment: a decimal number, in whatever currency."""

    def to_plain(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "CampaignSpec":
        """Return the spec behind `to_plain`; what a newer release wrote besides is passed over."""
        known = {name: plain[name] for name in cls.__dataclass_fields__ if name in plain}
        if "variables" in known:
            known["variables"] = tuple(known["variables"])
        if "on_uncertain" in known:
            known["on_uncertain"] = OnUncertain(known["on_uncertain"])
        return cls(**known)


@dataclass(frozen=True, slots=True)
class Imported:
    """How far the import of a campaign's recipients has come: rows read, and what became of them.

    rows = accepted + rejected + duplicates
    """

    rows: int = 0
    accepted: int = 0
    rejected: int = 0
    duplicates: int = 0
    complete: bool = False
    line: int = 0
    """The last line of the source that is done with."""


@dataclass(frozen=True, slots=True)
class Progress:
    """A campaign at one instant. The counts of `statuses` add up to `imported.accepted`."""

    name: str
    state: CampaignState
    imported: Imported
    statuses: Mapping[Status, int]
    errors: Mapping[str, int]
    """How many messages failed, by Sendline's error code."""
    cause: str = ""
    """Why it is paused."""
    created_at: datetime | None = None
    start_at: datetime | None = None
    """When it is to start by itself."""
    started_at: datetime | None = None
    ends_at: datetime | None = None
    """When what is left of it expires."""
    ended_at: datetime | None = None

    @property
    def total(self) -> int:
        """How many messages it has."""
        return self.imported.accepted

    @property
    def waiting(self) -> int:
        """How many were not sent yet."""
        return self.statuses.get(Status.CREATED, 0) + self.statuses.get(Status.RETRYING, 0)

    @property
    def on_the_wire(self) -> int:
        """How many are being sent right now."""
        return self.statuses.get(Status.SENDING, 0)

    @property
    def failed(self) -> int:
        """How many came to a bad end."""
        return sum(self.statuses.get(status, 0) for status in BAD)

    @property
    def summary(self) -> str:
        """Where it stands, in a few words: "finished, 312 failed"."""
        if self.state is CampaignState.FINISHED and self.failed:
            return f"finished, {self.failed:,} failed"
        if self.state is CampaignState.PAUSED and self.cause:
            return f"paused: {self.cause}"
        return self.state.value

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types: what `--json` prints."""
        return {
            "name": self.name,
            "state": self.state.value,
            "summary": self.summary,
            "cause": self.cause,
            "total": self.total,
            "waiting": self.waiting,
            "on_the_wire": self.on_the_wire,
            "failed": self.failed,
            "imported": asdict(self.imported),
            "statuses": {status.value: self.statuses.get(status, 0) for status in Status},
            "errors": dict(self.errors),
            **{
                name: stamp(getattr(self, name))
                for name in ("created_at", "start_at", "started_at", "ends_at", "ended_at")
            },
        }
