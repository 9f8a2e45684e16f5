"""What the tests stand on: a real Valkey, a clean ledger on it, and settings that nothing leaks into."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

import sendline.ledger.accounts
import sendline.ledger.doubts
import sendline.ledger.erasing
import sendline.ledger.finding
import sendline.ledger.notices
import sendline.ledger.recovery
import sendline.ledger.standing
import sendline.ledger.suppression
import sendline.ledger.verbs
import sendline.ledger.work
from ledger_world import CLOCK, Clock, World, publish_accounts
from places import data_directory
from sendline.ledger.connection import Ledger
from sendline.ledger.scripts import script
from sendline.settings import Settings
from sendline_worker.embedded import EmbeddedServer
from waiting import poll as poll_until


def pytest_configure():
    """Take Ctrl-C as it comes: what a script starts in its background ignores it, and so would all tests."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def nothing_leaks_in(monkeypatch, tmp_path):
    """No SENDLINE_* variable and no sendline.toml of the machine reaches a test."""
    for name in [name for name in os.environ if name.startswith("SENDLINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def valkey() -> Iterator[EmbeddedServer]:
    """One real server for each xdist worker, durable, on a socket."""
    with data_directory() as directory, EmbeddedServer(Path(directory)) as server:
        yield server


@pytest.fixture
def redis_url(valkey) -> str:
    """The URL of an empty server."""
    with redis.Redis.from_url(valkey.url) as client:
        client.flushall()
    return valkey.url


@pytest.fixture
def raw(redis_url) -> Iterator[redis.Redis]:
    """A plain client of the same server, to look behind the ledger."""
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def ledger(redis_url) -> Iterator[Ledger]:
    """A ledger on an empty server."""
    made = Ledger(redis_url)
    yield made
    made.close()


@pytest.fixture
def settings(redis_url) -> Settings:
    """Settings of the empty server."""
    return Settings(redis_url=redis_url)


@pytest.fixture
def publish(ledger):
    """Publish accounts and routes as a worker does: `publish("main", "spare")`."""

    def publish(*accounts, routes=(), **limits):
        publish_accounts(ledger, *accounts, routes=routes, **limits)

    return publish


@pytest.fixture
def poll():
    """Wait for a condition: `poll(lambda: ..., timeout=10)`."""
    return poll_until


@pytest.fixture
def clock(raw, monkeypatch) -> Clock:
    """The ledger's clock in the test's hand: every typed verb reads it instead of the server's."""

    def with_clock(verb):
        return script(verb, clock=CLOCK)

    ledger = sendline.ledger
    verbs = (ledger.accounts, ledger.doubts, ledger.recovery, ledger.standing, ledger.verbs, ledger.work)
    for module in (*verbs, ledger.notices, ledger.suppression, ledger.finding, ledger.erasing):
        monkeypatch.setattr(module, "script", with_clock)
    return Clock(raw)


@pytest.fixture
def world(ledger, raw, clock) -> World:
    """The ledger with its verbs in short, its clock in hand."""
    return World(ledger, raw, clock)
