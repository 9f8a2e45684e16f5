"""What is made of the configured accounts before any is used."""

import pytest

from sendline.contract.errors import ConfigurationError
from sendline.settings import Settings
from sendline_worker.accounts import load_accounts

MAIN = {"provider": "opentact", "base_url": "https://api.example.com", "api_key": "a-key-for-tests"}


def loaded(**changes):
    return load_accounts(Settings.load(accounts={"main": MAIN | changes}))["main"]


def test_a_sender_that_the_account_can_not_use_is_a_mistake_in_the_configuration():
    with pytest.raises(ConfigurationError) as error:
        loaded(senders=["+13115552368", "Shop"])
    assert str(error.value) == (
        "accounts.main.senders: this provider sends only from phone numbers, such as +13115552368; "
        "number 2 in the list is a name"
    )


@pytest.mark.parametrize("senders", [[], ["+13115552368"], ["+13115552368", "+13115552369"]])
def test_senders_that_it_can_use_are_kept(senders):
    assert loaded(senders=senders).card.senders == tuple(senders)


@pytest.mark.parametrize(("rate", "burst"), [(0.5, 2), (1, 2), (20, 2), (100, 2), (150, 3), (1000, 20)])
def test_the_default_burst_is_20_ms_of_the_rate_and_never_less_than_2(rate, burst):
    assert loaded(rate=rate).limits.burst == burst


def test_a_configured_burst_is_taken_as_it_is():
    assert loaded(rate=1000, burst=1).limits.burst == 1
