"""What OpenTact shows of a message, as the simulator writes it: the payloads of answers and of receipts."""

import functools
import json
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from sendline_worker.simulator.behaviours import Report
from sendline_worker.simulator.reading import iso

if TYPE_CHECKING:
    from sendline_worker.simulator.entries import Entry
    from sendline_worker.simulator.face import Incoming

PROFILE = "0116f6d1-1280-44b2-9134-da48509ec575"
LEASE = 30 * 86400
"""Seconds for which a sender's number is leased, from its last message on."""

_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def encoded(data: dict[str, Any]) -> bytes:
    """Return JSON as it goes over the wire."""
    return _json(data).encode()


@functools.lru_cache
def _uuid(name: str) -> str:
    """Return the id of something other than a message: always the same for the same name."""
    return str(uuid5(NAMESPACE_URL, name))


def _digits(number: str) -> str:
    return number.removeprefix("+")


def _thread(entry: "Entry") -> str:
    """Return what names the conversation of two numbers: 32 digits, as on the pages."""
    return f"{_digits(entry.sender):0>16}{_digits(entry.recipient):0>16}"


def state_after(reports: list[Report]) -> tuple[str, bool]:
    """Return `state` and `delivered` after these reports."""
    state, delivered = "created", False
    for report in reports:
        if report is not Report.SENT or state == "created":
            state = "failed" if report is Report.UNDELIVERED else "success"
            delivered = report is Report.DELIVERED
    return state, delivered


def smso(entry: "Entry", provider_id: str) -> str:
    """Return the payload of generation C as JSON, key for key as its page has it.

    Put together by hand: an encoder takes longer than all the rest of an answer.
    """
    now, sender = iso(entry.at), _digits(entry.sender)
    return (
        f'{{"uuid":"{provider_id}","state":"created","from":"{sender}","to":{_digits(entry.recipient)},'
        f'"message":{_json(entry.text)},"thread":"{_thread(entry)}","delivered":false,"automated":false,'
        f'"created_on":"{now}","modified_on":"{now}","tn":{{"tn":{sender},"type":"long_code","sms":true}},'
        f'"tn_lease":{{"uuid":"{_uuid(sender)}","autorenew":true,"expired_on":"{iso(entry.at + LEASE)}",'
        f'"messaging_profile":{{"uuid":"{PROFILE}","name":"Default profile","callback_url":null}}}}}}'
    )


def rest(entry: "Entry", provider_id: str, reports: list[Report]) -> dict[str, Any]:
    """Return the payload of generation A."""
    state, delivered = state_after(reports)
    return {
        "created_on": iso(entry.at),
        "modified_on": iso(entry.at),
        "uuid": provider_id,
        "tn": {"tn": int(_digits(entry.sender)), "deleted_on": None, "sms": True},
        "to": _digits(entry.recipient),
        "thread": _thread(entry),
        "message": entry.text,
        "reference_id": None if state == "created" else provider_id.replace("-", ""),
        "state": state,
        "delivered": delivered,
        "automated": False,
        "custom_callback_url": entry.callback_url,
        "account": {"uuid": _uuid(entry.account)},
        "created_by": None,
    }


def as_event(entry: "Entry", provider_id: str, report: Report, now: float) -> dict[str, Any]:
    """Return a receipt as the events page has it."""
    state, delivered = state_after([report])
    return {
        "timestamp": iso(now),
        "message": f"SMS: type: smso, state: {state}",
        "type": "sms",
        "payload": {
            "type": "smso",
            "created_on": iso(entry.at),
            "modified_on": iso(now),
            "uuid": provider_id,
            "from": _digits(entry.sender),
            "to": _digits(entry.recipient),
            "thread": _thread(entry),
            "message": entry.text,
            "state": state,
            "delivered": delivered,
            "automated": False,
            "reason": f"[SMSO][{provider_id}]: tn: {_digits(entry.sender)}, {report}",
            "tn": {"tn": int(_digits(entry.sender)), "deleted_on": None},
            "account": {"uuid": _uuid(entry.account)},
        },
    }


def as_data(entry: "Entry", provider_id: str, report: Report, now: float) -> dict[str, Any]:
    """Return a receipt as the webhook page has it; its example is for `message.finalized`."""
    final = report is not Report.SENT
    failed = report is Report.UNDELIVERED
    status = "delivery_failed" if failed else str(report)
    return {
        "data": {
            "event_type": "message.finalized" if final else "message.sent",
            "id": str(uuid5(NAMESPACE_URL, f"{provider_id}{report}")),
            "occurred_at": iso(now),
            "payload": {
                "completed_at": iso(now) if final else None,
                "cost": None,
                "direction": "outbound",
                "encoding": "GSM-7",
                "errors": [{"code": "40008", "title": "Undeliverable"}] if failed else [],
                "from": {
                    "carrier": "",
                    "line_type": "",
                    "phone_number": entry.sender,
                    "status": "webhook_delivered",
                },
                "id": provider_id,
                "media": [],
                "messaging_profile_id": PROFILE,
                "organization_id": _uuid(entry.account),
                "parts": 1,
                "received_at": iso(entry.at),
                "record_type": "message",
                "sent_at": iso(now),
                "tags": [],
                "text": entry.text,
                "to": [{"carrier": "", "line_type": "", "phone_number": entry.recipient, "status": status}],
            },
        }
    }


def incoming_as_event(message: "Incoming", now: float) -> dict[str, Any]:
    """Return what came in as the events page has it; no page shows one whole."""
    return {
        "timestamp": iso(now),
        "message": "SMS: type: smsi, state: success",
        "type": "sms",
        "payload": {
            "type": "smsi",
            "created_on": iso(now),
            "modified_on": iso(now),
            "uuid": message.provider_id,
            "from": _digits(message.sender),
            "to": _digits(message.to),
            "message": message.text,
            "state": "success",
            "delivered": False,
            "messaging_profile": {"uuid": PROFILE, "name": "Default profile", "call_back_url": None},
        },
    }


def incoming_as_data(message: "Incoming", now: float) -> dict[str, Any]:
    """Return what came in as the webhook page's example would have it."""
    return {
        "data": {
            "event_type": "message.received",
            "id": str(uuid5(NAMESPACE_URL, f"{message.provider_id}received")),
            "occurred_at": iso(now),
            "payload": {
                "direction": "inbound",
                "encoding": "GSM-7",
                "errors": [],
                "from": {"carrier": "", "line_type": "", "phone_number": message.sender},
                "id": message.provider_id,
                "media": [],
                "messaging_profile_id": PROFILE,
                "parts": 1,
                "received_at": iso(now),
                "record_type": "message",
                "tags": [],
                "text": message.text,
                "to": [{"carrier": "", "line_type": "", "phone_number": message.to}],
            },
        }
    }
