"""reject: requests that could not be read are kept, the newest of them and not for long."""

from datetime import timedelta

import pytest

from ledger_world import CLOCK
from sendline.contract.message import instant
from sendline.ledger import rejected as verb
from sendline.ledger.keys import KEYS
from sendline.ledger.limits import Limits
from sendline.ledger.rejected import (
    BODY_KEPT,
    KEPT,
    MOST,
    Rejected,
    clear_rejected,
    count_rejected,
    reject,
    rejected,
)
from sendline.ledger.scripts import script

HEADERS = {"content-type": "application/json", "user-agent": "carrier/1"}


@pytest.fixture
def clock(clock, monkeypatch):
    monkeypatch.setattr(verb, "script", lambda name: script(name, clock=CLOCK))
    return clock


@pytest.fixture
def keep(world):
    """Keep requests."""
    return lambda *requests: world.ledger.run(reject(world.limits, requests))


@pytest.fixture
def kept(world):
    """Return what is kept now."""
    return lambda most=MOST: world.ledger.run(rejected(instant(world.clock.ms), most))


def request(body=b"\x00\xff{", why="no JSON object", headers=HEADERS, query="a=1&b=%20", size=None):
    return Rejected("main", why, headers, query, body, len(body) if size is None else size)


def test_a_request_is_kept_as_it_came(keep, kept, clock):
    assert keep(request()) == [1]
    [found] = kept()
    assert (found.account, found.why, found.at) == ("main", "no JSON object", instant(clock.ms))
    assert (found.headers, found.query) == (HEADERS, "a=1&b=%20")
    assert (found.body, found.size) == (b"\x00\xff{", 3)


def test_one_without_any_header_is_kept_too(keep, kept):
    keep(request(b"", headers={}, query=""))
    assert [(found.headers, found.query, found.body) for found in kept()] == [({}, "", b"")]


def test_headers_that_may_hold_a_credential_are_not_kept(keep, kept, raw):
    keep(request(headers={"authorization": "Basic 4711", "x-signature": "4711", **HEADERS}))
    assert kept()[0].headers == HEADERS
    assert b"4711" not in raw.lindex(KEYS["rejected"], 0)


def test_the_newest_comes_first(keep, kept):
    keep(request(b"1"), request(b"2"))
    keep(request(b"3"))
    assert [found.body for found in kept()] == [b"3", b"2", b"1"]
    assert [found.body for found in kept(2)] == [b"3", b"2"]


def test_a_body_is_cut_and_its_size_told(keep, kept):
    keep(request(b"x" * (BODY_KEPT + 1)))
    [found] = kept()
    assert (len(found.body), found.size) == (BODY_KEPT, BODY_KEPT + 1)


@pytest.mark.parametrize("field", ["why", "query"])
def test_long_and_strange_words_are_cut_and_do_no_harm(keep, kept, field):
    keep(request(**{field: "\ud800\n" + "x" * 5000}))
    assert len(getattr(kept()[0], field)) <= 2048


def test_the_number_kept_is_bounded(keep, kept, world):
    for batch in range(12):
        keep(*(request(b"%d" % (batch * 100 + number)) for number in range(100)))
    assert world.ledger.run(count_rejected()) == MOST
    assert kept()[0].body == b"1199"
    assert kept()[-1].body == b"200"


def test_what_is_a_week_old_is_not_shown_and_goes_with_the_next_one(keep, kept, world, clock):
    keep(request(b"old"))
    clock.advance(KEPT - 1)
    keep(request(b"new"))
    assert len(kept()) == 2
    clock.advance(1)
    assert [found.body for found in kept()] == [b"new"]
    keep(request(b"newer"))
    assert world.ledger.run(count_rejected()) == 2


def test_all_of_them_are_gone_a_week_after_the_last(keep, raw):
    keep(request())
    assert 0 < raw.pttl(KEYS["rejected"]) <= timedelta(days=7).total_seconds() * 1000


def test_the_same_call_twice_keeps_once(kept, world):
    call = reject(world.limits, [request(b"1"), request(b"2")])
    assert [world.ledger.run(call), world.ledger.run(call)] == [[1, 1], [1, 1]]
    assert len(kept()) == 2


def test_they_can_be_cleared(keep, kept, world):
    keep(request())
    assert world.ledger.run(clear_rejected()) is True
    assert world.ledger.run(clear_rejected()) is False
    assert kept() == []


def test_nothing_of_a_request_shows():
    one = Rejected("main", "why", {"user-agent": "4711"}, "4711", b"4711", 4)
    for shown in (repr(one), repr(reject(Limits(), [one]))):
        assert "4711" not in shown
