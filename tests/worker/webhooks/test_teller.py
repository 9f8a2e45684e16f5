"""The teller against real endpoints: each is told every event of a message, in order, at least once."""

import contextlib
import random
from collections import Counter, defaultdict
from types import SimpleNamespace

import pytest
from pydantic import SecretStr
from standardwebhooks import WebhookVerificationError

import hooked_app
from hooked_app import SECRETS, HookedApp, happened, told
from ledger_world import World
from parts import quick_settings
from sendline import Status
from sendline.ledger import notices, work
from sendline.ledger.connection import Ledger
from sendline_worker.webhooks import teller
from sendline_worker.webhooks.carrying import Carriage
from sendline_worker.webhooks.teller import Teller
from servers import ValkeyServer, free_port
from waiting import poll

UNPROVEN = 2
"""Calls under way to an endpoint that took nothing yet: see notices.lua."""


class House:
    """A ledger on the server's own clock, tellers on it, and what happens to messages."""

    def __init__(self, url, exits):
        self._exits = exits
        self.url = url
        self.ledger = exits.enter_context(contextlib.closing(Ledger(url)))
        self.world = World(self.ledger, None, SimpleNamespace(ms=0))
        self.world.configure("main", rate=10_000.0, burst=1000)

    def teller(self, **changes):
        made = Teller(
            quick_settings(
                redis_url=SecretStr(self.url),
                **{"webhook_allow": ("127.0.0.1",), "webhook_secret": secrets(SECRETS[0])} | changes,
            )
        )
        made.start()
        self._exits.callback(made.stop)
        return made

    def accept(self, number, app, **fields):
        return self.world.accept_many(number, callback_url=getattr(app, "url", app), **fields)

    def live(self):
        """Claim all that waits, and settle it as sent."""
        while claims := self.world.claim(100).claims:
            fates = [
                work.Settlement(each.message_id, each.token, each.account, Status.SENT, deadline=3600)
                for each in claims
            ]
            self.world.settle_many(fates)

    def events(self):
        return happened(self.world.events())

    def endpoints(self):
        marks = self.ledger.run(notices.marks())
        return self.ledger.run(notices.endpoints(self.world.limits, marks))

    @property
    def endpoint(self):
        [found] = self.endpoints()
        return found

    def resume(self):
        return self.ledger.run(notices.readmit(self.world.limits, self.endpoint.mark))

    def await_all_told(self, timeout=20):
        poll(lambda: not any(each.waiting for each in self.endpoints()), timeout, every=0.02)


@pytest.fixture
def house(redis_url):
    with contextlib.ExitStack() as exits:
        yield House(redis_url, exits)


@pytest.fixture
def app():
    with HookedApp() as made:
        yield made


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    hooked_app.hurry(monkeypatch.setattr)


def secrets(*texts):
    return tuple(SecretStr(each) for each in texts)


def statuses(calls):
    return [call.body["data"]["status"] for call in calls]


def misbehaving(seed, *, fails=0.33, hangs=0.0, resets=0.0):
    """Behave badly now and then; not so often in a row that it would rest for seconds."""
    chance = random.Random(seed)
    in_a_row = 0

    def behave(_call):
        nonlocal in_a_row
        drawn = chance.random()
        kinds = (("hang", hangs), ("reset", resets), ("fail", fails))
        for kind, share in kinds:
            if drawn < share and in_a_row < 3:
                in_a_row += 1
                return kind
            drawn -= share
        in_a_row = 0
        return "take"

    return behave


def test_in_quiet_times_each_event_arrives_once_in_order_and_verifies(house, app):
    house.teller()
    house.accept(60, app)
    house.live()
    poll(lambda: len(app.taken) == 180)
    house.await_all_told()
    assert told(app.taken) == house.events()
    assert max(Counter(call.id for call in app.calls).values()) == 1
    for call in app.calls:
        call.verify(SECRETS[0])
        with pytest.raises(WebhookVerificationError):
            call.verify(SECRETS[1])
    assert (house.endpoint.told, house.endpoint.failures) == (180, 0)


def test_events_that_happen_while_it_tells_are_told_without_being_looked_for(house, app, monkeypatch):
    monkeypatch.setattr(teller, "LOOK_EVERY", 3600.0)
    house.teller()
    house.accept(1, app)
    poll(lambda: statuses(app.taken) == ["created"])
    house.live()
    poll(lambda: statuses(app.taken) == ["created", "sending", "sent"])


def test_a_webhook_holds_what_the_app_gave_with_its_message(house, app):
    house.teller()
    given = {"order": "7", "note": "née"}
    house.accept(1, app, metadata=given)
    poll(lambda: app.taken)
    [call] = app.taken
    assert call.body["type"] == "message.created"
    assert call.body["data"]["metadata"] == given
    assert b"Hello" not in call.raw
    assert b"+1311555" not in call.raw


def test_a_failing_endpoint_is_told_all_in_order_and_by_the_same_ids(house, app):
    app.behave = misbehaving(5, fails=0.3, hangs=0.02, resets=0.05)
    house.teller()
    house.accept(50, app)
    house.live()
    house.await_all_told(timeout=30)
    events = house.events()
    assert told(app.taken) == events
    assert told(app.calls) == events, "no try came before its time"
    ids = defaultdict(set)
    for call in app.calls:
        ids[call.raw].add(call.id)
    assert {len(each) for each in ids.values()} == {1}
    assert len(app.calls) > 1.3 * len({call.id for call in app.calls})
    for call in app.calls:
        call.verify(SECRETS[0])


def test_an_endpoint_that_hangs_and_recovers_is_told_all(house, app):
    app.behave = lambda _: "hang"
    house.teller()
    house.accept(3, app)
    house.live()
    poll(lambda: house.endpoint.failures >= 3)
    assert house.endpoint.reason == "no answer within 1 s"
    assert app.taken == []
    app.behave = lambda _: "take"
    house.resume()
    house.await_all_told()
    assert told(app.taken) == house.events()


def test_a_hanging_endpoint_delays_no_other(house, app, monkeypatch):
    monkeypatch.setattr(Teller, "call_within", 15.0)
    monkeypatch.setattr(Teller, "lease", 60.0)
    with HookedApp(behave=lambda _: "hang") as hanging:
        house.accept(100, hanging)
        running = house.teller()
        poll(lambda: len(hanging.calls) == UNPROVEN)
        house.accept(100, app)
        house.live()
        poll(lambda: len(app.taken) == 300)
        assert len(hanging.calls) == UNPROVEN, "none was answered meanwhile, nor any begun"
        assert hanging.taken == []
        hanging.release()
        running.stop()


def test_a_slow_endpoint_is_called_by_several_messages_at_once(house, app):
    app.behave = lambda _: "slow"
    house.teller()
    house.accept(16, app)
    poll(lambda: len(app.taken) == 16)
    at = sorted(call.at for call in app.calls)
    assert at[-1] - at[0] < 16 * hooked_app.SLOW / 2


def test_stopping_in_the_middle_of_calls_loses_nothing_and_the_next_teller_goes_on_at_once(
    house, app, monkeypatch
):
    for name, value in (("call_within", 60.0), ("lease", 3600.0)):
        monkeypatch.setattr(Teller, name, value)
    monkeypatch.setattr(teller, "STOP_WITHIN", 0.2)
    app.behave = lambda _: "hang"
    house.accept(20, app)
    house.live()
    first = house.teller()
    poll(lambda: len(app.calls) == UNPROVEN)
    first.stop()
    assert house.endpoint.under_way == 0, "no claim is left behind"
    assert (house.endpoint.failures, house.endpoint.reason) == (0, ""), "that is not the endpoint's fault"

    app.behave = lambda _: "take"
    house.teller()
    house.await_all_told()
    assert told(app.taken) == house.events()


def test_stopping_ends_the_calls_under_way_and_begins_no_more(house, app):
    app.behave = lambda _: "slow"
    house.accept(2, app)
    house.live()
    first = house.teller()
    poll(lambda: len(app.calls) == 2)
    first.stop()
    assert statuses(app.calls) == ["created"] * 2
    assert (house.endpoint.told, house.endpoint.failures, house.endpoint.under_way) == (2, 0, 0)
    house.teller()
    house.await_all_told()
    assert told(app.calls) == house.events()
    assert len(app.calls) == 6, "what was taken is not told again"


def test_two_tellers_tell_each_event_once(house, app):
    house.teller()
    house.teller()
    for _ in range(4):
        house.accept(40, app)
        house.live()
    house.await_all_told()
    assert told(app.taken) == house.events()
    assert len(app.calls) == 4 * 40 * 3


def test_what_a_teller_that_died_had_claimed_is_told_after_its_lease(house, app):
    house.accept(5, app)
    call = notices.take_notices(house.world.limits, most=10, lease=0.5, most_each=10)
    assert len(house.ledger.run(call).parcels) == UNPROVEN
    house.live()
    house.teller()
    house.await_all_told()
    assert told(app.calls) == house.events()


def test_the_ledger_goes_away_and_comes_back_and_all_is_told(app, caplog):
    with ValkeyServer() as server, contextlib.ExitStack() as exits:
        house = House(server.url, exits)
        app.behave = lambda _: "slow"
        house.teller()
        house.accept(40, app)
        house.live()
        poll(lambda: len(app.taken) > 10)
        server.kill()
        poll(lambda: "webhooks wait for the ledger" in caplog.text)
        server.start()
        house.await_all_told()
        events = house.events()
        assert told(app.taken) == events
        assert len(app.calls) <= 120 + 2 * teller.MOST_EACH * 3, "only what was under way is told twice"
        assert caplog.text.count("webhooks wait for the ledger") == 1


def test_an_endpoint_that_is_gone_is_stopped_told_once_and_goes_on_when_resumed(house, app, caplog):
    app.behave = lambda _: "gone"
    house.accept(20, app)
    house.teller()
    poll(lambda: house.endpoint.stopped_at)
    poll(lambda: house.endpoint.under_way == 0)
    tried = len(app.calls)
    assert tried <= teller.MOST_EACH
    house.accept(1, app)
    house.live()
    assert (house.endpoint.waiting, len(app.calls)) == (21, tried), "all is kept, nothing is tried"
    assert house.endpoint.reason == "answered 410: it is gone for good"
    poll(lambda: "is stopped" in caplog.text)
    app.behave = lambda _: "take"
    assert house.resume() == 21
    house.await_all_told()
    assert told(app.taken) == house.events()
    lines = [
        each for each in caplog.text.splitlines() if "is stopped: run `sendline webhooks resume`" in each
    ]
    assert len(lines) == 1
    assert "hidden" not in caplog.text


def test_an_endpoint_that_fails_for_long_rests_and_people_are_told_once(house, app, caplog):
    caplog.set_level("INFO", logger="sendline.webhooks")
    app.behave = lambda _: "fail"
    house.teller()
    house.accept(10, app)
    poll(lambda: house.endpoint.rests_until)
    poll(lambda: house.endpoint.under_way == 0)
    house.resume()
    poll(lambda: house.endpoint.rests_until)
    app.behave = lambda _: "take"
    house.resume()
    house.await_all_told()
    poll(lambda: "takes webhooks again" in caplog.text)
    assert caplog.text.count("fails: answered 500") == 1


def test_either_of_two_secrets_verifies_while_one_replaces_the_other(house, app):
    house.teller(webhook_secret=secrets(*SECRETS))
    house.accept(3, app)
    poll(lambda: len(app.taken) == 3)
    for call in app.calls:
        for secret in SECRETS:
            call.verify(secret)


def test_a_private_address_that_is_not_allowed_is_never_connected_to(house, app):
    house.teller(webhook_allow=())
    house.accept(1, app)
    poll(lambda: house.endpoint.failures)
    assert app.connections == 0
    assert house.endpoint.reason == (
        "not called: its host leads to a private or reserved address; webhook_allow can name it"
    )
    assert house.endpoint.waiting == 1


def test_an_endpoint_that_nobody_serves_is_told_when_somebody_does(house, app):
    house.teller()
    house.accept(1, f"http://127.0.0.1:{free_port()}/")
    house.accept(30, app)
    house.live()
    poll(lambda: len(app.taken) == 90)
    reasons = {each.reason for each in house.endpoints()}
    assert reasons == {"", "connection failed: Connection refused"}


def test_a_webhook_that_can_not_be_written_holds_up_no_other(house, app, monkeypatch):
    ordinary = Carriage.carry

    async def carry(self, born, parcel):
        if parcel.message.metadata:
            raise KeyError("what only a later release knows")
        return await ordinary(self, born, parcel)

    monkeypatch.setattr(Carriage, "carry", carry)
    house.teller()
    house.accept(1, app, metadata={"odd": "yes"})
    house.accept(5, app)
    poll(lambda: len(app.taken) == 5)
    poll(lambda: house.endpoint.waiting == 1 and house.endpoint.under_way == 0)
