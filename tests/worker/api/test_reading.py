"""Reading messages: one by its id, or those that are looked for."""

import pytest

from sendline import Producer
from sendline.contract import ids


@pytest.fixture
def producer(settings):
    with Producer(settings=settings) as producer:
        yield producer


def test_a_message_of_an_app_of_the_house_is_shown_to_admins_only(api, producer, new):
    message = producer.send(**new)
    answer = api.client("admin").get(f"/v1/messages/{message.id}")
    assert (answer.status_code, answer.json()) == (200, message.to_dict())
    hidden = api.client("read", "send").get(f"/v1/messages/{message.id}")
    unknown = api.client("read").get(f"/v1/messages/{ids.to_text(ids.new_id())}")
    assert hidden.status_code == unknown.status_code == 404
    assert hidden.content == unknown.content


@pytest.fixture
def client(api):
    return api.client("send", "read")


def sent(client, new, number):
    return [
        client.post("/v1/messages", json={**new, "to": f"+1311555{each:04d}"}).json()
        for each in range(number)
    ]


def listed(client, **query):
    """Return all messages that are found, page by page."""
    found = []
    while True:
        page = client.get("/v1/messages", params=query).raise_for_status().json()
        found += page["messages"]
        if page["next"] is None:
            return found
        query["cursor"] = page["next"]


def test_messages_are_listed_the_newest_first_page_by_page(client, new):
    messages = sent(client, new, 7)
    assert listed(client, limit=3) == messages[::-1]
    assert len(client.get("/v1/messages", params={"limit": 3}).json()["messages"]) == 3


def test_messages_are_found_by_what_they_are(client, new):
    first, second, third = sent(client, new, 3)
    canceled = client.post(f"/v1/messages/{second['id']}/cancel").json()
    assert listed(client, status="canceled") == [canceled]
    assert listed(client, to=first["to"]) == [first]
    assert listed(client, status="created", to=second["to"]) == []
    assert listed(client, created_after=first["created_at"], status="created") == [third, first]
    assert listed(client, created_before="2020-01-01T00:00:00Z") == []
    assert listed(client, campaign="none") == []


def test_a_number_whose_plus_was_not_escaped_is_read_as_it_was_meant(client, new):
    [message] = sent(client, new, 1)
    answer = client.get(f"/v1/messages?to={message['to']}")
    assert answer.json()["messages"] == [message]


def test_an_admin_lists_what_everybody_sent(api, client, new):
    ours = client.post("/v1/messages", json=new).json()
    theirs = api.client("send", name="bank").post("/v1/messages", json=new).json()
    assert listed(api.client("admin")) == [theirs, ours]
    assert listed(client) == [ours]


def test_a_cursor_of_another_shows_nothing_of_his(api, client, new):
    theirs = api.client("send", "read", name="bank")
    sent(theirs, new, 3)
    cursor = theirs.get("/v1/messages", params={"limit": 1}).json()["next"]
    assert client.get("/v1/messages", params={"cursor": cursor}).json()["messages"] == []


@pytest.mark.parametrize("written", ["1700000000", "1700000000.5", "2026-11-22", "2026-11-22T12:00:00"])
def test_a_number_and_a_time_without_its_zone_are_no_instants(client, written):
    answer = client.get("/v1/messages", params={"created_after": written})
    assert (answer.status_code, answer.json()["field"]) == (422, "created_after")
    assert client.post("/v1/campaigns/sale/start", params={"at": written}).status_code == 422
