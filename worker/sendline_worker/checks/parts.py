"""What `sendline check` looks at beside Redis, each with how to mend it: settings, providers, workers."""

import socket
import ssl
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

from pydantic import SecretStr

from sendline.ledger import verbs
from sendline.ledger.limits import Limits
from sendline.ledger.recovery import WHAT_HAPPENED
from sendline.ledger.standing import flow, last_claim, read_pulse
from sendline.settings import bounds
from sendline_worker.accounts import Account, directory_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from sendline.ledger.connection import Ledger
    from sendline.ledger.standing import Pulse
    from sendline.settings import Settings

REACH_WITHIN: Final = 5.0
"""Seconds within which a provider must take a connection."""
LATE: Final = 5.0
"""Seconds after which work that may go should have been claimed."""
START: Final = "start `sendline worker`, or `sendline up`"
RESTART: Final = "a stuck worker ends by itself, and must be started again by what runs it; see its log"

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


def check_workers(
    settings: "Settings", accounts: "Mapping[str, Account]", ledger: "Ledger"
) -> "Iterator[Check]":
    """Check that somebody works, and by this configuration. Raises LedgerError."""
    pulse = read_pulse(ledger)
    if not pulse.ticking:
        ever = "is running" if pulse.configured else "has run on this ledger yet"
        yield Check("warn", "workers", f"no worker {ever}", START)
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
    yield from _check_flow(settings, ledger, pulse)


def _check_flow(settings: "Settings", ledger: "Ledger", pulse: "Pulse") -> "Iterator[Check]":
    """Check what the workers' own watch looks at: that work which may go is claimed."""
    seen = ledger.run(flow(Limits.of(settings)))
    if pulse.behind:
        told = f"nothing is sent: {WHAT_HAPPENED}"
        yield Check("FAIL", "ledger", told, "run `sendline recover`, then see `sendline uncertain`")
    if seen.waits is None or seen.halted:
        return
    claimed_at = ledger.run(last_claim())
    idle = seen.waits if claimed_at is None else min(seen.waits, (seen.now - claimed_at) / 1_000_000)
    if idle >= bounds.NO_CLAIM:
        told = f"{seen.may_go} messages may go, and none was claimed for {idle:.0f} s"
        yield Check("FAIL", "workers", told, RESTART if pulse.ticking else START)
    elif seen.waits > LATE and not pulse.awake:
        yield Check("warn", "workers", f"{seen.may_go} messages may go, and nobody claims them", START)


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
