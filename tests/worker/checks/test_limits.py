"""What `sendline check` says of limits that hinder each other, and of accounts that are held up."""

from dataclasses import replace

import pytest

from ledger_world import account_limits
from sendline.ledger.account_state import AccountState
from sendline.ledger.accounts import adjust, halt
from sendline.ledger.limits import Limits
from sendline.settings import Settings
from sendline_worker.accounts import load_accounts
from sendline_worker.checks.limits import check_alerts, check_limits, check_state, check_states

NOW = 1_700_000_000_000_000
MAIN = AccountState("main", interval=50_000)
SENDERS = ["+13115550001", "+13115550002"]


def account(**fields):
    return {
        "provider": "opentact",
        "base_url": "http://127.0.0.1:9",
        "api_key": "x" * 16,
        "rate": 20,
        **fields,
    }


def found(main, *, other=None, **settings):
    accounts = {"main": account(**main)} | ({"other": account(**other)} if other is not None else {})
    loaded = Settings(redis_url="redis://127.0.0.1:9", accounts=accounts, **settings)
    return [(each.message, each.fix) for each in check_limits(loaded, load_accounts(loaded))]


@pytest.mark.parametrize(
    "limits",
    [
        {},
        {"in_flight": 1},
        {"rate": 1000, "in_flight": 100},
        {"sender_rate": 1},
        {"sender_rate": 10, "senders": SENDERS},
    ],
)
def test_limits_that_go_together_are_well(limits):
    assert found(limits) == []


def test_senders_that_can_t_use_the_rate_are_told():
    [(told, fix)] = found({"sender_rate": 1, "senders": SENDERS})
    assert told == "main: its 2 senders send 2 of its 20 a second"
    assert fix == "add senders, or lower accounts.main.rate"


def test_too_few_calls_at_the_same_time_are_told():
    [(told, fix)] = found({"rate": 500, "in_flight": 5})
    assert told == "main: in_flight 5 allows 500 a second only while calls take 10 ms"
    assert fix == "raise accounts.main.in_flight"


@pytest.mark.parametrize(("weights", "told"), [([1, 1], True), ([1, 9], False), ([0, 1], False)])
def test_weights_that_give_a_slow_account_too_much_are_told(weights, told):
    route = {"to": "+1", "accounts": ["main", "other"], "weights": weights}
    said = found({"rate": 10}, other={"rate": 90}, routes=[route])
    expected = "route +1 gives main 50% of its messages, and it has 10% of the rate"
    assert [message for message, _ in said] == ([expected] if told else [])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, None),
        ({"halted": "an outage"}, "main is paused by a person: an outage"),
        ({"halted": ""}, "main is paused by a person"),
        ({"stopped": "401: the key"}, "main is stopped: 401: the key"),
        (
            {"stopped": "no answer", "broken": True, "paused_until": NOW // 1000 + 1},
            "main fails, its circuit breaker is open: no answer",
        ),
        ({"cap": 5, "used": 5, "day": NOW // 1000}, "main has sent its 5 messages of today"),
        (
            {"adjusted": {"interval": 1, "s_cap": 4}},
            "main has other limits than are configured: rate, sender_daily_cap",
        ),
    ],
)
def test_what_holds_an_account_up_is_told_and_a_stopped_one_must_be_mended(change, told):
    seen = list(check_state(replace(MAIN, **change), NOW))
    assert [each.message for each in seen] == ([] if told is None else [told])
    level = "FAIL" if change.get("stopped") and not change.get("broken") else "warn"
    assert {each.level for each in seen} <= {level}
    assert all(each.fix for each in seen)


def test_all_accounts_that_workers_published_are_looked_at(ledger, publish):
    publish("main", "spare", "well")
    ledger.run(halt(Limits(), "main", "an outage"))
    ledger.run(adjust(Limits(), "spare", {"rate": 5}))
    assert [(each.message, each.fix) for each in check_states(ledger, {})] == [
        ("main is paused by a person: an outage", "`sendline accounts resume main` lets it go on"),
        (
            "spare has other limits than are configured: rate",
            "`sendline accounts set spare --reset` takes that back",
        ),
    ]


def test_limits_that_differ_from_those_of_the_workers_are_named(world, ledger):
    world.configure(account_limits("main", rate=3))
    settings = Settings(accounts={"main": account(rate=9, burst=2)})
    told = [each.message for each in check_states(ledger, load_accounts(settings))]
    assert told == ["main works by other limits than are configured here: rate, burst"]


@pytest.mark.parametrize(("command", "number"), [(("no such program",), 1), (("cat",), 0), ((), 0)])
def test_an_alert_command_that_is_not_there_is_told(command, number):
    settings = Settings(alert_command=command)
    assert len(list(check_alerts(settings))) == number
