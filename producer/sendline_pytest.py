"""The pytest plugin of Sendline: the fixture `outbox`. It imports Sendline when that is used, not before."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sendline.contract.accounts import AccountCard
    from sendline.settings import Settings
    from sendline.testing import Outbox

__all__ = ["outbox", "sendline_accounts", "sendline_settings"]


@pytest.fixture
def sendline_accounts() -> "Mapping[str, Sequence[str] | AccountCard] | None":
    """Return the accounts that `outbox` knows, names with their senders; None: any will do. Override it."""
    return None


@pytest.fixture
def sendline_settings() -> "Settings | None":
    """Return the settings that all producers follow; None: each its own. Override it."""
    return None


@pytest.fixture
def outbox(
    sendline_accounts: "Mapping[str, Sequence[str] | AccountCard] | None",
    sendline_settings: "Settings | None",
) -> "Iterator[Outbox]":
    """Keep what every Sendline producer of this process is given, for one test: nothing is sent.

    def test_a_new_customer_gets_a_code(outbox):
        sign_up("+13115552367")
        assert log_in(outbox.code_for("+13115552367"))
    """
    from sendline.testing import recording  # noqa: PLC0415 - whoever does not ask for it pays nothing

    with recording(settings=sendline_settings, accounts=sendline_accounts) as kept:
        yield kept
