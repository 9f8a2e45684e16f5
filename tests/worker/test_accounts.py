"""What is made of the configured accounts before any is used."""

import json

import pytest

from sendline.contract.accounts import RouteRule
from sendline.contract.errors import ConfigurationError
from sendline.ledger.accounts import AccountLimits
from sendline.ledger.directory import Directory
from sendline.settings import Settings
from sendline_worker.accounts import directory_json, directory_of, load_accounts

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


def test_every_limit_is_taken_as_it_is_configured():
    limits = loaded(
        senders=["+13115552368", "+13115552369"],
        rate=1000,
        burst=1,
        in_flight=50,
        on_uncertain="resend",
        rate_unit="segments",
        daily_cap=100_000,
        time_zone="Europe/Berlin",
        sender_rate=0.5,
        sender_burst=3,
        sender_daily_cap=400,
    ).limits
    assert limits == AccountLimits(
        name="main",
        rate=1000,
        burst=1,
        in_flight=50,
        on_uncertain="resend",
        asks=limits.asks,
        unit="segments",
        daily_cap=100_000,
        time_zone="Europe/Berlin",
        sender="+13115552368",
        sender_rate=0.5,
        sender_burst=3,
        sender_daily_cap=400,
    )


def test_an_account_without_limits_has_its_providers_rate_and_leaves_the_burst_to_the_ledger():
    account = loaded()
    assert account.limits == AccountLimits(
        name="main", rate=account.adapter.default_rate, asks=account.limits.asks
    )


def test_producers_are_told_the_weights_of_routes():
    routes = [{"to": "+1", "accounts": ["main"], "weights": [3]}, {"to": "+2", "accounts": ["main"]}]
    settings = Settings.load(accounts={"main": MAIN}, routes=routes)
    directory = directory_of(load_accounts(settings), settings)
    assert directory.routes == (RouteRule("+1", ("main",), (3,)), RouteRule("+2", ("main",)))
    assert Directory.parse(json.loads(directory_json(directory))) == directory
