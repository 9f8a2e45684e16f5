"""Sending messages, one or many with a request, and canceling one."""

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

from fastapi import Request

from sendline.contract.api_key import Scope as KeyScope
from sendline.contract.draft import MAX_KEY
from sendline.contract.message import Message
from sendline.ledger.requests import remember
from sendline_worker.api import rates
from sendline_worker.api.auth import Caller, Sending
from sendline_worker.api.bodies import demand_json, parse_json
from sendline_worker.api.context import Context, Here
from sendline_worker.api.documented import answers
from sendline_worker.api.listing import MessageId
from sendline_worker.api.messages_documented import ACCEPTED, POSTED
from sendline_worker.api.models import MESSAGE_EXAMPLE, Canceled
from sendline_worker.api.models import Message as MessageModel
from sendline_worker.api.owning import own_message
from sendline_worker.api.problems import Problem, refuse
from sendline_worker.api.rendering import json_response, told_of
from sendline_worker.api.routing import router as make_router
from sendline_worker.api.sending import IDEMPOTENCY_KEY, accept_each, check_or_problem, scoped, send_one

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import Scope

    from sendline.contract.draft import Draft

PATH: Final = "/v1/messages"
MOST: Final = 1000
"""Messages of one request."""
SLICE: Final = 100
"""Messages that are checked at a time: some milliseconds."""
_KEY_HEADER: Final = b"idempotency-key"
_REPLAYED: Final = {"Idempotency-Replayed": "true"}

router = make_router("messages")


@router.post(
    PATH,
    summary="Send one message, or up to 1,000",
    operation_id="sendMessages",
    status_code=202,
    responses={**ACCEPTED, **answers(403, 409, 429)},
    openapi_extra=POSTED,
)
async def send_messages(request: Request, caller: Sending, here: Here) -> Any:
    """Accept messages: the answer comes once they are on disk, and from then on none of them is lost.

    The body is one message or an array of up to 1,000, which are accepted or refused one by one: 202 where
    all were accepted, 207 otherwise, with what became of each, in order.
    """
    demand_json(request.scope["headers"])
    return await answer(here, request.scope, caller, await request.body())


ROUTE: Final = router.routes[0]


async def answer(here: Context, scope: "Scope", caller: Caller, body: bytes) -> "Response":
    """Accept what `body` says, and return the answer; raises ProblemError, SendlineError."""
    told, key = parse_json(body), idempotency_key(scope)
    if isinstance(told, list):
        return await _send_many(here, scope, caller, told, key)
    message, replayed = await send_one(here, scope, caller, told, key)
    headers = {"location": f"{PATH}/{message.id}"}
    if replayed:
        headers |= _REPLAYED
    return json_response(told_of(message), 202, headers)


@router.post(
    "/v1/messages/{message_id}/cancel",
    summary="Cancel a message",
    operation_id="cancelMessage",
    response_model=MessageModel | Canceled,
    responses={200: {"content": {"application/json": {"example": MESSAGE_EXAMPLE}}}, **answers(404)},
)
async def cancel_message(message_id: MessageId, caller: Sending, here: Here) -> Any:
    """Cancel a message that waits, or ask for it where it is being sent; a final one stays as it is.

    Returns it as it stands: `canceled`, or with `cancel_requested`. A key that may not read is told its id
    and status only.
    """
    await own_message(here, caller, message_id)
    told = told_of(await here.producer.cancel(message_id))
    if not caller.key.may(KeyScope.READ):
        told = {name: told[name] for name in Canceled.model_fields}
    return json_response(told)


async def _send_many(
    here: Context, scope: "Scope", caller: Caller, told: list[Any], key: str | None
) -> "Response":
    if not 1 <= len(told) <= MOST:
        raise refuse("invalid-request", f"must hold 1 to {MOST} messages", "body")
    await rates.take(here, scope, caller, len(told))
    await here.producer.refresh()
    checked = await _check_each(here, caller, told, key)
    if key is not None:
        await _demand_same(here, caller, key, told, checked)
    found = await accept_each(here, checked)
    accepted = [each for each in found if not isinstance(each, Problem)]
    is_replay = bool(accepted) and all(replayed for _, replayed in accepted)
    status = 202 if len(accepted) == len(found) else 207
    return json_response({"results": list(map(_result, found))}, status, _REPLAYED if is_replay else None)


async def _check_each(
    here: Context, caller: Caller, told: list[Any], key: str | None
) -> "list[Draft | Problem]":
    """Return each message, or what is wrong with it; others get their turn meanwhile."""
    checked: list[Draft | Problem] = []
    for index, each in enumerate(told):
        own = None if key is None else f"{key}\0{index}"  # no key that is given holds a NUL
        checked.append(check_or_problem(here, caller, each, own))
        if index % SLICE == SLICE - 1:
            await asyncio.sleep(0)
    return checked


def _result(found: tuple[Message, bool] | Problem) -> dict[str, Any]:
    if isinstance(found, Problem):
        return {"status": found.status, "problem": found.to_dict()}
    return {"status": 202, "message": told_of(found[0])}


async def _demand_same(
    here: Context, caller: Caller, key: str, told: list[Any], checked: "list[Draft | Problem]"
) -> None:
    """Raise ProblemError where the key was used for another body; one that is all wrong uses up none."""
    first = next((each for each in checked if not isinstance(each, Problem)), None)
    if first is None:
        return
    try:
        content = json.dumps(told, sort_keys=True).encode()
    except RecursionError:
        raise refuse("malformed-request", "the body is nested too deeply") from None
    if not await here.ledger.run(remember(here.limits, scoped(caller, key), first.id, content)):
        raise refuse(
            "idempotency-key-reused",
            "the key was used before with another body; use a new key for new messages",
            "Idempotency-Key",
        )


def idempotency_key(scope: "Scope") -> str | None:
    """Return the value of the header; None where it is not given. Raises ProblemError."""
    given: list[bytes] = [value for name, value in scope["headers"] if name == _KEY_HEADER]
    if not given:
        return None
    key = given[0].decode("latin-1")
    if len(given) > 1 or IDEMPOTENCY_KEY.fullmatch(key) is None:
        raise refuse(
            "invalid-request", f"give it once: 1 to {MAX_KEY} printable ASCII characters", "Idempotency-Key"
        )
    return key
