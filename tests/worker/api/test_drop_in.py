"""The drop-in face: Sendline's own adapter of that provider, pointed at it, can't tell the difference."""

import logging
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from producer.campaigns.conftest import Hands
from sendline.contract import ids
from sendline.contract.status import Status
from sendline.ledger import verbs
from sendline_worker.outcomes import Accepted, AccountStopped, NotAccepted, Refused, Throttled, Uncertain
from sendline_worker.providers.base import Answer, Found, Inquiry, NotFound, Outbound
from sendline_worker.providers.opentact.adapter import OpenTact
from worker.api.test_serving import behind_a_proxy

TO, SENDER, TEXT = "+13115552367", "+13115552368", "Hello, wörld & all!"


class App:
    """An app that calls the provider, by the adapter; only its URL and its key were changed."""

    def __init__(self, url, token):
        self.adapter = OpenTact(
            {"base_url": url, "api_key": token, "lookup_path": "/rest/sms/outbound"}, name="main"
        )

    def call(self, request):
        with httpx.Client(trust_env=False, timeout=15) as client:
            answer = client.send(request)
        return Answer(answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, answer.content)

    def send(self, to=TO, sender=SENDER, text=TEXT):
        outbound = Outbound(ids.to_text(ids.new_id()), to, sender, text, None)
        return self.adapter.judge(self.call(self.adapter.compose(outbound)))

    def ask(self, provider_id):
        now = datetime.now(UTC)
        inquiry = Inquiry(provider_id, TO, SENDER, TEXT, None, now - timedelta(seconds=5), now)
        return self.adapter.judge_inquiry(inquiry, self.call(self.adapter.inquire(inquiry)))


@pytest.fixture
def app(api):
    """Make an app whose key has these scopes."""

    def app(*scopes, **named):
        return App(api.url, api.key(*scopes, **named)[1])

    return app


def test_a_message_is_accepted_under_an_id_and_can_be_looked_up(app, api, ledger):
    outcome = app("send", "read").send()
    assert isinstance(outcome, Accepted)
    message = api.client("read").get(f"/v1/messages/{outcome.provider_id}").json()
    assert (message["to"], message["sender"], message["text"]) == (TO, SENDER, TEXT)
    found = app("read").ask(outcome.provider_id)
    assert isinstance(found, Found)
    assert [(each.provider_id, each.status) for each in found.receipts] == [
        (outcome.provider_id, Status.SENT)
    ]
    hands = Hands(ledger)
    hands.settle(hands.claim(), Status.FAILED, code="rejected")
    [receipt] = app("read").ask(outcome.provider_id).receipts
    assert receipt.status is Status.UNDELIVERED


def test_the_answer_is_the_one_of_the_page_key_for_key(api):
    told = api.client("send").post("/sms/o", json={"from": SENDER, "to": TO, "text": "Hello"})
    assert (told.status_code, told.headers["content-type"]) == (201, "application/json")
    body = told.json()
    payload = body["payload"]
    assert (body["success"], payload["state"], payload["delivered"]) == (True, "created", False)
    assert (payload["from"], payload["to"], payload["message"]) == ("13115552368", 13115552367, "Hello")
    assert set(payload) == {
        *("uuid", "state", "from", "to", "message", "thread", "delivered", "automated"),
        *("created_on", "modified_on", "tn", "tn_lease"),
    }
    assert payload["tn"] == {"tn": 13115552368, "type": "long_code", "sms": True}
    assert payload["tn_lease"].keys() == {"uuid", "autorenew", "expired_on", "messaging_profile"}
    assert len(payload["thread"]) == 32


@pytest.mark.parametrize("wrong", [{"to": "12"}, {"sender": "?"}, {"text": "\0"}, {"text": "x" * 9999}])
def test_what_is_wrong_with_a_message_refuses_it_and_stops_no_account(app, api, wrong):
    outcome = app("send").send(**wrong)
    assert isinstance(outcome, Refused)
    assert outcome.reason.startswith("400: ")
    assert api.ledger.run(verbs.counts())["accepted"] == 0


def test_a_sender_that_the_key_may_not_use_refuses_the_message_only(app):
    assert isinstance(app("send", senders=("+13115552399",)).send(), Refused)


def test_a_key_that_is_not_known_or_may_not_send_stops_the_account(app, api):
    for stopped in (App(api.url, "mistyped"), App(api.url, f"sl_{'a' * 12}_{'b' * 43}"), app("read")):
        assert isinstance(stopped.send(), AccountStopped)


def test_a_rate_that_is_used_up_throttles(app):
    limited = app("send", rate=1.0)
    outcomes = [limited.send() for _ in range(3)]
    assert isinstance(outcomes[0], Accepted)
    assert isinstance(outcomes[-1], Throttled)
    assert outcomes[-1].retry_after >= 1


def test_another_keys_message_is_as_an_unknown_one(app):
    sent = app("send", name="other").send()
    reader = app("read")
    assert isinstance(reader.ask(sent.provider_id), NotFound)
    assert isinstance(reader.ask(ids.to_text(ids.new_id())), NotFound)


def test_without_the_ledger_what_may_have_been_accepted_is_uncertain(valkey, ledger, publish):
    publish("main")
    with behind_a_proxy(valkey, ledger) as (api, proxy):
        app = App(api.url, api.key("send")[1])
        assert isinstance(app.send(), Accepted)
        proxy.drop_replies(2, after=b"FCALL")
        assert isinstance(app.send(), Uncertain)
        proxy.drop_none()
        proxy.freeze()
        proxy.refuse()
        unseen = App(api.url, f"sl_{'a' * 12}_{'b' * 43}")
        assert isinstance(unseen.send(), NotAccepted | Throttled)


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"from": "+13115552368", "to": 13115552367, "text": "x"}', "application/json", 400),
        (b'{"from": "+13115552368", "to": "+13115552367"}', "application/json", 400),
        (b'{"to": "1", "custom_callback_url": "https://x"}', "application/json", 400),
        (b"from=1", "application/x-www-form-urlencoded", 415),
        (b" " * 1_100_000, "application/json", 413),
    ],
)
def test_every_refusal_has_the_providers_shape(api, body, kind, status):
    answer = api.client("send").post("/sms/o", content=body, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    told = answer.json()
    assert (told["success"], told["error"]["code"]) == (False, status)
    assert told["error"]["message"]


def test_no_number_and_no_text_reaches_the_log(app, caplog):
    with caplog.at_level(logging.DEBUG):
        app("send").send()
        app("send").send(to="+1311555")
    assert "311555" not in caplog.text
    assert TEXT not in caplog.text


def test_an_idempotency_key_brings_the_first_message_again(api):
    client = api.client("send", "read")
    body = {"from": SENDER, "to": TO, "text": TEXT}

    def send(**changed):
        return client.post("/sms/o", json=body | changed, headers={"Idempotency-Key": "order 1"})

    first, second, other = send(), send(), send(text="another")
    assert first.json()["payload"]["uuid"] == second.json()["payload"]["uuid"]
    assert (other.status_code, other.json()["error"]["code"]) == (400, 400)
    assert api.ledger.run(verbs.counts())["accepted"] == 1
    wrong = client.post("/sms/o", json=body, headers={"Idempotency-Key": "x" * 256})
    assert (wrong.status_code, wrong.json()["success"]) == (400, False)


def test_every_answer_to_a_key_with_a_rate_says_where_it_stands(api):
    client, sender = api.client("send", "read", rate=5.0), api.client("send", rate=5.0)
    sent = client.post("/sms/o", json={"from": SENDER, "to": TO, "text": TEXT})
    path = f"/rest/sms/outbound/{sent.json()['payload']['uuid']}"
    refused = client.post("/sms/o", content=b"{", headers={"Content-Type": "application/json"})
    answers = [sent, refused, client.get(path), client.get("/rest/sms/outbound/x"), sender.get(path)]
    assert [each.status_code for each in answers] == [201, 400, 200, 404, 403]
    for answer in answers:
        assert answer.headers["ratelimit-policy"] == '"default";q=5;w=1', answer.status_code


def test_the_document_names_the_answers_that_come_and_no_others(api):
    paths = api.client().get("/openapi.json").json()["paths"]
    assert not {"200", "422", "409"} & paths["/sms/o"]["post"]["responses"].keys()
    assert not {"201", "422", "409"} & paths["/rest/sms/outbound/{uuid}"]["get"]["responses"].keys()
