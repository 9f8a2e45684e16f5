"""What a webhook says, and what it keeps to itself."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sendline.contract.codes import ErrorCode
from sendline.contract.inbound import InboundMessage
from sendline.contract.keywords import Keyword
from sendline.contract.lane import Lane
from sendline.contract.message import Event, Message
from sendline.contract.status import Status
from sendline_worker.webhooks import body

AT = datetime(2031, 2, 3, 4, 5, 6, 7_000, tzinfo=UTC)
EVENT = Event(9, "id-1", Status.UNDELIVERED, AT, ErrorCode.UNREACHABLE, "the phone is off")
MESSAGE = Message(
    id="id-1", status=Status.DELIVERED, to="+13115552367", sender="+13115552368", lane=Lane.URGENT,
    account="main", route=("main",), created_at=AT, expires_at=None, due_at=None, attempts=2, segments=1,
    provider_id="p-1", error=ErrorCode.BLOCKED, text="Your code is 4711", on_uncertain=None,
    cancel_requested=False, callback_url="https://hook.example/secret", metadata={"order": "ü 7"},
    timeline=(), campaign="black-friday",
)  # fmt: skip
INBOUND = InboundMessage(3, "main", "+13115552367", "+13115552368", "Stop 🛑", AT, Keyword.STOP, "p-9")


def test_a_change_is_told_as_the_event_has_it_with_what_the_record_adds():
    assert json.loads(body.of_event(EVENT, MESSAGE)) == {
        "type": "message.undelivered",
        "timestamp": "2031-02-03T04:05:06.007Z",
        "data": {
            "id": "id-1",
            "status": "undelivered",
            "error": "unreachable",
            "reason": "the phone is off",
            "account": "main",
            "campaign": "black-friday",
            "metadata": {"order": "ü 7"},
            "provider_id": "p-1",
            "attempts": 2,
            "lane": "urgent",
        },
    }


def test_a_change_names_no_number_no_text_and_no_address():
    told = body.of_event(EVENT, MESSAGE).decode()
    for kept in ("3115552367", "3115552368", "4711", "hook.example"):
        assert kept not in told


def test_where_the_record_is_gone_the_event_says_what_it_knows():
    told = json.loads(body.of_event(replace(EVENT, code=None, reason=""), None))["data"]
    assert {name: told[name] for name in ("id", "status", "error", "reason")} == {
        "id": "id-1",
        "status": "undelivered",
        "error": None,
        "reason": "",
    }
    assert told.keys() == json.loads(body.of_event(EVENT, MESSAGE))["data"].keys()
    assert {
        told[name] for name in ("account", "campaign", "metadata", "provider_id", "attempts", "lane")
    } == {None}


def test_an_empty_value_of_the_record_is_not_taken_for_none():
    told = json.loads(body.of_event(EVENT, replace(MESSAGE, attempts=0, metadata={})))["data"]
    assert told["attempts"] == 0
    assert told["metadata"] == {}


@pytest.mark.parametrize("status", Status)
def test_every_status_has_its_type(status):
    told = json.loads(body.of_event(replace(EVENT, status=status), None))
    assert told["type"] == f"message.{told['data']['status']}" == f"message.{status.value}"


def test_an_inbound_message_is_told_whole():
    assert json.loads(body.of_inbound(INBOUND)) == {
        "type": "message.received",
        "timestamp": "2031-02-03T04:05:06.007Z",
        "data": {
            "account": "main",
            "from": "+13115552367",
            "to": "+13115552368",
            "text": "Stop 🛑",
            "keyword": "stop",
            "provider_id": "p-9",
        },
    }


def test_bodies_are_compact_utf_8():
    told = body.of_inbound(INBOUND)
    assert "🛑".encode() in told
    assert b'": ' not in told
    assert b"\n" not in told


def test_half_a_surrogate_pair_does_not_break_a_body():
    assert json.loads(body.of_inbound(replace(INBOUND, text="a\ud83db")))["data"]["text"] == "a?b"
