"""What tests of the spool stand on: a server of their own that goes away, and a directory."""

from collections.abc import Iterator

import pytest

from sendline import Producer
from sendline.settings import Settings
from sendline.spool import SpoolDirectory
from servers import ValkeyServer


@pytest.fixture(scope="module")
def one_server() -> Iterator[ValkeyServer]:
    with ValkeyServer() as made:
        yield made


@pytest.fixture
def server(one_server) -> ValkeyServer:
    """A server that runs, without anything in it."""
    if not one_server.is_running():
        one_server.start()
    with one_server.client() as client:
        client.flushall()
    return one_server


@pytest.fixture
def path(tmp_path):
    return tmp_path / "spool"


@pytest.fixture
def spooling(server, path) -> Settings:
    """Settings with a spool."""
    return Settings(redis_url=server.url, spool_dir=path, redis_timeout=0.5)


@pytest.fixture
def producer(spooling) -> Iterator[Producer]:
    with Producer(settings=spooling) as made:
        yield made


@pytest.fixture
def spool(path) -> SpoolDirectory:
    """The files themselves."""
    return SpoolDirectory(path, 1000)


@pytest.fixture
def at_rest(monkeypatch):
    """Let no thread deliver: tests do it."""
    monkeypatch.setattr("sendline.spool.drainer.Drainer.start", lambda *_, **__: None)
