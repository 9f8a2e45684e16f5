"""A verb in a web request: it ends in time, whatever the server does, and costs one round trip."""

import asyncio
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import redis

from ledger_world import SENDER, TO
from odd_servers import (
    babbling,
    black_hole,
    closing_in_the_middle,
    deaf,
    hanging_up,
    odd_server,
    speaking_http,
    trickling,
)
from proxy import Proxy
from sendline import AsyncProducer, LedgerUnavailable, Producer, Status
from sendline.ledger.faults import place
from sendline.settings import Settings

TIMEOUT = 0.5
SLACK = 2.5
"""Seconds that a busy machine may add."""
FIELDS = {"to": TO, "text": "Hello", "sender": SENDER}
NOBODY = "01a1fff9-b87b-73bf-9598-65b6ae9a0d15"
VERBS = {
    "send": lambda producer: producer.send(**FIELDS),
    "send_many": lambda producer: producer.send_many([FIELDS]),
    "get": lambda producer: producer.get(NOBODY),
    "wait": lambda producer: producer.wait(NOBODY, timeout=0.1),
    "cancel": lambda producer: producer.cancel(NOBODY),
    "counts": lambda producer: producer.counts(),
}


def given_up(face, url, verb=VERBS["send"]):
    """Return what the verb says when it gives up, and after how many seconds it does."""
    settings = Settings(redis_url=url, redis_timeout=TIMEOUT)
    if face == "sync":
        with Producer(settings=settings) as producer:
            began = time.monotonic()
            with pytest.raises(LedgerUnavailable) as caught:
                verb(producer)
            return str(caught.value), time.monotonic() - began

    async def main():
        async with AsyncProducer(settings=settings) as producer:
            began = time.monotonic()
            with pytest.raises(LedgerUnavailable) as caught:
                await verb(producer)
            return str(caught.value), time.monotonic() - began

    return asyncio.run(main())


@pytest.fixture(params=["sync", "async"])
def face(request):
    """Which of the two producers."""
    return request.param


@pytest.fixture
def on_tcp(redis_url):
    """A proxy before the server: its connections are TCP, and in the test's hand."""
    with Proxy(place(redis_url)) as proxy:
        yield proxy


# What a server may do


@pytest.mark.parametrize(
    ("behave", "said"),
    [
        (deaf, "did not answer in time (redis_timeout)"),
        (trickling, "did not answer in time (redis_timeout)"),
        (closing_in_the_middle, "can't be reached: is it running, and is redis_url right?"),
        (hanging_up, "can't be reached: is it running, and is redis_url right?"),
        (speaking_http, "does not answer as a Redis does: is redis_url right?"),
        (babbling, "does not answer as a Redis does: is redis_url right?"),
    ],
)
def test_whatever_the_server_does_send_ends_in_time(face, behave, said):
    with odd_server(behave) as url:
        line, seconds = given_up(face, url)
    assert line.endswith(said)
    assert seconds < TIMEOUT + SLACK


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_every_verb_ends_in_time(face, verb):
    with odd_server(trickling) as url:
        assert given_up(face, url, verb)[1] < TIMEOUT + SLACK


def test_a_port_that_takes_no_connection_is_given_up_in_time(face):
    with black_hole() as url:
        line, seconds = given_up(face, url)
    assert line.endswith("did not answer in time (redis_timeout)")
    assert TIMEOUT * 0.9 < seconds < TIMEOUT + SLACK


def test_a_closed_port_is_told_at_once(face):
    assert given_up(face, "redis://127.0.0.1:1/0")[1] < TIMEOUT


def test_a_password_and_a_database_are_asked_for_within_the_same_time(face):
    with odd_server(trickling) as url:
        assert given_up(face, url.replace("//", "//user:secret@").replace("/0", "/3"))[1] < TIMEOUT + SLACK


def test_a_resolver_that_hangs_is_given_up_in_time(face, monkeypatch):
    over = threading.Event()

    def hang(*_, **__):
        over.wait(20)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    try:
        line, seconds = given_up(face, "redis://redis.example:6379/0")
    finally:
        over.set()
    assert line == "Redis at redis.example:6379 did not answer in time (redis_timeout)"
    assert seconds < TIMEOUT + SLACK


def test_what_comes_late_each_time_does_not_add_up(face, on_tcp):
    """The first send() asks three times: for its durability, for the accounts, and then it is accepted."""
    on_tcp.delay(TIMEOUT * 0.6)
    assert given_up(face, on_tcp.redis_url)[1] < TIMEOUT + SLACK


def test_two_hundred_threads_are_all_told_in_time():
    def give_up(_):
        began = time.monotonic()
        with pytest.raises(LedgerUnavailable):
            producer.send(**FIELDS)
        return time.monotonic() - began

    with odd_server(deaf) as url, ThreadPoolExecutor(200) as pool:
        settings = Settings(redis_url=url, redis_timeout=TIMEOUT * 2)
        with Producer(settings=settings) as producer:
            took = list(pool.map(give_up, range(200)))
    assert max(took) < TIMEOUT * 2 + SLACK


def test_two_hundred_tasks_are_all_told_in_time():
    async def main(url):
        async with AsyncProducer(settings=Settings(redis_url=url, redis_timeout=TIMEOUT * 2)) as producer:
            began = time.monotonic()
            sends = (producer.send(**FIELDS) for _ in range(200))
            told = await asyncio.gather(*sends, return_exceptions=True)
            return time.monotonic() - began, told

    with odd_server(deaf) as url:
        took, told = asyncio.run(main(url))
    assert all(isinstance(each, LedgerUnavailable) for each in told)
    assert took < TIMEOUT * 2 + SLACK


def test_a_server_that_stands_still_is_given_up_in_time_and_used_when_it_goes_on(face, valkey, settings):
    process = psutil.Process(valkey.pid)

    def freeze_and_send(send):
        send(**FIELDS)
        process.suspend()
        began = time.monotonic()
        try:
            with pytest.raises(LedgerUnavailable):
                send(**FIELDS)
        finally:
            process.resume()
        assert time.monotonic() - began < TIMEOUT + SLACK
        assert send(**FIELDS).status is Status.CREATED

    with_both_faces(face, settings.model_copy(update={"redis_timeout": TIMEOUT}), freeze_and_send)


# What it costs


@pytest.fixture
def commands(raw, redis_url):
    """Tell which commands clients have sent, not those of scripts."""

    def during(work):
        seen = []
        with redis.Redis.from_url(redis_url) as other, raw.monitor() as monitor:
            other.echo("the beginning")
            work()
            other.echo("the end")
            for each in monitor.listen():
                if "the end" in each["command"]:
                    return seen
                if "the beginning" in each["command"]:
                    seen.clear()
                elif each["client_type"] != "lua":
                    seen.append(each["command"].split()[0])
        return seen

    return during


def test_a_send_is_one_command(settings, publish, commands):
    publish("main")
    with Producer(settings=settings) as producer:
        producer.send(**FIELDS)
        assert commands(lambda: [producer.send(**FIELDS) for _ in range(3)]) == ["FCALL"] * 3


def test_an_awaited_send_is_one_command(settings, publish, commands):
    publish("main")

    async def main():
        async with AsyncProducer(settings=settings) as producer:
            await producer.send(**FIELDS)
            loop = asyncio.get_running_loop()

            def work():
                for _ in range(3):
                    asyncio.run_coroutine_threadsafe(producer.send(**FIELDS), loop).result(10)

            return await asyncio.to_thread(commands, work)

    assert asyncio.run(main()) == ["FCALL"] * 3


def test_a_server_that_has_lost_its_scripts_is_taught_them_again(face, settings, raw):
    def both(send):
        for _ in range(2):
            raw.script_flush()
            assert send(**FIELDS).status is Status.CREATED

    with_both_faces(face, settings, both)


def test_connections_that_were_cut_are_noticed_and_no_send_fails(face, on_tcp):
    def cut_and_send(send):
        send(**FIELDS)
        for _ in range(3):
            assert on_tcp.cut()
            assert send(**FIELDS).status is Status.CREATED

    with_both_faces(face, Settings(redis_url=on_tcp.redis_url), cut_and_send)


def test_a_reply_that_was_lost_is_asked_for_again_and_accepted_once(face, on_tcp, raw):
    def lose_and_send(send):
        send(**FIELDS)
        on_tcp.drop_replies(1)
        send(**FIELDS)

    with_both_faces(face, Settings(redis_url=on_tcp.redis_url), lose_and_send)
    with Producer(on_tcp.redis_url) as producer:
        assert producer.counts()["accepted"] == 2


def with_both_faces(face, settings, work):
    """Let `work` have send(), blocking, of one of the producers."""
    if face == "sync":
        with Producer(settings=settings) as producer:
            work(producer.send)
        return

    async def main():
        async with AsyncProducer(settings=settings) as producer:
            loop = asyncio.get_running_loop()

            def send(**fields):
                return asyncio.run_coroutine_threadsafe(producer.send(**fields), loop).result(10)

            await asyncio.to_thread(work, send)

    asyncio.run(main())
