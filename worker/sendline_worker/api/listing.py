"""Reading messages: one by its id, or those that are looked for, page by page."""

from typing import Annotated, Any, Final

from fastapi import Path, Query
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from sendline.contract.draft import MAX_CAMPAIGN
from sendline.contract.errors import InvalidMessage
from sendline.contract.status import Status
from sendline_worker.api.auth import Reading
from sendline_worker.api.context import Here
from sendline_worker.api.documented import answers
from sendline_worker.api.models import MESSAGE_ID, Message, Page
from sendline_worker.api.owning import own_message
from sendline_worker.api.problems import refuse
from sendline_worker.api.rendering import json_response, told_of
from sendline_worker.api.routing import router as make_router
from sendline_worker.api.sending import NO_TIME, looks_like_a_time

NOON: Final = "2026-11-22T12:00:00Z"
LIMIT, LIMIT_MOST = 50, 200
"""Messages of a page."""
_NAMES: Final = {"after": "created_after", "before": "created_before"}
"""What the search calls its fields, and a request."""

router = make_router("messages")


def _written_as_time(given: Any) -> Any:
    if not looks_like_a_time(given):  # pydantic takes numbers, too
        raise PydanticCustomError("time", NO_TIME)
    return given


Instant = Annotated[
    AwareDatetime,
    BeforeValidator(_written_as_time),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
MessageId = Annotated[str, Path(description="The id of a message.", examples=[MESSAGE_ID])]


class Wanted(BaseModel):
    """What messages are looked for by."""

    model_config = ConfigDict(extra="forbid")

    status: Status | None = Field(None, description="Those that stand so now.")
    campaign: str | None = Field(
        None, max_length=MAX_CAMPAIGN, description="Those of this campaign.", examples=["black-friday"]
    )
    to: str | None = Field(
        None, max_length=32, description="Those to this number; write + as %2B.", examples=["+13115552367"]
    )
    created_after: Instant | None = Field(
        None, description="Those accepted then or later: a time with its zone.", examples=[NOON]
    )
    created_before: Instant | None = Field(None, description="Those accepted earlier.", examples=[NOON])
    limit: int = Field(LIMIT, ge=1, le=LIMIT_MOST, description="Messages of the page, at most.")
    cursor: str | None = Field(
        None, max_length=200, description="`next` of the page before; with the same filters."
    )


@router.get("/v1/messages", summary="Look for messages", operation_id="listMessages", response_model=Page)
async def list_messages(wanted: Annotated[Wanted, Query()], caller: Reading, here: Here) -> Any:
    """Return messages, the newest first, a page at a time: what the key's name has sent; to an admin, all."""
    try:
        page = await here.producer.find_page(
            status=wanted.status,
            campaign=wanted.campaign,
            to=_with_plus(wanted.to),
            after=wanted.created_after,
            before=wanted.created_before,
            owner=caller.owner,
            limit=wanted.limit,
            cursor=wanted.cursor,
        )
    except InvalidMessage as error:
        field = _NAMES.get(error.field, error.field)
        raise refuse("invalid-request", error.problem, field) from None
    return json_response({"messages": list(map(told_of, page.messages)), "next": page.next})


@router.get(
    "/v1/messages/{message_id}",
    summary="Read a message",
    operation_id="getMessage",
    response_model=Message,
    responses=answers(404),
)
async def get_message(message_id: MessageId, caller: Reading, here: Here) -> Any:
    """Return a message as it stands, with its timeline."""
    return json_response(told_of(await own_message(here, caller, message_id)))


def _with_plus(number: str | None) -> str | None:
    """Return a number whose + was not escaped, and so came as a space, as it was meant."""
    return f"+{number[1:]}" if number and number.startswith(" ") else number
