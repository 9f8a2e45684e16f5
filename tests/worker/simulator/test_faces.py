"""The providers' faces over real HTTP: what they take, what they answer, what they refuse."""

import re

import httpx
import jwt
import pytest
from pydantic import SecretStr

from sendline_worker.simulator import SimulatorOptions, running
from worker.simulator.support import KEY, ORDINARY, SENDER, send

SECRET = "a-secret-that-is-long-enough-for-hs256"
CLIENT = "cs-dc6ecdfd-cba7-5055-a983-fffa1155a3f5"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture(scope="module")
def base_url():
    options = SimulatorOptions(
        port=0,
        receipt_delay=(0, 0),
        api_keys=(SecretStr(KEY), SecretStr("another")),
        client_secrets={CLIENT: SecretStr(SECRET)},
    )
    with running(options) as url:
        yield url


@pytest.fixture
def http(base_url):
    with httpx.Client(base_url=base_url, trust_env=False, headers={"x-auth-token": KEY}) as client:
        yield client


def kore(http, *, token=None, **body):
    auth = token or jwt.encode({"sub": "1", "appId": CLIENT}, SECRET)
    body = body or {"fromNo": SENDER, "toNo": ORDINARY}
    return http.post("/api/public/bot/st-1/outboundsms", json=body, headers={"auth": auth})


def test_generation_c_answers_the_shape_of_its_page(base_url, simulator):
    answer = send(base_url)
    payload = answer.json()["payload"]
    assert answer.status_code == 201
    assert answer.json()["success"] is True
    assert list(payload) == [
        "uuid", "state", "from", "to", "message", "thread", "delivered", "automated", "created_on",
        "modified_on", "tn", "tn_lease",
    ]  # fmt: skip
    assert UUID.fullmatch(payload["uuid"])
    assert (payload["state"], payload["delivered"]) == ("created", False)
    assert (payload["from"], payload["to"]) == ("13115552368", 13115552367)
    assert payload["tn"] == {"tn": 13115552368, "type": "long_code", "sms": True}
    assert set(payload["tn_lease"]) == {"uuid", "autorenew", "expired_on", "messaging_profile"}
    assert simulator.log()[0].provider_id == payload["uuid"]


def test_generation_a_takes_an_integer_sender(http, simulator):
    answer = http.post("/rest/sms", json={"to": ORDINARY, "tn": 13115552368, "message": "Hello"})
    assert answer.status_code == 200
    assert answer.json()["payload"]["state"] == "created"
    [entry] = simulator.log()
    assert (entry.recipient, entry.sender, entry.text) == (ORDINARY, SENDER, "Hello")


def test_generation_b_takes_query_parameters(http, simulator):
    values = {"FROM": "13115552368", "TO": "13115552367", "Message": "Hello"}
    answer = http.post("/rest/sms", params=values)
    assert answer.status_code == 200
    assert answer.json()["payload"]["type"] == "smso"
    assert answer.json()["payload"]["to"] == 13115552367
    [entry] = simulator.log()
    assert (entry.recipient, entry.sender, entry.text) == (ORDINARY, SENDER, "Hello")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/sms/o", {"to": ORDINARY, "text": "Hello"}),
        ("/sms/o", {"from": SENDER, "to": "13115552367", "text": "Hello"}),
        ("/sms/o", {"from": SENDER, "to": ORDINARY, "text": ""}),
        ("/sms/o", {"from": SENDER, "to": 13115552367, "text": "Hello"}),
        ("/sms/o", {"from": SENDER, "to": ORDINARY, "text": "Hello", "custom_callback_url": "short"}),
        ("/sms/o", ["no object"]),
        ("/rest/sms", {"to": ORDINARY, "tn": "13115552368", "message": "Hello"}),
        ("/rest/sms", {"to": ORDINARY, "tn": 13115552368, "message": "x" * 919}),
        ("/rest/sms", {"to": "12", "tn": 13115552368, "message": "Hello"}),
        ("/rest/sms?FROM=13115552368&TO=13115552367", None),
    ],
)
def test_what_the_pages_do_not_allow_is_refused(http, simulator, path, body):
    answer = http.post(path, json=body, headers={"authorization": f"Bearer {KEY}"})
    assert answer.status_code == 400
    assert answer.json()["success"] is False
    [entry] = simulator.log()
    assert (entry.provider_id, entry.answer, entry.behaviour) == (None, "400", "refused_by_the_book")


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/sms/o", {}),
        ("/sms/o", {"authorization": "Bearer wrong"}),
        ("/sms/o", {"authorization": f"Basic {KEY}"}),
        ("/sms/o", {"x-auth-token": KEY}),
        ("/rest/sms", {}),
        ("/rest/sms", {"x-auth-token": "wrong"}),
        ("/rest/sms/search/outbound", {"x-auth-token": "wrong"}),
    ],
)
def test_wrong_credentials_are_answered_401(base_url, path, headers):
    body = {"from": SENDER, "to": ORDINARY, "text": "Hello"}
    answer = httpx.post(base_url + path, json=body, headers=headers, trust_env=False)
    assert answer.status_code == 401


def test_generation_a_takes_the_key_in_authorization_too(base_url):
    body = {"to": ORDINARY, "tn": 13115552368, "message": "Hello"}
    for scheme in ("Bearer", "JWT"):
        headers = {"authorization": f"{scheme} {KEY}"}
        assert httpx.post(f"{base_url}/rest/sms", json=body, headers=headers, trust_env=False).is_success


def test_a_message_can_be_looked_up_by_the_account_that_sent_it(base_url, http, simulator):
    provider_id = send(base_url).json()["payload"]["uuid"]
    found = http.get(f"/rest/sms/outbound/{provider_id}").json()["payload"]
    assert (found["uuid"], found["to"], found["message"]) == (provider_id, "13115552367", "Hello, world!")
    assert (found["state"], found["delivered"]) == ("success", True)
    assert http.get(f"/rest/sms/outbound/{provider_id[:-1]}x").status_code == 404
    other = {"x-auth-token": "another"}
    assert http.get(f"/rest/sms/outbound/{provider_id}", headers=other).status_code == 404


def test_a_look_up_tells_what_was_reported(base_url, http, simulator):
    for to, state in (("+13115559460", ("failed", False)), ("+13115559450", ("success", False)),
                      ("+13115559440", ("created", False)), ("+13115559470", ("success", True))):  # fmt: skip
        provider_id = send(base_url, to).json()["payload"]["uuid"]
        found = http.get(f"/rest/sms/outbound/{provider_id}").json()["payload"]
        assert (found["state"], found["delivered"]) == state


def test_a_search_finds_by_recipient_text_and_time(base_url, http, simulator):
    for to, text in ((ORDINARY, "one"), (ORDINARY, "two"), ("+13115550001", "one")):
        send(base_url, to, text=text)
    send(base_url, "+13115559200", text="one")

    def search(**asked):
        payload = http.post("/rest/sms/search/outbound", json=asked).json()["payload"]
        return [(item["to"], item["message"]) for item in payload["data"]], payload["total"]

    one, two, other = ("13115552367", "one"), ("13115552367", "two"), ("13115550001", "one")
    assert search() == ([other, two, one], 3)
    assert search(to=ORDINARY, message="one") == ([one], 1)
    assert search(to="1311555*", message="o%") == ([other, one], 2)
    assert search(take=1, skip=1) == ([two], 3)
    assert search(mode="OR", message="two", to="13115550001") == ([other, two], 2)
    assert search(delivered=False) == ([], 0)
    first = http.post("/rest/sms/search/outbound", json={"message": "two"}).json()["payload"]["data"][0]
    assert (
        search(created_on_from=first["created_on"], created_on_to=first["created_on"], message="two")[1] == 1
    )
    assert search(created_on_from="2999-01-01T00:00:00Z") == ([], 0)


@pytest.mark.parametrize("asked", [{"take": 101}, {"skip": -1}, {"created_on_from": "soon"}, {"to": ["x"]}])
def test_a_search_that_the_page_does_not_allow_is_refused(http, asked):
    assert http.post("/rest/sms/search/outbound", json=asked).status_code == 400


def test_kore_answers_its_sample_and_gives_no_id(http, simulator):
    answer = kore(http)
    assert answer.status_code == 200
    message = "Triggered the configured Experience flow to deliver message via SMS channel"
    assert answer.json() == {"message": message}
    [entry] = simulator.log()
    assert (entry.provider, entry.recipient, entry.sender, entry.text) == ("kore", ORDINARY, SENDER, None)


@pytest.mark.parametrize(
    "body",
    [
        {"fromNo": SENDER, "toNo": ORDINARY, "text": "Hello"},
        {"fromNo": SENDER},
        {"fromNo": SENDER, "toNo": "3115552367"},
    ],
)
def test_kore_takes_two_numbers_and_nothing_else(http, simulator, body):
    assert kore(http, **body).status_code == 400
    assert simulator.summary().accepted == 0


@pytest.mark.parametrize(
    "token",
    [
        "no-token",
        jwt.encode({"appId": CLIENT}, "another-secret-that-is-long-enough"),
        jwt.encode({"appid": CLIENT}, SECRET),
        jwt.encode({"appId": "cs-unknown"}, SECRET),
        jwt.encode({"appId": CLIENT, "exp": 1}, SECRET),
        jwt.encode({"appId": CLIENT}, "", algorithm="none"),
    ],
)
def test_kore_lets_in_only_a_token_that_its_secret_signed(http, simulator, token):
    answer = kore(http, token=token)
    assert answer.status_code == 401
    assert answer.json()["errors"][0]["code"] == 4002
    assert simulator.summary().accepted == 0


def test_one_account_is_told_from_another_without_its_secret(base_url, simulator):
    send(base_url)
    httpx.post(
        f"{base_url}/sms/o",
        json={"from": SENDER, "to": ORDINARY, "text": "Hello"},
        headers={"authorization": "Bearer another"},
        trust_env=False,
    )
    first, second = simulator.log()
    assert first.account != second.account
    assert KEY not in str(first)
    assert "another" not in str(second)
    assert KEY not in repr(SimulatorOptions(api_keys=(SecretStr(KEY),)))


def test_without_configured_credentials_any_are_let_in():
    with running(SimulatorOptions(port=0)) as url, httpx.Client(base_url=url, trust_env=False) as http:
        assert send(url).status_code == 201
        assert kore(http, token=jwt.encode({"appId": "any"}, SECRET)).status_code == 200
        assert kore(http, token=jwt.encode({"sub": "1"}, SECRET)).status_code == 401
