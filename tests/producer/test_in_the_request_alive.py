"""One producer made once: across threads, forks, event loops, and the servers of web apps."""

import asyncio
import itertools
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
import uvloop

from certificates import make_certificate
from forking import forked
from ledger_world import SENDER, TO
from sendline import AsyncProducer, LedgerRefused, LedgerUnavailable, Producer, Status
from sendline.contract import ids
from sendline.ledger.connection import AsyncLedger, Ledger
from sendline.ledger.faults import place
from sendline.ledger.work import bell
from sendline.settings import Settings
from servers import DURABLE, ValkeyServer, free_port

FIELDS = {"to": TO, "text": "Hello", "sender": SENDER}


# Event loops


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request):
    """Run a coroutine in a loop of its own, of either kind."""
    return request.param


def test_an_async_producer_serves_one_loop_after_the_other(settings, raw, run):
    producer = AsyncProducer(settings=settings)
    made = [run(producer.send(**FIELDS)).id for _ in range(3)]
    assert run(producer.get(made[0])).id == made[0]
    assert len(raw.client_list()) <= 2, "what loops that have ended had open is closed"
    run(producer.close())
    assert len(raw.client_list()) == 1


def test_an_async_producer_serves_several_loops_at_once(settings, run):
    producer = AsyncProducer(settings=settings)

    async def send_fifty():
        return [message.id for message in await asyncio.gather(*(producer.send(**FIELDS) for _ in range(50)))]

    with ThreadPoolExecutor(4) as pool:
        made = [each for ids_ in pool.map(lambda _: run(send_fifty()), range(4)) for each in ids_]
    assert len(set(made)) == 200
    run(producer.close())


def test_a_request_that_was_given_up_leaves_its_answer_to_nobody(redis_url, run):
    async def main():
        ledger = AsyncLedger(redis_url)
        for _ in range(5):
            waiting = asyncio.create_task(ledger.run(bell(0.2)))
            await asyncio.sleep(0.01)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert await ledger.run(bell(0.01)) is False
        await ledger.aclose()

    run(main())


def test_more_tasks_than_connections_take_turns(settings, raw, run):
    async def main():
        async with AsyncProducer(settings=settings) as producer:
            made = await asyncio.gather(*(producer.send(**FIELDS) for _ in range(500)))
            assert len(raw.client_list()) <= 51
            return {message.id for message in made}

    assert len(run(main())) == 500


# Threads and forks


def test_more_threads_than_connections_take_turns(settings, raw):
    with Producer(settings=settings) as producer, ThreadPoolExecutor(200) as pool:
        made = set(pool.map(lambda _: producer.send(**FIELDS).id, range(400)))
        assert len(made) == 400
        assert len(raw.client_list()) <= 51


def test_a_producer_that_was_closed_opens_new_connections(settings, raw):
    producer = Producer(settings=settings)
    producer.send(**FIELDS)
    producer.close()
    assert len(raw.client_list()) == 1
    assert producer.send(**FIELDS).status is Status.CREATED
    producer.close()


def test_what_is_closed_during_a_call_closes_its_connection_when_that_ends(redis_url, raw, poll):
    ledger = Ledger(redis_url)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ledger.run, bell(0.3))
        poll(lambda: any(client["cmd"] == "blpop" for client in raw.client_list()))
        ledger.close()
        assert waiting.result(10) is False
    assert len(raw.client_list()) == 1


def test_forks_share_no_connection_with_their_parent(settings, raw):
    with Producer(settings=settings) as producer:
        mine = producer.send(**FIELDS).id
        made = [forked(lambda: [producer.send(**FIELDS).id for _ in range(20)]) for _ in range(3)]
        assert producer.get(mine).id == mine
        assert len({mine, *itertools.chain(*made)}) == 61
        assert producer.counts()["accepted"] == 61


def test_a_fork_serves_its_own_loop(settings):
    producer = AsyncProducer(settings=settings)
    mine = asyncio.run(producer.send(**FIELDS)).id
    made = forked(lambda: [asyncio.run(producer.send(**FIELDS)).id for _ in range(3)])
    assert asyncio.run(producer.get(mine)).id == mine
    assert asyncio.run(producer.counts())["accepted"] == 1 + len(made)
    asyncio.run(producer.close())


def test_forks_never_make_the_same_id():
    ids.new_id()
    started = threading.Barrier(4)

    def make(_):
        started.wait(10)
        return forked(lambda: [ids.new_id().hex() for _ in range(2000)])

    with ThreadPoolExecutor(4) as pool:
        made = [each for ids_ in pool.map(make, range(4)) for each in ids_]
    assert len(set(made)) == len(made) == 8000


APP = """
import json, os
from sendline import Producer

producer = Producer()
producer.send(to="+13115552367", text="The app is loaded", sender="+13115552368")

def app(environ, start_response):
    message = producer.send(to="+13115552367", text="Hello", sender="+13115552368")
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"id": message.id, "pid": os.getpid()}).encode()]
"""


@pytest.mark.acceptance
@pytest.mark.parametrize("kind", [["sync"], ["gthread", "--threads", "8"]], ids=["sync", "threads"])
def test_a_producer_that_was_used_before_gunicorn_forks_serves_every_worker(tmp_path, redis_url, poll, kind):
    (tmp_path / "shop.py").write_text(APP, encoding="utf-8")
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "shop:app", "--preload", "--workers", "2"]
    command += ["--bind", f"127.0.0.1:{port}", "--chdir", str(tmp_path), "--worker-class", *kind]
    environment = os.environ | {"SENDLINE_REDIS_URL": redis_url}
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        poll(lambda: answer(port) is not None, 20)
        with ThreadPoolExecutor(8) as pool:
            told = list(pool.map(lambda _: answer(port), range(100)))
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(20) == 0, (tmp_path / "log").read_text()
    assert len({each["id"] for each in told}) == 100
    assert len({each["pid"] for each in told}) == 2
    with Producer(redis_url) as producer:
        assert producer.counts()["accepted"] >= 102


def answer(port):
    """Return what the app answers; None while nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as response:
            return json.load(response)
    except urllib.error.URLError:
        return None


# What a redis_url may ask for


@pytest.fixture(params=["sync", "async"])
def send(request):
    """Send one message to a URL, with one of the producers."""

    def send(url):
        if request.param == "sync":
            with Producer(url) as producer:
                return producer.send(**FIELDS)

        async def main():
            async with AsyncProducer(url) as producer:
                return await producer.send(**FIELDS)

        return asyncio.run(main())

    return send


def test_a_database_of_the_url_is_used(send, redis_url, raw):
    send(f"{redis_url}?db=3")
    assert set(raw.info("keyspace")) == {"db3"}


def test_a_server_that_takes_no_more_connections_is_told_so(send):
    with ValkeyServer(*DURABLE, "--maxclients", "1") as server, server.client() as other:
        other.ping()
        with pytest.raises(LedgerUnavailable, match="takes no more connections"):
            send(server.url)


def test_a_password_that_the_server_does_not_want_is_told_so(send, redis_url):
    with pytest.raises(LedgerRefused, match="refuses the user or password"):
        send(redis_url.replace("unix://", "unix://:unwanted@"))


@pytest.fixture
def over_tls(tmp_path, redis_url):
    """A port that speaks TLS, and passes everything on to the server."""
    certificate = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    loop = asyncio.new_event_loop()

    async def pump(reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def attend(reader, writer):
        with_server = await asyncio.open_unix_connection(place(redis_url))
        pumps = (pump(reader, with_server[1]), pump(with_server[0], writer))
        await asyncio.gather(*pumps, return_exceptions=True)

    async def serve():
        return await asyncio.start_server(attend, "127.0.0.1", 0, ssl=context)

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(serve(), loop).result(10)
    yield f"rediss://127.0.0.1:{server.sockets[0].getsockname()[1]}/0", certificate

    async def end():
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=5)

    asyncio.run_coroutine_threadsafe(end(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_a_ledger_is_reached_by_tls(send, over_tls):
    url, certificate = over_tls
    assert send(f"{url}?ssl_ca_certs={certificate}.crt").status is Status.CREATED
    assert send(f"{url}?ssl_cert_reqs=none").status is Status.CREATED


def test_a_certificate_that_does_not_verify_is_refused(send, over_tls):
    with pytest.raises(LedgerUnavailable, match="certificate that does not verify"):
        send(over_tls[0])


def test_a_server_that_does_not_speak_tls_is_told_in_time(send):
    port = free_port()
    plain = ValkeyServer(*DURABLE, "--port", str(port), "--bind", "127.0.0.1")
    with plain, pytest.raises(LedgerUnavailable):
        send(f"rediss://127.0.0.1:{port}/0")


def test_an_address_shows_no_password():
    ledger = Ledger("redis://user:correct-horse@127.0.0.1:1/2")
    assert "correct-horse" not in repr(ledger._address)
    with pytest.raises(LedgerUnavailable) as caught:
        ledger.run(bell(0.1))
    assert "correct-horse" not in str(caught.value)


def test_a_timeout_that_is_set_bounds_the_calls(redis_url):
    settings = Settings(redis_url=redis_url, redis_timeout=0.3)
    with Producer(settings=settings) as producer, pytest.raises(LedgerUnavailable):
        producer._ledger.run(bell(2))
