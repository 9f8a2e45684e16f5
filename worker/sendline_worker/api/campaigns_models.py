"""Campaigns as requests and answers have them, with examples."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from sendline.campaigns.spec import GREATEST_WEIGHT, LEAST_OVER, LEAST_WEIGHT, MOST_OVER
from sendline.campaigns.templates import MAX_SOURCE
from sendline.contract.campaign import CampaignState
from sendline.contract.endpoints import MAX_URL
from sendline.contract.status import Status

SPEC_EXAMPLE: Final[dict[str, Any]] = {
    "text": "Hi {{ name }}, your table is free tonight.",
    "sender": "+13115552368",
    "window": "09:00-20:00",
}
CAMPAIGN_EXAMPLE: Final[dict[str, Any]] = {
    "name": "black-friday",
    "owner": "shop",
    "state": "created",
    "summary": "created",
    "cause": "",
    "total": 998,
    "waiting": 998,
    "on_the_wire": 0,
    "failed": 0,
    "imported": {
        "rows": 1000,
        "accepted": 998,
        "rejected": 1,
        "duplicates": 1,
        "complete": True,
        "line": 1001,
    },
    "statuses": {**dict.fromkeys(Status, 0), "created": 998},
    "errors": {},
    "created_at": "2026-11-22T12:00:00.000Z",
    "start_at": None,
    "started_at": None,
    "ends_at": None,
    "ended_at": None,
}
_WHOLE_EXAMPLE: Final = {
    **CAMPAIGN_EXAMPLE,
    "spec": {
        "name": "black-friday",
        "text": "Hi {{ name }}, your table is free tonight.",
        "variables": ["name"],
        "sender": "+13115552368",
        "valid_for": 259200.0,
        "window": "09:00-20:00",
        "keep_duplicates": False,
        "pause_over": 200,
    },
    "estimate": None,
}


class NewCampaign(BaseModel):
    """What a campaign sends, and how. What is left out, or null, takes its default."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [SPEC_EXAMPLE]})

    text: str = Field(
        min_length=1,
        max_length=MAX_SOURCE,
        description="A template: `Hi {{ name }}`; its variables are the columns of the recipients.",
    )
    sender: str | None = Field(
        default=None,
        max_length=32,
        description="A phone number or a sender id. Left out: the first sender of the API key, or the "
        "account's own; a column `sender` overrides it.",
    )
    account: str | None = Field(
        default=None, max_length=32, description="The account that shall carry it. Left out: as routed."
    )
    valid_for: float | None = Field(
        default=None,
        ge=1,
        le=30 * 86_400,
        description="Seconds from its start, after which what is left is not sent. Left out: 72 hours.",
    )
    on_uncertain: Literal["hold", "resend"] | None = Field(
        default=None, description="What to do when nobody knows whether the provider took a message."
    )
    callback_url: str | None = Field(
        default=None, max_length=MAX_URL, description="An https or http URL that is told of every change."
    )
    window: str | None = Field(
        default=None,
        max_length=200,
        description="Local hours of the recipient: `09:00-20:00`, `Mon-Fri 09:00-20:00`.",
    )
    default_zone: str | None = Field(
        default=None,
        max_length=64,
        description="The time zone of recipients whose number leaves it open; with a window only.",
    )
    keep_duplicates: bool = Field(
        default=False, description="Send to a recipient as often as the file names it."
    )
    pause_at: float | str | None = Field(
        default=None,
        description='The part of failures (0.2 or "20%") among the last `pause_over` outcomes at which it '
        "pauses by itself.",
    )
    pause_over: int = Field(default=200, ge=LEAST_OVER, le=MOST_OVER, description="Outcomes.")
    price: Annotated[str, Field(max_length=32)] | float | None = Field(
        default=None, description="Of one segment, in whatever currency: 0 to 1000."
    )
    weight: float = Field(
        default=1.0,
        ge=LEAST_WEIGHT,
        le=GREATEST_WEIGHT,
        description="What it gets of an account that carries several.",
    )


class Imported(BaseModel):
    """What became of the rows: rows = accepted + rejected + duplicates."""

    rows: int
    accepted: int
    rejected: int
    duplicates: int
    complete: bool = Field(description="Whether all of the file was imported.")
    line: int = Field(description="The last line that is done with.")


class Campaign(BaseModel):
    """A campaign at one instant: the counts of `statuses` add up to `imported.accepted`."""

    model_config = ConfigDict(json_schema_extra={"examples": [CAMPAIGN_EXAMPLE]})

    name: str
    owner: str | None = Field(description="The name of the API key that founded it; null: an app did.")
    state: CampaignState
    summary: str = Field(description="Where it stands, in a few words.")
    cause: str = Field(description="Why it is paused.")
    total: int
    waiting: int
    on_the_wire: int
    failed: int
    imported: Imported
    statuses: dict[Status, int]
    errors: dict[str, int] = Field(description="How many messages failed, by error code.")
    created_at: datetime | None
    start_at: datetime | None = Field(description="When it starts by itself.")
    started_at: datetime | None
    ends_at: datetime | None = Field(description="When what is left of it expires.")
    ended_at: datetime | None


class Estimate(BaseModel):
    """About when what waits of it will have gone."""

    done_about: datetime | None = Field(description="Null: it can't be said.")
    because: str | None = Field(description="What that depends on; told to admins.")


class WholeCampaign(Campaign):
    """A campaign, with what it sends."""

    model_config = ConfigDict(json_schema_extra={"examples": [_WHOLE_EXAMPLE]})

    spec: dict[str, Any] = Field(description="What it sends, and how; defaults that are none are left out.")
    estimate: Estimate | None = Field(
        description="Where `estimate=true` asks for it, and something of it waits to go."
    )


class Campaigns(BaseModel):
    """Campaigns, the newest first."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"campaigns": [CAMPAIGN_EXAMPLE], "next": None}]}
    )

    campaigns: list[Campaign]
    next: str | None = Field(
        description="The `cursor` that brings what follows; null: nothing does. A page may hold fewer "
        "campaigns than asked for, even none, and have one."
    )


class Reject(BaseModel):
    """A row that is not sent to."""

    line: int
    reason: str = Field(description="In words; nothing of the row.")


class Uploaded(BaseModel):
    """What an upload has brought."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "campaign": CAMPAIGN_EXAMPLE,
                    "suppressed": 0,
                    "rejects": [{"line": 17, "reason": "to: is too short; write it as +13115552367"}],
                }
            ]
        }
    )

    campaign: Campaign
    suppressed: int = Field(description="Recipients among the accepted who have opted out: they get nothing.")
    rejects: list[Reject] = Field(description="The first rows that are not sent to: 20 at most.")
