"""`sendline check`: what is wrong, and how to mend it."""

from typing import TYPE_CHECKING, Any

from sendline.contract.errors import ConfigurationError, LedgerError
from sendline.ledger import verbs
from sendline_worker.accounts import load_accounts
from sendline_worker.checks.api import check_api
from sendline_worker.checks.limits import check_alerts, check_limits, check_states
from sendline_worker.checks.parts import Check, check_accounts, check_providers, check_workers
from sendline_worker.checks.server import check_redis
from sendline_worker.checks.spool import check_spool
from sendline_worker.checks.webhooks import check_endpoints, check_signing
from sendline_worker.cli import opening
from sendline_worker.cli.apps import Config, Json, make_app
from sendline_worker.cli.printing import print_json, print_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sendline.settings import Settings
    from sendline_worker.accounts import Account

app = make_app()


@app.command()
def check(*, config: Config = None, json: Json = False) -> int:
    """Check configuration, Redis, providers and workers; exits 1 where anything must be mended.

    Providers are only connected to: no request is made, and no credential leaves this machine.

    \b
    Examples:
      sendline check
      sendline check --config /etc/sendline.toml --json
    """  # noqa: D301 - the parser's mark for what it must not wrap
    found: list[Check] = []
    for each in _checks(config):
        found.append(each)
        if not json:
            _show(each)
    failed = [each for each in found if each.level == "FAIL"]
    if json:
        plain: list[dict[str, Any]] = [
            {"level": c.level.lower(), "subject": c.subject, "message": c.message, "fix": c.fix or None}
            for c in found
        ]
        print_json({"ok": not failed, "checks": plain})
    return 1 if failed else 0


def _checks(config: str | None) -> "Iterator[Check]":
    try:
        settings = opening.load(config)
    except ConfigurationError as error:
        yield Check("FAIL", "configuration", str(error))
        return
    yield Check("ok", "configuration", f"from {settings.config or 'the environment, and defaults'}")
    accounts: Mapping[str, Account] = {}
    try:
        accounts = load_accounts(settings)
    except ConfigurationError as error:
        yield Check("FAIL", "accounts", str(error))
    else:
        yield from check_accounts(settings, accounts, () if accounts else _published(settings))
        yield from check_limits(settings, accounts)
        yield from check_signing(settings, accounts)
    yield from check_alerts(settings)
    yield from check_spool(settings)
    yield from _ledger_checks(settings, accounts)
    yield from check_providers(accounts)


def _published(settings: "Settings") -> tuple[str, ...]:
    try:
        with opening.ledger(settings) as ledger:
            return tuple(ledger.run(verbs.directory()).accounts)
    except (ConfigurationError, LedgerError):
        return ()  # told where the ledger is checked


def _ledger_checks(settings: "Settings", accounts: "Mapping[str, Account]") -> "Iterator[Check]":
    try:
        with opening.ledger(settings) as ledger:
            for each in check_redis(settings, ledger):
                yield each
                if each.subject == "redis" and each.level == "FAIL":
                    return
            yield from check_workers(settings, accounts, ledger)
            yield from check_states(ledger, accounts)
            yield from check_endpoints(settings, ledger)
            yield from check_api(settings, ledger)
    except (ConfigurationError, LedgerError) as error:
        yield Check("FAIL", "redis", str(error))


def _show(each: Check) -> None:
    fix = f"; mend it: {each.fix}" if each.fix else ""
    print_line(f"{each.level:<4}", f"{each.subject:<13}", each.message + fix)
