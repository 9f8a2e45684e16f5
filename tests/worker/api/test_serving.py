"""The API under load, without its ledger, and at its end; and what it writes down of requests."""

import asyncio
import concurrent.futures
import contextlib
import logging
import os
import re
import signal
import socket
import subprocess
import sys

import httpx
import pytest

from proxy import Proxy
from sendline.contract.errors import ConfigurationError
from sendline.ledger import verbs
from sendline.ledger.connection import Ledger
from sendline.settings import Settings
from sendline_worker.api import serve
from sendline_worker.serving import listening
from worker.api.conftest import NEW, Served, served

PATH = "/v1/messages"
SCRIPT = """
import sys
from sendline.settings import Settings
from sendline_worker.api import serve
sys.exit(serve(Settings.load(), port=0, on_ready=lambda port: print(port, flush=True)))
"""


def accepted(api):
    return api.ledger.run(verbs.counts())["accepted"]


@contextlib.contextmanager
def behind_a_proxy(valkey, ledger, redis_timeout=0.5):
    """The API with a proxy before its ledger; `api.ledger` goes round it."""
    target = valkey.url.removeprefix("unix://").partition("?")[0]
    with Proxy(target) as proxy:
        settings = Settings(redis_url=proxy.redis_url, redis_timeout=redis_timeout)
        with served(settings, ledger) as api:
            yield api, proxy


# Gathering


def post_all(api, messages, together=40):
    """Post messages at the same time and return the answers."""
    _, token = api.key("send")

    async def post():
        limits = httpx.Limits(max_connections=together)
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(
            base_url=api.url, headers=headers, limits=limits, timeout=20, trust_env=False
        ) as client:
            return await asyncio.gather(*(client.post(PATH, json=each) for each in messages))

    return asyncio.run(post())


def test_requests_at_the_same_time_share_calls(valkey, ledger, publish, raw):
    publish("main")
    messages = [{**NEW, "to": f"+1311555{number:04d}"} for number in range(200)]
    with behind_a_proxy(valkey, ledger, redis_timeout=10) as (api, proxy):
        proxy.delay(0.1)
        before = raw.info("commandstats")["cmdstat_fcall"]["calls"]
        answers = post_all(api, messages)
        assert {each.status_code for each in answers} == {202}
        calls = raw.info("commandstats")["cmdstat_fcall"]["calls"] - before
        assert [each.json()["to"] for each in answers] == [each["to"] for each in messages]
        assert accepted(api) == 200
    assert calls < 100


def test_each_request_gets_its_own_answer_whatever_the_others_ask(api):
    messages = [{**NEW, "to": f"+1311555{n:04d}"} if n % 3 else {**NEW, "to": "12"} for n in range(90)]
    answers = post_all(api, messages)
    assert [each.status_code for each in answers] == [202 if n % 3 else 422 for n in range(90)]


# Without the ledger


def told_away(answer):
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:sendline:problem:ledger-unavailable"
    assert int(answer.headers["retry-after"]) > 0


def test_without_the_ledger_everything_says_so_in_time_and_goes_on_afterwards(valkey, ledger, publish, poll):
    publish("main")
    with behind_a_proxy(valkey, ledger) as (api, proxy):
        client = api.client("send", "read")
        path = client.post(PATH, json=NEW).headers["location"]
        proxy.freeze()
        proxy.refuse()
        for answer in (
            client.post(PATH, json=NEW),
            client.post(PATH, json=[NEW, NEW]),
            client.get(PATH),
            client.get(path),
            client.get("/readyz"),
        ):
            told_away(answer)
            assert answer.elapsed.total_seconds() < 6
        assert client.get("/healthz").status_code == 200
        proxy.refuse(on=False)
        proxy.cut()
        poll(lambda: client.post(PATH, json=NEW).status_code == 202)


def test_however_many_wait_for_a_ledger_that_hangs_all_are_told_in_time(valkey, ledger, publish):
    publish("main")
    with behind_a_proxy(valkey, ledger) as (api, proxy):
        client = api.client("send")
        assert client.post(PATH, json=NEW).status_code == 202
        proxy.delay(60)
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda _: client.post(PATH, json=[NEW] * 1000), range(6)))
        for answer in answers:
            told_away(answer)
            assert answer.elapsed.total_seconds() < 4


def test_what_is_left_of_the_rate_is_not_waited_for(valkey, ledger, publish):
    publish("main")
    with behind_a_proxy(valkey, ledger, redis_timeout=2) as (api, proxy):
        client = api.client("read", rate=50)
        assert "ratelimit" in client.get(PATH).headers
        proxy.delay(60)
        answer = client.get(PATH)
        told_away(answer)
        assert answer.elapsed.total_seconds() < 3.5


def test_a_message_whose_answer_was_lost_is_accepted_once_with_its_key(valkey, ledger, publish, poll):
    publish("main")
    with behind_a_proxy(valkey, ledger) as (api, proxy):
        client = api.client("send")
        client.headers["Idempotency-Key"] = "order 1"
        assert client.post(PATH, json=NEW).status_code == 202
        client.headers["Idempotency-Key"] = "order 2"
        proxy.drop_replies(2, after=b"FCALL")
        told_away(client.post(PATH, json=NEW))
        proxy.drop_none()
        answer = poll(lambda: (a := client.post(PATH, json=NEW)).status_code == 202 and a)
        assert answer.json()["status"] == "created"
        assert accepted(api) == 2


def test_a_ledger_that_does_not_keep_what_it_accepts_is_refused(ledger, publish, raw):
    publish("main")
    settings = Settings(redis_url=ledger.url)
    before = raw.config_get("appendfsync")["appendfsync"]
    raw.config_set("appendfsync", "everysec")
    try:
        with served(settings, ledger) as api:
            client = api.client("send")
            for answer in (client.post(PATH, json=NEW), client.get("/readyz")):
                assert answer.status_code == 503
                assert answer.json()["type"] == "urn:sendline:problem:ledger-refused"
    finally:
        raw.config_set("appendfsync", before)


# Start and end


def test_a_port_that_is_taken_is_told(settings):
    with listening("127.0.0.1", 0) as taken, pytest.raises(ConfigurationError, match="is taken"):
        serve(settings, port=taken.getsockname()[1], on_ready=lambda _: pytest.fail("it started"))


def test_without_a_ledger_it_does_not_start(tmp_path):
    with pytest.raises(ConfigurationError, match="redis_url"):
        serve(Settings(state_dir=tmp_path), on_ready=lambda _: pytest.fail("it started"))


@pytest.fixture
def process(redis_url, publish, tmp_path):
    """The API as a process of its own: its URL and itself."""
    publish("main")
    environment = {**os.environ, "SENDLINE_REDIS_URL": redis_url}
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    ) as running:
        yield f"http://127.0.0.1:{int(running.stdout.readline())}", running
        running.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_at_its_end_what_was_begun_is_finished(process, ledger, settings, number):
    url, running = process
    token = Served(url, ledger, None, settings).key("send")[1]
    body = b'{"to":"+13115552367","text":"Hello","sender":"+13115552368"}'
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=15) as begun:
        begun.sendall(head + body[:10])
        with httpx.Client(base_url=url, trust_env=False) as client:
            assert client.get("/healthz").status_code == 200  # what was sent before it has come
        running.send_signal(number)
        begun.sendall(body[10:])
        assert begun.recv(65536).startswith(b"HTTP/1.1 202 ")
    assert running.wait(timeout=15) == 0
    with contextlib.closing(Ledger(ledger.url)) as own:
        assert own.run(verbs.counts())["accepted"] == 1


def test_streams_are_told_before_the_end_is_waited_for(settings, ledger):
    with served(settings, ledger) as api:
        assert not api.app.ending.is_set()
    assert api.app.ending.is_set()


# Logs


def test_the_log_says_what_was_asked_and_nothing_private(api, caplog):
    key, token = api.key("send", "read")
    with caplog.at_level(logging.DEBUG):
        client = api.client()
        client.headers["Authorization"] = f"Bearer {token}"
        sent = client.post(PATH, json=NEW)
        client.get(sent.headers["location"])
        client.get(PATH, params={"to": NEW["to"]})
        client.post(PATH, json={**NEW, "to": "+1311"})
        client.get(f"/v1/recipients/{NEW['to']}")
        api.client().get(PATH)
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("sendline")]
    lines = [re.sub(r"[\d.]+ ms$", "- ms", line) for line in ours]
    for line in (
        f"POST /v1/messages: 202, key {key.id}, - ms",
        f"GET /v1/messages/{{message_id}}: 200, key {key.id}, - ms",
        f"GET /v1/messages: 200, key {key.id}, - ms",
        f"POST /v1/messages: 422, key {key.id}, - ms",
        "GET /v1/messages: 401, key -, - ms",
    ):
        assert line in lines
    for record in caplog.records:
        if record.name.startswith(("httpx", "httpcore")):
            continue  # the test's own client
        for private in (NEW["to"], NEW["to"][1:], NEW["text"], token, token[-43:], "recipients/+"):
            assert private not in record.getMessage()


def test_a_fault_of_ours_is_a_problem_and_shows_nothing(api, caplog, monkeypatch):
    async def fail(*_):
        raise ZeroDivisionError(NEW["text"])

    monkeypatch.setattr("sendline_worker.api.sending.rates.take", fail)
    monkeypatch.setattr("sendline_worker.api.listing.own_message", fail)
    client = api.client("send", "read")
    for answer in (client.post(PATH, json=NEW), client.get(f"{PATH}/x")):
        assert answer.status_code == 500
        assert answer.json()["type"] == "urn:sendline:problem:fault"
        assert NEW["text"] not in answer.text
    assert "ZeroDivisionError" in caplog.text
    assert NEW["text"] not in "".join(record.getMessage() + str(record.exc_text) for record in caplog.records)
