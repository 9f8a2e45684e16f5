"""POST /v1/messages goes past FastAPI, for speed: what it answers is the same on both ways."""

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sendline_worker.api import direct
from sendline_worker.api.sending import FIELDS

PATH = "/v1/messages"
JSON = {"Content-Type": "application/json"}


def told(answer):
    """Return what is the same however often one asks."""
    body = answer.json()
    for message in [each.get("message", {}) for each in body.get("results", [])] + [body]:
        for name in ("id", "created_at", "expires_at", "timeline", "detail"):
            message.pop(name, None)
    varying = {"date", "location", "connection", "transfer-encoding", "content-length", "ratelimit"}
    headers = {name: value for name, value in answer.headers.items() if name not in varying}
    return answer.status_code, body, headers


def ask(api, new):
    """Ask in every way that is answered differently."""
    _, token = api.key("send", name="asks")
    _, reads = api.key("read")
    _, rated = api.key("send", rate=1.0)
    good = {**JSON, "Authorization": f"Bearer {token}"}
    body = json.dumps(new)
    for headers, content in (
        (good, body),
        (good, f"[{body}, {body}, 5]"),
        ({**good, "Idempotency-Key": "one"}, body),
        ({**good, "Idempotency-Key": "one"}, body),
        ({**good, "Idempotency-Key": "one"}, body.replace("code", "word")),
        ({**good, "Idempotency-Key": "many"}, f"[{body}]"),
        ({**good, "Idempotency-Key": "many"}, f"[{body}, {body}]"),
        ({**good, "Idempotency-Key": "x" * 256}, body),
        (good, "{"),
        (good, '{"to": 5}'),
        (good, "[]"),
        ({"Authorization": f"Bearer {token}"}, body),
        ({**JSON, "Authorization": f"Bearer {reads}"}, body),
        ({**JSON, "X-API-Key": rated}, body),
        ({**JSON, "X-API-Key": rated}, f"[{body}, {body}]"),
        ({**good, "X-API-Key": token}, body),
        (JSON, body),
        ({}, ""),
    ):
        yield told(api.client().post(PATH, content=content, headers=headers))


def test_both_ways_answer_the_same(api, new, raw, publish, monkeypatch):
    straight = list(ask(api, new))
    raw.flushall()
    publish("main")
    monkeypatch.setattr(direct, "is_direct", lambda _scope: False)
    assert list(ask(api, new)) == straight
    assert {status for status, _, _ in straight} == {202, 207, 400, 401, 403, 409, 415, 422, 429}


def values():
    """Anything that JSON can say."""
    leaves = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text()
    )
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
    )


def messages(good):
    """A message of which some fields are anything."""
    return st.dictionaries(st.sampled_from(sorted(FIELDS)) | st.text(), values(), max_size=3).map(
        lambda wrong: {**good, **wrong}
    )


@pytest.fixture
def client(api):
    return api.client("send")


@given(data=st.data())
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    database=None,
)
def test_whatever_json_says_is_accepted_or_named(client, new, data):
    one = messages(new) | values()
    body = data.draw(one | st.lists(one, min_size=1, max_size=3))
    answer = client.post(PATH, content=json.dumps(body), headers=JSON)
    results = answer.json().get("results", [answer.json()])
    for each in results:
        if each["status"] == 422:
            told = each.get("problem", each)
            assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_.\[\]-]*", told["field"]), told
        else:
            assert each["status"] in {202, "created"}
    assert answer.status_code in {202, 207, 422}
