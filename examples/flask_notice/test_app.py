"""How the app is tested: nothing is sent, and neither Redis nor a worker runs.

python -m pytest test_app.py
"""

# ruff: noqa: ANN001, ANN201, ARG001, PLC0415, S101

import re

import pytest


@pytest.fixture
def client(outbox, monkeypatch, tmp_path):
    monkeypatch.setenv("NOTICE_SECRET", "a secret of the tests")
    monkeypatch.setenv("NOTICE_PASSWORD", "a password")
    monkeypatch.setenv("NOTICE_DB", str(tmp_path / "notices.db"))
    from app import app  # reads its settings when it is imported

    return app.test_client()


def test_a_notice_goes_to_everybody_once(client, outbox):
    auth = ("anybody", "a password")
    form = dict(re.findall(r'name="(csrf|notice)" value="([\w-]+)"', client.get("/", auth=auth).text))
    form |= {"text": "No water on Monday.", "numbers": "+1 311 555 2367\n+1 311 555 2368"}
    first, again = client.post("/", auth=auth, data=form), client.post("/", auth=auth, data=form)
    assert first.location == again.location

    for number in ("+13115552367", "+13115552368"):
        outbox.assert_sent(to=number, text="No water on Monday.", times=1)
    outbox.deliver(outbox.sent_to("+13115552367")[0])
    outbox.fail(outbox.sent_to("+13115552368")[0], "unreachable")
    page = client.get(first.location, auth=auth).text
    assert "1 delivered" in page
    assert "unreachable" in page
