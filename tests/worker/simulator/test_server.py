"""The simulator as a process: it says when it listens, ends by a signal, tells why it can't start."""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import httpx
import pytest

from sendline.contract.errors import ConfigurationError
from sendline_worker.simulator import SimulatorClient, SimulatorOptions, number_for, running, serve
from worker.simulator.support import KEY, ORDINARY, SENDER, send

PROGRAM = """
import sys
from pathlib import Path
from sendline_worker.simulator import SimulatorOptions, serve
options = SimulatorOptions(port=0, log_file=Path(sys.argv[1]))
sys.exit(serve(options, on_ready=lambda port: print(port, flush=True)))
"""


@contextmanager
def process(path):
    command = [sys.executable, "-c", PROGRAM, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running_one:
        try:
            assert running_one.stdout
            yield running_one, f"http://127.0.0.1:{int(running_one.stdout.readline())}"
        finally:
            running_one.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_even_while_a_request_hangs(tmp_path, number):
    with process(tmp_path / "log.jsonl") as (simulator, url), socket.socket() as client:
        address = httpx.URL(url)
        client.connect((address.host, address.port))
        body = json.dumps({"from": SENDER, "to": number_for("hang"), "text": "Hello"}).encode()
        head = f"POST /sms/o HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        with SimulatorClient(url) as control:
            while not control.summary().received:
                control.wait_ready()
        os.kill(simulator.pid, number)
        assert simulator.wait(10) == 0
        assert simulator.stderr
        assert simulator.stderr.read() == ""


def test_the_file_survives_kill_9(tmp_path):
    path = tmp_path / "log.jsonl"
    with process(path) as (simulator, url):
        ids = [send(url, text=str(n)).json()["payload"]["uuid"] for n in range(5)]
        simulator.kill()
        simulator.wait(10)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line["provider_id"] for line in lines] == ids


def test_a_taken_port_is_told_in_one_clear_line():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        line = f"port {port} on 127.0.0.1 is taken: choose another with --port"
        with pytest.raises(ConfigurationError, match=f"^{line}$"):
            serve(SimulatorOptions(port=port))


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (SimulatorOptions(port=70_000), "port 70000 does not exist"),
        (SimulatorOptions(host="192.0.2.1", port=0), "port 0 on 192.0.2.1 can't be used"),
    ],
)
def test_an_address_that_can_not_be_used_is_told(options, line):
    with pytest.raises(ConfigurationError, match=f"^{line}"):
        serve(options)


def test_a_log_file_that_can_not_be_opened_is_told(tmp_path):
    with pytest.raises(ConfigurationError, match=r"^log file .*: No such file or directory$"):
        serve(SimulatorOptions(port=0, log_file=tmp_path / "missing" / "log.jsonl"))


def test_two_run_side_by_side_and_know_nothing_of_each_other():
    with running(SimulatorOptions(port=0)) as one, running(SimulatorOptions(port=0)) as two:
        assert one != two
        send(one, ORDINARY)
        with SimulatorClient(one) as first, SimulatorClient(two) as second:
            assert (first.summary().received, second.summary().received) == (1, 0)


def test_waiting_for_one_that_is_not_there_ends():
    with SimulatorClient("http://127.0.0.1:9") as nobody, pytest.raises(TimeoutError, match="no simulator"):
        nobody.wait_ready(timeout=0.1)
