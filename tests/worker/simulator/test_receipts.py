"""Receipts, as they arrive at a real callback server, and what Sendline's own adapters make of it all."""

import json
from collections import Counter

import httpx
import pytest

from sendline.contract.status import Status
from sendline_worker.outcomes import Accepted, Refused, Uncertain
from sendline_worker.providers.base import Answer, Hook, Outbound
from sendline_worker.providers.registry import adapter_class
from sendline_worker.simulator import SimulatorOptions, expected, number_for, running
from sendline_worker.simulator.behaviours import ALL, of_number
from sendline_worker.simulator.options import Shape
from worker.simulator.support import KEY, ORDINARY, SENDER, send


@pytest.fixture(scope="module")
def base_url(callbacks_for_all):
    options = SimulatorOptions(
        port=0,
        receipt_delay=(0.01, 0.03),
        receipt_retries=(0.05, 0.05),
        callback_url=callbacks_for_all.url,
        hang_limit=0.2,
    )
    with running(options) as url:
        yield url


def reports(bodies):
    """What each receipt in the shape `data` says."""
    return [body["data"]["payload"]["to"][0]["status"] for body in bodies]


def test_sent_then_delivered_in_the_shape_of_the_webhook_page(base_url, callbacks):
    provider_id = send(base_url).json()["payload"]["uuid"]
    sent, delivered = (body["data"] for body in callbacks.wait_for(2))
    assert (sent["event_type"], delivered["event_type"]) == ("message.sent", "message.finalized")
    assert sent["payload"]["id"] == delivered["payload"]["id"] == provider_id
    assert delivered["payload"]["direction"] == "outbound"
    assert delivered["payload"]["to"][0]["phone_number"] == ORDINARY
    assert sent["id"] != delivered["id"]


def test_sent_then_delivered_in_the_shape_of_the_events_page(base_url, callbacks, simulator):
    simulator.settings(shape="event")
    provider_id = send(base_url).json()["payload"]["uuid"]
    sent, delivered = callbacks.wait_for(2)
    assert sent["type"] == "sms"
    assert sent["message"] == "SMS: type: smso, state: success"
    assert sent["payload"]["uuid"] == delivered["payload"]["uuid"] == provider_id
    assert (sent["payload"]["state"], sent["payload"]["delivered"]) == ("success", False)
    assert (delivered["payload"]["state"], delivered["payload"]["delivered"]) == ("success", True)


@pytest.mark.parametrize(
    ("name", "statuses"),
    [
        ("duplicate", ["sent", "sent", "delivered", "delivered", "delivered"]),
        ("reordered", ["delivered", "sent"]),
        ("sent_only", ["sent"]),
        ("undelivered", ["sent", "delivery_failed"]),
        ("corrected", ["sent", "delivery_failed", "delivered"]),
        ("accepted_error", ["sent", "delivered"]),
        ("early", ["sent", "delivered"]),
        ("early_undelivered", ["delivery_failed", "sent"]),
    ],
)
def test_each_number_reports_in_its_own_way(base_url, callbacks, simulator, name, statuses):
    send(base_url, number_for(name))
    assert reports(callbacks.wait_for(len(statuses))) == statuses
    assert [receipt.result for receipt in settled(simulator).receipts] == ["204"] * len(statuses)


def test_early_receipts_are_there_before_the_answer(base_url, callbacks):
    answer = send(base_url, number_for("early"))
    assert reports(callbacks.bodies) == ["sent", "delivered"]
    assert callbacks.bodies[0]["data"]["payload"]["id"] == answer.json()["payload"]["uuid"]


def test_an_early_word_of_failure_stands_before_the_answer_and_sent_after_it(base_url, callbacks):
    send(base_url, number_for("early_undelivered"))
    assert reports(callbacks.bodies) == ["delivery_failed", "sent"]


def test_late_receipts_come_later(base_url, callbacks, simulator):
    simulator.behave("late", count=1, late=0.5)
    send(base_url, text="late")
    send(base_url, text="usual")
    texts = [body["data"]["payload"]["text"] for body in callbacks.wait_for(4)]
    assert texts == ["usual", "usual", "late", "late"]
    late = simulator.log()[0]
    assert late.receipts[0].at - late.at >= 0.5


@pytest.mark.parametrize("name", ["silent", "refused", "error", "hang"])
def test_nothing_is_reported_of_what_was_not_accepted_or_is_silent(base_url, callbacks, simulator, name):
    simulator.behave(name, count=1)
    try:
        send(base_url, text="nothing")
    except httpx.ReadError:
        assert name == "hang"
    send(base_url, text="something")
    settled(simulator)
    texts = [body["data"]["payload"]["text"] for body in callbacks.bodies]
    assert texts == ["something", "something"]


def test_the_url_in_the_request_goes_before_the_profiles(base_url, callbacks):
    send(base_url, custom_callback_url=f"{callbacks.url}/message-7?token=abc")
    assert {body["path"] for body in callbacks.wait_for(2)} == {"/receipts/message-7?token=abc"}


def test_a_receipt_that_fails_is_tried_again(base_url, callbacks, simulator):
    callbacks.answers = [500, 503]
    send(base_url, number_for("sent_only"))
    callbacks.wait_for(3)
    assert reports(callbacks.bodies) == ["sent", "sent", "sent"]
    entry = settled(simulator)
    assert [receipt.result for receipt in entry.receipts] == ["500", "503", "204"]


def test_a_step_that_is_tried_again_brings_the_next_one_once(base_url, callbacks, simulator):
    callbacks.answers = [500]
    send(base_url)
    receipts = settled(simulator).receipts
    assert sorted(receipt.report for receipt in receipts) == ["delivered", "sent", "sent"]


def test_a_receipt_is_given_up_after_its_last_try(base_url, callbacks, simulator):
    callbacks.answers = [500, 500, 500]
    send(base_url, number_for("sent_only"))
    entry = settled(simulator)
    assert [receipt.result for receipt in entry.receipts] == ["500", "500", "500"]
    summary = simulator.summary()
    assert (summary.receipts_taken, summary.receipts_failed) == (0, 3)


def test_a_receipt_that_is_refused_or_redirected_is_not_tried_again(base_url, callbacks, simulator):
    callbacks.answers = [404, 302]
    send(base_url)
    entry = settled(simulator)
    assert [receipt.result for receipt in entry.receipts] == ["404", "302"]


def test_a_callback_url_where_nobody_listens_is_logged(base_url, simulator):
    simulator.settings(callback_url="http://127.0.0.1:9/nobody")
    send(base_url, number_for("sent_only"))
    entry = settled(simulator)
    assert [receipt.result for receipt in entry.receipts] == ["ClientConnectorError"] * 3


def test_a_reset_drops_the_receipts_under_way(base_url, callbacks, simulator):
    simulator.behave("late", count=1, late=0.2)
    send(base_url, text="before")
    simulator.reset()
    simulator.behave("late", count=1, late=0.5)
    send(base_url, text="after")
    bodies = callbacks.wait_for(2)
    assert {body["data"]["payload"]["text"] for body in bodies} == {"after"}


def test_many_receipts_are_all_delivered_in_order(base_url, callbacks, simulator):
    with httpx.Client(base_url=base_url, trust_env=False, headers={"authorization": f"Bearer {KEY}"}) as http:
        for n in range(300):
            http.post("/sms/o", json={"from": SENDER, "to": ORDINARY, "text": str(n)})
    bodies = callbacks.wait_for(600)
    order: dict[str, list[str]] = {}
    for body, report in zip(bodies, reports(bodies), strict=True):
        order.setdefault(body["data"]["payload"]["text"], []).append(report)
    assert Counter(map(tuple, order.values())) == {("sent", "delivered"): 300}


def settled(simulator):
    """Return the last entry once none of its receipts is under way."""
    for _ in range(1000):
        if simulator.summary().receipts_pending == 0:
            return simulator.log()[-1]
        simulator.wait_ready()
    raise AssertionError("receipts are still under way")


# What follows plays Sendline's part with its real adapter, to hold the table's expected statuses against it.


def attempt(adapter, to, callback_url, name):
    """Call the provider once and return the outcome, as the wire flag and the adapter have it."""
    request = adapter.compose(Outbound(name, to, SENDER, f"Hello from {name}", callback_url))
    try:
        with httpx.Client(trust_env=False, timeout=10) as http:
            response = http.send(request)
    except httpx.HTTPError as error:
        return Uncertain(type(error).__name__)
    return adapter.judge(Answer(response.status_code, dict(response.headers), response.content))


def status_after_calls(adapter, to, callback_url, name, *, resend):
    for _ in range(4):
        outcome = attempt(adapter, to, callback_url, name)
        if isinstance(outcome, Accepted):
            return Status.SENT
        if isinstance(outcome, Refused):
            return Status.FAILED
        if isinstance(outcome, Uncertain) and not resend:
            return Status.UNCERTAIN
    return Status.FAILED


RANK = (Status.FAILED, Status.UNCERTAIN, Status.SENT, Status.UNDELIVERED, Status.DELIVERED)


def final_status(adapter, simulator, callbacks, to, *, resend=False, traced=False):
    """Send to `to` as Sendline does, read the receipts, and return where the message ends."""
    url = f"{callbacks.url}/traced" if traced else None
    status = status_after_calls(adapter, to, url, "m", resend=resend)
    if status is Status.SENT or traced:
        steps = sum(len(of_number(to).receipts) for entry in simulator.log()[-1:] if entry.provider_id)
        for body in callbacks.wait_for(steps):
            content = json.dumps({name: value for name, value in body.items() if name != "path"}).encode()
            [receipt] = adapter.read_receipts(Hook({}, {}, content))
            status = max(status, receipt.status or status, key=RANK.index)
    return status


SOON = [each for each in ALL if each.name not in {"late", "slow", "jittery"}]
WAYS = {
    "data": (Shape.DATA, "C", False),
    "event": (Shape.EVENT, "C", False),
    "traced": (Shape.DATA, "A", True),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("behaviour", SOON, ids=lambda each: each.name)
def test_sendlines_adapter_comes_to_the_expected_status(base_url, callbacks, simulator, behaviour, way):
    shape, generation, traced = WAYS[way]
    options = {"base_url": base_url, "api_key": KEY, "generation": generation}
    adapter = adapter_class("opentact")(options, name="main")
    simulator.settings(shape=shape)
    to = number_for(behaviour.name, digit=3)
    status = final_status(adapter, simulator, callbacks, to, traced=traced)
    assert status is expected(to, traced=traced)


@pytest.mark.parametrize("behaviour", SOON, ids=lambda each: each.name)
def test_resending_comes_to_the_expected_status(base_url, callbacks, simulator, behaviour):
    adapter = adapter_class("opentact")({"base_url": base_url, "api_key": KEY}, name="main")
    to = number_for(behaviour.name, digit=4)
    status = status_after_calls(adapter, to, None, "m", resend=True)
    wanted = expected(to, resend=True)
    assert status is (Status.SENT if wanted in {Status.DELIVERED, Status.UNDELIVERED} else wanted)


@pytest.mark.parametrize("behaviour", SOON, ids=lambda each: each.name)
@pytest.mark.parametrize("resend", [False, True], ids=["hold", "resend"])
def test_a_provider_without_receipts_comes_to_the_expected_status(base_url, simulator, behaviour, resend):
    options = {"base_url": base_url, "bot_id": "st-1", "client_id": "cs-1", "client_secret": "x" * 40}
    adapter = adapter_class("kore")(options, name="flows")
    to = number_for(behaviour.name, digit=5)
    status = status_after_calls(adapter, to, None, "m", resend=resend)
    assert status is expected(to, resend=resend, receipts=False)
    assert simulator.summary().receipts_pending == 0


@pytest.mark.parametrize("generation", ["A", "B", "C"])
def test_every_generation_that_the_adapter_speaks_is_understood(base_url, simulator, generation):
    options = {"base_url": base_url, "api_key": KEY, "generation": generation}
    adapter = adapter_class("opentact")(options, name="main")
    outcome = attempt(adapter, ORDINARY, None, "m")
    [entry] = simulator.log()
    assert outcome == Accepted(entry.provider_id)
    assert (entry.recipient, entry.sender, entry.text) == (ORDINARY, SENDER, "Hello from m")
