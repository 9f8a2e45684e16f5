"""Requests that can't be read: kept raw before they are answered, with nothing that would let anybody in."""

import contextlib
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from sendline.ledger.keys import KEYS
from sendline.ledger.rejected import BODY_KEPT
from worker.receiver.house import data, housed


@pytest.fixture
def house(tmp_path):
    with housed(tmp_path, request_seconds=1.0) as house:
        yield house


def test_what_can_not_be_read_is_kept_raw(house):
    body = b'{"hello": "w\xff'
    headers = {"content-type": "text/plain", "user-agent": "carrier/1", "authorization": "Basic NDcxMQ=="}
    url = f"{house.account_url()}?a=1&b=%20"
    assert house.client.post(url, content=body, headers=headers).status_code == 200
    [found] = house.rejected()
    assert (found.account, found.why, found.body, found.size) == ("main", "no JSON object", body, len(body))
    assert found.headers == {"content-type": "text/plain", "user-agent": "carrier/1"}
    assert found.query == "a=1&b=%20"


def test_the_token_is_not_kept(house):
    house.post(house.account_url(), b"{")
    token = house.account_url().rpartition("/")[2].encode()
    with contextlib.closing(redis.Redis.from_url(house.server.url)) as raw:
        assert token not in raw.lindex(KEYS["rejected"], 0)


def test_a_long_body_is_cut(house):
    house.post(house.account_url(), b"x" * 200_000)
    [found] = house.rejected()
    assert (found.body, found.size) == (b"x" * BODY_KEPT, 200_000)


def test_what_an_adapter_fails_on_is_kept_and_asked_for_again(house):
    answer = house.client.get(house.account_url("plain"), params={"boom": "4711"})
    assert (answer.status_code, answer.json()) == (500, {"error": "internal"})
    [found] = house.rejected()
    assert (found.account, found.why, found.query) == (
        "plain",
        "the adapter failed: ZeroDivisionError",
        "boom=4711",
    )


def test_what_can_be_read_is_not_kept(house):
    house.sent("abc")
    house.post(house.account_url(), data("abc", "delivered"))
    house.post(house.account_url(), data("def", "queued"))
    assert house.rejected() == []


def test_a_stranger_leaves_nothing_behind(house):
    assert house.post(house.account_url() + "x", b"{").status_code == 404
    assert house.post(house.account_url(), b"x" * 300_000).status_code == 413
    assert house.rejected() == []


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_can_not_be_kept_is_asked_for_again(tmp_path, method):
    with housed(tmp_path, durability="disk", request_seconds=1.0) as house:
        house.server.stop()
        answer = house.client.request(method, house.account_url("plain"), params={"boom": "1"})
        assert (answer.status_code, answer.json()) == (503, {"error": "unavailable"})
        assert house.post(house.account_url(), b"{").status_code == 503
        house.server.start()
        assert house.rejected() == []
        assert house.post(house.account_url(), b"{").status_code == 200
        assert len(house.rejected()) == 1


def test_many_are_kept_in_few_calls_and_each_once(house):
    url = house.account_url()
    with ThreadPoolExecutor(20) as crowd:
        answers = list(crowd.map(lambda number: house.post(url, b"%d" % number), range(200)))
    assert {answer.status_code for answer in answers} == {200}
    assert {found.body for found in house.rejected()} == {b"%d" % number for number in range(200)}
    assert house.app.state.counts == {"unreadable": 200}
