"""What OpenTact tells of an SMS, in its events, its webhooks and its look-ups, as receipts."""

import re
from dataclasses import replace
from typing import Any, Final

from sendline.contract.codes import ErrorCode
from sendline.contract.status import Status
from sendline_worker.providers.base import Receipt, UnreadableReceipt
from sendline_worker.providers.judgement import scrub

ID_LENGTH: Final = 128

_UUID: Final = re.compile(
    r"(?:urn:uuid:|(\{))?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})(?(1)\})"
)
"""A UUID as the pages show it, or as libraries write it: in braces, as a URN, without hyphens."""


def table(values: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the table that `values` holds as `name`; an empty one where it holds none."""
    value = values.get(name)
    return value if isinstance(value, dict) else {}


def provider_id_of(value: object) -> str | None:
    """Return the id as Sendline keeps it, however it is written, or None where `value` is none."""
    if not isinstance(value, str):
        return None
    text = value.strip().lower()
    if uuid := _UUID.fullmatch(text):
        return "-".join(uuid.groups()[1:])
    if text.isdecimal():
        text = text.lstrip("0") or "0"
    readable = 0 < len(text) <= ID_LENGTH and text.isascii() and text.isprintable() and " " not in text
    return text if readable else None


def read_sms(payload: dict[str, Any], *, kind: object) -> list[Receipt]:
    """Read an SMS as OpenTact's own events show it. `state` success is sent; `delivered` is apart.

    `failed` stands in the list of inbound states alone; of an outbound message it can mean nothing else.
    """
    if kind not in (None, "sms", "smso", "smsr"):
        raise UnreadableReceipt("an event that is not about SMS")
    if any(each in ("smsi", "smsr") for each in (payload.get("type"), kind)):
        return []  # it came in
    provider_id = provider_id_of(payload.get("uuid"))
    if provider_id is None or not ("state" in payload or "delivered" in payload):
        raise UnreadableReceipt("no uuid with a state")
    if payload.get("delivered") is True:
        return [Receipt(provider_id, Status.DELIVERED)]
    state = payload.get("state")
    if state == "success":
        return [Receipt(provider_id, Status.SENT)]
    if state == "failed":
        return [Receipt(provider_id, Status.UNDELIVERED, ErrorCode.REJECTED, "state: failed")]
    told = scrub(f"state: {state}") if isinstance(state, str) else "an unreadable state"
    return [Receipt(provider_id, None, reason=told)]


def read_found(payload: dict[str, Any]) -> Receipt | None:
    """Read an SMS that a look-up shows; None for an inbound one.

    That OpenTact keeps it under an id proves that it was accepted, so it is sent at the least.
    """
    receipts = read_sms(payload, kind=None)
    if not receipts:
        return None
    receipt = receipts[0]
    return receipt if receipt.status is not None else replace(receipt, status=Status.SENT)


_TOLD: Final[dict[str, tuple[Status, ErrorCode | None]]] = {
    "sent": (Status.SENT, None),
    "delivery_unconfirmed": (Status.SENT, None),
    "delivered": (Status.DELIVERED, None),
    "delivery_failed": (Status.UNDELIVERED, ErrorCode.REJECTED),
    "sending_failed": (Status.UNDELIVERED, ErrorCode.REJECTED),
    "expired": (Status.UNDELIVERED, ErrorCode.UNREACHABLE),
}
"""The statuses of a recipient in the webhook page's example; any other moves nothing."""


def read_event(data: dict[str, Any]) -> list[Receipt]:
    """Read the webhook page's example: {"event_type", "payload": {"id", "direction", "to": [{"status"}]}}."""
    payload = table(data, "payload")
    provider_id = provider_id_of(payload.get("id"))
    recipients = payload.get("to")
    if provider_id is None or not isinstance(recipients, list) or not recipients:
        raise UnreadableReceipt("no id with a recipient")
    first = recipients[0]
    status = first.get("status") if isinstance(first, dict) else None
    if not isinstance(status, str):
        raise UnreadableReceipt("a recipient without a status")
    reason = f"status: {status}"
    if status not in _TOLD:
        return [Receipt(provider_id, None, reason=scrub(reason))]
    return [Receipt(provider_id, *_TOLD[status], reason)]
