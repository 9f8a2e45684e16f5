"""What `sendline check` says of real servers that can't keep the promise, or may not be able to one day."""

import contextlib
import subprocess

import pytest

from sendline.contract.errors import LedgerRefused
from sendline.ledger.connection import Ledger
from sendline.ledger.durability import demand_of
from sendline.settings import Settings
from sendline_worker.checks.server import check_redis
from sendline_worker.embedded.process import find_binary
from servers import DURABLE, ValkeyServer, free_port
from waiting import poll

ALL_BUT = ("--user", "default", "on", "nopass", "~*", "&*", "+@all")
"""The options of a server that permits all commands but those that follow."""


def checks_of(url, **settings):
    """Return what is found of the server at `url`."""
    with contextlib.closing(Ledger(url)) as ledger:
        return list(check_redis(Settings(redis_url=url, **settings), ledger))


def not_well(found):
    return {(check.subject, check.level): check for check in found if check.level != "ok"}


@contextlib.contextmanager
def tcp_server(*options):
    """A durable server that also listens on a port; yields it and the port."""
    port = free_port()
    with ValkeyServer(*DURABLE, "--bind", "127.0.0.1", "--port", str(port), *options) as server:
        yield server, port


def test_a_durable_server_without_replicas_is_well():
    with ValkeyServer() as server:
        found = checks_of(server.url)
    assert not_well(found) == {}
    assert {check.subject for check in found} == {"redis", "memory", "durability", "failover", "clock"}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--appendonly", "no"), "appendonly no"),
        (("--appendonly", "yes", "--appendfsync", "everysec"), "appendfsync everysec"),
        (("--appendonly", "yes", "--appendfsync", "no"), "appendfsync no"),
        ((*DURABLE, "--no-appendfsync-on-rewrite", "yes"), "no-appendfsync-on-rewrite yes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_server_that_answers_before_the_disk_has_it_is_refused(options, problem):
    with ValkeyServer(*options) as server:
        check = not_well(checks_of(server.url))["durability", "FAIL"]
        with contextlib.closing(Ledger(server.url)) as ledger, pytest.raises(LedgerRefused, match=problem):
            demand_of(ledger)
        accepting = not_well(checks_of(server.url, durability="memory"))
    assert problem in check.message
    assert check.fix.startswith('set "')
    assert set(accepting) == {("durability", "warn")}


@pytest.mark.parametrize(("save", "kept"), [("3600 1", "snapshots only, save 3600 1"), ("", "keeps nothing")])
def test_it_is_told_what_a_server_without_an_append_only_file_keeps(save, kept):
    with ValkeyServer("--appendonly", "no", "--save", save) as server:
        check = not_well(checks_of(server.url))["durability", "FAIL"]
    assert kept in check.message


def test_a_change_while_it_runs_is_seen():
    with ValkeyServer() as server, server.client() as raw:
        assert not_well(checks_of(server.url)) == {}
        raw.config_set("appendfsync", "everysec")
        assert ("durability", "FAIL") in not_well(checks_of(server.url))


@pytest.mark.parametrize(
    ("policy", "most", "level"), [("allkeys-lru", "100mb", "FAIL"), ("volatile-ttl", "0", "warn")]
)
def test_a_server_that_evicts_is_not_well(policy, most, level):
    with ValkeyServer(*DURABLE, "--maxmemory", most, "--maxmemory-policy", policy) as server:
        assert ("memory", level) in not_well(checks_of(server.url))


def test_an_attached_replica_is_told_with_its_consequence_and_is_no_ledger_itself():
    with (
        tcp_server() as (primary, port),
        ValkeyServer(*DURABLE, "--replicaof", f"127.0.0.1 {port}") as replica,
        primary.client() as raw,
    ):
        poll(lambda: raw.info("replication")["connected_slaves"] == 1, timeout=20)
        check = not_well(checks_of(primary.url))["failover", "warn"]
        assert ("kind", "FAIL") in not_well(checks_of(replica.url))
    assert check.message == (
        "1 attached as replicas: a failover can forget the last moments; after one, dispatching stops until "
        "`sendline recover`"
    )
    assert "`sendline recover`" in check.fix


def test_a_sentinel_that_watches_is_told(tmp_path):
    with tcp_server() as (primary, port):
        file = tmp_path / "sentinel.conf"
        file.write_text(f"sentinel monitor ledger 127.0.0.1 {port} 1\nbind 127.0.0.1\nport {free_port()}\n")
        sentinel = subprocess.Popen(
            [find_binary(), file, "--sentinel"], cwd=tmp_path, stdout=subprocess.DEVNULL
        )
        try:
            check = poll(lambda: not_well(checks_of(primary.url)).get(("failover", "warn")), timeout=20)
        finally:
            sentinel.kill()
            sentinel.wait()
    assert check.message.startswith("1 Sentinels watch: a failover can forget")


def test_a_cluster_is_refused():
    with tcp_server("--cluster-enabled", "yes", "--cluster-port", str(free_port())) as (server, _):
        assert ("kind", "FAIL") in not_well(checks_of(server.url))


@pytest.mark.parametrize(
    ("command", "status", "problem"),
    [
        ("BGREWRITEAOF", "aof_last_bgrewrite_status", "could not rewrite its append-only file"),
        ("BGSAVE", "rdb_last_bgsave_status", "last snapshot failed"),
    ],
)
def test_what_failed_in_the_background_is_told(command, status, problem):
    with ValkeyServer(*DURABLE, "--rdbcompression", "no") as server, server.client() as raw:
        server.fill_disk(room=10_000)
        raw.setrange("large", 100_000, "x")  # little in the append-only file, much in a new one
        raw.execute_command(command)
        poll(lambda: raw.info("persistence")[status] == "err")
        check = not_well(checks_of(server.url))["durability", "warn"]
    assert problem in check.message


@pytest.mark.parametrize(
    "options",
    [("--rename-command", "CONFIG", ""), (*ALL_BUT, "-config")],
    ids=["disabled", "ACL"],
)
def test_a_server_that_forbids_config_is_told_in_one_line_with_what_to_do(options):
    with ValkeyServer(*DURABLE, *options) as server:
        check = not_well(checks_of(server.url))["durability", "FAIL"]
        with contextlib.closing(Ledger(server.url)) as ledger, pytest.raises(LedgerRefused) as refused:
            demand_of(ledger)
    assert check.message.endswith(
        "does not permit CONFIG GET, so it can't show that it keeps what it accepts"
    )
    assert check.fix.startswith(
        'permit "CONFIG GET" to the user of redis_url there, or set durability = "memory"'
    )
    assert "\n" not in str(refused.value)


def test_a_server_that_forbids_info_is_checked_as_far_as_it_goes():
    with ValkeyServer(*DURABLE, *ALL_BUT, "-info", "-pubsub") as server:
        found = checks_of(server.url)
    assert set(not_well(found)) == {("redis", "warn")}
    assert ("durability", "ok") in {(check.subject, check.level) for check in found}
