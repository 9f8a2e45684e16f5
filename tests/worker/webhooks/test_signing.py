"""The headers by Standard Webhooks, read by the public library."""

import base64
from datetime import UTC, datetime, timedelta, timezone
from importlib.metadata import version

import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from sendline_worker.webhooks.signing import Signer

NEW, OLD, OTHER = ("whsec_" + base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2, 3))
BODY = '{"text":"Grüße 👋"}'.encode()
NOW = datetime.now(UTC)


def headers(*secrets, now=NOW):
    return Signer([SecretStr(each) for each in secrets]).headers("evt_7_42", BODY, now)


def fresh(*secrets):
    """Headers of this moment: the library refuses those that are five minutes old."""
    return headers(*secrets, now=datetime.now(UTC))


@pytest.mark.parametrize("secret", [NEW, OLD])
def test_each_of_two_valid_secrets_verifies(secret):
    Webhook(secret).verify(BODY, fresh(NEW, OLD))


def test_no_other_secret_verifies():
    with pytest.raises(WebhookVerificationError, match="No matching"):
        Webhook(OTHER).verify(BODY, fresh(NEW, OLD))


def test_the_signatures_stand_in_the_order_of_the_settings():
    made = headers(NEW, OLD)["webhook-signature"]
    assert made == f"{headers(NEW)['webhook-signature']} {headers(OLD)['webhook-signature']}"
    assert made.count("v1,") == 2


@pytest.mark.parametrize("changed", ["webhook-id", "webhook-timestamp", "body"])
def test_nothing_that_is_signed_can_be_changed(changed):
    made, body = fresh(NEW), BODY
    if changed == "body":
        body += b" "
    elif changed == "webhook-id":
        made[changed] = "evt_7_43"
    else:
        made[changed] = str(int(made[changed]) + 1)
    with pytest.raises(WebhookVerificationError, match="No matching"):
        Webhook(NEW).verify(body, made)


def test_each_try_has_its_own_time_and_the_same_id():
    first, second = headers(NEW), headers(NEW, now=NOW + timedelta(minutes=1))
    assert first["webhook-id"] == second["webhook-id"] == "evt_7_42"
    assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 60
    assert first["webhook-signature"] != second["webhook-signature"]


def test_a_time_of_another_zone_is_the_same_time():
    assert headers(NEW, now=NOW.astimezone(timezone(timedelta(hours=5)))) == headers(NEW)


def test_without_a_secret_there_is_no_signature():
    assert headers() == {
        "content-type": "application/json",
        "user-agent": f"Sendline/{version('sendline')}",
        "webhook-id": "evt_7_42",
        "webhook-timestamp": str(int(NOW.timestamp())),
    }


def test_a_signer_shows_no_secret():
    signer = Signer([SecretStr(NEW)])
    assert NEW.removeprefix("whsec_") not in repr(signer) + repr(vars(signer))
