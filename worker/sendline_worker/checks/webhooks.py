"""What `sendline check` finds of webhooks: unsigned ones, endpoints that are told nothing any more."""

from typing import TYPE_CHECKING, Final

from sendline.contract.message import stamp
from sendline.ledger.limits import Limits
from sendline_worker.answers.endpoints import label, read_endpoints
from sendline_worker.answers.spelling import counted
from sendline_worker.checks.parts import Check

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sendline.ledger.connection import Ledger
    from sendline.settings import Settings
    from sendline_worker.accounts import Account

NAMED: Final = 5
"""Stopped endpoints that are named."""
UNSIGNED: Final = "so its app can't tell our webhooks from forged ones"


def check_signing(settings: "Settings", accounts: "Mapping[str, Account]") -> "Iterator[Check]":
    """Check that what the accounts' endpoints are told is signed."""
    told = [account.name for account in accounts.values() if account.settings.callback_url]
    if told and not settings.webhook_secret:
        what = f"{', '.join(told)}: callback_url is set and webhook_secret is not, {UNSIGNED}"
        yield Check("warn", "webhooks", what, "set webhook_secret, and verify it in your app")


def check_endpoints(settings: "Settings", ledger: "Ledger") -> "Iterator[Check]":
    """Check that no endpoint is stopped. Raises LedgerError."""
    stopped = [each for each in read_endpoints(ledger, Limits.of(settings)) if each.stopped_at]
    for each in stopped[:NAMED]:
        why = f"{label(each)} is stopped since {stamp(each.stopped_at)}: {each.reason}"
        fix = f"see to it, then `sendline webhooks resume {each.mark}`"
        yield Check("warn", "webhooks", why, fix)
    more = len(stopped) - NAMED
    if more > 0:
        what = f"{counted(more, 'more endpoint')} {'is' if more == 1 else 'are'} stopped"
        yield Check("warn", "webhooks", what, "see `sendline webhooks list --failing`")
