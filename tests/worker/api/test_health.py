"""What a load balancer asks."""

import pytest

from sendline.settings import Settings
from worker.api.conftest import served


def test_the_process_says_that_it_lives(api):
    answer = api.client().get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_it_is_ready_once_the_ledger_answers(api):
    answer = api.client().get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_it_may_ask_for_the_head_alone(api, path):
    answer = api.client().head(path)
    assert (answer.status_code, answer.content) == (200, b"")


def test_it_is_ready_only_as_long_as_the_ledger_keeps_what_it_accepts(api, raw):
    client = api.client()
    assert client.get("/readyz").status_code == 200
    raw.config_set("appendonly", "no")
    try:
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:sendline:problem:ledger-refused")
        with served(Settings(redis_url=api.ledger.url, durability="memory"), api.ledger) as careless:
            assert careless.client().get("/readyz").status_code == 200
    finally:
        raw.config_set("appendonly", "yes")
    assert client.get("/readyz").status_code == 200
