"""Functions of earlier releases: a few are left alone, more are forgotten."""

import pytest

from sendline.ledger.connection import Ledger
from sendline.ledger.releases import SIDE_BY_SIDE, forget_earlier, outdated
from sendline.ledger.scripts import script

OWN = script("tick").function


def names(number, verb="tick"):
    return [f"sendline_{verb}_{n:012x}" for n in range(number)]


@pytest.fixture
def functions(raw):
    raw.function_flush()
    yield lambda: sorted(library[1].decode() for library in raw.function_list())
    raw.function_flush()


def load(raw, name):
    raw.function_load(f"#!lua name={name}\nredis.register_function('{name}', function() return 1 end)")


def test_as_many_as_run_side_by_side_are_left_alone():
    assert outdated([*names(SIDE_BY_SIDE - 1), OWN]) == []


def test_of_more_only_our_own_stays():
    assert outdated([*names(SIDE_BY_SIDE), OWN, "sendline_claim_00", "other"]) == names(SIDE_BY_SIDE)


def test_a_verb_that_this_release_does_not_have_is_forgotten_too():
    assert outdated(names(SIDE_BY_SIDE + 1, "bygone")) == names(SIDE_BY_SIDE + 1, "bygone")


def test_the_server_forgets_them(raw, redis_url, functions):
    for name in [*names(SIDE_BY_SIDE + 1), "somebody_elses"]:
        load(raw, name)
    ledger = Ledger(redis_url)
    forget_earlier(ledger)
    assert functions() == ["somebody_elses"]
    ledger.close()


def test_where_nobody_may_look_at_functions_they_stay(raw, redis_url, functions):
    for name in names(SIDE_BY_SIDE + 1):
        load(raw, name)
    raw.execute_command("ACL", "SETUSER", "limited", "on", ">secret", "~*", "&*", "+@all", "-function")
    ledger = Ledger(redis_url.replace("://", "://limited:secret@"))
    forget_earlier(ledger)
    ledger.close()
    raw.acl_deluser("limited")
    assert functions() == names(SIDE_BY_SIDE + 1)
