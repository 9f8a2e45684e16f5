"""Messages as JSON, written directly: what `Message.to_dict()` gives, at a tenth of its cost."""

import json
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response

from sendline.contract.message import Message, stamp

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

JSON_TYPE: Final = "application/json"
_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def told_of(message: Message) -> dict[str, Any]:
    """Return a message as plain JSON types."""
    return {
        "id": message.id,
        "status": message.status,
        "to": message.to,
        "sender": message.sender,
        "lane": message.lane,
        "account": message.account,
        "route": message.route,
        "created_at": _at(message.created_at),
        "expires_at": _at(message.expires_at),
        "due_at": _at(message.due_at),
        "attempts": message.attempts,
        "segments": message.segments,
        "provider_id": message.provider_id,
        "error": message.error,
        "text": message.text,
        "on_uncertain": message.on_uncertain,
        "cancel_requested": message.cancel_requested,
        "callback_url": message.callback_url,
        "metadata": message.metadata,
        "timeline": [
            {"at": _at(entry.at), "status": entry.status, "code": entry.code, "reason": entry.reason}
            for entry in message.timeline
        ],
        "campaign": message.campaign,
        "final": message.final,
    }


def _at(at: "datetime | None") -> str | None:
    return stamp(at)


def to_json(told: Any) -> bytes:
    """Return plain JSON types as bytes."""
    return _encode(told).encode()


def json_response(told: Any, status: int = 200, headers: "Mapping[str, str] | None" = None) -> Response:
    """Return the answer that holds `told`, plain JSON types."""
    return Response(to_json(told), status, dict(headers) if headers else None, JSON_TYPE)
