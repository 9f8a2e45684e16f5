"""How the app is tested: nothing is sent, and neither Redis nor a worker runs.

python -m pytest test_app.py
"""

# ruff: noqa: ANN001, ANN201, ARG001, PLC0415, PLR2004, S101

from uuid import uuid4

import pytest
from fastapi.testclient import TestClient

from sendline import LedgerUnavailable

NUMBER = "+13115552367"


@pytest.fixture
def client(outbox, monkeypatch, tmp_path):
    monkeypatch.setenv("LOGIN_SECRET", "a secret of the tests")
    monkeypatch.setenv("LOGIN_DB", str(tmp_path / "codes.db"))
    from app import app  # reads its settings when it is imported

    with TestClient(app) as made:
        yield made


def test_a_login_by_the_code_that_was_sent(client, outbox):
    login = uuid4()
    assert client.post("/login", json={"login": str(login), "number": "+1 311 555 2367"}).status_code == 202
    message = outbox.assert_sent(to=NUMBER, text_contains="Your code is")
    assert (message.lane, message.callback_url) == ("urgent", None)

    assert client.post(f"/login/{login}/code", json={"code": "no code"}).status_code == 403
    answer = client.post(f"/login/{login}/code", json={"code": outbox.code_for(NUMBER)})
    assert answer.json() == {"number": NUMBER}


def test_the_page_hears_of_the_delivery(client, outbox):
    login = uuid4()
    client.post("/login", json={"login": str(login), "number": NUMBER})
    outbox.deliver(outbox.last)
    stream = client.get(f"/login/{login}/status").text
    assert 'event: end\ndata: "delivered"' in stream


def test_an_outage_is_told_and_trying_again_sends_one_message(client, outbox):
    asked = {"login": str(uuid4()), "number": NUMBER}
    outbox.fail_next(LedgerUnavailable("Redis is away"))
    assert client.post("/login", json=asked).status_code == 503
    assert client.post("/login", json=asked).status_code == 202
    outbox.assert_sent(to=NUMBER, times=1)
