"""How accounts share the connections of a process."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sendline_worker.dispatch.connections import MOST, Connections, Freed
from sendline_worker.dispatch.sharing import ALPHA, admitted, room_of_several


def one_after_the_other(free, own):
    begun = 0
    while own + begun + 1 <= ALPHA * (free - begun - 1):
        begun += 1
    return begun if own or begun or not free else 1


@given(free=st.integers(0, 1000), own=st.integers(0, 5000))
def test_as_many_are_admitted_as_one_after_the_other_would_be(free, own):
    assert admitted(free, own) == one_after_the_other(free, own)
    assert 0 <= admitted(free, own) <= free


@given(number=st.integers(1, 1000), hanging=st.integers(1, 30))
def test_accounts_that_hang_leave_some_for_others(number, hanging):
    connections = Connections(number, accounts=hanging + 1)
    names = [str(name) for name in range(hanging)]
    while True:
        room = connections.room()
        name = next((name for name in names if room.left.get(name, 1) and room.not_urgent), None)
        if name is None:
            break
        connections.begin(name)
        names.remove(name)
        names.append(name)  # they take turns
    assert connections.free >= connections.kept_for_urgent
    if number - connections.kept_for_urgent > ALPHA * hanging:
        assert connections.room().not_urgent >= 1


@given(number=st.integers(2, 1000))
def test_an_account_that_hangs_on_urgent_messages_leaves_some_for_others(number):
    connections = Connections(number, accounts=2)
    while taken := (room := connections.room()).left.get("hangs", room.most):
        for _ in range(taken):
            connections.begin("hangs")
    assert connections.room().most >= 1 or number <= ALPHA
    assert connections.free >= number // (ALPHA + 1)


def test_a_process_with_little_to_do_bounds_nothing():
    assert room_of_several(100, 10, MOST, {}).left == {}
    assert all(left > 50 for left in room_of_several(98, 10, MOST, {"a": 1, "b": 1}).left.values())


def test_the_only_account_may_have_all_connections():
    connections = Connections(20, accounts=1)
    for _ in range(18):
        assert connections.room().left == {}
        connections.begin("only")
    assert (connections.room().most, connections.room().not_urgent) == (2, 0)


def test_urgent_messages_of_a_quiet_account_go_when_only_what_is_kept_for_them_is_free():
    room = room_of_several(10, 10, MOST, {"hangs": 70, "busy": 20})
    assert (room.most, room.not_urgent) == (6, 0)
    assert room.left == {"hangs": 0, "busy": 0}


@pytest.mark.parametrize("full", [True, False])
def test_the_end_of_a_call_is_news_where_its_account_had_its_share(full):
    connections = Connections(100, accounts=2)
    for _ in range(45):
        connections.begin("hangs")
    left = connections.room().left
    assert left == {"hangs": 15}
    assert connections.end("hangs") is Freed.SOME, "the claim is under way: it may find the account full"
    taken = 15 if full else 14
    for _ in range(taken):
        connections.begin("hangs")
    connections.taken(left, ["hangs"] * taken)
    assert connections.end("hangs") is (Freed.SOME if full else Freed.NONE)


def test_the_end_of_a_call_is_news_where_there_was_no_room():
    connections = Connections(10, accounts=1)
    for _ in range(10):
        connections.begin("only")
    assert connections.free == 0
    assert [connections.end("only") for _ in range(4)] == [
        Freed.AT_ONCE,  # for an urgent message
        Freed.SOME,
        Freed.AT_ONCE,  # as many as are worth a claim
        Freed.NONE,
    ]
