"""The log: what was received, in memory and on disk, counted and paged."""

import json
import time

import httpx
import pytest

from sendline_worker.simulator import SimulatorClient, SimulatorOptions, number_for, running
from sendline_worker.simulator.counts import SECOND_NS, Meter
from sendline_worker.simulator.ids import Ids
from worker.simulator.support import ORDINARY, SENDER, send


@pytest.fixture(scope="module")
def base_url():
    with running(SimulatorOptions(port=0)) as url:
        yield url


def test_an_entry_holds_what_was_received_and_done(base_url, simulator):
    before = time.time()
    answer = send(base_url, text="What was said")
    [entry] = simulator.log()
    assert (entry.n, entry.provider, entry.recipient, entry.sender) == (1, "opentact", ORDINARY, SENDER)
    assert (entry.text, entry.behaviour, entry.answer) == ("What was said", "ordinary", "201")
    assert entry.provider_id == answer.json()["payload"]["uuid"]
    assert before <= entry.at <= time.time()
    assert entry.mono_ns > 0
    assert entry.receipts == ()


def test_the_log_is_read_page_by_page(base_url, simulator):
    for n in range(7):
        send(base_url, text=str(n))
    assert [entry.text for entry in simulator.log(after=0, limit=3)] == ["0", "1", "2"]
    assert [entry.text for entry in simulator.log(after=5, limit=3)] == ["5", "6"]
    assert simulator.log(after=7) == []
    assert [entry.n for entry in simulator.whole_log()] == [1, 2, 3, 4, 5, 6, 7]
    page = httpx.get(f"{base_url}/_simulator/log?after=0&limit=3", trust_env=False).json()
    assert (page["next"], page["more"], page["first"]) == (3, True, 1)


@pytest.mark.parametrize("query", ["after=-1", "limit=0", "limit=10001", "after=x"])
def test_a_mistaken_page_is_told(base_url, query):
    answer = httpx.get(f"{base_url}/_simulator/log?{query}", trust_env=False)
    assert answer.status_code == 400
    assert "after" in answer.json()["error"]


def test_the_summary_counts(base_url, simulator):
    for to, text in ((ORDINARY, "a"), (ORDINARY, "a"), (ORDINARY, "a"), (ORDINARY, "b")):
        send(base_url, to, text=text)
    send(base_url, number_for("refused"))
    send(base_url, "nobody")
    summary = simulator.summary()
    assert (summary.received, summary.accepted, summary.accepted_twice) == (6, 4, 1)
    assert summary.by_behaviour == {"ordinary": 4, "refused": 1, "refused_by_the_book": 1}
    assert summary.by_answer == {"201": 4, "400": 2}
    assert 1 <= summary.max_per_second <= 6
    assert list(summary.max_per_second_by_account.values()) == [summary.max_per_second]


def test_the_fullest_second_is_found_wherever_it_lies():
    meter = Meter()
    for at in (0, 0.4, 0.9, 1.0, 1.1, 1.2, 3.0):
        meter.arrive(int(at * SECOND_NS))
    assert meter.most == 5
    whole = Meter()
    for second in range(5):
        whole.arrive(second * SECOND_NS)
    assert whole.most == 1


def test_a_reset_forgets_everything(base_url, simulator):
    simulator.settings(latency=0.5, numbers=False)
    simulator.behave("error")
    old = send(base_url)
    send(base_url, number_for("unavailable"))
    simulator.reset()
    assert simulator.log() == []
    assert simulator.summary().received == 0
    assert simulator.settings()["latency"] == 0
    assert send(base_url, number_for("unavailable")).status_code == 503
    new = send(base_url)
    assert (old.status_code, new.status_code) == (500, 201)


def test_ids_name_their_entry_and_no_other_runs():
    ids, other = Ids(), Ids()
    given = {ids.of(n): n for n in range(1, 2000)}
    assert len(given) == 1999
    assert all(ids.number(text) == n for text, n in given.items())
    assert all(other.number(text) is None for text in given)
    assert ids.number("no id") is None
    ids.renew()
    assert all(ids.number(text) is None for text in given)


def test_only_the_newest_entries_are_kept_and_the_counts_go_on():
    with running(SimulatorOptions(port=0, max_entries=3)) as url, SimulatorClient(url) as simulator:
        ids = [send(url, text=str(n % 2)).json()["payload"]["uuid"] for n in range(8)]
        assert [entry.n for entry in simulator.log()] == [6, 7, 8]
        assert [entry.provider_id for entry in simulator.whole_log()] == ids[5:]
        assert simulator.summary().received == 8
        headers = {"x-auth-token": "key-of-the-account"}
        found = [
            httpx.get(f"{url}/rest/sms/outbound/{each}", headers=headers, trust_env=False) for each in ids
        ]
        assert [answer.status_code for answer in found] == [404] * 5 + [200] * 3


def test_the_file_has_each_request_and_each_receipt(tmp_path):
    path = tmp_path / "log.jsonl"
    options = SimulatorOptions(
        port=0,
        log_file=path,
        receipt_delay=(0, 0),
        callback_url="http://127.0.0.1:9/nobody",
        receipt_retries=(),
    )
    with running(options) as url, SimulatorClient(url) as simulator:
        provider_id = send(url, number_for("sent_only"), text="Grüße").json()["payload"]["uuid"]
        send(url, number_for("refused"))
        for _ in range(1000):
            if simulator.summary().receipts_pending == 0:
                break
        simulator.reset()
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    requests = [line for line in lines if line["event"] == "request"]
    receipts = [line for line in lines if line["event"] == "receipt"]
    assert [(line["text"], line["provider_id"], line["answer"]) for line in requests] == [
        ("Grüße", provider_id, "201"),
        ("Hello, world!", None, "400"),
    ]
    assert [(line["n"], line["report"], line["result"]) for line in receipts] == [
        (1, "sent", "ClientConnectorError")
    ]
    assert lines[-1] == {"event": "reset"}
