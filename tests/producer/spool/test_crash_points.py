"""Processes that die at any point at which they touch the spool: nothing is lost, nothing comes twice."""

import os
import subprocess
import sys
from collections import Counter

import pytest

import spooling as program
from sendline import Producer
from sendline.contract import ids
from sendline.settings import Settings


@pytest.fixture
def run(server, path):
    """Run a program of spooling.py; returns what it wrote."""

    def run(what):
        told = {"SENDLINE_REDIS_URL": server.url, "SENDLINE_SPOOL_DIR": str(path)}
        done = subprocess.run(
            [sys.executable, program.__file__, what],
            env={**os.environ, **told, "SENDLINE_REDIS_TIMEOUT": "0.25"},
            stdout=subprocess.PIPE,
            text=True,
            timeout=100,
            check=True,
        )
        return [line.split() for line in done.stdout.splitlines()]

    return run


def texts(server):
    with Producer(settings=Settings(redis_url=server.url)) as there:
        created = [event.message_id for event in there.events(after=0, timeout=0.3)]
        assert there.counts()["accepted"] == len(set(created)) == len(created)
        return Counter(there.get(each).text for each in created)


def test_an_app_that_dies_anywhere_in_send_loses_nothing_that_was_returned(
    run, server, path, spool, spooling, poll
):
    server.kill()
    *returned, (_, died) = run("send")
    assert int(died) >= 8
    assert len(list(path.glob("*.new"))) >= 2, "none died while it wrote"
    for number, message_id in returned:
        assert spool.find(ids.to_bytes(message_id)).draft.text == number
    with Producer(settings=spooling) as producer:
        for number in range(1, int(died) + 2):  # the app that comes after it tries them all again
            producer.send(program.TO, str(number), program.SENDER, idempotency_key=f"key {number}")
        server.start()
        poll(spool.is_empty, 15)
        for _, message_id in returned:
            assert producer.get(message_id).id == message_id
    assert texts(server) == dict.fromkeys(map(str, range(1, int(died) + 2)), 1)
    assert spool.refused() == {}


def test_an_app_that_dies_anywhere_in_send_many_loses_nothing_that_was_returned(
    run, server, path, spool, spooling, poll
):
    server.kill()
    *returned, (_, died) = run("send_many")
    assert int(died) >= 8
    assert len(returned) >= 3
    for text, message_id in returned:
        assert spool.find(ids.to_bytes(message_id)).draft.text == text
    with Producer(settings=spooling) as producer:
        for number in range(1, int(died) + 2):  # its keyed messages are tried again by the app after it
            producer.send(program.TO, f"{number}b", program.SENDER, idempotency_key=f"{number}b")
        server.start()
        poll(spool.is_empty, 15)
        for text, message_id in returned:
            assert producer.get(message_id).text == text
    found = texts(server)
    assert {each for each in found if each.endswith("b")} == {f"{n}b" for n in range(1, int(died) + 2)}
    assert set(found.values()) == {1}
    assert spool.refused() == {}


def test_who_delivers_may_die_anywhere(run, server, spool, spooling, at_rest):
    server.kill()
    with Producer(settings=spooling) as producer:
        kept = [
            producer.send(
                program.TO, str(number), program.SENDER, idempotency_key=str(number) if number % 2 else None
            )
            for number in range(12)
        ]
    assert len(spool.waiting()) == 12
    server.start()
    [(_, died)] = run("deliver")
    assert int(died) >= 12
    assert spool.is_empty()
    assert list(spool.path.glob("*.key")) == []
    assert texts(server) == {each.text: 1 for each in kept}
    with Producer(settings=spooling) as producer:
        assert [producer.get(each.id).text for each in kept] == [each.text for each in kept]
