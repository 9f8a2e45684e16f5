"""Every behaviour, met over real HTTP."""

import time

import httpx
import pytest

from sendline_worker.simulator import SimulatorOptions, number_for, running
from worker.simulator.support import ORDINARY, message_body, raw, send


@pytest.fixture(scope="module")
def base_url():
    with running(SimulatorOptions(port=0, receipt_delay=(0, 0), hang_limit=0.4)) as url:
        yield url


@pytest.mark.parametrize(
    ("name", "status", "wait"),
    [
        ("throttled", 429, "1"),
        ("throttled_bare", 429, None),
        ("unavailable", 503, None),
        ("unavailable_until", 503, "1"),
        ("unauthorized", 401, None),
        ("redirect", 302, None),
        ("error", 500, None),
    ],
)
def test_a_first_request_is_not_accepted_and_the_second_is(base_url, simulator, name, status, wait):
    first, second = send(base_url, number_for(name)), send(base_url, number_for(name))
    assert (first.status_code, first.headers.get("retry-after")) == (status, wait)
    assert second.status_code == 201
    assert [entry.answer for entry in simulator.log()] == [str(status), "201"]
    assert simulator.summary().accepted == 1


@pytest.mark.parametrize(("name", "status"), [("refused", 400), ("unavailable_always", 503)])
def test_some_never_accept(base_url, simulator, name, status):
    answers = {send(base_url, number_for(name)).status_code for _ in range(3)}
    assert answers == {status}
    assert simulator.summary().accepted == 0


def test_first_means_the_first_of_one_message(base_url, simulator):
    to = number_for("unavailable")
    answers = [send(base_url, to, text=text).status_code for text in ("one", "two", "one", "two")]
    assert answers == [503, 503, 201, 201]


@pytest.mark.parametrize(
    ("name", "reads"),
    [
        ("garbage", lambda body: len(body) == 64),
        ("html", lambda body: body.startswith(b"<!doctype html>")),
        ("empty", lambda body: body == b""),
        ("huge_body", lambda body: len(body) == 10 * 1024 * 1024),
        ("bad_utf8", lambda body: body.decode("latin-1").startswith('{"success"')),
    ],
)
def test_a_body_that_can_not_be_read(base_url, simulator, name, reads):
    first = send(base_url, number_for(name))
    assert first.status_code == 200
    assert reads(first.content)
    assert simulator.summary().accepted == 0
    assert send(base_url, number_for(name)).status_code == 201


def test_bytes_that_are_no_utf8_are_no_utf8(base_url, simulator):
    with pytest.raises(UnicodeDecodeError):
        send(base_url, number_for("bad_utf8")).content.decode()


@pytest.mark.parametrize("name", ["reset", "reset_early", "accepted_reset"])
def test_a_reset_is_a_tcp_reset(base_url, simulator, name):
    with pytest.raises(ConnectionResetError):
        raw(base_url, message_body(number_for(name)))
    assert [entry.answer for entry in simulator.log()] == ["reset"]
    assert simulator.summary().accepted == (name == "accepted_reset")


def test_set_for_all_a_reset_comes_before_the_body_is_read(base_url, simulator):
    simulator.behave("reset_early", count=1)
    with pytest.raises(ConnectionResetError):
        raw(base_url, b"", length=100)
    assert [(entry.recipient, entry.behaviour) for entry in simulator.log()] == [("", "reset_early")]
    assert send(base_url).status_code == 201


@pytest.mark.parametrize("name", ["hang", "accepted_hang"])
def test_a_hang_lasts_until_the_client_goes(base_url, simulator, name):
    with pytest.raises(httpx.ReadTimeout):
        send(base_url, number_for(name), timeout=0.1)
    assert [entry.answer for entry in simulator.log()] == ["hang"]
    assert simulator.summary().accepted == (name == "accepted_hang")
    assert send(base_url, number_for(name)).status_code == 201


def test_a_hang_is_bounded(base_url, simulator):
    began = time.monotonic()
    with pytest.raises(httpx.ReadError):
        send(base_url, number_for("hang"))
    assert 0.35 < time.monotonic() - began < 5


def test_half_an_answer_is_no_answer(base_url, simulator):
    answer = raw(base_url, message_body(number_for("cut")))
    head, _, body = answer.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    assert head.startswith(b"HTTP/1.1 200")
    assert len(body) == length // 2
    assert simulator.summary().accepted == 0


@pytest.mark.parametrize(("name", "status"), [("accepted_error", 500), ("accepted_garbage", 200)])
def test_some_accept_and_do_not_say_so(base_url, simulator, name, status):
    assert send(base_url, number_for(name)).status_code == status
    assert simulator.summary().accepted == 1
    send(base_url, number_for(name))
    summary = simulator.summary()
    assert (summary.accepted, summary.accepted_twice) == (2, 1)


def test_a_slow_number_is_answered_after_two_seconds(base_url, simulator):
    began = time.monotonic()
    assert send(base_url, number_for("slow")).status_code == 201
    assert 2 <= time.monotonic() - began < 5


def test_latency_can_be_set_for_all_or_for_some(base_url, simulator):
    simulator.behave("jittery", count=1, delay=0.3)
    began = time.monotonic()
    assert send(base_url).status_code == 201
    assert time.monotonic() - began >= 0.3
    simulator.settings(latency=0.2)
    began = time.monotonic()
    assert send(base_url).status_code == 201
    assert 0.2 <= time.monotonic() - began < 2


def test_who_follows_a_redirect_is_counted(base_url, simulator):
    answer = send(base_url, number_for("redirect"))
    headers = {"authorization": "Bearer secret"}
    httpx.get(answer.headers["location"], headers=headers, trust_env=False)
    summary = simulator.summary()
    assert (summary.redirects_followed, summary.redirects_with_credentials) == (1, 1)
    assert summary.received == 1


def test_a_rule_is_for_the_next_so_many_requests(base_url, simulator):
    simulator.behave("throttled", count=2, retry_after=7)
    answers = [send(base_url) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 201]
    assert answers[0].headers["retry-after"] == "7"


def test_a_rule_is_for_a_recipient(base_url, simulator):
    simulator.behave("refused", recipient=ORDINARY)
    assert send(base_url).status_code == 400
    assert send(base_url, "+13115550001").status_code == 201


def test_a_rule_is_for_a_provider(base_url, simulator):
    simulator.behave("refused", provider="kore")
    assert send(base_url).status_code == 201


def test_a_rule_is_for_all_until_cleared(base_url, simulator):
    simulator.behave("error")
    assert {send(base_url).status_code for _ in range(3)} == {500}
    simulator.clear()
    assert send(base_url).status_code == 201


def test_a_rule_with_a_seed_meets_the_same_requests_again(base_url, simulator):
    def answers():
        simulator.reset()
        simulator.behave("error", probability=0.5, seed=7)
        return [send(base_url).status_code for _ in range(12)]

    first = answers()
    assert set(first) == {201, 500}
    assert answers() == first


def test_a_rule_goes_before_the_number_and_ordinary_is_one(base_url, simulator):
    simulator.behave("ordinary", count=1)
    assert send(base_url, number_for("refused")).status_code == 201
    assert send(base_url, number_for("refused")).status_code == 400


def test_a_request_that_is_wrong_uses_up_no_rule(base_url, simulator):
    simulator.behave("error", count=1)
    assert send(base_url, "nobody").status_code == 400
    assert send(base_url).status_code == 500


def test_numbers_can_be_told_to_behave(base_url, simulator):
    simulator.settings(numbers=False)
    assert send(base_url, number_for("refused")).status_code == 201


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"behaviour": "odd"}, "behaviour: one of ordinary, slow"),
        ({"behaviour": "error", "count": 0}, "count: "),
        ({"behaviour": "error", "probability": 2}, "probability: "),
        ({"behaviour": "error", "delay": -1}, "delay: "),
        ({"behaviour": "error", "recipient": 7}, "recipient: "),
    ],
)
def test_a_mistaken_rule_is_told_in_one_line(simulator, arguments, line):
    with pytest.raises(ValueError, match="^" + line) as mistake:
        simulator.behave(**arguments)
    assert "\n" not in str(mistake.value)


@pytest.mark.parametrize(
    "changes",
    [{"shape": "round"}, {"callback_url": "here"}, {"receipt_delay": [2, 1]}, {"numbers": 1}, {"what": 1}],
)
def test_a_mistaken_setting_is_told_and_changes_nothing(simulator, changes):
    before = simulator.settings()
    with pytest.raises(ValueError, match=f"^{next(iter(changes))}: "):
        simulator.settings(**changes)
    assert simulator.settings() == before
