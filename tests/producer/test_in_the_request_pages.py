"""What docs/web-apps.md shows, run as it stands there."""

import contextlib
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from ledger_world import TO
from sendline import IdempotencyConflict, InvalidMessage, LedgerRefused, LedgerUnavailable, Producer
from servers import free_port
from waiting import poll

PAGE = (Path(__file__).parents[2] / "docs" / "web-apps.md").read_text(encoding="utf-8")


def block(heading):
    """Return the example under `heading`."""
    [part] = [each for each in re.split(r"(?m)^##? ", PAGE) if each.startswith(f"{heading}\n")]
    [found] = re.findall(r"(?ms)^```python\n(.*?)^```", part)
    return found


def shown(heading, **names):
    """Run the example under `heading`; return its names."""
    exec(compile(block(heading), heading, "exec"), names)  # noqa: S102 - the example is ours
    return names


@pytest.fixture
def settings_of_the_app(monkeypatch, redis_url):
    """The app's environment names the server."""
    monkeypatch.setenv("SENDLINE_REDIS_URL", redis_url)


def accepted(redis_url):
    with Producer(redis_url) as producer:
        return producer.counts()["accepted"]


@pytest.mark.usefixtures("settings_of_the_app")
def test_the_first_example_sends_once_however_often_it_is_called(redis_url):
    names = shown("In a web app")
    for _ in range(3):
        names["confirm"](SimpleNamespace(phone=TO, number=7))
    names["producer"].close()
    assert accepted(redis_url) == 1


@pytest.mark.usefixtures("settings_of_the_app")
def test_the_example_of_flask_answers_as_it_says(redis_url, monkeypatch):
    names = shown("Flask", __name__="shop")
    client = names["app"].test_client()
    assert client.post("/notices", data={"to": TO, "text": "Hello"}).status_code == 202
    told = client.post("/notices", data={"to": "nobody", "text": "Hello"})
    assert (told.status_code, told.json["field"]) == (422, "to")
    names["producer"].close()
    assert accepted(redis_url) == 1
    monkeypatch.setenv("SENDLINE_REDIS_URL", "redis://127.0.0.1:1/0")
    away = (
        shown("Flask", __name__="shop")["app"].test_client().post("/notices", data={"to": TO, "text": "Hi"})
    )
    assert (away.status_code, away.headers["Retry-After"]) == (503, "5")


@contextlib.contextmanager
def served(directory, redis_url):
    """Serve the example of FastAPI under uvicorn; yield a client of it."""
    (directory / "shop.py").write_text(block("FastAPI"), encoding="utf-8")
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "shop:app", "--port", str(port), "--app-dir", str(directory)]
    with (directory / "log").open("wb") as log:
        server = subprocess.Popen(
            command, env=os.environ | {"SENDLINE_REDIS_URL": redis_url}, stdout=log, stderr=log
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            poll(lambda: listens(port), 20)
            yield client
    finally:
        server.terminate()
        assert server.wait(20) is not None


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.acceptance
def test_the_example_of_fastapi_answers_as_it_says(tmp_path, redis_url):
    with served(tmp_path, redis_url) as client:
        assert client.post("/codes", params={"to": TO}).status_code == 202
        told = client.post("/codes", params={"to": "nobody"})
        assert (told.status_code, told.json()["detail"]["field"]) == (422, "to")
    assert accepted(redis_url) == 1
    with served(tmp_path, "redis://127.0.0.1:1/0") as client:
        away = client.post("/codes", params={"to": TO})
    assert (away.status_code, away.headers["Retry-After"]) == (503, "5")


DJANGO = """
import sys
import django
from django.conf import settings
settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}})
django.setup()
exec(compile(sys.stdin.read(), "page", "exec"))

class Order:
    phone, pk = "+13115552367", 7
    def save(self):
        assert producer.counts()["accepted"] == 0

class Refused(Order):
    pk = 8
    def save(self):
        raise ValueError

class Odd(Order):
    phone, pk = "nobody", 9
    def save(self):
        pass

try:
    place_order(Refused())
except ValueError:
    pass
place_order(Order())
assert producer.counts()["accepted"] == 1
place_order(Odd())
assert producer.counts()["accepted"] == 1
producer.close()
print("done")
"""


def test_the_example_of_django_sends_when_the_order_is_through_and_only_then(redis_url):
    done = subprocess.run(
        [sys.executable, "-c", DJANGO],
        input=block("Django"),
        env=os.environ | {"SENDLINE_REDIS_URL": redis_url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "done\n", done.stderr
    assert "+1311" not in done.stderr
    assert "nobody" not in done.stderr


def test_the_table_names_the_errors_that_a_send_raises():
    named = re.findall(r"(?m)^\| `(\w+)`", PAGE)
    for error in (InvalidMessage, IdempotencyConflict, LedgerUnavailable, LedgerRefused):
        assert error.__name__ in named
