"""What `sendline check` says of the HTTP API."""

import sys

import pytest

from ledger_world import SENDER
from sendline.contract.api_key import Scope, hash_of, new_key
from sendline.ledger.api_keys import create_key, revoke_key
from sendline.ledger.limits import Limits
from sendline_worker.checks.api import check_api


@pytest.fixture
def made(ledger):
    """Make a key."""

    def made(name="shop", **rights):
        key, secret = new_key(name, [Scope.SEND], **rights)
        return ledger.run(create_key(Limits(), key, hash_of(secret)))

    return made


@pytest.fixture
def found(settings, ledger):
    """What is said: level and message."""
    return lambda: [(each.level, each.message) for each in check_api(settings, ledger)]


def test_that_nobody_uses_it_is_well(found):
    assert found() == [("ok", "no key was made yet: `sendline keys create` makes one")]


def test_keys_in_force_are_counted(made, found, ledger):
    key = made()
    assert found() == [("ok", "1 key in force")]
    made()
    assert found() == [("ok", "2 keys in force")]
    ledger.run(revoke_key(Limits(), key.id))
    assert found() == [("ok", "1 key in force")]


def test_that_it_can_not_run_here_is_told(made, found, monkeypatch):
    made()
    monkeypatch.setitem(sys.modules, "fastapi", None)
    assert found() == [("ok", "1 key in force; it can't run here: FastAPI is not installed")]


def test_a_key_that_can_send_from_no_sender_of_an_account_is_told_of(made, found, publish):
    publish("main")
    made(senders=["+13115550001", SENDER])
    made("login")
    assert [level for level, _ in found()] == ["ok"]
    lost = made("login", senders=["+13115550001"])
    assert found() == [
        ("ok", "3 keys in force"),
        ("warn", f"key {lost.id} of login may send from no sender that an account has"),
    ]
