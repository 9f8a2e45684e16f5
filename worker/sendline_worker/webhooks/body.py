"""What a webhook says. A change of status names no number and no text; an inbound message is its text."""

import json
from typing import TYPE_CHECKING, Any

from sendline.contract.message import stamp

if TYPE_CHECKING:
    from datetime import datetime

    from sendline.contract.inbound import InboundMessage
    from sendline.contract.message import Event, Message


def of_event(event: "Event", message: "Message | None") -> bytes:
    """Return the body that tells of one change. `message`: as it is now; None where its record is gone.

    What only the record knows is null then.
    """
    return _packed(
        f"message.{event.status}",
        event.at,
        {
            "id": event.message_id,
            "status": event.status,
            "error": event.code,
            "reason": event.reason,
            "account": message and message.account,
            "campaign": message and message.campaign,
            "metadata": message and message.metadata,
            "provider_id": message and message.provider_id,
            "attempts": message and message.attempts,
            "lane": message and message.lane,
        },
    )


def of_inbound(inbound: "InboundMessage") -> bytes:
    """Return the body that tells of a message that came in."""
    return _packed(
        "message.received",
        inbound.at,
        {
            "account": inbound.account,
            "from": inbound.sender,
            "to": inbound.to,
            "text": inbound.text,
            "keyword": inbound.keyword,
            "provider_id": inbound.provider_id,
        },
    )


def _packed(kind: str, at: "datetime", data: dict[str, Any]) -> bytes:
    """Return compact JSON. Half a surrogate pair, which UTF-8 can't carry, becomes a question mark."""
    plain = {"type": kind, "timestamp": stamp(at), "data": data}
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
