"""A campaign that ends takes its rows out of their lines, and touches nobody else's."""

import pytest

from sendline.contract import ids
from sendline.contract.status import Status
from sendline.ledger.keys import KEYS

LINE = "2:main"
ROWS, HELD, RESTING, SENDERS = (KEYS[name] + LINE for name in ("rows", "held", "resting", "senders"))
READY = KEYS["ready"] + "2"
ZONED = {"window": "00:00-24:00"}
"""With it each zone has a row of its own: these numbers are of two."""


def people(*endings: str) -> list[dict[str, str]]:
    return [{"to": f"{code}{end}"} for end in endings for code in ("+12125550", "+442079460")]


@pytest.fixture
def pair(producer, hands):
    """Two campaigns in one line, each with two rows, that run."""
    sale, other = (
        producer.campaign(name, text="Hi", recipients=people(*endings), **ZONED)
        for name, endings in (("sale", ("100", "101")), ("other", ("200", "201")))
    )
    for each in (sale, other):
        each.start()
    return sale, other


def rows_of(raw, name):
    """Where a campaign has rows, and by which turn or instant."""
    return {
        key: {row: score for row, score in raw.zrange(key, 0, -1, withscores=True) if is_of(row, name)}
        for key in (ROWS, HELD, RESTING)
    } | {SENDERS: raw.smembers(f"{SENDERS}:{name}")}


def is_of(row, name):
    return row.startswith(name.encode() + b"#")


def go_on(campaign):
    pass


def pause(campaign):
    campaign.pause()


def cancel(campaign, raw):
    campaign.cancel()


def end(campaign, raw):
    raw.hset(KEYS["campaign"] + campaign.name, "ends", 1)


WAYS = pytest.mark.parametrize(
    ("before", "over"), [(go_on, cancel), (pause, cancel), (go_on, end), (pause, end)]
)


@WAYS
@pytest.mark.parametrize("neighbour", [go_on, pause])
def test_the_rows_of_one_go_and_its_neighbours_stay(pair, hands, raw, before, over, neighbour):
    sale, other = pair
    before(sale)
    neighbour(other)
    assert sum(map(len, rows_of(raw, "sale").values())) >= 4, "two rows, each in two places"
    stood = rows_of(raw, "other")
    over(sale, raw)
    hands.tick(2)
    statuses = sale.progress().statuses
    assert statuses[Status.CANCELED] + statuses[Status.EXPIRED] == 4
    assert not any(rows_of(raw, "sale").values())
    assert rows_of(raw, "other") == stood
    assert raw.zrange(READY, 0, -1) == [b"main"]
    if neighbour is pause:
        other.resume()
    assert hands.send_all() == 4
    assert raw.exists(READY, ROWS, HELD) == 0


@WAYS
def test_the_last_one_takes_its_line_with_it(pair, hands, raw, before, over):
    sale, _ = pair
    sale.pause()
    hands.settle(hands.claim())
    assert rows_of(raw, "other")[RESTING], "a row of it is empty, and its turn is remembered"
    sale.resume()
    before(sale)
    over(sale, raw)
    hands.tick(2)
    assert raw.exists(READY, ROWS, HELD, RESTING, f"{SENDERS}:sale", f"{SENDERS}:other") == 0


@WAYS
@pytest.mark.parametrize("knows_rows", [True, False], ids=["this release", "one that knew no rows"])
def test_what_waits_there_without_a_campaign_still_goes(pair, producer, hands, raw, before, over, knows_rows):
    single = producer.send(to="+13115559999", text="Hello", lane="bulk")
    if not knows_rows:
        assert raw.zrem(ROWS, "") == 1
    for each in pair:
        before(each)
        over(each, raw)
    hands.tick(2)
    assert raw.zrange(READY, 0, -1) == [b"main"]
    [claim] = hands.claim() or hands.claim()  # the first finds a row that an older release filled
    assert ids.to_text(claim.message_id) == single.id
