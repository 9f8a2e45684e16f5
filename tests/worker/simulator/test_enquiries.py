"""Asking the simulator as Sendline's adapter does: what it finds, and how asking can be made to fail."""

import contextlib
from datetime import UTC, datetime

import httpx
import pytest

from sendline.contract.status import Status
from sendline_worker.providers.base import Answer, Found, Inquiry, NotFound, Outbound, Unanswered
from sendline_worker.providers.registry import adapter_class
from sendline_worker.simulator import SimulatorOptions, number_for, running
from sendline_worker.simulator.behaviours import ALL
from worker.simulator.support import KEY, ORDINARY, SENDER, send

SECONDS = 3.0
ACCEPTING = [each.name for each in ALL if each.accepts and each.name != "slow"]
REFUSING = [each.name for each in ALL if not each.accepts]


@pytest.fixture(scope="module")
def base_url():
    with running(SimulatorOptions(port=0, receipt_delay=(0, 0), hang_limit=0.3)) as url:
        yield url


@pytest.fixture
def adapter(base_url):
    options = {"base_url": base_url, "api_key": KEY, "generation": "A"}
    return adapter_class("opentact")(options, name="main")


def call(request: httpx.Request) -> Answer:
    with httpx.Client(trust_env=False, timeout=SECONDS) as http:
        response = http.send(request)
    return Answer(response.status_code, dict(response.headers), response.content)


def attempt(adapter, to: str = ORDINARY, *, text: str = "Hello", url: str | None = None) -> Inquiry:
    """Send once, see no answer, and return what there is to ask."""
    begun = datetime.now(UTC)
    with contextlib.suppress(httpx.HTTPError):
        call(adapter.compose(Outbound("m", to, SENDER, text, url)))
    return Inquiry(None, to, SENDER, text, url, begun, datetime.now(UTC))


def ask(adapter, inquiry: Inquiry):
    return adapter.judge_inquiry(inquiry, call(adapter.inquire(inquiry)))


def url_of(name: str) -> str:
    """Return a URL where nobody listens, as one of ours is made."""
    return f"http://127.0.0.1:9/receipts/main/{name:x<22}.signature"


@pytest.mark.parametrize("name", ACCEPTING)
def test_what_was_accepted_is_found_by_its_url_though_no_answer_was_seen(adapter, simulator, name):
    found = ask(adapter, attempt(adapter, number_for(name), url=url_of(name)))
    [entry] = simulator.log()
    assert isinstance(found, Found)
    assert found.sure
    assert [receipt.provider_id for receipt in found.receipts] == [entry.provider_id]
    assert found.receipts[0].status in {Status.SENT, Status.DELIVERED, Status.UNDELIVERED}


@pytest.mark.parametrize("name", REFUSING)
def test_what_was_never_accepted_is_not_found(adapter, simulator, name):
    inquiry = attempt(adapter, number_for(name), url=url_of(name))
    assert simulator.summary().accepted == 0
    assert ask(adapter, inquiry) == NotFound()


def test_without_a_url_it_is_found_by_what_is_the_same(adapter, simulator):
    attempt(adapter, text="Another")
    inquiry = attempt(adapter, number_for("accepted_reset"))
    found = ask(adapter, inquiry)
    assert isinstance(found, Found)
    assert not found.sure
    assert [receipt.provider_id for receipt in found.receipts] == [simulator.log()[-1].provider_id]


def test_the_same_text_twice_to_the_same_recipient_is_told_apart_by_the_url_alone(adapter, simulator):
    attempt(adapter, url=url_of("first"))
    lost = attempt(adapter, url=url_of("second"))
    never = Inquiry(None, lost.to, lost.sender, lost.text, url_of("third"), lost.begun, lost.ended)
    bare = Inquiry(None, lost.to, lost.sender, lost.text, None, lost.begun, lost.ended)
    first, second = simulator.log()
    assert [receipt.provider_id for receipt in ask(adapter, lost).receipts] == [second.provider_id]
    assert ask(adapter, never) == NotFound()
    found = ask(adapter, bare)
    assert not found.sure
    assert {receipt.provider_id for receipt in found.receipts} == {first.provider_id, second.provider_id}


def test_a_known_id_is_looked_up(adapter, simulator):
    inquiry = attempt(adapter, number_for("undelivered"))
    [entry] = simulator.log()
    known = Inquiry(entry.provider_id, *(getattr(inquiry, name) for name in Inquiry.__slots__[1:]))
    found = ask(adapter, known)
    assert found.sure
    assert found.receipts[0].status is Status.UNDELIVERED
    simulator.reset()
    assert ask(adapter, known) == NotFound()


def test_another_accounts_message_is_not_found(base_url, adapter, simulator):
    inquiry = attempt(adapter)
    options = {"base_url": base_url, "api_key": "another", "generation": "A"}
    assert ask(adapter_class("opentact")(options, name="other"), inquiry) == NotFound()


def test_a_message_of_another_day_is_not_found(adapter, simulator):
    inquiry = attempt(adapter)
    day = datetime(2020, 1, 1, tzinfo=UTC)
    asked = Inquiry(None, inquiry.to, inquiry.sender, inquiry.text, None, day, day)
    assert ask(adapter, asked) == NotFound()


def test_a_search_shows_no_more_than_is_asked_for(base_url, adapter, simulator):
    for n in range(12):
        send(base_url, text=str(n))
    with httpx.Client(base_url=base_url, trust_env=False, headers={"x-auth-token": KEY}) as http:
        ten = http.post("/rest/sms/search/outbound", json={}).json()["payload"]
        two = http.post("/rest/sms/search/outbound?take=2&skip=11", json={}).json()["payload"]
    assert (len(ten["data"]), ten["total"], ten["take"], ten["skip"]) == (10, 12, 10, 0)
    assert (len(two["data"]), two["total"]) == (1, 12)


FAILURES = {
    "unavailable": "503: the provider is unavailable",
    "unauthorized": "401: the credentials are not accepted",
    "redirect": "302: a redirect, so a wrong base_url",
    "error": "500: no answer to what was asked",
    "garbage": "200: the answer is no JSON object",
    "html": "200: the answer is no JSON object",
    "empty": "200: the answer is no JSON object",
    "bad_utf8": "200: the answer is no JSON object",
}


@pytest.mark.parametrize("name", FAILURES)
def test_asking_can_be_made_to_fail(adapter, simulator, name):
    inquiry = attempt(adapter, url=url_of("ours"))
    simulator.behave(name, count=1, asking=True)
    assert ask(adapter, inquiry) == Unanswered(FAILURES[name])
    assert ask(adapter, inquiry).sure


def test_asking_can_be_told_to_wait(adapter, simulator):
    inquiry = attempt(adapter, url=url_of("ours"))
    simulator.behave("unavailable_until", count=1, asking=True, retry_after=7)
    assert ask(adapter, inquiry) == Unanswered("503: slow down", pause=7.0)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("hang", httpx.ReadError),
        ("reset", httpx.ReadError),
        ("reset_early", httpx.ReadError),
        ("cut", httpx.RemoteProtocolError),
    ],
)
def test_asking_can_be_made_to_break_off(adapter, simulator, name, error):
    inquiry = attempt(adapter, url=url_of("ours"))
    simulator.behave(name, count=1, asking=True)
    with pytest.raises(error):
        ask(adapter, inquiry)
    assert ask(adapter, inquiry).sure


def test_asking_can_be_made_slow(adapter, simulator):
    inquiry = attempt(adapter, url=url_of("ours"))
    simulator.behave("jittery", count=1, asking=True, delay=0.3)
    began = datetime.now(UTC)
    assert ask(adapter, inquiry).sure
    assert (datetime.now(UTC) - began).total_seconds() >= 0.3


def test_a_rule_for_asking_is_not_for_sending_nor_the_other_way_round(base_url, adapter, simulator):
    simulator.behave("reset_early", asking=True)
    assert send(base_url).status_code == 201
    simulator.clear()
    inquiry = attempt(adapter, url=url_of("ours"))
    simulator.behave("error")
    assert ask(adapter, inquiry).sure


def test_a_rule_for_asking_is_for_a_recipient(adapter, simulator):
    inquiry, other = attempt(adapter, url=url_of("ours")), attempt(adapter, "+13115550001", url=url_of("her"))
    simulator.behave("error", asking=True, recipient=ORDINARY)
    assert isinstance(ask(adapter, inquiry), Unanswered)
    assert ask(adapter, other).sure


def test_what_is_asked_is_counted_and_is_no_request_to_send(adapter, simulator):
    inquiry = attempt(adapter)
    ask(adapter, inquiry)
    ask(adapter, inquiry)
    summary = simulator.summary()
    assert (summary.asked, summary.received) == (2, 1)


def test_a_mistaken_rule_for_asking_is_told(simulator):
    with pytest.raises(ValueError, match=r"^asking: true for look-ups"):
        simulator.behave("error", asking="yes")
