"""OpenTact: what is sent in each generation, what its answers mean, and both shapes of its receipts."""

import json
from urllib.parse import parse_qs

import httpx
import pytest

from sendline.contract.codes import ErrorCode
from sendline.contract.errors import ConfigurationError
from sendline.contract.status import Status
from sendline_worker.outcomes import Accepted, Refused, Uncertain
from sendline_worker.providers.base import Answer, Hook, Inbound, Outbound, Receipt, UnreadableReceipt
from sendline_worker.providers.opentact.adapter import OpenTact

KEY = "key-123"
UUID = "90c2e069-44c1-4f1a-9619-540432378122"
TEXT = "Hello, wörld & all!"
CALLBACK = "https://sms.example.com/receipts/token"


def account(**options) -> OpenTact:
    return OpenTact({"base_url": "https://api.example.com", "api_key": KEY} | options, name="main")


def outbound(callback_url=None) -> Outbound:
    return Outbound(
        "019a0000-0000-7000-8000-000000000000",
        "+13115552367",
        "+13115552368",
        "Hello, wörld & all!",
        callback_url,
    )


def sent(request: httpx.Request) -> tuple[str, dict[str, object]]:
    return str(request.url.copy_with(query=None)), json.loads(request.content)


# Sending


def test_generation_c_sends_what_its_page_shows():
    request = account().compose(outbound(CALLBACK))
    assert sent(request) == (
        "https://api.example.com/sms/o",
        {"from": "+13115552368", "to": "+13115552367", "text": TEXT},
    )
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["content-type"] == "application/json"


def test_generation_a_sends_an_integer_sender_and_a_callback_for_this_message():
    request = account(generation="A").compose(outbound(CALLBACK))
    assert sent(request) == (
        "https://api.example.com/rest/sms",
        {
            "tn": 13115552368,
            "to": "+13115552367",
            "message": TEXT,
            "custom_callback_url": CALLBACK,
        },
    )
    assert request.headers["x-auth-token"] == KEY
    assert "authorization" not in request.headers


@pytest.mark.parametrize(("length", "carried"), [(9, False), (10, True), (255, True), (256, False)])
def test_generation_a_sends_no_callback_that_its_page_does_not_allow(length, carried):
    url = "http://abcd"[:9] + "x" * (length - 9)
    _, body = sent(account(generation="A").compose(outbound(url)))
    assert ("custom_callback_url" in body) is carried


def test_generation_b_sends_query_parameters_and_no_body():
    request = account(generation="B").compose(outbound(CALLBACK))
    assert request.content == b""
    assert request.url.path == "/rest/sms"
    assert parse_qs(request.url.query.decode()) == {
        "FROM": ["13115552368"],
        "TO": ["13115552367"],
        "Message": [TEXT],
    }
    assert request.headers["x-auth-token"] == KEY


def test_path_fields_and_authentication_can_be_configured():
    adapter = account(
        base_url="https://api.example.com/v2/",
        path="/rest/sms/o",
        auth="jwt",
        sender_field="src",
        recipient_field="dst",
        text_field="body",
    )
    request = adapter.compose(outbound())
    assert sent(request) == (
        "https://api.example.com/v2/rest/sms/o",
        {"src": "+13115552368", "dst": "+13115552367", "body": TEXT},
    )
    assert request.headers["authorization"] == f"JWT {KEY}"


def test_only_generation_a_can_be_asked_and_bounds_the_length():
    for generation in "ABC":
        can = account(generation=generation).capabilities
        old = generation == "A"
        assert (can.reference, can.lookup, can.search) == (old, old, old)
        assert can.max_length == (918 if old else None)
        assert can.text
        assert can.provider_id
        assert can.receipts
        assert not can.alphanumeric_sender


WRONG = {
    "a missing key": ({"api_key": None}, "accounts.main.api_key: missing; put your OpenTact API key here"),
    "an empty key": ({"api_key": " "}, "accounts.main.api_key: empty; put the credential here"),
    "a key with a line end": (
        {"api_key": "a\nb"},
        "accounts.main.api_key: holds characters that no header can carry: spaces, line ends or non-ASCII",
    ),
    "an unknown generation": (
        {"generation": "D"},
        "accounts.main.generation: input should be 'A', 'B' or 'C'",
    ),
    "an unknown auth": (
        {"auth": "basic"},
        "accounts.main.auth: input should be 'bearer', 'jwt' or 'x-auth-token'",
    ),
    "a relative path": ({"path": "sms"}, "accounts.main.path: string should match pattern '^/[!-~]*$'"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_mistake_is_told_in_one_line(mistake):
    changes, line = WRONG[mistake]
    options = {"base_url": "https://api.example.com", "api_key": KEY} | changes
    with pytest.raises(ConfigurationError) as error:
        OpenTact({name: value for name, value in options.items() if value is not None}, name="main")
    assert str(error.value) == line


# Answers

SHOWN = {
    "success": True,
    "payload": {
        "uuid": UUID,
        "state": "created",
        "from": "123456789",
        "to": 987654321,
        "message": "Hello world",
        "thread": "08360036ab8f77030d725064f42cb1b7",
        "delivered": False,
        "automated": False,
        "tn": {"tn": 123456789, "type": "long_code", "sms": True},
    },
}


def judged(status: int, body: object):
    return account().judge(Answer(status, {}, json.dumps(body).encode()))


@pytest.mark.parametrize("status", [200, 201, 202])
def test_the_answer_that_the_page_shows_is_accepted(status):
    assert judged(status, SHOWN) == Accepted(UUID)


def test_an_id_is_kept_in_one_form():
    assert judged(200, {"payload": {"uuid": f" {UUID.upper()}\n"}}) == Accepted(UUID)


UNPROMISED = {
    "no success": {**SHOWN, "success": False},
    "success as text": {**SHOWN, "success": "false"},
    "success null": {**SHOWN, "success": None},
    "no payload": {"success": True},
    "payload as a list": {"success": True, "payload": [UUID]},
    "no uuid": {"success": True, "payload": {"state": "created"}},
    "a uuid as a number": {"success": True, "payload": {"uuid": 7}},
    "a long uuid": {"success": True, "payload": {"uuid": "x" * 129}},
    "a uuid with spaces": {"success": True, "payload": {"uuid": "a b"}},
    "a uuid with controls": {"success": True, "payload": {"uuid": "a\x00b"}},
}


@pytest.mark.parametrize("kind", UNPROMISED)
def test_a_2xx_without_what_the_page_promises_is_uncertain(kind):
    assert isinstance(judged(200, UNPROMISED[kind]), Uncertain)


def test_a_refusal_keeps_the_providers_words():
    body = {"success": False, "error": {"code": 400, "message": "to: +13115552367 is no number"}}
    assert judged(400, body) == Refused(ErrorCode.REJECTED, "400: to: # is no number")


ECHOES = (
    {"message": "The text of ours", "to": "+13115552367"},
    {"message": "The text of ours", "uuid": UUID},
    {"error": {"message": "The text of ours", "tn": 13115552368}},
    {"message": {"message": "The text of ours", "from": "+13115552368", "text": "The text of ours"}},
)


@pytest.mark.parametrize("body", ECHOES)
def test_the_message_of_an_sms_that_it_shows_is_no_explanation(body):
    assert judged(400, body) == Refused(ErrorCode.REJECTED, "400: refused")
    assert judged(400, body | {"reason": "no credit"}) == Refused(ErrorCode.REJECTED, "400: no credit")


# Receipts


def event(**payload) -> dict[str, object]:
    return {
        "timestamp": "2026-11-21T12:00:00.000Z",
        "message": "SMS: type: smso, state: success",
        "type": "sms",
        "payload": {"type": "smso", "uuid": UUID, "from": "123", "to": 987, "message": "Hello"} | payload,
    }


def finalized(status: object, **payload) -> dict[str, object]:
    return {
        "data": {
            "event_type": "message.finalized",
            "id": "another",
            "payload": {
                "id": UUID.upper(),
                "direction": "outbound",
                "errors": [],
                "to": [{"phone_number": "+13115552367", "status": status}],
                "text": "Hello",
            }
            | payload,
        }
    }


REJECTED = ErrorCode.REJECTED

RECEIPTS = {
    "created": (event(state="created", delivered=False), Receipt(UUID, None, None, "state: created")),
    "sending": (event(state="sending", delivered=False), Receipt(UUID, None, None, "state: sending")),
    "success": (event(state="success", delivered=False), Receipt(UUID, Status.SENT)),
    "delivered": (event(state="success", delivered=True), Receipt(UUID, Status.DELIVERED)),
    "delivered out of order": (event(state="sending", delivered=True), Receipt(UUID, Status.DELIVERED)),
    "delivered as text": (event(state="success", delivered="false"), Receipt(UUID, Status.SENT)),
    "failed": (
        event(state="failed", delivered=False),
        Receipt(UUID, Status.UNDELIVERED, REJECTED, "state: failed"),
    ),
    "an unknown state": (
        event(state="parked", delivered=False),
        Receipt(UUID, None, None, "state: parked"),
    ),
    "a state of another type": (event(state=[7]), Receipt(UUID, None, None, "an unreadable state")),
    "no envelope": (event(state="success")["payload"], Receipt(UUID, Status.SENT)),
    "no envelope, no type": ({"uuid": UUID, "delivered": True}, Receipt(UUID, Status.DELIVERED)),
    "an answer's envelope": (SHOWN, Receipt(UUID, None, None, "state: created")),
    "data: queued": (finalized("queued"), Receipt(UUID, None, None, "status: queued")),
    "data: sent": (finalized("sent"), Receipt(UUID, Status.SENT, None, "status: sent")),
    "data: unconfirmed": (
        finalized("delivery_unconfirmed"),
        Receipt(UUID, Status.SENT, None, "status: delivery_unconfirmed"),
    ),
    "data: delivered": (finalized("delivered"), Receipt(UUID, Status.DELIVERED, None, "status: delivered")),
    "data: delivery failed": (
        finalized("delivery_failed"),
        Receipt(UUID, Status.UNDELIVERED, REJECTED, "status: delivery_failed"),
    ),
    "data: sending failed": (
        finalized("sending_failed"),
        Receipt(UUID, Status.UNDELIVERED, REJECTED, "status: sending_failed"),
    ),
    "data: unknown": (finalized("parked"), Receipt(UUID, None, None, "status: parked")),
}


def read(body: object) -> list[Receipt | Inbound]:
    return account().read_receipts(Hook({}, {}, json.dumps(body).encode()))


@pytest.mark.parametrize("kind", RECEIPTS)
def test_a_receipt_is_read(kind):
    body, receipt = RECEIPTS[kind]
    assert read(body) == [receipt]


OURS, THEIRS = "+13115552368", "+13115550001"
BARE = ("13115550001", "13115552368")


def received(event_type="message.received", **payload) -> dict:
    """What came in, in the shape of the webhook page."""
    whole = {
        "id": UUID.upper(),
        "direction": "inbound",
        "from": {"phone_number": THEIRS},
        "to": [{"phone_number": OURS}],
        "text": "Stop",
    }
    return {"data": {"event_type": event_type, "payload": whole | payload}}


def smsi(**payload) -> dict:
    """What came in, in the shape of the events page."""
    whole = {"uuid": UUID, "from": "13115550001", "to": "13115552368", "message": "Stop", "state": "success"}
    return {"type": "sms", "payload": {"type": "smsi", **whole} | payload}


PROFILE = {"messaging_profile": {"uuid": "x"}}
CAME_IN = {
    "data": received(),
    "data without a direction": received(direction=None),
    "data without an event type": received(None),
    "bare numbers": received(**{"from": THEIRS, "to": OURS}),
    "an event": smsi(),
    "an event in its own envelope": {**smsi(), "type": "smsi"},
    "a payload": smsi()["payload"],
    "numbers as numbers": smsi(**{"from": 13115550001, "to": 13115552368}),
    "our number in tn": smsi(to=None, tn={"tn": 13115552368}),
    "the other type": smsi(type="smsr", **PROFILE),
    "told when it was created": smsi(state="created"),
}


@pytest.mark.parametrize("kind", CAME_IN)
def test_a_message_that_came_in_is_read(kind):
    numbers = (THEIRS, OURS) if "data" in CAME_IN[kind] else BARE
    assert read(CAME_IN[kind]) == [Inbound(UUID, *numbers, "Stop")], "its numbers as they were told"


@pytest.mark.parametrize(
    ("body", "inbound"),
    [
        (received(id=None), Inbound(None, THEIRS, OURS, "Stop")),
        (received(text=None), Inbound(UUID, THEIRS, OURS, "")),
        (smsi(**{"from": "72345"}), Inbound(UUID, "72345", BARE[1], "Stop")),
    ],
)
def test_a_message_that_came_in_need_not_be_whole(body, inbound):
    assert read(body) == [inbound]


def test_what_came_in_shows_nothing_in_a_repr():
    assert repr(read(received())[0]) == f"Inbound(provider_id='{UUID}')"


UNCLEAR = {
    "an answer's type without a profile": event(type="smsr", state="success"),
    "both types": {"type": "smsi", "payload": event(state="success")["payload"]},
    "inbound, by the name of an outbound event": finalized("delivered", direction="inbound"),
    "outbound, by the name of an inbound event": received(direction="outbound"),
    "no sender": received(**{"from": None}),
    "a sender without a number": received(**{"from": {}}),
    "no recipient": received(to=[]),
    "an event without numbers": smsi(**{"from": True}),
    "a text of another type": smsi(message=7),
}


@pytest.mark.parametrize("kind", UNCLEAR)
def test_what_is_not_surely_inbound_or_not_whole_is_unreadable(kind):
    with pytest.raises(UnreadableReceipt):
        read(UNCLEAR[kind])


@pytest.mark.parametrize("kind", RECEIPTS)
def test_no_receipt_is_taken_for_a_message_that_came_in(kind):
    assert not any(isinstance(each, Inbound) for each in read(RECEIPTS[kind][0]))


NONSENSE = {
    "a state without a uuid": event(uuid=None, state="success"),
    "a uuid alone": {"uuid": UUID},
    "another event": {"type": "call", "payload": {"uuid": UUID, "state": "success"}},
    "a type of another type": {"type": ["sms"], "payload": {"uuid": UUID, "state": "success"}},
    "a payload as text": {"type": "sms", "payload": "x"},
    "data as text": {"data": "x"},
    "data without a payload": {"data": {"event_type": "message.finalized"}},
    "no recipient": finalized("sent", to=[]),
    "a recipient as text": finalized("sent", to=["+13115552367"]),
    "recipients as text": finalized("sent", to="+13115552367"),
    "a status of another type": finalized(7),
    "an id of another type": finalized("sent", id=7),
}


@pytest.mark.parametrize("kind", NONSENSE)
def test_nonsense_is_unreadable(kind):
    with pytest.raises(UnreadableReceipt):
        read(NONSENSE[kind])


def test_a_receipt_names_the_message_as_the_answer_did():
    accepted = judged(200, {"payload": {"uuid": UUID.upper()}})
    [receipt] = read(finalized("delivered"))
    assert accepted == Accepted(receipt.provider_id)


def test_a_receipts_reason_holds_no_number():
    [receipt] = read(event(state="rejected by +13115552367"))
    assert receipt.reason == "state: rejected by #"
