"""Who may ask: no key, a wrong one, a revoked one, one without the scope get nothing, and learn nothing."""

import asyncio

import httpx
import pytest

from sendline.contract.api_key import Scope, hash_of, new_key, token
from sendline.ledger.api_keys import KEY_AGE, list_keys, revoke_key
from sendline.ledger.keys import KEYS
from sendline.ledger.limits import Limits
from sendline.ledger.record import pack, unpack

UNKNOWN = "019aab1c-24d4-7c32-9de0-0d6f1e6a4b7a"
ASKED = [
    ("POST", "/v1/messages"),
    ("GET", "/v1/messages"),
    ("GET", f"/v1/messages/{UNKNOWN}"),
    ("POST", f"/v1/messages/{UNKNOWN}/cancel"),
]
NEEDED = ["send", "read", "read", "send"]


def held(api):
    """Return what the ledger holds of messages."""
    return api.client("admin").get("/v1/messages").json()["messages"]


def kind(answer):
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["status"] == answer.status_code
    return answer.status_code, told["type"].removeprefix("urn:sendline:problem:")


@pytest.mark.parametrize(("method", "path"), ASKED)
def test_without_a_key_nothing_is_answered(api, new, method, path):
    answer = api.client().request(method, path, json=new)
    assert kind(answer) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"] == 'Bearer realm="sendline"'
    assert held(api) == []


@pytest.mark.parametrize(("method", "path"), ASKED)
def test_without_a_key_not_even_a_wrong_body_is_read(api, method, path):
    answer = api.client().request(method, path, content=b"{", headers={"Content-Type": "text/plain"})
    assert kind(answer) == (401, "unauthenticated")


def unknown():
    key, secret = new_key("shop", [Scope.ADMIN])
    return token(key, secret)


def with_another_secret(good):
    return good[:-3] + ("aaa" if good[-3:] != "aaa" else "bbb")


@pytest.mark.parametrize(
    "make",
    [
        lambda good: unknown(),
        with_another_secret,
        lambda good: good[:-1],
        lambda good: good + "x",
        lambda good: good.upper(),
        lambda good: "",
        lambda good: "x" * 5000,
        lambda good: "sl_\u00e9",
    ],
    ids=["unknown", "another secret", "too short", "too long", "other case", "empty", "huge", "not ASCII"],
)
@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
def test_a_wrong_key_is_refused(api, new, make, header):
    _, good = api.key("admin")
    wrong = make(good)
    value = f"Bearer {wrong}".rstrip() if header == "Authorization" else wrong
    headers = {header: value.encode("latin-1")}
    answer = api.client().post("/v1/messages", json=new, headers=headers)
    assert kind(answer) == (401, "unauthenticated")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert held(api) == []


@pytest.mark.parametrize("scheme", ["Basic", "Token", "bearer2"])
def test_another_scheme_is_refused(api, scheme):
    _, good = api.key("admin")
    answer = api.client().get("/v1/messages", headers={"Authorization": f"{scheme} {good}"})
    assert kind(answer) == (401, "unauthenticated")


@pytest.mark.parametrize(
    "headers", ["Authorization: BEARER {}", "Authorization: bearer  {}", "x-api-key: {}"]
)
def test_a_key_may_be_written_in_several_ways(api, headers):
    name, _, value = headers.partition(": ")
    _, good = api.key("read")
    assert api.client().get("/v1/messages", headers={name: value.format(good)}).status_code == 200


@pytest.mark.parametrize("second", ["Authorization", "X-API-Key"])
def test_two_keys_are_refused_even_if_they_are_the_same(api, second):
    _, good = api.key("read")
    value = f"Bearer {good}" if second == "Authorization" else good
    headers = [("Authorization", f"Bearer {good}"), (second, value)]
    assert kind(api.client().get("/v1/messages", headers=headers)) == (400, "several-keys")


@pytest.mark.parametrize(("asked", "needed"), list(zip(ASKED, NEEDED, strict=True)))
def test_a_key_without_the_scope_is_refused(api, new, asked, needed):
    other = "read" if needed == "send" else "send"
    answer = api.client(other).request(*asked, json=new)
    assert kind(answer) == (403, "scope-missing")
    assert needed in answer.json()["detail"]
    assert held(api) == []


def test_a_key_that_is_revoked_is_refused_once_it_may_no_longer_be_remembered(api, new, poll):
    key, good = api.key("send", "read")
    client = api.client()
    client.headers["Authorization"] = f"Bearer {good}"
    sent = client.post("/v1/messages", json=new)
    assert sent.status_code == 202
    assert api.ledger.run(revoke_key(Limits(), key.id))
    path = sent.headers["location"]
    poll(lambda: client.get(path).status_code == 401, timeout=KEY_AGE + 1)
    assert kind(client.get(path)) == (401, "unauthenticated")
    assert kind(client.post("/v1/messages", json=new)) == (401, "unauthenticated")
    assert len(held(api)) == 1


def test_anothers_message_answers_as_an_unknown_one_does(api, new):
    mine, theirs = api.client("send", "read", name="shop"), api.client("send", "read", name="bank")
    path = mine.post("/v1/messages", json=new).headers["location"]
    nowhere = f"/v1/messages/{UNKNOWN}"
    for verb, suffix in (("GET", ""), ("POST", "/cancel")):
        refused, unheard = theirs.request(verb, path + suffix), theirs.request(verb, nowhere + suffix)
        assert kind(refused) == (404, "not-found")
        assert refused.content == unheard.content
        assert refused.headers.keys() == unheard.headers.keys()
    assert theirs.get("/v1/messages").json() == {"messages": [], "next": None}
    assert theirs.get("/v1/messages", params={"to": new["to"]}).json()["messages"] == []
    assert mine.get(path).json()["status"] == "created"


def test_two_keys_of_one_name_share_what_they_send(api, new):
    path = api.client("send", name="shop").post("/v1/messages", json=new).headers["location"]
    assert api.client("read", name="shop").get(path).status_code == 200


@pytest.mark.parametrize(
    "written", ["x", "0", "019aab1c-24d4-7c32-9de0", "..", "%00", "%2e%2e%2f", "\u00e9" * 9]
)
def test_what_is_no_id_answers_as_an_unknown_one_does(api, written):
    client = api.client("admin")
    unheard = client.get(f"/v1/messages/{UNKNOWN}")
    answer = client.get(f"/v1/messages/{written}")
    assert answer.status_code == 404
    if "/" not in str(answer.url.path).removeprefix("/v1/messages/") and written != "..":
        assert answer.content == unheard.content


def test_many_requests_at_once_read_a_key_once(api, raw):
    _, good = api.key("read")

    async def ask():
        headers = {"Authorization": f"Bearer {good}"}
        async with httpx.AsyncClient(base_url=api.url, headers=headers, trust_env=False) as client:
            return await asyncio.gather(*(client.get("/v1/messages/x") for _ in range(30)))

    before = calls(raw)
    answers = asyncio.run(ask())
    assert {each.status_code for each in answers} == {404}
    assert calls(raw) - before <= 2


def calls(raw):
    return raw.info("commandstats").get("cmdstat_hget", {}).get("calls", 0)


def of_a_later_release(raw, *, scopes=("read",), version=1, rate=0, senders=(), more=(), behind=()):
    """Store a key as a later release may; return its id and its token."""
    key, secret = new_key("shop", [])
    body = pack([hash_of(secret), "shop", list(scopes), list(senders), rate, *more])
    raw.hset(KEYS["api_keys"], key.id, pack([version, 1_700_000_000_000, 0, body, *behind]))
    return key.id, token(key, secret)


def asked(api, token):
    headers = {"Authorization": f"Bearer {token}"}
    return api.client().get("/v1/messages", headers=headers)


def test_a_scope_of_a_later_release_grants_nothing_and_takes_nothing(api, raw):
    _, only = of_a_later_release(raw, scopes=["audit"])
    assert kind(asked(api, only)) == (403, "scope-missing")
    _, both = of_a_later_release(raw, scopes=["audit", "read", "read:all", 7])
    assert asked(api, both).status_code == 200


def test_what_a_later_release_knows_of_a_key_survives_this_one(api, raw):
    key_id, secret = of_a_later_release(raw, more=[{"hours": [9, 17]}, None], behind=["note", [1, 2]])
    assert asked(api, secret).status_code == 200
    assert [key.id for key in api.ledger.run(list_keys(Limits())) if key.id == key_id] == [key_id]
    assert api.ledger.run(revoke_key(Limits(), key_id)) is True
    _, _, revoked, body, *behind = unpack(raw.hget(KEYS["api_keys"], key_id))
    assert revoked
    assert behind == [b"note", [1, 2]]
    assert unpack(body)[5:] == [{b"hours": [9, 17]}, None]


@pytest.mark.parametrize(
    "other",
    [
        {"version": 2},
        {"rate": "20/s"},
        {"rate": [20, "a minute"]},
        {"rate": -1},
        {"senders": [5]},
        {"senders": [["+1311", "prefix"]]},
        {"scopes": [["read", "own"]]},
        {"scopes": [{"read": True}]},
    ],
)
def test_a_key_whose_bounds_this_release_cannot_read_opens_nothing_and_is_no_fault(api, raw, other):
    key_id, secret = of_a_later_release(raw, **other)
    answer = asked(api, secret)
    assert kind(answer) == ((403, "scope-missing") if "scopes" in other else (401, "unauthenticated"))
    assert api.ledger.run(revoke_key(Limits(), key_id)) is True
