"""Bodies that come behind their heads: a key that is revoked meanwhile sends nothing more."""

import json
import socket

import pytest

from sendline.ledger import verbs
from sendline.ledger.api_keys import KEY_AGE, revoke_key
from sendline.ledger.limits import Limits
from worker.api.test_campaigns import SPEC, rows

NEW = json.dumps({"to": "+13115552367", "text": "Hi", "sender": "+13115552368"})
FACE = json.dumps({"to": "+13115552367", "text": "Hi", "from": "+13115552368"})


@pytest.mark.parametrize(
    ("method", "path", "kind", "body"),
    [
        ("POST", "/v1/messages", "application/json", NEW),
        ("POST", "/sms/o", "application/json", FACE),
        ("PUT", "/v1/campaigns/other", "application/json", json.dumps(SPEC)),
        ("PUT", "/v1/campaigns/sale/recipients", "text/csv", rows(3)),
    ],
)
def test_a_key_that_is_revoked_before_the_body_has_come_does_nothing(api, poll, method, path, kind, body):
    api.client("send", name="shop").put("/v1/campaigns/sale", json=SPEC)
    key, token = api.key("send", "read", name="shop")
    other = api.client()
    other.headers["Authorization"] = f"Bearer {token}"
    host, port = api.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as sock:
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        sock.sendall(f"{head}Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n{body[:5]}".encode())
        assert other.get("/v1/messages").status_code == 200
        assert api.ledger.run(revoke_key(Limits(), key.id))
        poll(lambda: other.get("/v1/messages").status_code == 401, timeout=KEY_AGE + 1)
        sock.sendall(body[5:].encode())
        assert sock.recv(65536).startswith(b"HTTP/1.1 401")
    assert api.ledger.run(verbs.counts())["accepted"] == 0
    campaigns = api.client("admin").get("/v1/campaigns").json()["campaigns"]
    assert [(each["name"], each["imported"]["rows"]) for each in campaigns] == [("sale", 0)]
