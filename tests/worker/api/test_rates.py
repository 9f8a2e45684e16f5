"""The rate of a key: how many messages it may send, and what it is told of that."""

import re

import pytest

from sendline.ledger import verbs

PATH = "/v1/messages"


def left(answer):
    return int(re.fullmatch(r'"default";r=(\d+);t=\d+', answer.headers["ratelimit"])[1])


def accepted(api):
    return api.ledger.run(verbs.counts())["accepted"]


def test_a_key_without_a_rate_is_told_of_none(api, new):
    answer = api.client("send").post(PATH, json=new)
    assert "ratelimit" not in answer.headers
    assert "ratelimit-policy" not in answer.headers


@pytest.mark.parametrize(("rate", "policy"), [(5.0, "q=5;w=1"), (0.1, "q=1;w=10"), (2.5, "q=2;w=1")])
def test_every_answer_says_what_the_rate_is(api, new, rate, policy):
    client = api.client("send", rate=rate)
    answers = [
        client.post(PATH, json=new),
        client.post(PATH, json={**new, "to": "12"}),
        client.post(PATH, content=b"{"),
        client.get(PATH),
        client.get(f"{PATH}/x"),
    ]
    for answer in answers:
        assert answer.headers["ratelimit-policy"] == f'"default";{policy}', answer.status_code
        assert 0 <= left(answer) <= rate + 1


def test_what_goes_beyond_the_rate_is_refused_and_told_when_to_come_again(api, new):
    client = api.client("send", rate=0.01)
    assert client.post(PATH, json=new).status_code == 202
    answer = client.post(PATH, json=new)
    assert answer.status_code == 429
    assert answer.json()["type"] == "urn:sendline:problem:rate-limited"
    assert 90 <= int(answer.headers["retry-after"]) <= 100
    assert left(answer) == 0
    assert accepted(api) == 1


def test_an_array_takes_as_many_as_it_has_or_none(api, new):
    client = api.client("send", rate=10.0)
    assert left(client.post(PATH, json=[new] * 6)) <= 5
    answer = client.post(PATH, json=[new] * 9)
    assert answer.status_code == 429
    assert accepted(api) == 6


def test_reading_takes_nothing(api):
    client = api.client("read", rate=1.0)
    assert [client.get(PATH).status_code for _ in range(20)] == [200] * 20


def test_keys_of_one_name_have_rates_of_their_own(api, new):
    for _ in range(2):
        assert api.client("send", rate=0.01).post(PATH, json=new).status_code == 202
