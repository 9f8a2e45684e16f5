"""Uploads at their bounds: too large, too slow, too many, at the server's end, without the ledger."""

import asyncio
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from producer.campaigns.conftest import Hands
from sendline import Producer
from sendline.contract.status import Status
from sendline.ledger.campaigns import read_campaign
from sendline.settings import Settings
from sendline_worker.api import importing, uploads
from sendline_worker.api.problems import ProblemError
from sendline_worker.api.room import Room
from worker.api.conftest import served
from worker.api.test_campaigns import SPEC, number, rows, upload
from worker.api.test_serving import SCRIPT, behind_a_proxy

SALE = "/v1/campaigns/sale"


@pytest.fixture
def shop(api):
    shop = api.client("send", "read", name="shop")
    assert shop.put(SALE, json=SPEC).status_code == 201
    return shop


def connected(api, shop, path=SALE, length=1000):
    return sending(api.url, shop, path, length)


def sending(url, shop, path=SALE, length=1000):
    host, port = url.removeprefix("http://").split(":")
    sock = socket.create_connection((host, int(port)), timeout=10)
    head = f"PUT {path}/recipients HTTP/1.1\r\nHost: x\r\nAuthorization: {shop.headers['Authorization']}\r\n"
    sock.sendall(f"{head}Content-Type: text/csv\r\nContent-Length: {length}\r\n\r\n".encode())
    return sock


def test_a_file_that_is_too_large_is_refused_however_it_comes(redis_url, ledger, publish):
    publish("main")
    with served(Settings(redis_url=redis_url, api_upload_most=20_000), ledger) as api:
        shop = api.client("send", "read")
        shop.put(SALE, json=SPEC)
        content = rows(2000)
        for body in (content, (content[start : start + 999].encode() for start in range(0, 40_000, 999))):
            answer = upload(shop, SALE, body)
            assert (answer.status_code, answer.json()["type"]) == (413, "urn:sendline:problem:body-too-large")
        assert "20000 bytes" in answer.json()["detail"]
        assert upload(shop, SALE, rows(500)).json()["campaign"]["total"] == 500


@pytest.fixture
def taken(monkeypatch):
    """What files have taken of the disk, in bytes."""
    found, real = [], Room.take
    monkeypatch.setattr(Room, "take", lambda room, number: (real(room, number), found.append(number)))
    return found


def test_files_that_come_at_once_take_no_more_of_the_disk_than_they_may(
    redis_url, ledger, publish, poll, taken
):
    publish("main")
    with served(Settings(redis_url=redis_url, api_disk_most=30_000), ledger) as api:
        shop, other = [api.client("send", name=name) for name in ("shop", "other")]
        for client, name in ((shop, "big"), (other, "sale")):
            assert client.put(f"/v1/campaigns/{name}", json=SPEC).status_code == 201
        content = rows(500).encode()
        assert 5000 < len(content) < 12_000
        with connected(api, shop, "/v1/campaigns/big", length=29_000) as sock:
            poll(lambda: taken == [29_000])
            refused = upload(other, SALE, content)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")
            assert refused.json()["type"] == "urn:sendline:problem:busy"
            assert "30000 bytes together" in refused.json()["detail"]
            pieces = (content[start : start + 100] for start in range(0, len(content), 100))
            assert upload(other, SALE, pieces).status_code == 503
            sock.sendall(b"to,name\n")
        poll(lambda: upload(other, SALE, content).status_code == 200)  # whose sender has gone takes nothing
        assert upload(other, SALE, rows(4000)).status_code == 413, "more than ever fits"


def test_the_file_of_those_who_failed_takes_of_the_same_room(
    redis_url, ledger, publish, poll, monkeypatch, taken
):
    publish("main")
    given, real = [], Room.give
    monkeypatch.setattr(Room, "give", lambda room, number: (real(room, number), given.append(number)))
    with served(Settings(redis_url=redis_url, api_disk_most=30_000), ledger) as api:
        shop = api.client("send", "read", name="shop")
        assert shop.put(SALE, json=SPEC).status_code == 201
        assert upload(shop, SALE, rows(60)).status_code == 200
        assert shop.post(f"{SALE}/start").status_code == 200
        assert Hands(ledger).send_all(Status.FAILED, code="rejected") == 60
        assert shop.put("/v1/campaigns/big", json=SPEC).status_code == 201
        taken.clear()
        with connected(api, shop, "/v1/campaigns/big", length=29_000):
            poll(lambda: taken == [29_000])
            refused = shop.post(f"{SALE}/retry")
            assert (refused.status_code, refused.json()["type"]) == (503, "urn:sendline:problem:busy")
            assert shop.get(f"{SALE}.2").status_code == 404
        poll(lambda: 29_000 in given)
        del given[:], taken[:]
        assert shop.post(f"{SALE}/retry").json()["total"] == 60
        assert 60 * len(number(0)) < sum(taken) == sum(given), "and all of it is free again"


def test_a_disk_that_takes_no_more_is_told_apart_and_the_next_one_goes(api, shop):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        answer = upload(shop, SALE, rows(2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (answer.status_code, answer.json()["type"]) == (507, "urn:sendline:problem:no-room")
    assert answer.headers["retry-after"] == "60"
    assert upload(shop, SALE, rows(2000)).json()["campaign"]["total"] == 2000


def test_files_that_wait_for_their_turn_count_as_those_that_come(
    redis_url, ledger, publish, monkeypatch, poll, taken
):
    publish("main")
    monkeypatch.setattr(importing, "AT_ONCE", 1)
    with served(Settings(redis_url=redis_url), ledger) as api, ThreadPoolExecutor() as threads:
        go_on = threading.Event()
        monkeypatch.setattr(uploads.Job, "run", lambda *_: go_on.wait(10))
        clients = [api.client("send", "read", name="shop") for _ in range(importing.OF_ONE + 1)]
        clients[0].put(SALE, json=SPEC)
        held = [threads.submit(upload, client, SALE, rows(1)) for client in clients[:-1]]
        poll(lambda: len([size for size in taken if size]) == len(held))
        assert upload(clients[-1], SALE, rows(1)).status_code == 503
        assert not any(each.done() for each in held)
        go_on.set()
        assert [each.result().status_code for each in held] == [200, 200]


def test_nothing_stays_on_the_disk_of_a_server_that_is_killed(settings, shop, tmp_path, poll):
    environment = {
        **os.environ,
        "SENDLINE_REDIS_URL": settings.redis_url.get_secret_value(),
        "TMPDIR": str(tmp_path),
    }
    run = [sys.executable, "-c", SCRIPT]
    with subprocess.Popen(run, env=environment, stdout=subprocess.PIPE, text=True) as process:
        url = f"http://127.0.0.1:{process.stdout.readline().strip()}"
        with sending(url, shop, length=9_000_000) as sock:
            sock.sendall(b"to,name\n" + b"+13115550001,Ada\n" * 100_000)
            opened = Path(f"/proc/{process.pid}/fd")
            poll(lambda: any(each.resolve().is_relative_to(tmp_path) for each in opened.iterdir()))
            process.kill()
        process.wait(10)
    assert list(tmp_path.iterdir()) == []


def test_an_upload_without_progress_is_given_up(api, shop, monkeypatch):
    monkeypatch.setattr(uploads, "STALL", 0.3)
    with connected(api, shop) as sock:
        sock.sendall(b"to,name\n")
        answer = sock.recv(65536)
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"request-too-slow" in answer
    assert shop.get(SALE).json()["imported"]["rows"] == 0


def test_more_uploads_than_a_process_takes_in_at_once_are_refused(api, shop, poll):
    held = [connected(api, shop) for _ in range(importing.OF_ONE + 1)]
    [one_too_many], _, _ = select.select(held, [], [], 10)
    assert one_too_many.recv(65536).startswith(b"HTTP/1.1 503")
    answer = upload(shop, SALE, rows(1))
    assert (answer.json()["type"], answer.headers["retry-after"]) == ("urn:sendline:problem:busy", "5")
    for sock in held:
        sock.close()
    poll(lambda: upload(shop, SALE, rows(1)).status_code == 200)


def test_files_that_come_slowly_keep_no_other_owners_import_waiting(api, shop):
    slow = []
    for owner in range(importing.AT_ONCE):
        other = api.client("send", name=f"slow{owner}")
        other.put(f"/v1/campaigns/slow{owner}", json=SPEC)
        path = f"/v1/campaigns/slow{owner}"
        slow += [connected(api, other, path) for _ in range(importing.OF_ONE)]
    assert select.select(slow, [], [], 0.3)[0] == []
    assert upload(shop, SALE, rows(1)).status_code == 200
    for sock in slow:
        sock.close()


def test_imports_wait_for_their_turn_and_no_owner_holds_them_all():
    async def go():
        places = importing.Places(3)
        ending = asyncio.Event()
        async with places.place("a"), places.place("a"):
            with pytest.raises(ProblemError):
                async with places.place("a", 0.05, ending):
                    pass
            async with places.place("b", 0.05, ending):
                waiting = [asyncio.ensure_future(held(places, name, ending)) for name in ("c", "d", "a")]
                await asyncio.sleep(0)
                assert not any(each.done() for each in waiting)
        assert await asyncio.gather(*waiting) == ["c", "d", "a"]
        async with places.place("a"), places.place("b"), places.place("c"):
            last = asyncio.ensure_future(held(places, "d", ending))
            await asyncio.sleep(0)
            ending.set()
            with pytest.raises(ProblemError, match="ends"):
                await last

    async def held(places, owner, ending):
        async with places.place(owner, 5.0, ending):
            return owner

    asyncio.run(go())


def test_a_file_that_differs_in_the_middle_only_is_another_one(api, shop):
    content = rows(9000).encode()
    assert upload(shop, SALE, content).status_code == 200
    place = len(content) // 2
    at = content.index(b"Ada", place)
    other = upload(shop, SALE, content[:at] + b"Eve" + content[at + 3 :])
    assert (other.status_code, other.json()["type"]) == (409, "urn:sendline:problem:conflict")
    assert upload(shop, SALE, content).status_code == 200


def test_the_same_file_read_in_another_way_is_another_one(shop):
    content = "to,name,also\n+13115550001,Ada,+13115550002\n"
    assert upload(shop, SALE, content).status_code == 200
    assert upload(shop, SALE, content, params={"to_column": "also"}).status_code == 409
    assert upload(shop, SALE, content, params={"encoding": "cp1252"}).status_code == 409
    assert upload(shop, SALE, content).status_code == 200


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("to,+1 311 555 2367\n+13115550001,Ada\n", {}),
        ("a,13115552367\nb,Ada\n", {"to_column": "13115552367", "sender_column": "+13115552367"}),
        (rows(1), {"encoding": "+13115552367"}),
    ],
)
def test_no_number_of_a_header_or_a_query_comes_back(shop, content, named):
    answer = upload(shop, SALE, content, params=named)
    assert answer.status_code == 422
    assert "555" not in answer.json()["detail"].replace("5550001", "")


@pytest.mark.parametrize("field", ["window", "default_zone"])
def test_no_text_of_a_campaigns_hours_comes_back(shop, field):
    spec = {**SPEC, "window": "09:00-10:00", "default_zone": "Europe/Berlin", field: "call +13115552367"}
    answer = shop.put("/v1/campaigns/other", json=spec)
    assert answer.status_code == 422
    assert "311555" not in answer.text
    assert "call" not in answer.text


def test_the_same_file_at_the_same_time_is_imported_once(shop, api, settings):
    clients = [api.client("send", name="shop") for _ in range(3)]
    with ThreadPoolExecutor() as threads:
        answers = list(threads.map(lambda client: upload(client, SALE, rows(3000)), clients))
    assert {each.status_code for each in answers} <= {200, 409, 503}  # two of an owner's at once
    assert upload(shop, SALE, rows(3000)).status_code == 200
    with Producer(settings=settings) as producer:
        numbers = [each.to for each in producer.campaign("sale").messages()]
    assert numbers == [number(place) for place in range(3000)]


def test_two_files_at_the_same_time_are_never_mixed(shop, api, settings):
    files = [rows(2000), rows(2000, first=5000)]
    clients = [api.client("send", name="shop") for _ in files]
    with ThreadPoolExecutor() as threads:
        answers = list(
            threads.map(lambda each: upload(each[0], SALE, each[1]), zip(clients, files, strict=True))
        )
    assert sorted(each.status_code for each in answers) == [200, 409]
    with Producer(settings=settings) as producer:
        places = [int(each.to[-4:]) for each in producer.campaign("sale").messages()]
    assert places in (list(range(2000)), list(range(5000, 7000)))


def test_others_are_served_while_a_file_is_imported(shop, api, new):
    answered, done = 0, threading.Event()

    def import_it():
        assert upload(shop, SALE, rows(9999), timeout=60).status_code == 200
        done.set()

    thread = threading.Thread(target=import_it)
    thread.start()
    sender = api.client("send")
    while not done.is_set():
        answer = sender.post("/v1/messages", json=new)
        assert answer.status_code == 202
        answered += 1
    thread.join()
    assert answered > 10, "one or two are, where all wait for the import"


def test_the_end_of_the_server_ends_an_upload_that_is_under_way(redis_url, ledger, publish):
    publish("main")
    with served(Settings(redis_url=redis_url), ledger) as api:
        shop = api.client("send", "read")
        shop.put(SALE, json=SPEC)
        sock = connected(api, shop)
        sock.sendall(b"to,name\n")
        shop.get(SALE)
    with sock:
        assert sock.recv(65536).startswith(b"HTTP/1.1 503")


def test_the_end_of_the_server_ends_an_import_which_goes_on_with_the_next(settings, shop, api, poll):
    content = "to,name\n" + "".join(f"+1311{5000000 + place},Ada\n" for place in range(40_000))
    environment = {**os.environ, "SENDLINE_REDIS_URL": settings.redis_url.get_secret_value()}
    run = [sys.executable, "-c", SCRIPT]
    with subprocess.Popen(run, env=environment, stdout=subprocess.PIPE, text=True) as process:
        url = f"http://127.0.0.1:{process.stdout.readline().strip()}"
        with (
            httpx.Client(base_url=url, headers=dict(shop.headers), trust_env=False, timeout=60) as other,
            ThreadPoolExecutor() as threads,
        ):
            answer = threads.submit(upload, other, SALE, content)
            poll(lambda: shop.get(SALE).json()["imported"]["rows"] > 0, timeout=20)
            process.send_signal(signal.SIGTERM)
            told = answer.result()
        assert process.wait(20) == 0
    assert (told.status_code, told.json()["type"]) == (503, "urn:sendline:problem:busy")
    assert 0 < shop.get(SALE).json()["imported"]["rows"] < 40_000
    short = upload(shop, SALE, rows(10))
    assert (short.status_code, short.json()["field"]) == (409, "recipients")
    assert upload(shop, SALE, content, timeout=60).json()["campaign"]["total"] == 40_000


def test_without_the_ledger_an_upload_says_so_and_goes_on_afterwards(valkey, ledger, publish, poll):
    publish("main")
    with behind_a_proxy(valkey, ledger) as (api, proxy):
        shop = api.client("send", "read")
        shop.put(SALE, json=SPEC)
        content = rows(9000)
        with ThreadPoolExecutor() as threads:
            answer = threads.submit(upload, shop, SALE, content)
            poll(lambda: api.ledger.run(read_campaign("sale")).progress.imported.rows > 0)
            proxy.refuse()
            proxy.freeze()
            told = answer.result()
        assert (told.status_code, told.json()["type"]) == (503, "urn:sendline:problem:ledger-unavailable")
        proxy.refuse(on=False)
        proxy.cut()
        again = poll(lambda: (a := upload(shop, SALE, content)).status_code == 200 and a)
        assert again.json()["campaign"]["total"] == 9000


def test_a_report_that_is_cut_off_is_not_taken_for_a_whole_one(valkey, ledger, publish):
    publish("main")
    with behind_a_proxy(valkey, ledger) as (api, proxy):
        shop = api.client("send", "read")
        shop.put(SALE, json=SPEC)
        assert upload(shop, SALE, rows(9000)).status_code == 200
        with shop.stream("GET", f"{SALE}/report") as answer:
            pieces = answer.iter_bytes(100)
            assert next(pieces).startswith(b"id,to,status")
            proxy.refuse()
            proxy.freeze()
            with pytest.raises(httpx.RemoteProtocolError):
                for _ in pieces:
                    pass
        assert shop.get(f"{SALE}/report").status_code == 503


def test_no_number_of_a_file_reaches_the_log_or_a_temporary_file_that_stays(
    shop, caplog, tmp_path, monkeypatch
):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with caplog.at_level("DEBUG"):
        upload(shop, SALE, rows(20) + "12345678901234567,Bob\n")
    assert "5550000" not in caplog.text
    assert "1234567890" not in caplog.text
    assert list(tmp_path.iterdir()) == []
