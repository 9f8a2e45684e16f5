"""OpenTact's face before Sendline: an app that calls OpenTact today changes only its URL and its key.

It is generation C's `POST /sms/o`, with the look-up that generation A has. How OpenTact refuses is not
documented: bodies are as its simulated face has them.
"""

import json
from typing import TYPE_CHECKING, Any, Final
from uuid import NAMESPACE_URL, uuid5

from starlette.requests import Request
from starlette.responses import Response

from sendline.contract.message import Message, stamp
from sendline.contract.status import Status
from sendline_worker.providers.drop_in import FaceRoute, House, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

_FIELDS: Final = (("to", "to"), ("from", "sender"), ("text", "text"))
"""What the page calls them, and what Sendline does."""
_STATES: Final = {
    Status.CREATED: "created",
    Status.RETRYING: "created",
    Status.SENDING: "sending",
    Status.UNCERTAIN: "sending",
    Status.SENT: "success",
    Status.DELIVERED: "success",
}
"""The states that OpenTact has for what may still arrive; any other is `failed`."""
_JSON: Final = "application/json"
_ID: Final = "019aab1c-24d4-7c32-9de0-0d6f1e6a4b7a"


def routes(house: House) -> "Sequence[FaceRoute]":
    """Return the requests that are answered."""

    async def send(request: Request) -> Response:
        try:
            message = await house.send(request, _fields)
        except Refusal as refusal:
            return _refused(refusal)
        return _answer(201, {"success": True, "payload": _accepted(message)})

    async def look_up(request: Request) -> Response:
        try:
            message = await house.find(request, request.path_params["uuid"])
        except Refusal as refusal:
            return _refused(refusal)
        return _answer(200, {"success": True, "payload": _found(message)})

    return (
        FaceRoute(
            "POST",
            "/sms/o",
            send,
            "Send a message as OpenTact takes it",
            "opentactSend",
            {
                201: _shown("Accepted, and on disk.", _ACCEPTED_EXAMPLE),
                **_refusals(400, 401, 403, 408, 413, 415, 429, 503, 504),
            },
            {"requestBody": _BODY},
        ),
        FaceRoute(
            "GET",
            "/rest/sms/outbound/{uuid}",
            look_up,
            "Look a message up as OpenTact shows it",
            "opentactLookUp",
            {
                200: _shown("As it stands.", _FOUND_EXAMPLE),
                **_refusals(400, 401, 403, 404, 503),
            },
            {
                "parameters": [
                    {
                        "name": "uuid",
                        "in": "path",
                        "required": True,
                        "schema": {"type": "string"},
                        "example": _ID,
                    }
                ]
            },
        ),
    )


def _fields(told: Any) -> "Mapping[str, Any]":
    """Return what Sendline takes; raises Refusal. What OpenTact's page does not name is passed over."""
    if not isinstance(told, dict):
        raise Refusal(400, "the body must be a JSON object")
    if told.get("custom_callback_url") is not None:
        raise Refusal(400, "custom_callback_url: not taken here; follow /v1/events, or set up webhooks")
    for name, _ in _FIELDS:
        if not isinstance(told.get(name), str) or not told[name]:
            raise Refusal(400, f"{name}: must be a text")
    return {ours: told[name] for name, ours in _FIELDS}


def _refused(refusal: Refusal) -> Response:
    body = {"success": False, "error": {"code": refusal.status, "message": refusal.reason}}
    return _answer(refusal.status, body, refusal.headers)


def _answer(status: int, told: dict[str, Any], headers: "Mapping[str, str] | None" = None) -> Response:
    body = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(body, status, dict(headers or {}), _JSON)


def _accepted(message: Message) -> dict[str, Any]:
    """Return the payload of generation C, key for key as its page has it."""
    at, sender = message.created_at, message.sender or ""
    return {
        "uuid": message.id,
        "state": "created",
        "from": _digits(sender),
        "to": int(_digits(message.to)),
        "message": message.text or "",
        "thread": _thread(message),
        "delivered": False,
        "automated": False,
        "created_on": stamp(at),
        "modified_on": stamp(at),
        "tn": {"tn": _number(sender), "type": "long_code", "sms": True},
        "tn_lease": {
            "uuid": _uuid(sender),
            "autorenew": True,
            "expired_on": stamp(message.expires_at or at),
            "messaging_profile": {"uuid": _uuid("profile"), "name": "Sendline", "callback_url": None},
        },
    }


def _found(message: Message) -> dict[str, Any]:
    """Return the payload of a look-up, which generation A has."""
    sender = message.sender or ""
    return {
        "created_on": stamp(message.created_at),
        "modified_on": stamp(_changed(message)),
        "uuid": message.id,
        "tn": {"tn": _number(sender), "deleted_on": None, "sms": True},
        "to": _digits(message.to),
        "thread": _thread(message),
        "message": message.text or "",
        "reference_id": message.provider_id,
        "state": _STATES.get(message.status, "failed"),
        "delivered": message.status is Status.DELIVERED,
        "automated": False,
        "custom_callback_url": None,
        "account": {"uuid": _uuid(message.account or "")},
        "created_by": None,
    }


def _changed(message: Message) -> "datetime":
    return message.timeline[-1].at if message.timeline else message.created_at


def _thread(message: Message) -> str:
    """Return what names the conversation of two numbers: 32 digits and letters, as on the page."""
    return uuid5(NAMESPACE_URL, f"{message.sender}/{message.to}").hex


def _uuid(name: str) -> str:
    """Return the id of something other than a message: always the same for the same name."""
    return str(uuid5(NAMESPACE_URL, name))


def _digits(number: str) -> str:
    return number.removeprefix("+")


def _number(sender: str) -> int | None:
    """Return a sender as a number; None for a name, which OpenTact does not have."""
    digits = _digits(sender)
    return int(digits) if digits.isdecimal() else None


_EXAMPLE_MESSAGE: Final = {"from": "+13115552368", "to": "+13115552367", "text": "Hello, world!"}
_ACCEPTED_EXAMPLE: Final = {
    "success": True,
    "payload": {
        "uuid": _ID,
        "state": "created",
        "from": "13115552368",
        "to": 13115552367,
        "message": "Hello, world!",
        "thread": "08360036ab8f5703ad725064f42cb1b7",
        "delivered": False,
        "automated": False,
        "created_on": "2026-11-22T12:00:00.000Z",
        "modified_on": "2026-11-22T12:00:00.000Z",
        "tn": {"tn": 13115552368, "type": "long_code", "sms": True},
        "tn_lease": {
            "uuid": "4f95de12-6a4a-520a-997c-73870142fe90",
            "autorenew": True,
            "expired_on": "2026-11-25T12:00:00.000Z",
            "messaging_profile": {
                "uuid": "0116f6d1-1280-54b2-9134-da48509ec575",
                "name": "Sendline",
                "callback_url": None,
            },
        },
    },
}
_FOUND_EXAMPLE: Final = {
    "success": True,
    "payload": {
        "created_on": "2026-11-22T12:00:00.000Z",
        "modified_on": "2026-11-22T12:00:04.250Z",
        "uuid": _ID,
        "tn": {"tn": 13115552368, "deleted_on": None, "sms": True},
        "to": "13115552367",
        "thread": "08360036ab8f5703ad725064f42cb1b7",
        "message": "",
        "reference_id": "90c2e06944c14f1a9619540432378122",
        "state": "success",
        "delivered": True,
        "automated": False,
        "custom_callback_url": None,
        "account": {"uuid": "4f95de12-6a4a-520a-997c-73870142fe90"},
        "created_by": None,
    },
}
_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        _JSON: {
            "schema": {
                "type": "object",
                "required": ["from", "to", "text"],
                "properties": {name: {"type": "string", "minLength": 1} for name, _ in _FIELDS},
            },
            "example": _EXAMPLE_MESSAGE,
        }
    },
}
_REASONS: Final = {
    400: "to: not a phone number; write it as +13115552367",
    401: "this API key is not known, or was revoked",
    403: "the key needs the scope send",
    404: "no message with this id is known: mistyped, or past its retention",
    408: "a body must come within 10 s",
    413: "a body has at most 1048576 bytes here",
    415: "write application/json, in UTF-8",
    429: "20 messages a second at most: try again in 1 s",
    503: "nothing was accepted: try again",
    504: "it may have been accepted all the same",
}
"""An example of each."""


def _shown(description: str, example: dict[str, Any]) -> dict[str, Any]:
    return {
        "description": description,
        "content": {_JSON: {"schema": {"type": "object"}, "example": example}},
    }


def _refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {
        status: _shown(
            "Refused, in OpenTact's shape.",
            {"success": False, "error": {"code": status, "message": _REASONS[status]}},
        )
        for status in statuses
    }
