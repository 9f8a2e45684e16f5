"""Messages that come in at the simulator: told to the account's webhook, in the provider's shape."""

import json

import httpx
import pytest

from sendline_worker.providers.base import Hook
from sendline_worker.providers.registry import adapter_class
from sendline_worker.reports import Reading, arrivals
from sendline_worker.simulator import SimulatorOptions, running
from sendline_worker.simulator.options import Shape

THEIRS, OURS = "+13115550001", "+13115552368"


@pytest.fixture(scope="module")
def base_url(callbacks_for_all):
    with running(SimulatorOptions(port=0, callback_url=callbacks_for_all.url)) as url:
        yield url


@pytest.mark.parametrize("shape", Shape)
def test_the_adapter_reads_what_the_simulator_tells(simulator, callbacks, shape):
    simulator.settings(shape=str(shape))
    provider_id, results = simulator.inbound(THEIRS, OURS, "Stop 👋")
    assert results == ["204"]
    [body] = callbacks.wait_for(1)
    options = {"base_url": "https://api.example.com", "api_key": "k" * 20}
    adapter = adapter_class("opentact")(options, name="main")
    told = adapter.read_receipts(Hook({}, {}, json.dumps(body).encode()))
    [arrival] = arrivals("main", Reading(), told)
    assert (arrival.provider_id, arrival.sender, arrival.to) == (provider_id, THEIRS, OURS)
    assert arrival.text == "Stop 👋"


def test_it_is_told_as_often_as_asked_for_and_is_the_same_each_time(simulator, callbacks):
    _, results = simulator.inbound(THEIRS, OURS, "Hello", times=3)
    assert results == ["204"] * 3
    first, *others = callbacks.wait_for(3)
    assert others == [first, first]


def test_the_same_message_can_be_told_again_later(simulator, callbacks):
    for _ in range(2):
        assert simulator.inbound(THEIRS, OURS, "Hello", provider_id="in-1") == ("in-1", ["204"])
    assert {body["data"]["payload"]["id"] for body in callbacks.wait_for(2)} == {"in-1"}


def test_it_says_what_it_was_answered(simulator, callbacks):
    callbacks.answers += [503, 200]
    assert simulator.inbound(THEIRS, OURS, "Hello", times=2)[1] == ["503", "200"]
    nowhere = "http://127.0.0.1:1/hook"
    assert simulator.inbound(THEIRS, OURS, "Hello", callback_url=nowhere)[1] == ["ClientConnectorError"]


def test_it_is_not_in_the_log_of_what_was_sent(simulator, callbacks):
    simulator.inbound(THEIRS, OURS, "Hello")
    callbacks.wait_for(1)
    assert simulator.log() == []


GOOD = {"from": THEIRS, "to": OURS, "text": "Hello"}
MISTAKES = {
    "from: a phone number": {"from": "me"},
    "to: a phone number": {"to": None},
    "text: a text": {"text": 7},
    "times: 1 to 100": {"times": 0},
    "provider: one of opentact": {"provider": "kore"},
    "provider_id: a text": {"provider_id": 7},
    "callback_url: an http or https URL": {"callback_url": "ftp://x"},
    "color: no such field": {"color": "red"},
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_told_in_one_line(base_url, callbacks, line):
    answer = httpx.post(f"{base_url}/_simulator/inbound", json=GOOD | MISTAKES[line], trust_env=False)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(line)
    assert callbacks.bodies == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{"])
def test_what_is_no_object_is_a_mistake(base_url, simulator, body):
    assert simulator.settings()
    answer = httpx.post(f"{base_url}/_simulator/inbound", content=body, trust_env=False)
    assert answer.status_code == 400


def test_without_a_url_nobody_can_be_told(simulator):
    simulator.settings(callback_url=None)
    with pytest.raises(ValueError, match=r"^callback_url: none is set"):
        simulator.inbound(THEIRS, OURS, "Hello")
