"""Sending messages, one or many with a request."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import uuid4

import pytest

from sendline import Producer
from sendline.ledger import suppression, verbs
from sendline_worker.api.models import Message, Results

PATH = "/v1/messages"


def slug(problem):
    return problem["type"].removeprefix("urn:sendline:problem:")


def accepted(api):
    return api.ledger.run(verbs.counts())["accepted"]


def test_one_message_is_accepted_and_told(api, new):
    answer = api.client("send").post(PATH, json=new)
    told = answer.json()
    assert answer.status_code == 202
    assert (told["status"], told["to"], told["text"]) == ("created", new["to"], new["text"])
    assert answer.headers["location"] == f"{PATH}/{told['id']}"
    assert "idempotency-replayed" not in answer.headers
    assert api.client("read").get(answer.headers["location"]).json() == told


def test_every_field_is_kept(api, new):
    at = (datetime.now(UTC) + timedelta(hours=1)).replace(microsecond=0)
    fields = {
        **new,
        "account": "main",
        "lane": "urgent",
        "not_before": at.isoformat().replace("+00:00", "Z"),
        "valid_for": 90.5,
        "on_uncertain": "hold",
        "callback_url": "https://app.example/hooks",
        "metadata": {"order": "4711", "größe": "ü"},
    }
    told = api.client("send").post(PATH, json=fields).json()
    for name in ("to", "text", "sender", "account", "lane", "on_uncertain", "callback_url", "metadata"):
        assert told[name] == fields[name]
    assert datetime.fromisoformat(told["due_at"]) == at
    assert datetime.fromisoformat(told["expires_at"]) == at + timedelta(seconds=90.5)
    assert api.client("read").get(f"{PATH}/{told['id']}").json() == told


def test_null_is_as_if_left_out(api, new):
    nothing = dict.fromkeys(
        ["account", "lane", "not_before", "valid_for", "on_uncertain", "callback_url", "metadata"]
    )
    assert api.client("send").post(PATH, json={**nothing, **new, "idempotency_key": None}).status_code == 202


def test_what_is_told_is_what_the_document_says_and_the_producer_too(api, settings, new):
    told = api.client("send").post(PATH, json={**new, "metadata": {"a": "b"}}).json()
    assert Message.model_validate(told, strict=False).model_dump(mode="json").keys() == told.keys()
    with Producer(settings=settings) as producer:
        assert producer.get(told["id"]).to_dict() == told


def test_a_message_to_who_has_opted_out_is_accepted_and_suppressed(api, new):
    api.ledger.run(suppression.suppress(api.limits, [new["to"]], "said so"))
    answer = api.client("send").post(PATH, json=new)
    assert (answer.status_code, answer.json()["status"]) == (202, "suppressed")


def test_many_messages_are_accepted(api, new):
    many = [{**new, "to": f"+1311555{number:04d}"} for number in range(1000)]
    answer = api.client("send").post(PATH, json=many)
    results = answer.json()["results"]
    assert answer.status_code == 202
    assert "location" not in answer.headers
    assert [each["message"]["to"] for each in results] == [each["to"] for each in many]
    assert accepted(api) == 1000
    Results.model_validate(answer.json())


def test_many_messages_are_accepted_or_refused_one_by_one(api, new):
    answer = api.client("send").post(PATH, json=[new, {**new, "to": "12"}, 5, new])
    results = answer.json()["results"]
    assert answer.status_code == 207
    assert [each["status"] for each in results] == [202, 422, 422, 202]
    assert [each.get("problem", {}).get("field") for each in results] == [None, "to", "body", None]
    assert accepted(api) == 2
    Results.model_validate(answer.json())


def test_an_array_of_one_is_an_array(api, new):
    assert len(api.client("send").post(PATH, json=[new]).json()["results"]) == 1


# Senders of the key


def test_a_key_may_use_its_own_senders_only(api, new):
    client = api.client("send", senders=("+13115552368", "ACME"))
    assert client.post(PATH, json=new).status_code == 202
    refused = client.post(PATH, json={**new, "sender": "+13115550000"})
    assert (refused.status_code, slug(refused.json())) == (403, "sender-not-allowed")
    assert refused.json()["field"] == "sender"
    assert "+1311" not in refused.text
    both = client.post(PATH, json=[new, {**new, "sender": "+13115550000"}])
    assert [each["status"] for each in both.json()["results"]] == [202, 403]
    assert accepted(api) == 2


@pytest.mark.parametrize("sender", [5, "", "no sender at all", ["+13115552368"]])
def test_what_is_no_sender_is_told_as_such_to_every_key(api, new, sender):
    answer = api.client("send", senders=("+13115552368",)).post(PATH, json={**new, "sender": sender})
    assert (answer.status_code, answer.json()["field"]) == (422, "sender")


def test_a_sender_is_compared_as_it_is_meant_and_not_as_it_is_written(api, new):
    client = api.client("send", senders=("+13115552368",))
    assert client.post(PATH, json={**new, "sender": "+1 (311) 555-2368"}).status_code == 202


def test_the_first_sender_of_a_key_is_used_where_a_message_names_none(api, new):
    del new["sender"]
    told = api.client("send", senders=("+13115552368", "ACME")).post(PATH, json=new).json()
    assert told["sender"] == "+13115552368"


# Idempotency


@pytest.fixture
def client(api):
    return api.client("send", "read")


SOON = datetime.now(UTC) + timedelta(hours=2)


def keyed(client, body, key):
    return client.post(PATH, json=body, headers={"Idempotency-Key": key})


def test_the_same_key_brings_the_first_message_again(api, client, new):
    first, second = keyed(client, new, "order 1"), keyed(client, new, "order 1")
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json() == second.json()
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert second.headers["location"] == first.headers["location"]
    assert accepted(api) == 1


def test_the_key_may_stand_in_the_message(api, client, new):
    first = client.post(PATH, json={**new, "idempotency_key": "order 1"})
    second = keyed(client, new, "order 1")
    assert first.json()["id"] == second.json()["id"]
    assert accepted(api) == 1


def test_the_same_key_for_other_content_is_a_conflict(api, client, new):
    first = keyed(client, new, "order 1")
    answer = keyed(client, {**new, "text": "another"}, "order 1")
    assert (answer.status_code, slug(answer.json())) == (409, "idempotency-conflict")
    assert first.json()["id"] in answer.json()["detail"]
    assert accepted(api) == 1


def test_a_key_belongs_to_the_name_of_its_api_key(api, new):
    ours, also_ours = api.client("send", name="shop"), api.client("send", name="shop")
    theirs = api.client("send", name="bank")
    first = keyed(ours, new, "order 1").json()
    assert keyed(also_ours, new, "order 1").json()["id"] == first["id"]
    other = keyed(theirs, {**new, "text": "another"}, "order 1")
    assert other.status_code == 202
    assert other.json()["id"] != first["id"]


def test_a_key_of_an_app_of_the_house_is_another(api, client, settings, new):
    with Producer(settings=settings) as producer:
        ours = producer.send(**new, idempotency_key="order 1")
    assert keyed(client, new, "order 1").json()["id"] != ours.id


def test_in_the_header_and_in_the_message_is_refused(api, client, new):
    answer = keyed(client, {**new, "idempotency_key": "a"}, "a")
    assert (answer.status_code, answer.json()["field"]) == (422, "idempotency_key")
    assert accepted(api) == 0


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "schl\u00fcssel"])
def test_a_key_is_printable_ascii(client, new, key):
    answer = client.post(PATH, json=new, headers={"Idempotency-Key": key.encode("latin-1")})
    assert (answer.status_code, answer.json()["field"]) == (422, "Idempotency-Key")


def test_two_keys_are_refused(client, new):
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "a")]
    answer = client.post(PATH, json=new, headers=headers)
    assert (answer.status_code, answer.json()["field"]) == (422, "Idempotency-Key")


def test_an_array_is_accepted_once(api, client, new):
    many = [{**new, "to": f"+1311555{number:04d}"} for number in range(600)]
    first, second = keyed(client, many, "x" * 255), keyed(client, many, "x" * 255)
    assert first.json() == second.json()
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert accepted(api) == 600


@pytest.mark.parametrize("change", ["longer", "shorter", "other", "one"])
def test_an_arrays_key_is_refused_with_another_body(api, client, new, change):
    assert keyed(client, [new, new], "night 1").status_code == 202
    body = {
        "longer": [new, new, new],
        "shorter": [new],
        "other": [new, {**new, "lane": "bulk"}],
        "one": new,
    }[change]
    answer = keyed(client, body, "night 1")
    expected = (409, "idempotency-conflict") if change == "one" else (422, "idempotency-key-reused")
    assert (answer.status_code, slug(answer.json())) == expected
    assert accepted(api) == 2


def test_an_array_whose_fields_are_in_another_order_is_the_same(api, client, new):
    keyed(client, [new], "night 1")
    turned = dict(reversed(new.items()))
    assert keyed(client, [turned], "night 1").headers["idempotency-replayed"] == "true"


def test_what_was_refused_of_an_array_is_refused_again(api, client, new):
    many = [new, {**new, "to": "12"}]
    first, second = keyed(client, many, "night 1"), keyed(client, many, "night 1")
    assert first.status_code == second.status_code == 207
    assert first.json() == second.json()
    assert second.headers["idempotency-replayed"] == "true"


def test_an_array_that_is_all_wrong_uses_up_no_key(client, new):
    assert keyed(client, [{**new, "to": "12"}], "night 1").status_code == 207
    assert keyed(client, [new], "night 1").status_code == 202


# Canceling


def test_a_message_that_waits_is_canceled(api, client, new):
    path = client.post(PATH, json=new).headers["location"]
    answer = client.post(f"{path}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "canceled")
    assert client.get(path).json() == answer.json()
    assert client.post(f"{path}/cancel").json() == answer.json()


@pytest.mark.parametrize(
    "change",
    [
        {"lane": "bulk"},
        {"metadata": {"order": "2"}},
        {"not_before": f"{SOON:%Y-%m-%dT%H:00:00Z}"},
        {"valid_for": 60},
        {"on_uncertain": "hold"},
        {"callback_url": "https://example.com/x"},
    ],
)
@pytest.mark.parametrize("place", ["header", "message"])
def test_a_key_stands_for_all_that_was_asked(api, client, new, change, place):
    def send(body):
        if place == "header":
            return keyed(client, body, "order 1")
        return client.post(PATH, json={**body, "idempotency_key": "order 1"})

    assert send(new).status_code == 202
    other = send({**new, **change})
    assert (other.status_code, slug(other.json())) == (409, "idempotency-conflict")
    same = send({**new, "lane": "normal", "metadata": None})
    assert (same.status_code, same.headers["idempotency-replayed"]) == (202, "true")
    assert accepted(api) == 1


@pytest.mark.parametrize("place", ["header", "message", "array"])
def test_a_scheduled_message_has_its_first_answer_still_when_its_time_has_passed(
    api, client, new, poll, place
):
    def send(key):
        if place == "message":
            return client.post(PATH, json={**told, "idempotency_key": key})
        return keyed(client, [told] if place == "array" else told, key)

    told = {**new, "not_before": (datetime.now(UTC) - timedelta(seconds=4.5)).isoformat()}
    first = send("a")
    assert first.status_code == 202

    def has_passed():
        answer = send(str(uuid4())).json()
        [result] = answer.get("results", [answer])
        return result.get("problem", result).get("field") == "not_before"

    poll(has_passed, 5)
    before = accepted(api)
    again = send("a")
    assert (again.status_code, again.headers["idempotency-replayed"]) == (202, "true")
    assert again.json() == first.json()
    assert accepted(api) == before


def test_an_instant_is_the_same_however_it_is_written(client, new):
    keyed(client, {**new, "not_before": f"{SOON:%Y-%m-%dT%H:00:00Z}"}, "a")
    there = SOON.astimezone(timezone(timedelta(hours=1)))
    again = keyed(client, {**new, "not_before": f"{there:%Y-%m-%dT%H:00:00+01:00}"}, "a")
    assert again.headers["idempotency-replayed"] == "true"


def test_a_message_of_an_array_is_not_that_of_another_key(api, client, new):
    assert keyed(client, [new], "a").status_code == 202
    assert "idempotency-replayed" not in keyed(client, new, "a/0").headers
    assert accepted(api) == 2


@pytest.mark.parametrize("key", ["a\0" + "0", "a\tb", "schl\u00fcssel", 5, ""])
def test_a_key_in_the_message_is_printable_ascii_too(client, new, key):
    answer = client.post(PATH, json={**new, "idempotency_key": key})
    assert (answer.status_code, answer.json()["field"]) == (422, "idempotency_key")


def test_a_key_that_may_not_read_cancels_without_being_told_what_it_says(api, client, new):
    path = client.post(PATH, json=new).headers["location"]
    told = api.client("send").post(f"{path}/cancel").json()
    assert told == {"id": path.rpartition("/")[2], "status": "canceled", "cancel_requested": False}


def test_a_callback_url_may_be_as_long_as_the_document_says(api, client, new):
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    for name in ("NewMessage", "NewCampaign"):
        field = schemas[name]["properties"]["callback_url"]
        [longest] = [each["maxLength"] for each in field["anyOf"] if "maxLength" in each]
        assert "http" in field["description"].split()
        url = "http://example.com/".ljust(longest, "x")
        assert client.post(PATH, json={**new, "callback_url": url}).status_code == 202
        assert client.post(PATH, json={**new, "callback_url": f"{url}x"}).status_code == 422
