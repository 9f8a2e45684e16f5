"""Kore.ai: what is sent, how it is signed, and what its answers mean."""

import json

import jwt
import pytest

from sendline.contract.codes import ErrorCode
from sendline.contract.errors import ConfigurationError
from sendline_worker.outcomes import Accepted, AccountStopped, Refused, Throttled, Uncertain
from sendline_worker.providers.base import Answer, Hook, Outbound, UnreadableReceipt
from sendline_worker.providers.kore.adapter import Kore

SECRET = "a-client-secret-that-is-long-enough-for-every-algorithm-there-is!"
MINTING = {
    "base_url": "https://platform.example.com",
    "bot_id": "st-26d52ba6",
    "client_id": "cs-dc6ecdfd",
    "client_secret": SECRET,
}
TOKEN = "header.payload.signature"
MADE = {"base_url": "https://platform.example.com", "bot_id": "st-26d52ba6", "jwt": TOKEN}
MESSAGE = Outbound(
    "019a0000-0000-7000-8000-000000000000",
    "+917760336484",
    "+16693422058",
    None,
    "https://sms.example.com/r/t",
)


def account(options=MADE, **more) -> Kore:
    return Kore({**options, **more}, name="flows")


def token(adapter: Kore) -> str:
    return adapter.compose(MESSAGE).headers["auth"]


def test_it_sends_two_numbers_and_nothing_else():
    request = account().compose(MESSAGE)
    assert str(request.url) == "https://platform.example.com/api/public/bot/st-26d52ba6/outboundsms"
    assert json.loads(request.content) == {"fromNo": "+16693422058", "toNo": "+917760336484"}
    assert request.headers["content-type"] == "application/json"
    assert request.headers["auth"] == TOKEN
    assert "authorization" not in request.headers


def test_a_bot_id_can_not_leave_its_place_in_the_path():
    request = account(bot_id="../a?b#c").compose(MESSAGE)
    assert request.url.raw_path == b"/api/public/bot/..%2Fa%3Fb%23c/outboundsms"


def test_a_minted_token_carries_what_the_page_shows():
    made = token(account(MINTING))
    assert jwt.get_unverified_header(made) == {"alg": "HS256", "typ": "JWT"}
    assert jwt.decode(made, SECRET, algorithms=["HS256"]) == {"sub": "1234567890", "appId": "cs-dc6ecdfd"}


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_the_apps_algorithm_and_subject_are_used(algorithm):
    made = token(account(MINTING, algorithm=algorithm, sub="someone"))
    assert jwt.get_unverified_header(made)["alg"] == algorithm
    assert jwt.decode(made, SECRET, algorithms=[algorithm])["sub"] == "someone"


def test_with_jti_every_token_has_an_id_of_its_own():
    adapter = account(MINTING, jti=True)
    ids = {jwt.decode(token(adapter), SECRET, algorithms=["HS256"])["jti"] for _ in range(20)}
    assert len(ids) == 20


def test_it_can_do_little_and_says_so():
    can = account().capabilities
    assert not any((can.text, can.provider_id, can.receipts, can.reference, can.lookup, can.search))
    assert account().default_rate == 18_000 / 3600


MISTAKES = {
    "no credential": (
        {"jwt": None},
        "client_id is missing; put the app's client id there, or a token into jwt",
    ),
    "half a credential": (
        {"jwt": None, "client_id": "cs-1"},
        "client_secret is missing; put the app's client secret there",
    ),
    "two credentials": (
        {"client_id": "cs-1", "client_secret": SECRET},
        "give either jwt, or client_id and client_secret (with jti if needed)",
    ),
    "a token that can't change": (
        {"jti": True},
        "give either jwt, or client_id and client_secret (with jti if needed)",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_wrong_credential_is_told_in_one_line(mistake):
    changes, line = MISTAKES[mistake]
    options = {name: value for name, value in (MADE | changes).items() if value is not None}
    with pytest.raises(ConfigurationError) as error:
        account(options)
    assert str(error.value) == f"accounts.flows: {line}"


def test_a_missing_bot_is_told_in_one_line():
    with pytest.raises(ConfigurationError) as error:
        account({"base_url": "https://platform.example.com", "jwt": TOKEN})
    line = "accounts.flows.bot_id: missing; put the BotId from the bot's general settings here"
    assert str(error.value) == line


def judged(status: int, body: object, headers=None):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return account().judge(Answer(status, headers or {}, raw))


@pytest.mark.parametrize("status", [200, 201, 202])
def test_the_sentence_that_the_page_shows_is_accepted_without_an_id(status):
    body = {"message": "Triggered the configured Experience flow to deliver message via SMS channel"}
    assert judged(status, body) == Accepted(None)


@pytest.mark.parametrize(
    "body",
    [
        {"message": "Flow started"},
        {"message": "Flow started", "code": 200},
        {"message": "Flow started", "code": "202"},
        {"message": "Triggered the configured Experience flow, unless it is missing"},
    ],
)
def test_another_sentence_without_a_sign_of_an_error_is_accepted(body):
    assert judged(200, body) == Accepted(None)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"message": ""},
        {"message": None},
        {"message": ["Triggered"]},
        {"msg": "Triggered"},
        {"message": "Triggered", "errors": [{"msg": "no flow", "code": 1}]},
        {"message": "no flow", "code": 1},
        {"message": "no flow", "error": True},
        {"message": "Triggered the configured Experience flow", "msg": "no flow"},
        {"message": "Triggered the configured Experience flow", "errors": []},
        {"message": "Triggered the configured Experience flow", "code": 2000},
        {"message": "Triggered the configured Experience flow", "code": None},
        {"message": "Internal server error"},
        {"message": "No flow is attached to the number"},
        {"message": "The flow could not be started"},
        {"message": "Request FAILED"},
        [{"message": "Triggered"}],
        b"Triggered",
    ],
)
def test_a_2xx_without_a_message_or_with_a_sign_of_an_error_is_uncertain(body):
    assert isinstance(judged(200, body), Uncertain)


CREDENTIALS = (
    {"msg": "Invalid SDK credentials", "code": 4002},
    {"msg": "Invalid SDK credentials", "code": "4002"},
    {"errors": [{"msg": "Invalid SDK credentials", "code": 4002}]},
    {"errors": {"msg": "Invalid SDK credentials", "code": 4002}},
)


@pytest.mark.parametrize("status", [200, 400, 401, 500])
@pytest.mark.parametrize("body", CREDENTIALS)
def test_code_4002_stops_the_account_under_any_status(body, status):
    assert judged(status, body) == AccountStopped(f"{status}: 4002, the credentials are not accepted")


LIMITED = "Rate limit for this API has been reached. Please try again later"


@pytest.mark.parametrize("status", [200, 202, 302, 400, 401, 403, 404, 409, 429, 500, 503])
@pytest.mark.parametrize(
    "body", [{"message": LIMITED}, {"errors": [{"msg": LIMITED}]}, LIMITED.upper().encode()]
)
def test_the_rate_limits_text_pauses_the_account_under_any_status(body, status):
    assert judged(status, body) == Throttled(1.0, f"{status}: the API's rate limit has been reached")


def test_a_pause_lasts_as_long_as_it_is_told():
    outcome = judged(403, {"message": LIMITED}, {"retry-after": "42"})
    assert isinstance(outcome, Throttled)
    assert outcome.retry_after == 42


def test_a_refusal_keeps_the_providers_words():
    body = {"errors": [{"msg": "+16693422058 is attached to no flow", "code": 77}]}
    assert judged(400, body) == Refused(ErrorCode.REJECTED, "400: # is attached to no flow")


def test_it_has_no_receipts():
    with pytest.raises(UnreadableReceipt):
        account().read_receipts(Hook({}, {}, b'{"status": "delivered"}'))
