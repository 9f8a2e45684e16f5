"""Bodies that are not clear JSON of the right kind are refused, and nothing of them comes back."""

import json

import pytest

SECRET = "Top-Secret-Text-4711"
PATH = "/v1/messages"
JSON = {"Content-Type": "application/json"}
DEEP = 100_000


def refused(answer, status, slug):
    told = answer.json()
    assert (answer.status_code, told["type"]) == (status, f"urn:sendline:problem:{slug}")
    assert SECRET not in answer.text
    return told


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"to=1",
        b'{"to": }',
        b"\xff\xfe",
        b'{"text": "\xc3\x28"}',
        '{"to": "x"}'.encode("utf-16"),
        b"\xef\xbb\xbf{}",
        b"[" * DEEP,
        b'{"a":' * DEEP,
        b"[" * DEEP + b"]" * DEEP,
        b'{"to": "1", "to": "2"}',
        b'{"metadata": {"a": "1", "a": "2"}}',
        b'{"valid_for": NaN}',
        b'{"valid_for": -Infinity}',
        b'{"valid_for": 1e999}',
        b'{"valid_for": ' + b"9" * 5000 + b"}",
        b'{"text": "a\nb"}',
        b'{"to": "1"} {}',
        b"{'to': 1}",
    ],
    ids=lambda body: repr(body[:16]),
)
def test_what_is_not_clear_json_is_refused(api, body):
    told = refused(api.client("send").post(PATH, content=body, headers=JSON), 400, "malformed-request")
    assert told["detail"].startswith("the body ")


@pytest.mark.parametrize("body", [b"null", b"1", b'"text"', b"true", b"{}", b"1e5"])
def test_json_that_is_no_message_is_refused(api, body):
    refused(api.client("send").post(PATH, content=body, headers=JSON), 422, "invalid-message")


@pytest.mark.parametrize("count", [0, 1001])
def test_an_array_has_one_to_a_thousand_messages(api, new, count):
    told = refused(api.client("send").post(PATH, json=[new] * count), 422, "invalid-request")
    assert told["field"] == "body"


@pytest.mark.parametrize(
    "kind",
    [
        None,
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=latin-1",
        "application/xml",
        "",
    ],
)
def test_another_type_is_refused(api, new, kind):
    headers = {} if kind is None else {"Content-Type": kind}
    answer = api.client("send").post(PATH, content=json.dumps(new).encode(), headers=headers)
    assert refused(answer, 415, "unsupported-media-type")["field"] == "Content-Type"


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "Application/JSON", 'application/json;charset="UTF-8"']
)
def test_json_may_be_named_in_several_ways(api, new, kind):
    body = json.dumps(new).encode()
    answer = api.client("send").post(PATH, content=body, headers={"Content-Type": kind})
    assert answer.status_code == 202


def test_a_compressed_body_is_refused(api, new):
    answer = api.client("send").post(PATH, content=b"x", headers={**JSON, "Content-Encoding": "gzip"})
    assert refused(answer, 415, "unsupported-media-type")["field"] == "Content-Encoding"


WRONG = [
    ({"to": SECRET}, "to"),
    ({"to": None}, "to"),
    ({"to": 13115552367}, "to"),
    ({"to": [SECRET]}, "to"),
    ({"to": {"a": SECRET}}, "to"),
    ({"to": "+999999999"}, "to"),
    ({"text": ""}, "text"),
    ({"text": 5}, "text"),
    ({"text": "x" * 1601}, "text"),
    ({"text": "a\0b"}, "text"),
    ({"text": "\ud800"}, "text"),
    ({"sender": SECRET}, "sender"),
    ({"sender": 7}, "sender"),
    ({"account": SECRET}, "account"),
    ({"account": "no-such"}, "account"),
    ({"account": ["main"]}, "account"),
    ({"lane": SECRET}, "lane"),
    ({"lane": 5}, "lane"),
    ({"lane": ["urgent"]}, "lane"),
    ({"lane": {}}, "lane"),
    ({"on_uncertain": SECRET}, "on_uncertain"),
    ({"not_before": SECRET}, "not_before"),
    ({"not_before": 1_800_000_000}, "not_before"),
    ({"not_before": "2026-11-22T12:00:00"}, "not_before"),
    ({"not_before": "2026-13-22T12:00:00Z"}, "not_before"),
    ({"not_before": "0001-01-01T00:00:00+14:00"}, "not_before"),
    ({"not_before": "9999-12-31T23:59:59-14:00"}, "not_before"),
    ({"valid_for": 0}, "valid_for"),
    ({"valid_for": 1e300}, "valid_for"),
    ({"valid_for": 10**400}, "valid_for"),
    ({"valid_for": True}, "valid_for"),
    ({"valid_for": SECRET}, "valid_for"),
    ({"callback_url": SECRET}, "callback_url"),
    ({"callback_url": "http://[::1"}, "callback_url"),
    ({"callback_url": 5}, "callback_url"),
    ({"metadata": SECRET}, "metadata"),
    ({"metadata": {"a": 5}}, "metadata.a"),
    ({"metadata": {"a": "x" * 501}}, "metadata.a"),
    ({"metadata": {f"{SECRET} +1": 5}}, "metadata"),
    ({"metadata": {"\ud800": "x"}}, "metadata"),
    ({"metadata": {str(each): "" for each in range(17)}}, "metadata"),
    ({"idempotency_key": ""}, "idempotency_key"),
    ({"idempotency_key": "x" * 256}, "idempotency_key"),
    ({"idempotency_key": "\ud800"}, "idempotency_key"),
    ({"campaign": "black-friday"}, "campaign"),
    ({"colour": SECRET}, "colour"),
    ({f"{SECRET} +13115552367": 1}, "body"),
]


@pytest.mark.parametrize(
    ("change", "field"), WRONG, ids=[f"{field} {n}" for n, (_, field) in enumerate(WRONG)]
)
def test_what_is_wrong_is_named_and_not_repeated(api, new, change, field):
    answer = api.client("send").post(PATH, content=json.dumps({**new, **change}), headers=JSON)
    assert refused(answer, 422, "invalid-message")["field"] == field


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"status": SECRET}, "status"),
        ({"limit": 0}, "limit"),
        ({"limit": 201}, "limit"),
        ({"limit": SECRET}, "limit"),
        ({"to": SECRET}, "to"),
        ({"to": "x" * 40}, "to"),
        ({"campaign": "-" + SECRET}, "campaign"),
        ({"created_after": SECRET}, "created_after"),
        ({"created_before": "2026-11-22"}, "created_before"),
        ({"cursor": SECRET}, "cursor"),
        ({"cursor": "x" * 300}, "cursor"),
        ({"stauts": "sent"}, "stauts"),
    ],
)
def test_what_is_wrong_in_a_query_is_named_and_not_repeated(api, query, field):
    answer = api.client("read").get(PATH, params=query)
    assert refused(answer, 422, "invalid-request")["field"] == field


def test_several_wrong_fields_are_all_named(api):
    told = refused(
        api.client("read").get(PATH, params={"limit": "x", "status": SECRET}), 422, "invalid-request"
    )
    assert {each["field"] for each in told["errors"]} == {"limit", "status"}
