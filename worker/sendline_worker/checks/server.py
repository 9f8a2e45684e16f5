"""What `sendline check` looks at of Redis: whether it can keep what is promised, and how to mend it."""

import time
from typing import TYPE_CHECKING, Final

from sendline.contract.errors import LedgerError, LedgerRefused
from sendline.ledger import durability
from sendline.ledger.faults import place
from sendline.ledger.standing import clock, info, sentinels
from sendline_worker.checks.parts import Check

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sendline.ledger.connection import Ledger
    from sendline.settings import Settings

CLOCKS_APART: Final = 2.0
"""Seconds by which this machine's clock and the server's may differ."""
OLDEST: Final = (7, 0)
"""The oldest Redis that knows the commands of the ledger (FUNCTION, PEXPIRE with NX)."""


def check_redis(settings: "Settings", ledger: "Ledger") -> "Iterator[Check]":
    """Check the server. Raises nothing: where it can't be used, that is the finding."""
    try:
        began = time.time()
        server_now = ledger.run(clock()) / 1_000_000
        took = time.time() - began
        about = _about(ledger)
    except LedgerError as error:
        yield Check(
            "FAIL", "redis", str(error), "correct redis_url (SENDLINE_REDIS_URL), or start the server"
        )
        return
    yield Check("ok", "redis", f"{_version(about)} at {place(ledger.url)} answers in {took * 1000:.1f} ms")
    if about:
        yield from _check_kind(about)
    else:
        fix = 'permit "INFO" to the user of redis_url'
        yield Check("warn", "redis", "INFO is not permitted: version, memory and replicas can't be seen", fix)
    yield from _check_durability(settings, ledger, about)
    yield from _check_background(about)
    yield from _check_failover(ledger, about)
    apart = abs(server_now - (began + took / 2)) - took / 2
    if apart > CLOCKS_APART:
        fix = "let both machines keep their clocks by NTP"
        yield Check("warn", "clock", f"this machine and the server are {apart:.1f} s apart", fix)
    else:
        yield Check("ok", "clock", "this machine and the server agree")


def _about(ledger: "Ledger") -> dict[str, str]:
    """Return what the server tells of itself; nothing where it forbids to ask. Raises LedgerUnavailable."""
    try:
        return ledger.run(info())
    except LedgerRefused:
        return {}


def _version(about: "Mapping[str, str]") -> str:
    kind = "Valkey" if "valkey_version" in about else "Redis"
    return f"{kind} {about.get('valkey_version', about.get('redis_version', 'of an unknown version'))}"


def _check_kind(about: "Mapping[str, str]") -> "Iterator[Check]":
    numbers = [int(part) for part in about.get("redis_version", "0").split(".")[:2] if part.isdigit()]
    if tuple(numbers) < OLDEST:
        yield Check("FAIL", "version", "too old", "Redis 7 or newer, or Valkey")
    if about.get("cluster_enabled") == "1":
        yield Check("FAIL", "kind", "this is a Redis Cluster", "use one primary without cluster mode")
    elif about.get("redis_mode") == "sentinel":
        yield Check("FAIL", "kind", "this is a Sentinel", "let redis_url name the primary it watches")
    elif about.get("role", "master") != "master":
        yield Check("FAIL", "kind", "this is a replica", "let redis_url name the primary")
    policy, most = about.get("maxmemory_policy", "noeviction"), about.get("maxmemory", "0")
    if policy != "noeviction" and most != "0":
        fix = "set maxmemory-policy noeviction there"
        yield Check("FAIL", "memory", f"maxmemory-policy {policy} drops messages when memory is short", fix)
    elif policy != "noeviction":
        fix = "set maxmemory-policy noeviction there, before anybody sets maxmemory"
        yield Check("warn", "memory", f"maxmemory-policy is {policy}", fix)
    else:
        yield Check("ok", "memory", f"nothing is evicted; {about.get('used_memory_human', '?')} in use")


def _check_durability(
    settings: "Settings", ledger: "Ledger", about: "Mapping[str, str]"
) -> "Iterator[Check]":
    if about.get("aof_last_write_status", "ok") != "ok":
        yield Check(
            "FAIL", "durability", "the server could not write its file last time", "see its log and disk"
        )
    elif settings.durability == "memory":  # CONFIG is not asked: a server may forbid it
        yield Check(
            "warn",
            "durability",
            '"memory", as configured: a crash of the server may lose messages',
            'set appendonly yes and appendfsync always there, and durability = "disk" here',
        )
    else:
        try:
            durability.demand_of(ledger)
        except LedgerError as error:
            problem, _, fix = str(error).partition(": ")
            yield Check("FAIL", "durability", problem + _snapshots_only(ledger, about), fix)
        else:
            yield Check("ok", "durability", "accepted means on disk (appendonly yes, appendfsync always)")


def _snapshots_only(ledger: "Ledger", about: "Mapping[str, str]") -> str:
    """Return what a server without an append-only file keeps."""
    if about.get("aof_enabled") != "0":
        return ""
    try:
        save = ledger.run(durability.snapshots())
    except LedgerError:
        return ""
    if save:
        return f" (it keeps snapshots only, save {save}: a crash loses all that came after the last one)"
    return " (it keeps nothing: all is lost when it ends)"


def _check_background(about: "Mapping[str, str]") -> "Iterator[Check]":
    """Check what the server does beside its work: a fault there tells nobody until it is too late."""
    if about.get("aof_enabled") == "1" and about.get("aof_last_bgrewrite_status", "ok") != "ok":
        yield Check(
            "warn",
            "durability",
            "the server could not rewrite its append-only file: it grows until the disk is full",
            "see the server's log: it needs disk for a second file, and memory to fork; then BGREWRITEAOF",
        )
    if about.get("rdb_last_bgsave_status", "ok") != "ok":
        yield Check(
            "warn",
            "durability",
            "the server's last snapshot failed: where `save` asks for snapshots, it refuses all writes then",
            'see the server\'s log and disk; Sendline needs no snapshots: set save "" there',
        )


def _check_failover(ledger: "Ledger", about: "Mapping[str, str]") -> "Iterator[Check]":
    replicas = int(about.get("connected_slaves", "0"))
    try:
        watching = ledger.run(sentinels())
    except LedgerRefused:
        watching = 0
    found = [f"{replicas} attached as replicas"] * bool(replicas) + [f"{watching} Sentinels watch"] * bool(
        watching
    )
    if found:
        consequence = "a failover can forget the last moments; after one, dispatching stops until"
        yield Check(
            "warn",
            "failover",
            f"{' and '.join(found)}: {consequence} `sendline recover`",
            "plan for it: whoever fails over runs `sendline recover` afterwards, see docs/operations.md",
        )
    elif about:
        yield Check("ok", "failover", "no replica is attached, and no Sentinel watches")
