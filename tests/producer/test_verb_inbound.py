"""inbound: what people wrote to our numbers, each message once, and what STOP and START do."""

import msgpack
import pytest

from ledger_world import CLOCK
from sendline.contract import ids
from sendline.contract.keywords import Keyword
from sendline.contract.message import instant
from sendline.ledger import inbound as verb
from sendline.ledger.inbound import Arrival, inbound, inbound_after, newest_inbound, oldest_inbound
from sendline.ledger.keys import KEYS, account_key
from sendline.ledger.limits import Limits
from sendline.ledger.notices import take_notices
from sendline.ledger.scripts import script

THEIRS, OURS = "+13115550001", "+13115552368"


@pytest.fixture
def clock(clock, monkeypatch):
    monkeypatch.setattr(verb, "script", lambda name: script(name, clock=CLOCK))
    return clock


@pytest.fixture
def take(world):
    """Take messages in and return the ledger's words."""

    def take(*arrivals, limits=None):
        return world.ledger.run(inbound(limits or world.limits, arrivals))

    return take


@pytest.fixture
def kept(world):
    """Return what came in behind a number."""
    return lambda after=0: world.ledger.run(inbound_after(after, block_ms=None))


def arrival(text="Hello", provider_id="p", *, account="main", sender=THEIRS, keyword=None):
    return Arrival(account, sender, OURS, text, keyword, provider_id)


def stop(provider_id="p", **fields):
    return arrival("STOP", provider_id, keyword=Keyword.STOP, **fields)


def start(provider_id="p", **fields):
    return arrival("START", provider_id, keyword=Keyword.START, **fields)


def suppressed(raw):
    return {name.decode(): msgpack.unpackb(value) for name, value in raw.hgetall(KEYS["suppressed"]).items()}


def test_a_message_that_came_in_can_be_read(take, kept, clock):
    assert take(arrival("Grüße 👋"), stop("q")) == ["new", "new"]
    first, second = kept()
    assert (first.seq, first.account, first.sender, first.to) == (1, "main", THEIRS, OURS)
    assert (first.text, first.at, first.keyword, first.provider_id) == (
        "Grüße 👋",
        instant(clock.ms),
        None,
        "p",
    )
    assert (second.seq, second.keyword) == (2, Keyword.STOP)


def test_it_is_told_which_is_the_newest_and_which_the_oldest(take, world):
    run = world.ledger.run
    assert (run(newest_inbound()), run(oldest_inbound())) == (0, None)
    take(arrival(provider_id="p"), arrival(provider_id="q"))
    assert (run(newest_inbound()), run(oldest_inbound())) == (2, 1)


def test_who_reads_goes_on_behind_what_was_read(take, kept):
    take(*(arrival(provider_id=f"p{number}") for number in range(5)))
    assert [each.seq for each in kept(after=3)] == [4, 5]
    assert kept(after=5) == []


def test_a_message_twice_comes_in_once_for_three_days(take, kept, clock):
    assert take(arrival(), arrival()) == ["new", "known"]
    clock.advance(2 * 86_400)
    assert take(arrival("Hello")) == ["known"]
    assert len(kept()) == 1


def test_it_is_forgotten_in_the_end_that_it_came_in(take, raw):
    take(arrival(), arrival(provider_id=None))
    times = sorted(raw.pttl(key) for key in raw.scan_iter(KEYS["inbound_seen"] + "*"))
    assert 0 < times[0] <= 60_000 < times[1] <= 3 * 86_400_000


def test_the_same_id_of_another_account_is_another_message(take):
    assert take(arrival(), arrival(account="spare")) == ["new", "new"]


def test_without_an_id_the_same_words_between_the_same_numbers_are_the_same(take):
    words = take(
        arrival(provider_id=None),
        arrival(provider_id=None),
        arrival("Hello!", provider_id=None),
        arrival(provider_id=None, sender="+13115550002"),
        arrival(provider_id=None, account="spare"),
    )
    assert words == ["new", "known", "new", "new", "new"]


def test_stop_puts_the_sender_on_the_suppression_list(take, raw, clock):
    take(stop())
    assert suppressed(raw) == {THEIRS: [clock.ms, "inbound", "main"]}


def test_the_first_stop_is_the_one_that_is_kept(take, raw, clock):
    take(stop("p"))
    since = clock.ms
    clock.advance(60)
    take(stop("q", account="spare"))
    assert suppressed(raw) == {THEIRS: [since, "inbound", "main"]}


def test_start_takes_it_off(take, raw):
    take(stop("p"), stop("q", sender="+13115550002"))
    take(start("r"))
    assert list(suppressed(raw)) == ["+13115550002"]


def test_a_late_copy_of_a_stop_does_not_undo_a_start(take, raw):
    take(stop("p"), start("q"))
    assert take(stop("p")) == ["known"]
    assert suppressed(raw) == {}


def test_a_stop_without_an_id_always_holds(take, kept, raw):
    take(stop(None), start(None))
    assert take(stop(None)) == ["known"]
    assert list(suppressed(raw)) == [THEIRS]
    assert len(kept()) == 2


@pytest.mark.parametrize("keyword", [None, Keyword.HELP])
def test_other_words_suppress_nobody(take, raw, keyword):
    take(arrival(keyword=keyword))
    assert suppressed(raw) == {}


@pytest.mark.parametrize("sender", ["72345", "INFO", "+", ""])
def test_what_is_no_number_is_not_suppressed(take, kept, raw, sender):
    assert take(stop(sender=sender)) == ["new"]
    assert suppressed(raw) == {}
    assert kept()[0].sender == sender


def test_the_stream_is_bounded(take, world):
    few = Limits(events_kept=10)
    for batch in range(4):
        take(*(arrival(provider_id=f"{batch}/{number}") for number in range(100)), limits=few)
    assert world.ledger.run(newest_inbound()) == 400
    assert 10 <= world.raw.xlen(KEYS["inbound"]) < 250
    assert world.ledger.run(oldest_inbound()) > 1


def test_the_same_call_twice_has_its_effect_once(take, kept):
    batch = [arrival(provider_id="p"), arrival(provider_id=None), stop("q")]
    assert take(*batch) == ["new"] * 3
    assert take(*batch) == ["known"] * 3
    assert len(kept()) == 3


def test_nothing_came_in_with_no_message(take, kept):
    assert take() == []
    assert kept() == []


def test_behind_a_failover_no_number_is_given_out_again(take, kept, raw):
    take(arrival(provider_id="p"))
    raw.hset(KEYS["meta"], "behind", msgpack.packb([0, 0, 0, 0, {}, 0]))
    take(arrival(provider_id="q"))
    raw.hdel(KEYS["meta"], "behind")
    raw.hset(KEYS["meta"], "era", 1)
    take(arrival(provider_id="r"))
    first, second, third = (each.seq for each in kept())
    assert first == 1
    assert second > 1_000_000
    assert third == second + 1


def test_that_holds_too_where_all_that_came_in_was_forgotten(take, kept, raw):
    raw.hset(KEYS["meta"], "era", 1)
    take(arrival())
    assert kept()[0].seq == 1_000_001


def test_a_full_ledger_still_takes_a_stop(take, raw):
    take(arrival())
    raw.config_set("maxmemory", "1mb")
    try:
        assert take(stop("q")) == ["new"]
    finally:
        raw.config_set("maxmemory", "0")
    assert list(suppressed(raw)) == [THEIRS]


def test_texts_and_numbers_do_not_show(take, kept):
    take(arrival("Secret 4711"))
    one = arrival("Secret 4711")
    for shown in (repr(one), repr(kept()[0]), repr(inbound(Limits(), [one]))):
        assert "4711" not in shown
        assert "311555" not in shown


def test_the_accounts_endpoint_is_told_in_order(take, kept, world, raw):
    url = "https://app.example.com/hook"
    world.configure("main", "spare")
    raw.hset(account_key("main"), "callback_url", url)
    raw.hset(KEYS["meta"], "hooked", ",main,")
    take(arrival("one", "p"), arrival("two", "q"), arrival("three", "r", account="spare"))
    taken = world.ledger.run(take_notices(world.limits, most=10, lease=60, most_each=10))
    [parcel] = taken.parcels
    assert (parcel.url, parcel.message) == (url, None)
    assert [notice.event for notice in parcel.notices] == kept()[:2]
    assert [notice.number for notice in parcel.notices] == [1, 2]
    assert taken.born > 0


def test_an_arrival_is_no_event_of_a_message(take, world):
    world.configure("main")
    message_id = world.accept()
    take(arrival())
    assert [each.message_id for each in world.events()] == [ids.to_text(message_id)]
