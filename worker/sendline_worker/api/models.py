"""What goes in and out, as the OpenAPI document describes it, with examples.

Messages are checked by the same code as `Producer.send()` and written by hand (rendering.py), for speed;
tests hold both to these models.
"""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.json_schema import models_json_schema

from sendline.contract.draft import MAX_KEY, MAX_METADATA, MAX_METADATA_KEY, MAX_METADATA_VALUE, MAX_TEXT
from sendline.contract.endpoints import MAX_URL
from sendline.contract.lane import Lane, OnUncertain
from sendline.contract.status import Status

MESSAGE_ID: Final = "019aab1c-24d4-7c32-9de0-0d6f1e6a4b7a"

NEW_EXAMPLE: Final[dict[str, Any]] = {
    "to": "+13115552367",
    "text": "Your code is 4711",
    "sender": "+13115552368",
    "lane": "urgent",
}
MESSAGE_EXAMPLE: Final[dict[str, Any]] = {
    "id": MESSAGE_ID,
    "status": "created",
    "to": "+13115552367",
    "sender": "+13115552368",
    "lane": "urgent",
    "account": None,
    "route": ["main"],
    "created_at": "2026-11-22T12:00:00.000Z",
    "expires_at": "2026-11-22T12:10:00.000Z",
    "due_at": None,
    "attempts": 0,
    "segments": 1,
    "provider_id": None,
    "error": None,
    "text": "Your code is 4711",
    "on_uncertain": None,
    "cancel_requested": False,
    "callback_url": None,
    "metadata": {},
    "timeline": [{"at": "2026-11-22T12:00:00.000Z", "status": "created", "code": None, "reason": ""}],
    "campaign": None,
    "final": False,
}


class NewMessage(BaseModel):
    """A message to be sent. What is left out, or null, takes its default."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [NEW_EXAMPLE]})

    to: Annotated[
        str,
        Field(min_length=1, max_length=32, description="The recipient's phone number, best in E.164."),
    ]
    text: Annotated[
        str | None,
        Field(
            default=None,
            min_length=1,
            max_length=MAX_TEXT,
            description="What it says; left out where the account carries no text of ours.",
        ),
    ]
    sender: Annotated[
        str | None,
        Field(
            default=None,
            max_length=32,
            description="A phone number, or a sender id of 1 to 11 letters, digits and spaces. Left out: the "
            "first sender of the API key, or the account's own.",
        ),
    ]
    account: Annotated[
        str | None,
        Field(
            default=None, max_length=32, description="The account that shall carry it. Left out: as routed."
        ),
    ]
    lane: Annotated[Lane | None, Field(default=None, description="The waiting line. Left out: normal.")]
    idempotency_key: Annotated[
        str | None,
        Field(
            default=None,
            min_length=1,
            max_length=MAX_KEY,
            pattern=r"^[\x20-\x7e]+$",
            description="The same key again, with the same content, brings the first message again. "
            "Instead of the header Idempotency-Key.",
        ),
    ]
    not_before: Annotated[
        datetime | None, Field(default=None, description="Not sent before this instant, with its time zone.")
    ]
    valid_for: Annotated[
        float | None,
        Field(
            default=None,
            ge=1,
            le=30 * 86_400,
            description="Seconds after which it is not worth sending any more. Left out: 72 hours, and 10 "
            "minutes if urgent.",
        ),
    ]
    on_uncertain: Annotated[
        OnUncertain | None,
        Field(default=None, description="What to do when nobody knows whether the provider took it."),
    ]
    callback_url: Annotated[
        str | None,
        Field(
            default=None,
            max_length=MAX_URL,
            description="An https or http URL that is told of every change.",
        ),
    ]
    metadata: Annotated[
        dict[
            Annotated[str, Field(min_length=1, max_length=MAX_METADATA_KEY)],
            Annotated[str, Field(max_length=MAX_METADATA_VALUE)],
        ]
        | None,
        Field(default=None, max_length=MAX_METADATA, description="Texts of yours that come back with it."),
    ]


class TimelineEntry(BaseModel):
    """One change of a message."""

    at: datetime
    status: Status
    code: str | None = Field(description="One of Sendline's error codes, or null.")
    reason: str = Field(description="In words; never a text or a number.")


class Message(BaseModel):
    """A message as the ledger holds it."""

    model_config = ConfigDict(json_schema_extra={"examples": [MESSAGE_EXAMPLE]})

    id: str = Field(description="UUIDv7: ids sort by the time they were made.")
    status: Status
    to: str
    sender: str | None
    lane: Lane
    account: str | None = Field(description="The account that carries it, once that is known.")
    route: list[str] = Field(description="The accounts that may carry it, in order.")
    created_at: datetime
    expires_at: datetime | None = Field(description="It is not sent after this. Null once final.")
    due_at: datetime | None = Field(
        description="Waiting: not sent before. Sent or uncertain: final from then on."
    )
    attempts: int = Field(description="Calls to a provider that count.")
    segments: int = Field(description="SMS that the text takes.")
    provider_id: str | None
    error: str | None = Field(description="Why it failed, was not delivered, or waits.")
    text: str | None = Field(description="Null once it is not needed any more: erased when sent or final.")
    on_uncertain: OnUncertain | None
    cancel_requested: bool
    callback_url: str | None
    metadata: dict[str, str]
    timeline: list[TimelineEntry]
    campaign: str | None
    final: bool = Field(description="Whether its status will not change any more by itself.")


Told = Annotated[dict[str, Any], WithJsonSchema({"$ref": "#/components/schemas/Problem"})]
"""A problem in an answer."""


class Page(BaseModel):
    """Messages, the newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"messages": [MESSAGE_EXAMPLE], "next": None}]})

    messages: list[Message]
    next: str | None = Field(
        description="The `cursor` that brings what follows; null: nothing does. A page may hold fewer "
        "messages than asked for, even none, and have one."
    )


class Canceled(BaseModel):
    """What of a canceled message a key is told that may not read."""

    id: str
    status: Status
    cancel_requested: bool


class Result(BaseModel):
    """What became of one message of a request: `message` where it was accepted, `problem` otherwise."""

    status: int = Field(description="202, or the status of the problem.")
    message: Message | None = Field(default=None)
    problem: Told | None = Field(default=None)


class Results(BaseModel):
    """What became of each message of a request, in its order."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"results": [{"status": 202, "message": MESSAGE_EXAMPLE}]}]}
    )

    results: list[Result]


class Change(BaseModel):
    """A change of a message's status: the `data` of an event."""

    message_id: str
    status: Status
    at: datetime
    error: str | None = Field(description="Why it failed, was not delivered, or waits.")
    reason: str
    campaign: str | None


class Health(BaseModel):
    """That all is well."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ok"}]})

    status: Literal["ok"]


def schemas() -> dict[str, Any]:
    """Return the schemas of what no route's signature names, by their names."""
    _, found = models_json_schema(
        [
            (NewMessage, "validation"),
            (Results, "serialization"),
            (Message, "serialization"),
            (Change, "serialization"),
        ],
        ref_template="#/components/schemas/{model}",
    )
    defined: dict[str, Any] = found["$defs"]
    return defined
