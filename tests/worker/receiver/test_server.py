"""The receiver as a process: what it refuses to start without, and how it ends."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from sendline.contract.errors import ConfigurationError
from sendline.contract.status import Status
from sendline.settings import Settings
from sendline_worker.receiver import serve
from sendline_worker.serving import listening
from worker.receiver.house import KEY, OPENTACT, data, head, housed, read_all

PROGRAM = """
import sys
from sendline.settings import Settings
from sendline_worker.receiver import serve
sys.exit(serve(Settings.load(), port=0, on_ready=lambda port: print(port, flush=True)))
"""


def settings(**given):
    return Settings(**{"redis_url": "redis://127.0.0.1:1", "secret_key": [KEY], **given})


def test_it_refuses_to_start_without_a_key():
    with pytest.raises(ConfigurationError, match=r"^secret_key: missing") as error:
        serve(settings(secret_key=[]), on_ready=lambda _: pytest.fail("it started"))
    assert "\n" not in str(error.value)


def test_it_refuses_to_start_without_a_ledger(tmp_path):
    alone = Settings(secret_key=[KEY], state_dir=tmp_path)
    with pytest.raises(ConfigurationError, match=r"^redis_url: "):
        serve(alone, on_ready=lambda _: pytest.fail("it started"))


def test_it_refuses_to_start_with_an_account_that_is_wrong():
    wrong = settings(accounts={"main": OPENTACT | {"api_key": ""}})
    with pytest.raises(ConfigurationError, match=r"^accounts\.main\.api_key: "):
        serve(wrong, on_ready=lambda _: pytest.fail("it started"))


def test_a_taken_port_is_told_in_one_line():
    with listening("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError) as error:
            serve(settings(), port=port, on_ready=lambda _: pytest.fail("it started"))
    assert str(error.value) == f"port {port} on 127.0.0.1 is taken: choose another with --port"


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70000), ("192.0.2.1", 0), ("no such host", 0)])
def test_an_address_that_can_not_be_is_told_in_one_line(host, port):
    with pytest.raises(ConfigurationError, match=f"^port {port} "):
        serve(settings(), host=host, port=port, on_ready=lambda _: pytest.fail("it started"))


def test_where_it_listens_comes_from_the_settings():
    with listening("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"^port {port} on 127.0.0.1 is taken"):
            serve(settings(receiver_port=port), on_ready=lambda _: pytest.fail("it started"))


@contextlib.contextmanager
def process(house, tmp_path):
    """A receiver in a process of its own, over the house's ledger; yields it and its port."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SENDLINE_")}
    environment |= {
        "SENDLINE_REDIS_URL": house.server.url,
        "SENDLINE_SECRET_KEY": KEY.get_secret_value(),
        "SENDLINE_ACCOUNTS": json.dumps({"main": OPENTACT}),
    }
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with child:
        try:
            yield child, int(child.stdout.readline())
        finally:
            if child.poll() is None:
                child.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_it_finish_what_it_has_begun(tmp_path, number):
    body = json.dumps(data("abc", "delivered")).encode()
    with housed(tmp_path) as house, process(house, tmp_path) as (child, port):
        message_id = house.sent("abc")
        idle = socket.create_connection(("127.0.0.1", port), timeout=15)
        begun = socket.create_connection(("127.0.0.1", port), timeout=15)
        with idle, begun:
            begun.sendall(head(house.account_url(), f"Content-Length: {len(body)}", "Expect: 100-continue"))
            assert begun.recv(65536).startswith(b"HTTP/1.1 100 ")
            begun.sendall(body[:50])
            child.send_signal(number)
            assert idle.recv(1) == b""  # it is ending
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), timeout=5)
            begun.sendall(body[50:])
            assert read_all(begun).startswith(b"HTTP/1.1 200 ")
        out, err = child.communicate(timeout=15)
        assert (child.returncode, out, err) == (0, "", "")
        assert house.status(message_id) == Status.DELIVERED


def test_a_second_receiver_serves_the_same_ledger(tmp_path):
    with housed(tmp_path) as house, process(house, tmp_path) as (child, port):
        message_id = house.sent("abc")
        url = house.account_url().replace(house.url, f"http://127.0.0.1:{port}")
        assert house.post(url, data("abc", "delivered")).status_code == 200
        assert house.status(message_id) == Status.DELIVERED
        child.terminate()
        assert child.wait(15) == 0
