"""Asking a provider what became of a message, on a real ledger and real HTTP to the simulator."""

import asyncio
import contextlib
import itertools
import logging
import re
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
import redis
from pydantic import SecretStr

from sendline import ErrorCode, Producer, Status
from sendline.contract import ids
from sendline.contract.message import TimelineEntry
from sendline.ledger import work
from sendline.ledger.accounts import Wake, configure
from sendline.ledger.connection import AsyncLedger
from sendline.ledger.keys import KEYS, account_key
from sendline.ledger.limits import Limits
from sendline.settings import AccountSettings, Settings
from sendline_worker.accounts import Account, directory_json, directory_of, load_accounts
from sendline_worker.dispatch import inquirer
from sendline_worker.dispatch.attempt import Carrier
from sendline_worker.dispatch.dispatcher import Bounds, Dispatcher
from sendline_worker.dispatch.inquirer import Inquirer
from sendline_worker.dispatch.policy import RetryPolicy
from sendline_worker.dispatch.settler import Settler
from sendline_worker.dispatch.tasks import end
from sendline_worker.dispatch.texts import Texts
from sendline_worker.receiver import create_app
from sendline_worker.receiver.server import server_of
from sendline_worker.serving import listening
from sendline_worker.serving import running as serving
from sendline_worker.simulator import SimulatorClient, SimulatorOptions, running
from sendline_worker.tokens import CallbackUrls
from sendline_worker.wire import Wire

WAKE = Wake("wakes", b"envelope")
SENDER = "+13115552368"
KEY = "secret-api-key"
EVERY = 0.05
NUMBERS = (f"+1311555{number:04d}" for number in itertools.count())
SIGNING = (SecretStr("k" * 32),)


@pytest.fixture(autouse=True)
def often(monkeypatch):
    """The inquirer looks often."""
    monkeypatch.setattr(inquirer, "EVERY", EVERY)


@pytest.fixture(scope="module")
def provider():
    options = SimulatorOptions(port=0, receipt_delay=(60, 60), hang_limit=0.7, numbers=False)
    with running(options) as url, SimulatorClient(url) as client:
        client.url = url
        yield client


@pytest.fixture
def simulator(provider):
    provider.reset()
    return provider


@dataclass
class Stage:
    """A dispatcher, an inquirer and all they stand on, in one event loop."""

    settings: Settings
    raw: redis.Redis
    urls: CallbackUrls = field(default_factory=lambda: CallbackUrls(None, ()))
    accounts: dict[str, Account] = field(init=False)
    stopping: list[bool] = field(default_factory=list)

    def __post_init__(self):
        self.accounts = load_accounts(self.settings)

    def play(self, script):
        """Run `script()` while everything runs, and close it all."""
        return asyncio.run(self._play(script))

    async def _play(self, script):
        limits = Limits.of(self.settings)
        ledger = AsyncLedger(self.settings.redis_url.get_secret_value())
        wire = Wire(connections=20, total=self.settings.call_timeout)
        name = f"test-{time.monotonic_ns()}"
        settler = Settler(name, ledger, limits)
        carrier = Carrier(self.accounts, wire, self.urls, Texts(ledger))
        dispatcher = Dispatcher(
            name=name,
            ledger=ledger,
            limits=limits,
            carrier=carrier,
            settler=settler,
            policy=RetryPolicy.of(self.settings),
            bounds=Bounds(20, 90),
            is_stopping=lambda: bool(self.stopping),
        )
        published = [account.limits for account in self.accounts.values()]
        directory = directory_json(directory_of(self.accounts, self.settings))
        await ledger.run(configure(limits, directory, WAKE, published))
        self.asking = asyncio.create_task(Inquirer(ledger, limits, carrier).run())
        working = [asyncio.create_task(settler.run()), self.asking]
        dispatching = asyncio.create_task(dispatcher.run(60))
        try:
            return await script()
        finally:
            self.stopping.append(True)
            await dispatching
            await dispatcher.drain(10)
            await settler.flush(5)
            await end(*working)
            await wire.aclose()
            await ledger.aclose()

    def make_due(self, *message_ids):
        """Let the uncertain messages, or some of them, be asked about now."""
        held = [ids.to_bytes(each) for each in message_ids] or self.raw.zrange(KEYS["uncertain"], 0, -1)
        for message_id in held:
            self.raw.zadd(KEYS["uncertain"], {message_id: 1}, xx=True)

    async def keep_house(self):
        """Tick as a worker does, but more often."""
        limits = Limits.of(self.settings)
        async with contextlib.aclosing(AsyncLedger(self.settings.redis_url.get_secret_value())) as ledger:
            while True:
                await ledger.run(work.tick(limits, "test", lock=5, most=500))
                await asyncio.sleep(EVERY)

    @contextlib.asynccontextmanager
    async def keeping_house(self):
        keeping = asyncio.create_task(self.keep_house())
        try:
            yield
        finally:
            await end(keeping)

    def late_at(self, message_id):
        """The instant (ms) at which it is asked about next; None where it is not asked about as sent."""
        return self.raw.zscore(KEYS["unreported"], ids.to_bytes(message_id))

    def make_late(self):
        """Let what is sent and asked about be asked about now."""
        for message_id in self.raw.zrange(KEYS["unreported"], 0, -1):
            self.raw.zadd(KEYS["unreported"], {message_id: int(time.time() * 1000)}, xx=True)

    def due_at(self, message_id):
        """The instant (ms) at which it is asked about next; None where it is not uncertain any more."""
        return self.raw.zscore(KEYS["uncertain"], ids.to_bytes(message_id))


def account(url, **changes):
    return AccountSettings.model_validate(
        {
            "provider": "opentact",
            "base_url": url,
            "api_key": KEY,
            "generation": "A",
            "senders": [SENDER],
            "rate": 1000,
        }
        | changes
    )


def staged(redis_url, raw, accounts, **fields):
    settings = Settings(redis_url=redis_url, retry_base=0.2, call_timeout=0.5)
    return Stage(settings.model_copy(update={"accounts": accounts}), raw, **fields)


@pytest.fixture
def stage(redis_url, raw, simulator):
    return staged(redis_url, raw, {"demo": account(simulator.url)})


@pytest.fixture
def producer(redis_url):
    with Producer(settings=Settings(redis_url=redis_url)) as made:
        yield made


async def until(condition, timeout=10):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.01)


async def doubtful(producer, simulator, behaviour, *, to=None, text="Hello", **rule):
    """Send a message that meets `behaviour` and is uncertain by it; return its id."""
    simulator.behave(behaviour, count=1, **rule)
    message = producer.send(to=to or next(NUMBERS), text=text, account="demo")
    await until(lambda: producer.get(message.id).status is Status.UNCERTAIN)
    return message.id


@pytest.mark.parametrize(
    "behaviour", ["accepted_hang", "accepted_reset", "accepted_garbage", "accepted_error"]
)
def test_what_was_accepted_and_not_answered_becomes_sent(stage, producer, simulator, behaviour):
    async def script():
        message_id = await doubtful(producer, simulator, behaviour)
        assert stage.due_at(message_id) > time.time() * 1000 + 25_000
        assert simulator.summary().asked == 0
        stage.make_due()
        await until(lambda: producer.get(message_id).status is Status.SENT)
        return message_id

    message = producer.get(stage.play(script))
    [entry] = simulator.log()
    assert message.provider_id == entry.provider_id
    assert message.attempts == 1
    assert [each.status for each in message.timeline] == ["created", "sending", "uncertain", "sent"]
    assert message.text is None
    assert stage.due_at(message.id) is None
    assert (simulator.summary().asked, simulator.summary().accepted_twice) == (1, 0)


@contextlib.contextmanager
def receiving(redis_url, accounts):
    """Run a receiver; give where it is reached."""
    with listening("127.0.0.1", 0) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        app = create_app(accounts, CallbackUrls(url, SIGNING), lambda: AsyncLedger(redis_url), Limits())
        with serving(server_of(app), listener):
            yield url


def test_what_was_found_is_delivered_by_its_receipt(stage, producer, simulator, redis_url):
    simulator.settings(receipt_delay=0)

    async def script():
        message_id = await doubtful(producer, simulator, "accepted_hang", late=1.5)
        stage.make_due()
        await until(lambda: producer.get(message_id).status is Status.SENT)
        await until(lambda: producer.get(message_id).status is Status.DELIVERED)
        return message_id

    with receiving(redis_url, stage.accounts) as url:
        stage.urls = CallbackUrls(url, SIGNING)
        message = producer.get(stage.play(script))
    assert [each.status for each in message.timeline][-3:] == ["uncertain", "sent", "delivered"]
    assert message.provider_id == simulator.log()[0].provider_id


def test_what_was_never_accepted_stays_uncertain_and_is_asked_about_again(stage, producer, simulator):
    async def script():
        message_id = await doubtful(producer, simulator, "hang")
        for number in range(1, 4):
            stage.make_due()
            await until(lambda number=number: simulator.summary().asked == number)
            await until(lambda: stage.due_at(message_id) > time.time() * 1000 + 25_000)
        await asyncio.sleep(3 * EVERY)
        assert simulator.summary().asked == 3, "it waits until it is asked about again"
        return message_id

    message = producer.get(stage.play(script))
    assert (message.status, message.text, message.provider_id) == (Status.UNCERTAIN, "Hello", None)
    assert len(message.timeline) == 3


FAILING = [
    *("unavailable", "unavailable_until", "throttled", "error", "refused", "unauthorized", "redirect"),
    *("hang", "reset", "garbage", "html", "empty", "bad_utf8", "cut", "huge_body"),
]


@pytest.mark.parametrize("behaviour", FAILING)
def test_a_question_that_fails_changes_nothing_and_is_asked_again(
    stage, producer, simulator, behaviour, caplog
):
    async def script():
        message_id = await doubtful(producer, simulator, "accepted_reset")
        simulator.behave(behaviour, count=1, asking=True)
        stage.make_due()
        await until(lambda: "account demo could not be asked" in caplog.text)
        before = producer.get(message_id)
        assert (before.status, before.provider_id, len(before.timeline)) == (Status.UNCERTAIN, None, 3)
        assert stage.raw.hget(account_key("demo"), "stopped") is None
        assert stage.due_at(message_id) > time.time() * 1000 + 25_000
        stage.make_due()
        await until(lambda: producer.get(message_id).status is Status.SENT)

    with caplog.at_level(logging.INFO, "sendline"):
        stage.play(script)


def test_a_provider_that_wants_to_be_left_alone_is(stage, producer, simulator, caplog):
    async def script():
        message_id = await doubtful(producer, simulator, "accepted_reset")
        simulator.behave("unavailable_until", count=1, retry_after=2, asking=True)
        stage.make_due()
        await until(lambda: "account demo could not be asked" in caplog.text)
        told = time.monotonic()
        while producer.get(message_id).status is Status.UNCERTAIN:
            stage.make_due()
            await asyncio.sleep(0.05)
            assert time.monotonic() - told < 10
        return time.monotonic() - told

    with caplog.at_level(logging.INFO, "sendline"):
        assert stage.play(script) > 1.8
    assert simulator.summary().asked == 2


# The same text to the same recipient


def test_one_that_is_known_is_never_taken_for_its_twin(stage, producer, simulator):
    async def script():
        to = next(NUMBERS)
        known = producer.send(to=to, text="Twins", account="demo")
        await until(lambda: producer.get(known.id).status is Status.SENT)
        lost = await doubtful(producer, simulator, "hang", to=to, text="Twins")
        for number in (1, 2):
            stage.make_due()
            await until(lambda number=number: simulator.summary().asked == number)
            await until(lambda: stage.due_at(lost) > time.time() * 1000)
        return known.id, lost

    known, lost = map(producer.get, stage.play(script))
    assert (known.status, lost.status, lost.provider_id) == (Status.SENT, Status.UNCERTAIN, None)


@pytest.mark.parametrize("accepted_first", [True, False])
def test_of_two_uncertain_twins_only_one_is_sent_by_what_is_found(stage, producer, simulator, accepted_first):
    async def script():
        to = next(NUMBERS)
        behaviours = ["accepted_hang", "hang"] if accepted_first else ["hang", "accepted_hang"]
        twins = [await doubtful(producer, simulator, each, to=to, text="Twins") for each in behaviours]
        for number in (2, 4):
            stage.make_due(*twins)
            await until(lambda number=number: simulator.summary().asked >= number - (number > 2))
            await asyncio.sleep(4 * EVERY)
        return twins

    twins = [producer.get(each) for each in stage.play(script)]
    assert sorted(twin.status for twin in twins) == [Status.SENT, Status.UNCERTAIN]
    provider_ids = [twin.provider_id for twin in twins if twin.provider_id]
    assert len(provider_ids) == 1


def test_two_uncertain_twins_that_were_both_accepted_are_both_sent(stage, producer, simulator):
    async def script():
        to = next(NUMBERS)
        twins = [await doubtful(producer, simulator, "accepted_reset", to=to, text="Twins") for _ in range(2)]
        stage.make_due()
        await until(lambda: all(producer.get(twin).status is Status.SENT for twin in twins))
        return twins

    twins = stage.play(script)
    assert {producer.get(twin).provider_id for twin in twins} == {e.provider_id for e in simulator.log()}


def test_with_a_callback_url_of_its_own_each_twin_is_told_apart(stage, producer, simulator):
    stage.urls = CallbackUrls("http://127.0.0.1:9", SIGNING)

    async def script():
        to = next(NUMBERS)
        never = await doubtful(producer, simulator, "hang", to=to, text="Twins")
        accepted = await doubtful(producer, simulator, "accepted_hang", to=to, text="Twins")
        stage.make_due(never)
        await until(lambda: simulator.summary().asked == 1)
        await until(lambda: stage.due_at(never) > time.time() * 1000)
        assert producer.get(never).status is Status.UNCERTAIN
        stage.make_due(accepted)
        await until(lambda: producer.get(accepted).status is Status.SENT)
        return never

    assert producer.get(stage.play(script)).status is Status.UNCERTAIN


# How often


def test_a_paused_account_is_not_asked_until_its_pause_is_over(stage, producer, simulator):
    async def script():
        message_id = await doubtful(producer, simulator, "accepted_hang")
        stage.raw.hset(account_key("demo"), "paused_until", round(time.time() * 1000) + 1_800_000)
        for _ in range(5):
            stage.make_due()
            await asyncio.sleep(EVERY)
        assert simulator.summary().asked == 0
        stage.raw.hdel(account_key("demo"), "paused_until")
        stage.make_due()
        await until(lambda: producer.get(message_id).status is Status.SENT)

    stage.play(script)


def test_it_asks_no_more_often_than_a_tenth_of_the_rate(redis_url, raw, simulator, producer):
    stage = staged(redis_url, raw, {"demo": account(simulator.url, rate=20, burst=20)})

    async def script():
        for _ in range(3):
            await doubtful(producer, simulator, "reset")
        began = time.monotonic()
        while time.monotonic() - began < 1.2:
            stage.make_due()
            await asyncio.sleep(EVERY)
        asked = (await asyncio.to_thread(simulator.summary)).asked
        return asked, time.monotonic() - began

    asked, took = stage.play(script)
    assert 2 <= asked <= 1 + took * 20 / 10


def test_where_no_account_can_be_asked_it_ends_at_once(redis_url, raw, simulator, producer):
    stage = staged(redis_url, raw, {"demo": account(simulator.url, generation="C")})

    async def script():
        await asyncio.wait_for(stage.asking, 1)
        message_id = await doubtful(producer, simulator, "accepted_hang")
        assert stage.due_at(message_id) == float("inf")

    stage.play(script)
    assert simulator.summary().asked == 0


# What is sent, and its receipt never comes


async def sent(producer, to=None):
    """Send a message that the provider accepts; return its id."""
    message = producer.send(to=to or next(NUMBERS), text="Hello", account="demo")
    await until(lambda: producer.get(message.id).status is Status.SENT)
    return message.id


@pytest.fixture
def impatient(redis_url, raw, simulator):
    """Receipts are late after a second; the provider has nowhere to report to, so that none comes."""
    return staged(redis_url, raw, {"demo": account(simulator.url, receipt_time=1)})


@pytest.mark.parametrize("status", ["delivered", "undelivered"])
def test_what_no_receipt_tells_of_is_looked_up(impatient, producer, simulator, caplog, status):
    simulator.settings(receipt_delay=0.1, numbers=True)

    async def script():
        to = "+13115559460" if status == "undelivered" else next(NUMBERS)
        async with impatient.keeping_house():
            message_id = await sent(producer, to)
            await until(lambda: producer.get(message_id).status != Status.SENT)
        return message_id

    with caplog.at_level(logging.INFO, "sendline"):
        message = producer.get(impatient.play(script))
    assert [each.status for each in message.timeline] == ["created", "sending", "sent", status]
    assert 1 <= (message.timeline[-1].at - message.timeline[-2].at).total_seconds() < 5
    assert "account demo knows of a message that was sent: applied" in caplog.text
    assert impatient.late_at(message.id) is None
    assert (simulator.summary().asked, simulator.summary().received) == (1, 1)


def test_what_is_not_reported_at_the_provider_either_is_asked_about_again(impatient, producer, simulator):
    async def script():
        async with impatient.keeping_house():
            message_id = await sent(producer)
            await until(lambda: simulator.summary().asked == 1)
            await until(lambda: impatient.late_at(message_id) > time.time() * 1000 + 25_000)
            before = producer.get(message_id)
            assert len(before.timeline) == 3
            simulator.settings(receipt_delay=0)
            impatient.make_late()
            await until(lambda: producer.get(message_id).status is Status.DELIVERED)

    impatient.play(script)


def test_what_the_provider_does_not_know_any_more_stays_sent(impatient, producer, simulator, caplog):
    async def script():
        async with impatient.keeping_house():
            message_id = await sent(producer)
            simulator.reset()
            for number in (1, 2):
                await until(lambda number=number: simulator.summary().asked == number)
                await until(lambda: impatient.late_at(message_id) > time.time() * 1000)
                impatient.make_late()
        return message_id

    with caplog.at_level(logging.INFO, "sendline"):
        message = producer.get(impatient.play(script))
    assert (message.status, len(message.timeline)) == (Status.SENT, 3)
    assert "knows of no such message" in caplog.text


def test_a_look_up_that_fails_leaves_it_sent_and_the_account_going(impatient, producer, simulator, caplog):
    simulator.settings(receipt_delay=0)

    async def script():
        simulator.behave("html", count=1, asking=True)
        async with impatient.keeping_house():
            message_id = await sent(producer)
            await until(lambda: "account demo could not be asked" in caplog.text)
            assert producer.get(message_id).status is Status.SENT
            assert impatient.raw.hget(account_key("demo"), "stopped") is None
            impatient.make_late()
            await until(lambda: producer.get(message_id).status is Status.DELIVERED)

    with caplog.at_level(logging.INFO, "sendline"):
        impatient.play(script)


def test_what_is_reported_in_time_is_not_asked_about(impatient, producer, simulator, redis_url):
    simulator.settings(receipt_delay=0)

    async def script():
        async with impatient.keeping_house():
            message = producer.send(to=next(NUMBERS), text="Hello", account="demo")
            await until(lambda: producer.get(message.id).status is Status.DELIVERED)
            await asyncio.sleep(1.2)  # longer than until a receipt is late

    with receiving(redis_url, impatient.accounts) as url:
        impatient.urls = CallbackUrls(url, SIGNING)
        impatient.play(script)
    assert simulator.summary().asked == 0


def test_many_whose_receipts_are_late_are_looked_up_within_a_tenth_of_the_rate(
    redis_url, raw, simulator, producer
):
    simulator.settings(receipt_delay=0)
    stage = staged(redis_url, raw, {"demo": account(simulator.url, rate=100, burst=50, receipt_time=1)})

    async def script():
        made = producer.send_many(
            [{"to": next(NUMBERS), "text": "Hello", "account": "demo"} for _ in range(20)]
        )
        async with stage.keeping_house():
            await until(lambda: simulator.summary().asked)
            began = time.monotonic()
            await until(lambda: all(producer.get(each.id).status is Status.DELIVERED for each in made))
            return time.monotonic() - began

    took = stage.play(script)
    assert took >= 18 / 10, "a tenth of 100 a second"
    assert simulator.summary().asked == 20


# What goes wrong


class Faulty:
    """An adapter that fails to compose its first question."""

    def __init__(self, real):
        self._real = real
        self.faults = 1

    def __getattr__(self, name):
        return getattr(self._real, name)

    def inquire(self, inquiry):
        if self.faults:
            self.faults -= 1
            raise ValueError(inquiry.text)
        return self._real.inquire(inquiry)


def test_a_fault_in_one_question_ends_no_other_and_is_told_without_the_text(
    stage, producer, simulator, caplog
):
    plain = stage.accounts["demo"]
    stage.accounts["demo"] = Account("demo", plain.settings, Faulty(plain.adapter))

    async def script():
        message_id = await doubtful(producer, simulator, "accepted_hang", text="Secret code 271828")
        stage.make_due()
        await until(lambda: "asking about a message failed" in caplog.text)
        stage.make_due()
        await until(lambda: producer.get(message_id).status is Status.SENT)

    with caplog.at_level(logging.DEBUG):
        stage.play(script)
    assert "asking about a message failed: ValueError" in caplog.text
    assert "271828" not in caplog.text


def test_nothing_private_reaches_the_log(stage, producer, simulator, caplog):
    to, text = "+13115556789", "Secret code 271828"

    async def script():
        found = await doubtful(producer, simulator, "accepted_error", to=to, text=text)
        stage.make_due()
        await until(lambda: producer.get(found).status is Status.SENT)
        lost = await doubtful(producer, simulator, "hang", to=to, text=text)
        asked = simulator.summary().asked
        for number, behaviour in enumerate(("html", "refused", "hang", "ordinary"), 1):
            simulator.behave(behaviour, count=1, asking=True)
            stage.make_due()
            await until(lambda number=number: simulator.summary().asked == asked + number)
            await until(lambda: stage.due_at(lost) > time.time() * 1000)
        await until(lambda: "knows of a message that was uncertain" in caplog.text)

    with caplog.at_level(logging.DEBUG):
        stage.play(script)
    assert "could not be asked" in caplog.text
    private = ("3115556789", "271828", "Secret code", SENDER[1:], KEY)
    for record in caplog.records:
        told = f"{record.getMessage()} {record.args!r} {record.exc_info!r}"
        assert not any(each in told for each in private), record.name
        assert not re.search(r"\d{10,}", re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|/tmp/\S+", "", told)), told


# When it was called

AT = datetime(2026, 1, 2, tzinfo=UTC)


def entries(*told):
    """Timeline entries, one an hour: a status, or a status and a code."""
    pairs = [each if isinstance(each, tuple) else (each, None) for each in told]
    return tuple(
        TimelineEntry(AT + timedelta(hours=hour), status, code, "")
        for hour, (status, code) in enumerate(pairs)
    )


CREATED, SENDING, RETRYING = Status.CREATED, Status.SENDING, Status.RETRYING
UNCERTAIN, SENT = Status.UNCERTAIN, Status.SENT


@pytest.mark.parametrize(
    ("told", "begun", "ended"),
    [
        ((CREATED, SENDING, UNCERTAIN), 1, 2),
        ((CREATED, SENDING, RETRYING, SENDING, UNCERTAIN), 3, 4),
        ((CREATED, SENDING, UNCERTAIN, RETRYING, SENDING, UNCERTAIN), 1, 5),
        ((CREATED, SENDING, UNCERTAIN, RETRYING, UNCERTAIN), 1, 4),
        ((CREATED, SENDING, UNCERTAIN, (UNCERTAIN, ErrorCode.LATE)), 1, 2),
        ((CREATED, SENDING, (SENDING, ErrorCode.LATE), UNCERTAIN), 1, 3),
        ((CREATED, (UNCERTAIN, ErrorCode.FAILOVER)), 0, 1),
        ((CREATED, SENDING, RETRYING, (UNCERTAIN, ErrorCode.FAILOVER), (UNCERTAIN, ErrorCode.LATE)), 0, 3),
        ((CREATED, (UNCERTAIN, ErrorCode.FAILOVER), RETRYING, SENDING, UNCERTAIN), 0, 4),
        ((CREATED, SENDING, SENT), 1, 2),
        ((CREATED, SENDING, RETRYING, SENDING, SENT, (SENT, ErrorCode.LATE)), 3, 4),
        ((CREATED, SENDING, UNCERTAIN, RETRYING, SENDING, SENT), 1, 5),
        ((CREATED, (SENT, ErrorCode.LATE)), 0, 0),
    ],
)
def test_every_call_that_may_have_been_accepted_lies_between_the_moments(stage, producer, told, begun, ended):
    message = producer.send(to=next(NUMBERS), text="Hello", sender=SENDER)
    message = replace(message, created_at=AT, timeline=entries(*told))
    assert inquirer._when_called(message) == (AT + timedelta(hours=begun), AT + timedelta(hours=ended))
