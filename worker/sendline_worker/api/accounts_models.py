"""Accounts, suppressions and what was erased, as requests and answers have them, with examples."""

from datetime import datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from sendline.contract.lane import Lane

_LIMITS: Final = {
    "rate": 20.0,
    "burst": 2,
    "in_flight": None,
    "daily_cap": None,
    "sender_rate": None,
    "sender_burst": None,
    "sender_daily_cap": None,
}
ACCOUNT_EXAMPLE: Final[dict[str, Any]] = {
    "name": "main",
    "provider": "acme",
    "state": "open",
    "paused_by": None,
    "cause": None,
    "why": None,
    "until": None,
    "again_in": 0,
    "rate": 20.0,
    "rate_configured": 20.0,
    "rate_in_force": 20.0,
    "rate_in_use": 3.5,
    "unit": "messages",
    "in_flight": None,
    "sending": 1,
    "breaker": "closed",
    "daily_cap": None,
    "used_today": None,
    "day_ends": None,
    "limits": _LIMITS,
    "adjusted": {},
    "waiting": dict.fromkeys(Lane, 0),
    "oldest": dict.fromkeys(Lane),
    "oldest_waiting": None,
}


class Adjusted(BaseModel):
    """A limit that a person has adjusted; null: no bound."""

    in_force: float | None
    configured: float | None


class Account(BaseModel):
    """How an account stands: what `sendline accounts --json` tells."""

    model_config = ConfigDict(json_schema_extra={"examples": [ACCOUNT_EXAMPLE]})

    name: str
    provider: str | None
    state: str = Field(description="In a word: open, at_rate, full, paused, stopped, broken, ...")
    paused_by: str | None
    cause: str | None
    why: str | None = Field(description="What holds it up, in a sentence.")
    until: datetime | None
    again_in: float = Field(description="Seconds until it goes on by itself.")
    rate: float | None = Field(description="Units a second that it is limited to.")
    rate_configured: float | None
    rate_in_force: float = Field(description="Less after the provider asked to slow down; 0: nothing goes.")
    rate_in_use: float
    unit: str = Field(description="What its limits count: messages or segments.")
    in_flight: int | None
    sending: int = Field(description="Calls under way.")
    breaker: Literal["closed", "open", "half-open"]
    daily_cap: int | None
    used_today: int | None
    day_ends: datetime | None
    limits: dict[str, float | None] = Field(description="Those in force; null: no bound.")
    adjusted: dict[str, Adjusted] = Field(description="Those that a person has adjusted.")
    waiting: dict[Lane, int] = Field(description="Messages that may go by it, by lane.")
    oldest: dict[Lane, float | None] = Field(description="Seconds since the oldest of them was accepted.")
    oldest_waiting: float | None


class Line(BaseModel):
    """Messages that wait in one row of one line."""

    lane: Lane
    route: list[str]
    row: str | None
    waiting: int


class WaitingCampaign(BaseModel):
    """What waits of one campaign in one line."""

    campaign: str | None
    accounts: list[str]
    waiting: int
    weight: float
    done_about: datetime | None
    because: str


class Accounts(BaseModel):
    """How the accounts stand, and what waits for them."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "accounts": [ACCOUNT_EXAMPLE],
                    "lines": [],
                    "lines_whole": True,
                    "campaigns": [],
                    "worker_running": True,
                }
            ]
        }
    )

    accounts: list[Account]
    lines: list[Line]
    lines_whole: bool = Field(description="Whether `lines` holds all; else more waits than is told.")
    campaigns: list[WaitingCampaign]
    worker_running: bool


class Changes(BaseModel):
    """Limits to be in force from now on. Null takes an adjustment back; 0 lifts one, where that can be."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"rate": 10, "daily_cap": None}]}
    )

    rate: float | None = Field(default=None, description="Messages (or segments) a second.")
    burst: int | None = Field(default=None, description="What may go at once after a pause.")
    in_flight: int | None = Field(default=None, description="Calls at the same time; 0: no bound.")
    daily_cap: int | None = Field(default=None, description="What it sends in a day; 0: no bound.")
    sender_rate: float | None = Field(default=None, description="A second from each sender; 0: no bound.")
    sender_burst: int | None = Field(default=None, description="At once from each sender.")
    sender_daily_cap: int | None = Field(default=None, description="In a day from each sender; 0: no bound.")


SUPPRESSION_EXAMPLE: Final[dict[str, Any]] = {
    "number": "+13115552367",
    "since": "2026-11-22T12:00:00.000Z",
    "why": "inbound",
    "account": "main",
}


class Suppression(BaseModel):
    """A number to which nothing is sent."""

    model_config = ConfigDict(json_schema_extra={"examples": [SUPPRESSION_EXAMPLE]})

    number: str
    since: datetime
    why: str = Field(description="`inbound`: it answered with a stop word. Else what a person said.")
    account: str | None = Field(description="The account by which it answered.")


class Suppressions(BaseModel):
    """Some of the numbers to which nothing is sent, in no order."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"suppressions": [SUPPRESSION_EXAMPLE], "number": 1, "next": None}]}
    )

    suppressions: list[Suppression]
    number: int = Field(description="How many there are on the whole list.")
    next: str | None = Field(
        description="The `cursor` that brings what follows; null: nothing does. A number that comes or goes "
        "meanwhile may be told or not, and one may be told twice."
    )


class Erased(BaseModel):
    """How much was erased of one number. Ids, statuses and counts of messages stay: they name nobody."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "messages": 12,
                    "canceled": 1,
                    "under_way": 0,
                    "inbound": 2,
                    "rejected": 0,
                    "opted_out": True,
                    "spooled": 0,
                    "spool_left": 0,
                }
            ]
        }
    )

    messages: int = Field(description="Messages to it.")
    canceled: int = Field(description="Of these, how many had waited: they are not sent any more.")
    under_way: int = Field(description="Of these, how many a provider may have.")
    inbound: int = Field(description="Messages that it wrote to us.")
    rejected: int = Field(description="Unreadable requests of providers that held it.")
    opted_out: bool = Field(description="Whether it was taken off the suppression list.")
    spooled: int = Field(description="Messages to it that were taken out of the spool of the API's machine.")
    spool_left: int = Field(description="Files of that spool that may hold it still.")
