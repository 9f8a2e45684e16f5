"""The connections of a process: what a claim may take of them, and whose end is news."""

import pytest

from sendline.ledger.work import Sharing
from sendline_worker.dispatch.connections import MOST, Connections, Freed


def test_the_only_account_may_have_all_connections():
    connections = Connections(20, accounts=1)
    for _ in range(18):
        assert connections.room().sharing is None
        connections.begin("only")
    assert (connections.room().most, connections.room().not_urgent) == (2, 0)


def test_several_accounts_share_what_is_free_beyond_one_claim():
    connections = Connections(100, accounts=2)
    for _ in range(45):
        connections.begin("hangs")
    room = connections.room()
    assert (room.most, room.not_urgent) == (MOST, MOST)
    assert room.sharing == Sharing(free=55, kept_for_urgent=10, calls={"hangs": 45})


def test_the_end_of_a_call_is_news_where_its_account_had_its_share():
    connections = Connections(100, accounts=3)
    for name in ("hangs", "quiet"):
        for _ in range(15):
            connections.begin(name)
    connections.room()
    assert connections.end("quiet") is Freed.SOME, "the claim is under way: it may find the account full"
    connections.answered({"hangs"})
    assert connections.end("quiet") is Freed.NONE
    assert connections.end("hangs") is Freed.SOME


@pytest.mark.parametrize(("accounts", "news"), [(1, Freed.NONE), (2, Freed.SOME)])
def test_of_what_is_kept_for_urgent_messages_an_account_may_have_had_its_share(accounts, news):
    connections = Connections(100, accounts=accounts)
    for _ in range(95):
        connections.begin("busy")
    connections.answered(())
    assert connections.end("busy") is news


@pytest.mark.parametrize("accounts", [1, 2])
def test_the_end_of_a_call_is_news_where_there_was_no_room(accounts):
    connections = Connections(10, accounts=accounts)
    for _ in range(10):
        connections.begin("only")
    assert connections.free == 0
    assert [connections.end("only") for _ in range(4)] == [
        Freed.AT_ONCE,  # for an urgent message
        Freed.SOME,
        Freed.AT_ONCE,  # as many as are worth a claim
        Freed.NONE,
    ]
