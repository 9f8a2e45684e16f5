"""The stream of events: whole, in order, resumed where it was cut off, and each key's own."""

import concurrent.futures
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx

from sendline import Producer
from sendline.contract import ids
from sendline.ledger.api_keys import revoke_key
from sendline.ledger.keys import KEYS, message_key
from sendline.ledger.limits import Limits
from sendline_worker.api import events
from worker.api.test_serving import SCRIPT, behind_a_proxy

PATH = "/v1/events"


class Stream:
    """One open stream, read event by event."""

    def __init__(self, answer):
        self.answer = answer
        self._lines = answer.iter_lines()
        self.last_id = None

    def next(self):
        """Return the fields of the next block; None at the end."""
        found = {}
        for line in self._lines:
            if not line:
                if "id" in found:
                    self.last_id = found["id"]
                return found
            name, _, value = line.partition(": ")
            found[name] = value
        return None

    def event(self):
        """Return the next event, passing over what is none."""
        while (block := self.next()) is not None:
            if "data" in block:
                return {"id": int(block["id"]), "event": block["event"], **json.loads(block["data"])}
        return None

    def events(self, number):
        return [self.event() for _ in range(number)]


@contextlib.contextmanager
def stream(client, **named):
    with client.stream("GET", PATH, **named) as answer:
        assert answer.status_code == 200
        yield Stream(answer)


def opens(client):
    """Return whether the process has room for one more stream."""
    with client.stream("GET", PATH) as answer:
        return answer.status_code == 200


def send(client, new, number=1):
    told = client.post("/v1/messages", json=[new] * number).json()["results"]
    return [each["message"]["id"] for each in told]


def test_events_are_told_as_they_happen_in_order(api, new):
    client = api.client("send", "read")
    with stream(client) as told:
        begun = told.next()
        assert (begun["retry"], begun["id"]) == ("2000", "0")
        first, second = send(client, new, 2)
        client.post(f"/v1/messages/{first}/cancel")
        assert [(each["message_id"], each["status"], each["event"]) for each in told.events(3)] == [
            (first, "created", "status"),
            (second, "created", "status"),
            (first, "canceled", "status"),
        ]


def test_an_event_says_what_happened_to_which_message(api, new, settings):
    admin = api.client("admin")
    with Producer(settings=settings) as producer, stream(admin) as told:
        message = producer.send(**new, campaign="sale", lane="bulk")
        event = told.event()
        assert event.keys() == {"id", "event", "message_id", "status", "at", "error", "reason", "campaign"}
        assert (event["message_id"], event["campaign"]) == (message.id, "sale")
        assert new["to"] not in json.dumps(event)
        assert new["text"] not in json.dumps(event)


def test_a_stream_resumes_behind_the_last_event_that_was_seen(api, new):
    client = api.client("send", "read")
    sent = send(client, new, 5)
    with stream(client, params={"after": 0}) as told:
        assert [each["message_id"] for each in told.events(2)] == sent[:2]
        seen = told.last_id
    for named in ({"params": {"after": seen}}, {"headers": {"Last-Event-ID": seen}, "params": {"after": 0}}):
        with stream(client, **named) as told:
            assert [each["message_id"] for each in told.events(3)] == sent[2:]
    with stream(client, headers={"Last-Event-ID": ""}) as told:
        assert told.next()["id"] == "5"


def test_a_key_hears_of_its_own_messages_only_and_an_admin_of_all(api, new, settings):
    shop, other, admin = api.client("send", "read"), api.client("send", "read", name="x"), api.client("admin")
    with Producer(settings=settings) as producer:
        [mine], [others], house = send(shop, new), send(other, new), producer.send(**new).id
    shop.put("/v1/campaigns/sale", json={"text": "Hi", "sender": new["sender"]})
    shop.put(
        "/v1/campaigns/sale/recipients", content="to\n+13115552399\n", headers={"Content-Type": "text/csv"}
    )
    [last] = send(shop, new)
    with stream(shop, params={"after": 0}) as told:
        heard = told.events(3)
        assert [heard[0]["message_id"], heard[2]["message_id"]] == [mine, last]
        assert heard[1]["campaign"] == "sale"
    with stream(admin, params={"after": 0}) as told:
        assert [each["message_id"] for each in told.events(3)] == [mine, others, house]


def test_a_damaged_record_ends_no_stream_and_its_event_is_for_admins(api, new, raw):
    shop, admin = api.client("send", "read"), api.client("admin")
    damaged, whole = send(shop, new, 2)
    raw.set(message_key(ids.to_bytes(damaged)), b"\xc1")
    with stream(shop, params={"after": 0}) as told:
        assert told.event()["message_id"] == whole
    with stream(admin, params={"after": 0}) as told:
        assert [each["message_id"] for each in told.events(2)] == [damaged, whole]


def test_lost_events_are_told_before_the_stream_begins(api, new, raw):
    client = api.client("send", "read")
    for _ in range(3):
        send(client, new)
    raw.xtrim(KEYS["events"], maxlen=1, approximate=False)
    for named in ({"params": {"after": 0}}, {"headers": {"Last-Event-ID": "1"}}, {"params": {"after": 99}}):
        lost = client.get(PATH, **named)
        assert (lost.status_code, lost.json()["type"]) == (410, "urn:sendline:problem:events-lost")
        assert "3" in lost.json()["detail"]
    for wrong in ({"params": {"after": -1}}, {"params": {"after": "x"}}, {"headers": {"Last-Event-ID": "x"}}):
        assert client.get(PATH, **wrong).status_code == 422
    assert api.client("send").get(PATH).status_code == 403


def test_a_quiet_stream_says_that_it_lives_and_how_far_it_has_come(api, new, monkeypatch):
    monkeypatch.setattr(events, "KEEP_ALIVE", 0.3)
    shop, other = api.client("send", "read"), api.client("send", name="other")
    with stream(shop) as told:
        assert told.next()["id"] == "0"
        send(other, new, 4)
        while (block := told.next())["id"] != "4":
            assert block.keys() == {"", "id"}


def test_many_streams_get_every_event_from_one_reading(api, new, raw):
    client, number = api.client("send", "read"), 20
    found = [[] for _ in range(number)]
    ready = threading.Barrier(number + 1)

    def follow(mine):
        with stream(api.client("send", "read")) as told:
            told.next()
            ready.wait(20)
            mine += told.events(300)

    threads = [threading.Thread(target=follow, args=(mine,)) for mine in found]
    for thread in threads:
        thread.start()
    ready.wait(20)
    before = raw.info("commandstats")["cmdstat_xread"]["calls"]
    for _ in range(3):
        send(client, new, 100)
    for thread in threads:
        thread.join(20)
    assert all([each["id"] for each in mine] == list(range(1, 301)) for mine in found)
    assert raw.info("commandstats")["cmdstat_xread"]["calls"] - before < 10 * number


def test_more_streams_than_a_process_holds_are_refused_and_have_room_later(api, monkeypatch, poll):
    monkeypatch.setattr(events, "MOST", 1)
    client = api.client("read")
    with stream(client) as told:
        told.next()
        busy = api.client("read").get(PATH)
        assert (busy.status_code, busy.json()["type"]) == (503, "urn:sendline:problem:busy")
        assert busy.headers["retry-after"]
    assert poll(lambda: opens(client))


def test_streams_that_begin_at_the_same_time_are_counted(valkey, ledger, publish, monkeypatch):
    publish("main")
    monkeypatch.setattr(events, "MOST", 2)
    with behind_a_proxy(valkey, ledger) as (api, proxy), concurrent.futures.ThreadPoolExecutor(6) as pool:
        clients = [api.client("read") for _ in range(6)]
        assert all(each.get("/v1/messages").status_code == 200 for each in clients)
        proxy.delay(0.2)
        together = threading.Barrier(6)

        def status(client):
            with client.stream("GET", PATH) as answer:
                together.wait(20)
                return answer.status_code

        assert sorted(pool.map(status, clients)) == [200, 200, 503, 503, 503, 503]


def test_one_name_leaves_room_for_others(api, monkeypatch, poll):
    monkeypatch.setattr(events, "MOST_OF_ONE", 1)
    mine, others = api.client("read"), api.client("read", name="other")
    with stream(mine) as told:
        told.next()
        assert api.client("read").get(PATH).status_code == 503
        assert opens(others)
    assert poll(lambda: opens(mine))


def test_a_stream_that_did_not_begin_takes_no_room(api, monkeypatch):
    monkeypatch.setattr(events, "MOST", 1)
    client = api.client("read")
    assert [client.get(PATH, params={"after": 99}).status_code for _ in range(2)] == [410, 410]
    assert opens(client)


def test_a_stream_ends_with_its_connection_whatever_else_was_asked_there(api, monkeypatch, poll):
    monkeypatch.setattr(events, "MOST", 1)
    _, token = api.key("read")
    host, port = api.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as gone:
        asked = f"GET {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
        gone.sendall(asked.encode() * 2)
        assert gone.recv(100).startswith(b"HTTP/1.1 200 ")
        assert not opens(api.client("read"))
    assert poll(lambda: opens(api.client("read")))


def test_nobody_keeps_a_stream(api):
    with api.client("read").stream("GET", PATH) as answer:
        assert answer.headers.get_list("cache-control") == ["no-store"]


def test_a_reader_who_takes_nothing_harms_nobody_and_is_cut_off(api, new, monkeypatch, poll):
    real = events._event
    monkeypatch.setattr(events, "SLOW", 1.0)
    monkeypatch.setattr(events, "_event", lambda told: b":" + b"x" * 20_000 + b"\n" + real(told))
    client, (_, token) = api.client("send", "read"), api.key("read")
    host, port = api.url.removeprefix("http://").split(":")
    send(client, new, 1000)
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect((host, int(port)))
        asked = f"GET {PATH}?after=0 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
        slow.sendall(asked.encode())
        with stream(client, params={"after": 0}) as told:
            assert [each["id"] for each in told.events(1000)] == list(range(1, 1001))
            [last] = send(client, new)
            assert told.event()["message_id"] == last
        monkeypatch.setattr(events, "MOST", 1)
        poll(lambda: opens(client))
        slow.settimeout(10)
        assert sum(iter(lambda: len(slow.recv(65536)), 0)) < 20_000_000


def test_a_revoked_key_hears_nothing_more_within_two_seconds(api, new):
    key, token = api.key("read", "send")
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=api.url, headers=headers, trust_env=False, timeout=10) as client:
        with stream(client) as told:
            told.next()
            api.ledger.run(revoke_key(Limits(), key.id))
            began = time.monotonic()
            assert told.next() is None
            assert time.monotonic() - began < 3
        assert client.get(PATH).status_code == 401


def test_without_the_ledger_a_stream_ends_with_the_problem_and_goes_on_afterwards(
    valkey, ledger, publish, new, poll
):
    publish("main")
    with behind_a_proxy(valkey, ledger) as (api, proxy):
        client = api.client("send", "read")
        with stream(client, timeout=10) as told:
            [first] = send(client, new)
            assert told.event()["message_id"] == first
            proxy.refuse()
            proxy.freeze()
            while "data" not in (block := told.next()):
                pass
            assert block["event"] == "problem"
            assert json.loads(block["data"])["type"] == "urn:sendline:problem:ledger-unavailable"
            assert told.next() is None
        proxy.refuse(on=False)
        proxy.cut()
        [second] = poll(
            lambda: (a := client.post("/v1/messages", json=new)).status_code == 202 and [a.json()["id"]]
        )
        with stream(client, headers={"Last-Event-ID": told.last_id}) as told:
            assert told.event()["message_id"] == second


def test_the_end_of_the_server_ends_streams_at_once(settings, ledger, publish, api):
    _, token = api.key("read")
    run = [sys.executable, "-c", SCRIPT]
    environment = {**os.environ, "SENDLINE_REDIS_URL": settings.redis_url.get_secret_value()}
    with subprocess.Popen(run, env=environment, stdout=subprocess.PIPE, text=True) as process:
        url = f"http://127.0.0.1:{process.stdout.readline().strip()}"
        headers = {"Authorization": f"Bearer {token}"}
        with (
            httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=10) as client,
            stream(client) as told,
        ):
            told.next()
            process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            assert told.next() is None
            assert process.wait(10) == 0
            assert time.monotonic() - began < 3
