"""OpenTact: what is asked about a message of unknown fate, and what the answers tell."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from sendline.contract.codes import ErrorCode
from sendline.contract.errors import ConfigurationError
from sendline.contract.status import Status
from sendline_worker.providers.base import Answer, Found, Inquiry, NotFound, Receipt, Unanswered
from sendline_worker.providers.opentact.adapter import OpenTact

KEY = "key-123"
UUID = "90c2e069-44c1-4f1a-9619-540432378122"
OTHER = "6f837aa1-f6aa-45af-9764-3c4bfa84098f"
TEXT = "Your code is 4821"
PLACE = "https://sms.example.com/receipts/main"
SIGNATURE = "s" * 43
OURS = f"{PLACE}/{'a' * 22}.{SIGNATURE}"
ANOTHERS = f"{PLACE}/{'b' * 22}.{SIGNATURE}"
BEGUN = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

ASKED = Inquiry(
    provider_id=None,
    to="+13115552367",
    sender="+13115552368",
    text=TEXT,
    callback_url=OURS,
    begun=BEGUN,
    ended=BEGUN + timedelta(seconds=20),
)
BY_ID = replace(ASKED, provider_id=UUID)


def account(**options) -> OpenTact:
    options = {"base_url": "https://api.example.com", "api_key": KEY, "generation": "A"} | options
    return OpenTact(options, name="main")


def item(**changes) -> dict[str, object]:
    """Return our message as the look-up's page shows one; `None` takes a field away."""
    shown = {
        "state": "sending",
        "created_on": "2026-11-21T12:00:01.928Z",
        "modified_on": "2026-11-21T12:00:02.045Z",
        "uuid": UUID,
        "to": "13115552367",
        "thread": "fdbbf3c163f386c272ed1b75a1d898bf",
        "message": TEXT,
        "delivered": False,
        "automated": False,
        "reference_id": "yRUCycblUjwqpkMBwPbJf4",
        "custom_callback_url": OURS,
        "tn": {"tn": 13115552368, "deleted_on": None, "sms": True},
    } | changes
    return {name: value for name, value in shown.items() if value is not None}


def judged(body: object, inquiry: Inquiry = ASKED, *, status: int = 200, **headers: str):
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return account().judge_inquiry(inquiry, Answer(status, told, json.dumps(body).encode()))


def searched(*items: object, inquiry: Inquiry = ASKED, **envelope: object):
    return judged({"success": True, "payload": {"data": list(items)} | envelope}, inquiry)


def looked_up(inquiry: Inquiry = BY_ID, **changes: object):
    return judged({"success": True, "payload": item(**changes)}, inquiry)


# Asking


def test_a_known_id_is_looked_up():
    request = account().inquire(BY_ID)
    assert (request.method, str(request.url)) == ("GET", f"https://api.example.com/rest/sms/outbound/{UUID}")
    assert request.headers["x-auth-token"] == KEY
    assert request.content == b""


def test_an_unknown_id_is_searched_by_recipient_and_time():
    request = account().inquire(ASKED)
    assert request.method == "POST"
    assert str(request.url) == "https://api.example.com/rest/sms/search/outbound?take=100&skip=0"
    assert request.headers["x-auth-token"] == KEY
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.content) == {
        "take": 100,
        "skip": 0,
        "mode": "AND",
        "created_on_from": "2026-11-21T11:50:00.000Z",
        "created_on_to": "2026-11-21T12:10:20.000Z",
        "to": "+13115552367",
    }


def test_times_of_any_zone_are_asked_for_in_utc():
    east = ASKED.begun.astimezone(tz=datetime.fromisoformat("2026-01-01T00:00:00+05:30").tzinfo)
    request = account().inquire(replace(ASKED, begun=east))
    assert json.loads(request.content)["created_on_from"] == "2026-11-21T11:50:00.000Z"


def test_the_text_is_not_told_again():
    request = account().inquire(ASKED)
    assert "4821" not in str(request.url) + request.content.decode()


@pytest.mark.parametrize("provider_id", ["a/../../token", "x?y#z", "%2e%2e"])
def test_an_id_stays_one_part_of_the_path(provider_id):
    request = account().inquire(replace(ASKED, provider_id=provider_id))
    path = request.url.raw_path.decode()
    assert path.startswith("/rest/sms/outbound/")
    assert "/" not in path.removeprefix("/rest/sms/outbound/")
    assert "?" not in path


@pytest.mark.parametrize("provider_id", ["..", ".", "", " ", "two words", "ü", "\ud800", "x" * 200])
def test_what_can_be_no_id_is_not_looked_up(provider_id):
    assert account().inquire(replace(ASKED, provider_id=provider_id)).method == "POST"


@pytest.mark.parametrize("generation", ["B", "C"])
def test_the_other_generations_document_nothing_to_ask(generation):
    adapter = account(generation=generation)
    assert adapter.inquire(ASKED) is None
    assert adapter.inquire(BY_ID) is None
    assert not adapter.capabilities.lookup
    assert not adapter.capabilities.search


def test_whoever_knows_the_paths_of_another_generation_can_give_them():
    adapter = account(generation="C", lookup_path="/sms/o", search_path="/sms/o/search")
    assert str(adapter.inquire(BY_ID).url) == f"https://api.example.com/sms/o/{UUID}"
    assert adapter.inquire(ASKED).url.path == "/sms/o/search"
    assert adapter.inquire(ASKED).headers["authorization"] == f"Bearer {KEY}"
    assert (adapter.capabilities.lookup, adapter.capabilities.search) == (True, True)


def test_an_account_with_a_search_alone_searches_for_a_known_id_too():
    adapter = account(generation="C", search_path="/search")
    assert adapter.inquire(BY_ID).url.path == "/search"
    body = {"payload": {"data": [item(uuid=UUID.upper(), custom_callback_url=None)]}}
    found = adapter.judge_inquiry(BY_ID, Answer(200, {}, json.dumps(body).encode()))
    assert found == Found((Receipt(UUID, Status.SENT, reason="state: sending"),), sure=True)


def test_an_account_with_a_look_up_alone_needs_the_id():
    adapter = account(generation="C", lookup_path="/sms/o")
    assert adapter.inquire(ASKED) is None
    assert adapter.inquire(BY_ID).method == "GET"


@pytest.mark.parametrize("path", ["search", "/a?b", "/a#b", "/a b"])
def test_a_path_that_can_not_be_one_is_told(path):
    with pytest.raises(ConfigurationError, match=r"^accounts\.main\.search_path: string should match"):
        account(search_path=path)


# What a look-up tells

STATES = {
    "created": ({"state": "created"}, Receipt(UUID, Status.SENT, reason="state: created")),
    "sending": ({"state": "sending"}, Receipt(UUID, Status.SENT, reason="state: sending")),
    "unknown": ({"state": "parked"}, Receipt(UUID, Status.SENT, reason="state: parked")),
    "success": ({"state": "success"}, Receipt(UUID, Status.SENT)),
    "delivered": ({"state": "success", "delivered": True}, Receipt(UUID, Status.DELIVERED)),
    "failed": (
        {"state": "failed"},
        Receipt(UUID, Status.UNDELIVERED, ErrorCode.REJECTED, "state: failed"),
    ),
}


@pytest.mark.parametrize("state", STATES)
def test_each_state_is_read_as_in_a_receipt_and_proves_that_it_was_accepted(state):
    changes, receipt = STATES[state]
    assert looked_up(**changes) == Found((receipt,), sure=True)
    assert searched(item(**changes)) == Found((receipt,), sure=True)


def test_a_look_up_of_what_is_not_there_is_not_found():
    assert judged({"success": False, "message": "no", "status": 404}, BY_ID, status=404) == NotFound()


def test_a_404_that_is_no_word_of_the_providers_tells_nothing():
    answer = Answer(404, {}, b"<html>Not found</html>")
    assert isinstance(account().judge_inquiry(BY_ID, answer), Unanswered)


def test_a_404_for_a_search_is_a_wrong_path():
    assert isinstance(judged({"success": False}, status=404), Unanswered)


@pytest.mark.parametrize("changes", [{"uuid": OTHER}, {"uuid": None}, {"state": None, "delivered": None}])
def test_a_look_up_of_anything_else_tells_nothing(changes):
    assert isinstance(looked_up(**changes), Unanswered)


# What a search tells


def test_our_callback_url_is_proof_whatever_else_is_shown():
    bare = item(to=None, message=None, tn=None, created_on="?")
    assert searched(bare) == Found((Receipt(UUID, Status.SENT, reason="state: sending"),), sure=True)


def test_a_url_signed_with_an_earlier_key_is_ours_too():
    assert searched(item(custom_callback_url=OURS.replace(SIGNATURE, "t" * 43))).sure


def test_two_with_our_url_are_both_told():
    found = searched(item(state="success"), item(uuid=OTHER, state="success"), item(custom_callback_url=None))
    assert found == Found((Receipt(UUID, Status.SENT), Receipt(OTHER, Status.SENT)), sure=True)


def test_without_a_url_what_is_the_same_is_a_candidate():
    found = searched(item(custom_callback_url=None))
    assert found == Found((Receipt(UUID, Status.SENT, reason="state: sending"),), sure=False)


def test_candidates_come_in_the_order_of_their_times():
    early = item(custom_callback_url=None, uuid=OTHER, state="success", created_on="2026-11-21T11:58:00Z")
    near = item(custom_callback_url=None, state="success")
    found = searched(early, near)
    assert found == Found((Receipt(UUID, Status.SENT), Receipt(OTHER, Status.SENT)), sure=False)


ANOTHER_MESSAGE = {
    "another text": {"message": "Your code is 4822"},
    "a longer text": {"message": f"{TEXT}!"},
    "another recipient": {"to": "13115552360"},
    "another recipient as a number": {"to": 13115552360},
    "another sender": {"tn": {"tn": 13115550000}},
    "too early": {"created_on": "2026-11-21T11:49:59.000Z"},
    "too late": {"created_on": "2026-11-21T12:10:21.000Z"},
    "another message's URL": {"custom_callback_url": ANOTHERS},
    "inbound": {"type": "smsr"},
}


@pytest.mark.parametrize("kind", ANOTHER_MESSAGE)
def test_another_message_is_not_ours(kind):
    changes = {"custom_callback_url": None} | ANOTHER_MESSAGE[kind]
    assert searched(item(**changes)) == NotFound()


ALIKE = {
    "numbers with +": {"to": "+13115552367", "tn": "+13115552368"},
    "a recipient as a number": {"to": 13115552367},
    "a bare sender": {"tn": 13115552368},
    "a sender in from": {"tn": None, "from": "+1 (311) 555-2368"},
    "white space": {"message": f" {TEXT.replace(' ', '  ')}\n"},
    "a time without a zone": {"created_on": "2026-11-21T12:00:01"},
    "a time of another zone": {"created_on": "2026-11-21T13:00:01+01:00"},
    "somebody's URL": {"custom_callback_url": "https://elsewhere.example.com/hook"},
    "a URL cut short": {"custom_callback_url": OURS[:50]},
    "a masked URL": {"custom_callback_url": f"{PLACE}/{'*' * 22}.{'*' * 43}"},
}


@pytest.mark.parametrize("kind", ALIKE)
def test_what_is_written_in_another_way_is_a_candidate(kind):
    found = searched(item(**{"custom_callback_url": None} | ALIKE[kind]))
    assert isinstance(found, Found)
    assert not found.sure


UNCLEAR = {
    "no text": {"message": None},
    "an empty text": {"message": " "},
    "a masked text": {"message": "Your code is ****"},
    "a text cut short": {"message": "Your code…"},
    "no recipient": {"to": None},
    "a masked recipient": {"to": "+1311***2367"},
    "a recipient of another type": {"to": [13115552367]},
    "no sender": {"tn": None},
    "a sender of another type": {"tn": {"tn": True}},
    "no time": {"created_on": None},
    "a time of another type": {"created_on": 1_795_000_000},
    "no time that is one": {"created_on": "yesterday"},
    "no id": {"uuid": None},
    "no state": {"state": None, "delivered": None},
}


@pytest.mark.parametrize("kind", UNCLEAR)
def test_what_can_not_be_told_from_ours_is_neither_found_nor_not_found(kind):
    unclear = item(**{"custom_callback_url": None} | UNCLEAR[kind])
    assert isinstance(searched(unclear), Unanswered)
    assert searched(unclear, item()).sure


def test_our_url_without_a_readable_id_is_not_taken_for_not_found():
    assert isinstance(searched(item(uuid=None)), Unanswered)


@pytest.mark.parametrize("shown", [7, None, "x", [item()]])
def test_an_item_that_is_none_is_skipped_and_not_taken_for_not_found(shown):
    assert isinstance(searched(shown), Unanswered)
    assert searched(shown, item()).sure


def test_nothing_there_is_not_found():
    assert searched() == NotFound()
    assert searched(total=0) == NotFound()


@pytest.mark.parametrize("envelope", [{"items": [item()]}, {"data": [item()], "total": 1}, [item()]])
def test_the_list_is_found_in_any_known_envelope(envelope):
    assert judged({"success": True, "payload": envelope}).sure


def test_more_than_is_shown_is_not_taken_for_not_found():
    another = item(custom_callback_url=ANOTHERS)
    assert isinstance(searched(*[another] * 100), Unanswered)
    assert isinstance(searched(another, total=2), Unanswered)
    assert searched(another, total=1) == NotFound()


def test_at_most_a_hundred_are_read():
    another = item(custom_callback_url=ANOTHERS)
    assert isinstance(searched(*[another] * 100, item()), Unanswered)
    assert searched(*[another] * 99, item()).sure


@pytest.mark.parametrize("payload", [None, {}, "x", 7, {"data": {}}, {"data": None, "items": [item()]}])
def test_an_answer_without_a_list_tells_nothing(payload):
    assert isinstance(judged({"success": True, "payload": payload}), Unanswered)


def test_a_message_without_a_text_of_ours_is_no_candidate():
    shown = item(custom_callback_url=None)
    assert isinstance(searched(shown, inquiry=replace(ASKED, text=None)), Unanswered)


def test_without_a_url_of_ours_no_url_proves_anything():
    assert searched(item(), inquiry=replace(ASKED, callback_url=None)).sure is False


# No answer


@pytest.mark.parametrize("inquiry", [ASKED, BY_ID], ids=["search", "look-up"])
def test_a_provider_that_asks_to_wait_is_waited_for(inquiry):
    assert judged({}, inquiry, status=429).pause == 1.0
    assert judged({}, inquiry, status=429, retry_after="7").pause == 7.0
    assert judged({}, inquiry, status=503, retry_after="9").pause == 9.0
    assert judged({}, inquiry, status=503).pause == 0.0


@pytest.mark.parametrize("inquiry", [ASKED, BY_ID], ids=["search", "look-up"])
@pytest.mark.parametrize("status", [302, 400, 401, 402, 403, 408, 410, 500, 502, 504])
def test_any_other_status_is_no_answer_and_no_reason_repeats_what_was_asked(inquiry, status):
    echo = {"success": False, "message": f"{TEXT} to +13115552367", "payload": item()}
    told = judged(echo, inquiry, status=status)
    assert isinstance(told, Unanswered)
    assert told.pause == 0.0
    assert told.reason.startswith(f"{status}: ")
    assert "code" not in told.reason
    assert "311" not in told.reason


@pytest.mark.parametrize("success", [False, None, "true", 1])
def test_success_that_is_not_true_is_no_answer(success):
    assert isinstance(judged({"success": success, "payload": {"data": []}}), Unanswered)


def test_half_an_answer_is_no_answer():
    whole = json.dumps({"success": True, "payload": {"data": []}}).encode()
    assert account().judge_inquiry(ASKED, Answer(200, {}, whole)) == NotFound()
    assert isinstance(account().judge_inquiry(ASKED, Answer(200, {}, whole[:-4])), Unanswered)
    assert isinstance(account().judge_inquiry(ASKED, Answer(200, {}, whole, truncated=True)), Unanswered)


def test_asking_changes_nothing_about_sending():
    adapter = account()
    adapter.inquire(BY_ID)
    assert isinstance(adapter.inquire(ASKED), httpx.Request)
    assert "content-type" not in adapter.inquire(BY_ID).headers
