"""What every adapter must do, whatever its provider: one suite over the registry."""

import contextlib
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from sendline.contract.accounts import Capabilities
from sendline.contract.errors import ConfigurationError
from sendline.settings import AccountSettings
from sendline_worker.outcomes import (
    Accepted,
    AccountStopped,
    NotAccepted,
    Outcome,
    Refused,
    Throttled,
    Uncertain,
)
from sendline_worker.providers.base import (
    Answer,
    Finding,
    Found,
    Hook,
    Inbound,
    Inquiry,
    NotFound,
    Outbound,
    Receipt,
    Unanswered,
    UnreadableReceipt,
)
from sendline_worker.providers.judgement import REASON_LENGTH
from sendline_worker.providers.kore.adapter import KoreOptions
from sendline_worker.providers.opentact.adapter import OpenTactOptions
from sendline_worker.providers.registry import ADAPTERS, adapter_class, simulated_faces

SECRET = "sk-live-a-secret-of-at-least-32-bytes"
TEXT = "Your code is 4821"

ACCOUNTS = {
    "opentact": {"base_url": "https://api.example.com", "api_key": SECRET},
    "opentact A": {"base_url": "https://api.example.com", "api_key": SECRET, "generation": "A"},
    "opentact B": {"base_url": "https://api.example.com", "api_key": SECRET, "generation": "B"},
    "kore": {
        "base_url": "https://api.example.com",
        "bot_id": "st-1",
        "client_id": "cs-1",
        "client_secret": SECRET,
    },
}
"""The options of a good account for each adapter, and for each of its dialects."""


def make(account, **more):
    return adapter_class(account.split()[0])(ACCOUNTS[account], name="main", **more)


@pytest.fixture(params=ACCOUNTS)
def account(request):
    return request.param


@pytest.fixture
def adapter(account):
    return make(account)


def outbound(**changes) -> Outbound:
    values = {
        "id": "019a0000-0000-7000-8000-000000000000",
        "to": "+13115552367",
        "sender": "+13115552368",
        "text": TEXT,
        "callback_url": "https://sms.example.com/receipts/opaque-token",
    }
    return Outbound(**(values | changes))


def answer(status: int, body: bytes = b"", **headers: str) -> Answer:
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def test_every_registered_adapter_is_tested_here():
    assert {account.split()[0] for account in ACCOUNTS} == set(ADAPTERS)


BODIES = {
    "HTML": b"<!doctype html><title>Welcome</title>",
    "an empty body": b"",
    "10 MB": b'{"message": "' + b"x" * 65_523,
    "invalid UTF-8": b'{"message": "\xff\xfe", "payload": {"uuid": "\xc3("}}',
    "a list": b"[1, 2]",
    "null": b"null",
    "an empty object": b"{}",
    "deep nesting": b'{"payload":' * 5_000,
    "deep nesting that can be read": b'{"error":' * 500 + b"1" + b"}" * 500,
    "other types": b'{"success": true, "message": 7, "payload": [{"uuid": 7}]}',
    "empty strings": b'{"success": true, "message": " ", "payload": {"uuid": " "}}',
    "a lone surrogate": b'{"payload": {"uuid": "\\ud800"}, "error": "\\ud800"}',
}

TABLE: dict[int, type[Outcome]] = {
    **dict.fromkeys((100, 101, 500, 501, 502, 504, 599, 999), Uncertain),
    **dict.fromkeys((200, 201, 202, 204, 206), Uncertain),
    **dict.fromkeys((301, 302, 303, 307, 308), AccountStopped),
    **dict.fromkeys((400, 404, 405, 409, 410, 413, 415, 422), Refused),
    **dict.fromkeys((401, 402, 403), AccountStopped),
    **dict.fromkeys((408, 425, 503), NotAccepted),
    429: Throttled,
}


@pytest.mark.parametrize("body", BODIES)
def test_no_body_changes_a_status_and_a_2xx_without_its_promise_is_uncertain(adapter, body):
    for status, kind in TABLE.items():
        outcome = adapter.judge(Answer(status, {}, BODIES[body], truncated=body == "10 MB"))
        assert type(outcome) is kind, status
        assert 0 < len(outcome.reason) <= REASON_LENGTH, status
        assert outcome.reason.isprintable(), status


def test_a_503_that_says_for_how_long_pauses_the_account(adapter):
    outcome = adapter.judge(answer(503, retry_after="9"))
    assert isinstance(outcome, Throttled)
    assert outcome.retry_after == 9


def test_the_owners_statuses_reach_the_judgement(account):
    adapter = make(account, not_accepted=frozenset({500}))
    assert isinstance(adapter.judge(answer(500)), NotAccepted)
    assert isinstance(adapter.judge(answer(502)), Uncertain)


@pytest.mark.parametrize("field", ["message", "error", "msg"])
def test_a_reason_holds_no_number_and_no_secret(adapter, field):
    said = f"{SECRET} may not send to +13115552367 or 311-555-2367\nnow"
    for status in (400, 403, 500, 503):
        reason = adapter.judge(answer(status, json.dumps({field: said}).encode())).reason
        assert "3115552367" not in reason
        assert "2367" not in reason
        assert SECRET not in reason
        assert "\n" not in reason


def test_what_is_composed_is_one_post_below_the_base_url(adapter):
    request = adapter.compose(outbound(text=TEXT if adapter.capabilities.text else None))
    assert isinstance(request, httpx.Request)
    assert request.method == "POST"
    assert (request.url.scheme, request.url.host) == ("https", "api.example.com")
    assert int(request.headers["content-length"]) == len(request.content)
    assert "13115552367" in str(request.url) + request.content.decode()


@pytest.mark.parametrize("text", ["emoji 👍🏽", 'quote " and \\ and \n', "x" * 5000, "&to=+1"])
def test_any_text_can_be_composed(adapter, text):
    assert isinstance(adapter.compose(outbound(text=text)), httpx.Request)


def test_composing_twice_composes_the_same(adapter):
    first, second = adapter.compose(outbound()), adapter.compose(outbound())
    assert (first.url, first.headers, first.content) == (second.url, second.headers, second.content)


@pytest.mark.parametrize("body", [body for name, body in BODIES.items() if name != "10 MB"])
def test_a_receipt_that_is_nonsense_is_unreadable_and_not_quoted(adapter, body):
    with pytest.raises(UnreadableReceipt) as error:
        adapter.read_receipts(Hook({}, {}, body))
    assert len(str(error.value)) < 60


FIELDS = st.sampled_from(
    [
        *("type", "payload", "data", "uuid", "id", "to", "status", "state", "delivered", "direction"),
        *("event_type", "success", "message", "error", "errors", "code", "msg"),
    ]
)
WORDS = st.sampled_from(
    ["sms", "smso", "smsr", "smsi", "success", "failed", "delivered", "inbound", "x-1", "\ud800"]
)
SHOWN = st.sampled_from(
    ["uuid", "state", "delivered", "to", "from", "tn", "message", "created_on", "custom_callback_url", "type"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=6),
    max_leaves=20,
)


@pytest.mark.parametrize("account", ACCOUNTS)
@given(body=st.dictionaries(FIELDS, VALUES, max_size=6), status=st.integers(100, 999))
def test_whatever_a_provider_says_is_judged_or_unreadable(account, body, status):
    adapter, raw = make(account), json.dumps(body).encode()
    outcome = adapter.judge(Answer(status, {}, raw))
    assert isinstance(outcome, Outcome)
    if isinstance(outcome, Accepted):
        assert 200 <= status < 300
    else:
        assert outcome.reason.isprintable()
    with contextlib.suppress(UnreadableReceipt):
        for told in adapter.read_receipts(Hook({}, {}, raw)):
            assert isinstance(told, Receipt | Inbound)
            if isinstance(told, Receipt):
                assert told.reason.isprintable()


BEGUN = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
KNOWN, UNKNOWN = "90c2e069-44c1-4f1a-9619-540432378122", None


def inquiry(provider_id: str | None) -> Inquiry:
    url = "https://sms.example.com/receipts/main/opaque.token"
    return Inquiry(
        provider_id, "+13115552367", "+13115552368", TEXT, url, BEGUN, BEGUN + timedelta(seconds=20)
    )


def is_finding(finding: object) -> bool:
    """Say whether it is one, whose words hold nothing of what was asked."""
    assert isinstance(finding, Finding)
    if isinstance(finding, Found):
        return bool(finding.receipts) and all(receipt.provider_id for receipt in finding.receipts)
    if isinstance(finding, Unanswered):
        assert 0 < len(finding.reason) <= REASON_LENGTH
        assert finding.reason.isprintable()
        assert finding.pause >= 0
        assert not any(told in finding.reason for told in (TEXT, "311555", KNOWN, "opaque", SECRET))
    return True


def test_an_adapter_asks_where_it_says_that_it_can(adapter):
    can = adapter.capabilities
    by_id, by_search = adapter.inquire(inquiry(KNOWN)), adapter.inquire(inquiry(UNKNOWN))
    assert (by_id is not None) == (can.lookup or can.search)
    assert (by_search is not None) == can.search
    for request in filter(None, (by_id, by_search)):
        assert isinstance(request, httpx.Request)
        assert (request.url.scheme, request.url.host) == ("https", "api.example.com")
        assert int(request.headers.get("content-length", 0)) == len(request.content)
    assert by_id is None or KNOWN in str(by_id.url) + by_id.content.decode()


def test_some_adapter_can_be_asked():
    assert any(make(account).inquire(inquiry(UNKNOWN)) for account in ACCOUNTS)


def test_asking_twice_asks_the_same(adapter):
    for each in (KNOWN, UNKNOWN):
        first, second = adapter.inquire(inquiry(each)), adapter.inquire(inquiry(each))
        if first is not None:
            assert (first.url, first.headers, first.content) == (second.url, second.headers, second.content)


@pytest.mark.parametrize("body", BODIES)
def test_an_answer_that_tells_nothing_finds_nothing(adapter, body):
    for status, provider_id in product(TABLE, (KNOWN, UNKNOWN)):
        answer = Answer(status, {}, BODIES[body], truncated=body == "10 MB")
        finding = adapter.judge_inquiry(inquiry(provider_id), answer)
        assert is_finding(finding)
        assert isinstance(finding, Unanswered) or (status == 404 and provider_id == KNOWN)
        assert not isinstance(finding, Found)


@pytest.mark.parametrize("account", ACCOUNTS)
@given(
    body=st.dictionaries(FIELDS, VALUES, max_size=6),
    shown=st.lists(st.dictionaries(SHOWN, VALUES | WORDS | st.just(TEXT), max_size=8) | VALUES, max_size=3),
    status=st.integers(100, 999),
    provider_id=st.sampled_from([KNOWN, UNKNOWN, "..", "\ud800"]),
)
def test_whatever_a_provider_answers_is_a_finding(account, body, shown, status, provider_id):
    adapter = make(account)
    for payload in (body, {"success": True, "payload": {"data": shown}}, {"payload": (shown or [None])[0]}):
        raw = json.dumps(payload).encode()
        finding = adapter.judge_inquiry(inquiry(provider_id), Answer(status, {}, raw))
        assert is_finding(finding)
        if not 200 <= status < 300:
            assert not isinstance(finding, Found)
            assert status == 404 or not isinstance(finding, NotFound)


def test_an_adapter_states_what_it_can_and_how_fast(adapter):
    assert isinstance(adapter.capabilities, Capabilities)
    assert 0 < adapter.default_rate <= 1000


def test_no_secret_shows_in_an_adapter(adapter):
    assert SECRET not in repr(adapter)
    assert SECRET not in str(adapter)
    assert "main" in repr(adapter)


def test_options_may_all_arrive_as_secrets(account):
    concealed = {name: SecretStr(value) for name, value in ACCOUNTS[account].items()}
    adapter = adapter_class(account.split()[0])(concealed, name="main")
    assert adapter.compose(outbound()).headers == make(account).compose(outbound()).headers


def test_a_secret_from_a_file_loses_its_line_end(account):
    with_line_end = {
        name: f"{value}\n" if value == SECRET else value for name, value in ACCOUNTS[account].items()
    }
    adapter = adapter_class(account.split()[0])(with_line_end, name="main")
    assert adapter.compose(outbound()).headers == make(account).compose(outbound()).headers


def refusal(account, **changes) -> str:
    options = {name: value for name, value in (ACCOUNTS[account] | changes).items() if value is not None}
    with pytest.raises(ConfigurationError) as error:
        adapter_class(account.split()[0])(options, name="main")
    assert SECRET not in str(error.value)
    assert "\n" not in str(error.value)
    assert error.value.__cause__ is None
    return str(error.value)


WRONG_URLS = {
    None: "accounts.main.base_url: missing; put ",
    "": "accounts.main.base_url: not an address",
    "api.example.com": "accounts.main.base_url: not an address",
    "ftp://api.example.com": "accounts.main.base_url: not an address",
    "https://": "accounts.main.base_url: not an address",
    "https://[": "accounts.main.base_url: not an address",
    f"https://me:{SECRET}@api.example.com": "accounts.main.base_url: leave the credentials out",
    "https://api.example.com?key=1": "accounts.main.base_url: leave out what follows",
    "http://api.example.com": "accounts.main.base_url: http would send the credentials in clear",
    "http://10.0.0.1": "accounts.main.base_url: http would send the credentials in clear",
    "http://127.0.0.1.example.com": "accounts.main.base_url: http would send the credentials in clear",
}


@pytest.mark.parametrize("url", WRONG_URLS)
def test_a_wrong_base_url_is_told_in_one_line(account, url):
    assert refusal(account, base_url=url).startswith(WRONG_URLS[url])


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://localhost:80/", "http://[::1]:8080"])
def test_http_is_for_this_machine(account, url):
    adapter = adapter_class(account.split()[0])(ACCOUNTS[account] | {"base_url": url}, name="main")
    assert str(adapter.compose(outbound()).url).startswith(url.rstrip("/").removesuffix(":80"))


def test_an_unknown_option_is_told_with_those_that_are_known(account):
    assert "accounts.main.color: not an option of this provider; it knows " in refusal(account, color="red")


def test_an_unknown_option_goes_before_a_missing_one(account):
    line = refusal(account, base_url=None, bas_url="https://api.example.com")
    assert line.startswith(
        "accounts.main.bas_url: not an option of this provider; did you mean base_url? it "
    )


def test_an_accounts_own_setting_misspelt_is_recognised(account):
    line = refusal(account, rat="7")
    assert line.startswith("accounts.main.rat: not an option of this provider; did you mean rate? it knows ")
    options, _, settings = line.partition("; every account takes ")
    assert set(ACCOUNTS[account]) <= set(options.partition("it knows ")[2].split(", "))
    assert settings.split(", ") == sorted(AccountSettings.model_fields)


def test_an_unknown_provider_is_told_with_those_that_are_known():
    with pytest.raises(ConfigurationError, match=r"no adapter is named twylio; known: kore, opentact"):
        adapter_class("twylio")


def test_only_the_adapters_that_are_needed_are_loaded():
    code = (
        "import sys; from sendline_worker.providers.registry import adapter_class; adapter_class('opentact');"
        "assert 'sendline_worker.providers.opentact.adapter' in sys.modules;"
        "assert not any(m.startswith('sendline_worker.providers.kore') or m == 'jwt' for m in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_provider_has_a_face_in_the_simulator():
    faces = simulated_faces()
    assert len(faces) == len(ADAPTERS)
    assert all(callable(face) for face in faces)


def test_accepting_is_possible(adapter):
    """The table above must not be true for the trivial reason that nothing is ever accepted."""
    body = b'{"success": true, "message": "Triggered", "payload": {"uuid": "90C2E069-44c1"}}'
    assert isinstance(adapter.judge(answer(200, body)), Accepted)
    assert isinstance(adapter.judge(answer(201, body)), Accepted)


@pytest.mark.parametrize("model", [OpenTactOptions, KoreOptions])
def test_every_option_is_documented(model):
    page = (Path(__file__).parents[3] / "docs" / "providers.md").read_text(encoding="utf-8")
    for option in model.model_fields:
        assert f"`{option}`" in page
