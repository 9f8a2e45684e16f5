"""The receiver demands what an account is configured to demand, over real HTTP, and changes nothing else."""

import base64
import hashlib
import hmac
import json
import time

import pytest

from sendline.settings import AccountSettings
from sendline_worker.receiver.authentication import authenticators_of
from worker.receiver.house import OPENTACT, event, housed, new_provider_id

SECRET = "a secret that is shared"
LOGIN = "provider:pass word"


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    demands = {
        "main": demanded(
            receipts_signature={
                "secret": SECRET,
                "header": "X-Signature",
                "signs": "{timestamp}.{body}",
                "timestamp_header": "X-Timestamp",
            }
        ),
        "other": demanded(receipts_login=LOGIN),
        "plain": demanded(receipts_from=["192.0.2.0/24"], trusted_proxies=["127.0.0.1"]),
    }
    with housed(tmp_path_factory.mktemp("house"), demands=demands) as made:
        yield made


def demanded(trusted_proxies=(), **settings):
    account = AccountSettings(**OPENTACT, **settings)
    return authenticators_of(account, trusted_proxies=trusted_proxies, public_url=None)


def delivered(house, account):
    """A message that was sent, and a receipt of its delivery."""
    provider_id = new_provider_id()
    message_id = house.sent(provider_id, account)
    return message_id, json.dumps(event(provider_id, delivered=True)).encode()


def signed(body, at=None, secret=SECRET):
    stamp = str(round(time.time() if at is None else at))
    signature = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"x-timestamp": stamp, "x-signature": signature}


def post(house, account, body, headers):
    return house.client.post(house.account_url(account), content=body, headers=headers)


def test_what_is_signed_is_taken_and_nothing_else(house):
    message_id, body = delivered(house, "main")
    other = body.replace(b"sms", b"SMS")
    with house.unmoved():
        for headers in (
            {},
            signed(other),
            signed(body, secret="another"),
            signed(body, at=time.time() - 301),
            signed(body, at=time.time() + 301),
            signed(body) | {"x-timestamp": "1"},
        ):
            answered = post(house, "main", body, headers)
            assert (answered.status_code, answered.json()) == (403, {"error": "forbidden"})
    assert post(house, "main", body, signed(body)).status_code == 200
    assert house.status(message_id) == "delivered"


def test_a_login_is_asked_for(house):
    message_id, body = delivered(house, "other")
    wrong = base64.b64encode(b"provider:password").decode()
    with house.unmoved():
        for headers in ({}, {"authorization": f"Basic {wrong}"}, {"authorization": "Bearer x"}):
            answered = post(house, "other", body, headers)
            assert answered.status_code == 401
            assert answered.headers["www-authenticate"].startswith("Basic ")
    right = base64.b64encode(LOGIN.encode()).decode()
    assert post(house, "other", body, {"authorization": f"Basic {right}"}).status_code == 200
    assert house.status(message_id) == "delivered"


def test_an_address_counts_as_the_trusted_proxy_tells_it(house):
    with house.unmoved():
        for headers in (
            {},
            {"x-forwarded-for": "198.51.100.7"},
            {"x-forwarded-for": "192.0.2.7, 198.51.100.7"},
        ):
            assert post(house, "plain", b"", headers).status_code == 403
        url = house.account_url("plain") + "?id=4711"
        for headers in ({"x-forwarded-for": "192.0.2.7"}, {"x-forwarded-for": "198.51.100.7, 192.0.2.7"}):
            assert house.client.post(url, headers=headers).status_code == 200


def test_the_token_is_demanded_first_and_tells_nobody_who_exists(house):
    body = b"{}"
    url = house.account_url("main")[:-3] + "AAA"
    assert house.client.post(url, content=body, headers=signed(body)).status_code == 404
