"""What `sendline check` looks at: configuration, Redis, providers and workers, each with how to mend it."""

import socket
import ssl
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

from pydantic import SecretStr

from sendline.contract.errors import LedgerError
from sendline.ledger import durability, verbs
from sendline.ledger.faults import place
from sendline.ledger.standing import account_state, clock, info, read_lines, read_pulse
from sendline_worker.accounts import Account, directory_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from sendline.ledger.connection import Ledger
    from sendline.settings import Settings

REACH_WITHIN: Final = 5.0
"""Seconds within which a provider must take a connection."""
CLOCKS_APART: Final = 2.0
"""Seconds by which this machine's clock and the server's may differ."""
OLDEST: Final = (6, 2)
"""The oldest Redis that knows the commands of the ledger (LPOP with a count)."""
LATE: Final = 5.0
"""Seconds after which work that may go should have been claimed."""

Level = Literal["ok", "warn", "FAIL"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `fix` says how to mend it, where it is not well."""

    level: Level
    subject: str
    message: str
    fix: str = ""


def check_accounts(
    settings: "Settings", accounts: "Mapping[str, Account]", published: "Collection[str]" = ()
) -> "Iterator[Check]":
    """Check what is configured of accounts; where that is none, those that workers `published` will do."""
    if not accounts and published:
        yield Check("ok", "accounts", f"none configured here; the workers have {', '.join(published)}")
        return
    if not accounts:
        yield Check("warn", "accounts", "none configured here", "add [accounts.NAME] where the workers run")
        return
    yield Check("ok", "accounts", ", ".join(f"{a.name} ({a.settings.provider})" for a in accounts.values()))
    yield from _check_receipts(settings, accounts)


def _check_receipts(settings: "Settings", accounts: "Mapping[str, Account]") -> "Iterator[Check]":
    reporting = [account.name for account in accounts.values() if account.capabilities.receipts]
    if not reporting:
        yield Check("ok", "receipts", "no account reports deliveries, so none is awaited")
        return
    missing = [name for name in ("public_url", "secret_key") if not getattr(settings, name)]
    if missing:
        fix = f"set {' and '.join(missing)}, or receipts = false for {', '.join(reporting)}"
        yield Check("warn", "receipts", f"{' and '.join(missing)} not set, so no delivery is heard of", fix)
    else:
        yield Check("ok", "receipts", f"reach us at {settings.public_url}: see `sendline accounts --urls`")


def check_redis(settings: "Settings", ledger: "Ledger") -> "Iterator[Check]":
    """Check the server. Raises nothing: where it can't be used, that is the finding."""
    try:
        began = time.time()
        server_now = ledger.run(clock()) / 1_000_000
        took = time.time() - began
        about = ledger.run(info())
    except LedgerError as error:
        yield Check(
            "FAIL", "redis", str(error), "correct redis_url (SENDLINE_REDIS_URL), or start the server"
        )
        return
    kind = "Valkey" if "valkey_version" in about else "Redis"
    version = about.get("valkey_version", about.get("redis_version", "?"))
    yield Check("ok", "redis", f"{kind} {version} at {place(ledger.url)} answers in {took * 1000:.1f} ms")
    yield from _check_kind(about)
    yield from _check_durability(settings, ledger, about)
    apart = abs(server_now - (began + took / 2)) - took / 2
    if apart > CLOCKS_APART:
        fix = "let both machines keep their clocks by NTP"
        yield Check("warn", "clock", f"this machine and the server are {apart:.1f} s apart", fix)
    else:
        yield Check("ok", "clock", "this machine and the server agree")


def _check_kind(about: "Mapping[str, str]") -> "Iterator[Check]":
    numbers = [int(part) for part in about.get("redis_version", "0").split(".")[:2] if part.isdigit()]
    if tuple(numbers) < OLDEST:
        yield Check("FAIL", "version", "too old", "Redis 6.2 or newer, or Valkey")
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
            durability.demand(ledger.run(durability.persistence()))
        except LedgerError as error:
            problem, _, fix = str(error).partition(": ")
            yield Check("FAIL", "durability", problem, fix)
        else:
            yield Check("ok", "durability", "accepted means on disk (appendonly yes, appendfsync always)")


def check_workers(
    settings: "Settings", accounts: "Mapping[str, Account]", ledger: "Ledger"
) -> "Iterator[Check]":
    """Check that somebody works, and by this configuration. Raises LedgerError."""
    pulse = read_pulse(ledger)
    start = "start `sendline worker`, or `sendline up`"
    if not pulse.ticking:
        ever = "is running" if pulse.configured else "has run on this ledger yet"
        yield Check("warn", "workers", f"no worker {ever}", start)
    else:
        yield Check("ok", "workers", f"running; {pulse.awake} dispatching now")
    if pulse.ticking and pulse.wakes and not pulse.awake:
        yield Check(
            "warn",
            "workers",
            f"no process takes wakes, and some wait: {pulse.wakes}",
            "see the workers' logs",
        )
    published = ledger.run(verbs.directory())
    if accounts and pulse.configured:
        mine = directory_of(accounts, settings)
        if mine.to_plain() != published.to_plain():
            fix = "restart the workers with this configuration, or use theirs here"
            yield Check(
                "warn", "workers", "they work by other accounts or routes than are configured here", fix
            )
    for name in published.accounts:
        state = ledger.run(account_state(name))
        if state.stopped:
            yield Check(
                "warn", "accounts", f"{name} is stopped: {state.stopped}", "mend that at its provider"
            )
    lines = read_lines(ledger)
    late = [line for line in lines if line.ready_at and pulse.now - line.ready_at > LATE * 1_000_000]
    if late and not pulse.awake:
        waiting = sum(line.length for line in late)
        yield Check("warn", "workers", f"{waiting} messages may go, and nobody claims them", start)


def check_providers(accounts: "Mapping[str, Account]") -> "Iterator[Check]":
    """Check that each provider takes a connection; nothing is sent over it."""
    targets: dict[tuple[str, str, int], list[str]] = {}
    for account in accounts.values():
        target = _target(account)
        if target is not None:
            targets.setdefault(target, []).append(account.name)
    found: dict[tuple[str, str, int], str] = {}
    threads = [
        threading.Thread(target=lambda t=target: found.__setitem__(t, _reach(*t)), daemon=True)
        for target in targets
    ]
    for thread in threads:
        thread.start()
    end = time.monotonic() + REACH_WITHIN
    for thread in threads:
        thread.join(max(end - time.monotonic(), 0))
    for target, names in targets.items():
        scheme, host, port = target
        problem = found.get(target, f"no connection within {REACH_WITHIN:g} s")
        what = f"{', '.join(names)}: {host} port {port}"
        if problem:
            fix = f"check accounts.{names[0]}.base_url, DNS and the firewall of this machine"
            yield Check("FAIL", "provider", f"{what}: {problem}", fix)
        else:
            yield Check(
                "ok", "provider", f"{what} takes connections{' with TLS' if scheme == 'https' else ''}"
            )


def _target(account: Account) -> tuple[str, str, int] | None:
    given = account.settings.options.get("base_url")
    url = urlsplit(given.get_secret_value() if isinstance(given, SecretStr) else "")
    if not url.hostname:
        return None
    return url.scheme, url.hostname, url.port or (443 if url.scheme == "https" else 80)


def _reach(scheme: str, host: str, port: int) -> str:
    """Return what is wrong with connecting, or nothing."""
    try:
        with socket.create_connection((host, port), REACH_WITHIN) as connection:
            if scheme == "https":
                with ssl.create_default_context().wrap_socket(connection, server_hostname=host):
                    pass
    except socket.gaierror:
        return "its name can't be resolved"
    except ssl.SSLCertVerificationError:
        return "its TLS certificate does not verify"
    except ssl.SSLError:
        return "it does not speak TLS"
    except TimeoutError:
        return f"no connection within {REACH_WITHIN:g} s"
    except OSError as error:
        return (error.strerror or "no connection").lower()
    return ""
