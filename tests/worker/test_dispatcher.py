"""The dispatcher in one process, on a real ledger and real HTTP to the simulator."""

import asyncio
import contextlib
import itertools
import logging
import ssl
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest

from certificates import make_certificate
from proxy import Proxy
from sendline import Producer, Status
from sendline.ledger import scripts, work
from sendline.ledger.accounts import AccountLimits, Wake, configure
from sendline.ledger.connection import AsyncLedger
from sendline.ledger.keys import KEYS
from sendline.ledger.limits import Limits
from sendline.settings import AccountSettings, Settings
from sendline_worker import elapsed
from sendline_worker.accounts import directory_json, directory_of, load_accounts
from sendline_worker.dispatch import dispatcher as dispatching
from sendline_worker.dispatch.attempt import Carrier
from sendline_worker.dispatch.dispatcher import Bounds, Dispatcher
from sendline_worker.dispatch.latest import Latest
from sendline_worker.dispatch.policy import RetryPolicy
from sendline_worker.dispatch.settler import Settler
from sendline_worker.dispatch.tasks import end
from sendline_worker.dispatch.texts import Texts
from sendline_worker.providers.registry import simulated_account
from sendline_worker.simulator import SimulatorClient, SimulatorOptions, running
from sendline_worker.tokens import CallbackUrls
from sendline_worker.wire import Wire

WAKE = Wake("wakes", b"envelope")
NUMBERS = (f"+1311555{number:04d}" for number in itertools.count())


@pytest.fixture(scope="module")
def provider():
    with running(SimulatorOptions(port=0)) as url, SimulatorClient(url) as client:
        client.url = url
        yield client


@pytest.fixture
def simulator(provider):
    provider.reset()
    return provider


@dataclass
class Stage:
    """One dispatcher with all it stands on."""

    settings: Settings
    stopping: list[bool] = field(default_factory=list)

    async def play(self, script, *, connections=20, lease=90.0, url=None, wires=None, tls=None):
        """Run `script(dispatcher, ledger, settler)` with everything open, and close it all.

        `url` is where its ledger is reached, `wires` how many connections it has to providers, `tls` whom
        it trusts.
        """
        accounts = load_accounts(self.settings)
        limits = Limits.of(self.settings)
        ledger = AsyncLedger(url or self.settings.redis_url.get_secret_value())
        wire = Wire(connections=wires or connections, total=self.settings.call_timeout, ssl_context=tls)
        name = f"test-{time.monotonic_ns()}"
        settler = Settler(name, ledger, limits)
        settling = asyncio.create_task(settler.run())
        dispatcher = Dispatcher(
            name=name,
            ledger=ledger,
            limits=limits,
            carrier=Carrier(accounts, wire, CallbackUrls(None, ()), Texts(ledger)),
            settler=settler,
            policy=RetryPolicy.of(self.settings),
            bounds=Bounds(connections, lease),
            is_stopping=lambda: bool(self.stopping),
        )
        published = [account.limits for account in accounts.values()]
        directory = directory_json(directory_of(accounts, self.settings))
        await ledger.run(configure(limits, directory, WAKE, published))
        try:
            return await script(dispatcher, ledger, settler)
        finally:
            await dispatcher.drain(10)
            await settler.flush(5)
            await end(settling)
            await wire.aclose()
            await ledger.aclose()


@pytest.fixture
def stage(redis_url, simulator):
    account = AccountSettings.model_validate({**simulated_account(simulator.url), "rate": 1000})
    return Stage(
        Settings(redis_url=redis_url, retry_base=0.2, call_timeout=1.0).model_copy(
            update={"accounts": {"demo": account}}
        )
    )


@pytest.fixture
def producer(stage):
    with Producer(settings=stage.settings) as made:
        yield made


def send(producer, count, **fields):
    return producer.send_many([{"to": next(NUMBERS), "text": "Hello", **fields} for _ in range(count)])


async def until(condition, timeout=10):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.01)


def test_it_sends_what_waits_and_signs_off_when_nothing_is_left(stage, producer, simulator, monkeypatch):
    monkeypatch.setattr(dispatching, "LINGER", 0.5)

    async def script(dispatcher, ledger, settler):
        another = work.ClaimRequest("another", 1, 1, 1, 90, 2, 60, may_sign_off=False)
        assert (await ledger.run(work.claim(Limits(), another))).claims == ()  # it is awake, and stays so
        send(producer, 50)
        began = time.monotonic()
        await dispatcher.run(30)
        assert time.monotonic() - began < 10, "it did not stay for its whole slice"
        await dispatcher.drain(5)
        assert await settler.flush(5)

    asyncio.run(stage.play(script))
    assert producer.counts()["sent"] == 50
    assert (simulator.summary().accepted, simulator.summary().accepted_twice) == (50, 0)


def test_the_only_one_stays_for_its_whole_slice_and_leaves_the_wake(stage, producer, raw, monkeypatch):
    monkeypatch.setattr(dispatching, "LINGER", 0.1)

    async def script(dispatcher, _ledger, settler):
        raw.delete(WAKE.queue)
        running = asyncio.create_task(dispatcher.run(3))
        await until(lambda: dispatcher._number >= 3)  # idle for longer than it lingers
        [message] = send(producer, 1)
        await until(lambda: producer.get(message.id).attempts, 1)
        assert not running.done()
        await running
        await dispatcher.drain(5)
        assert await settler.flush(5)

    asyncio.run(stage.play(script))
    assert raw.llen(WAKE.queue) == 1  # the message rang the bell


def test_connections_that_come_free_wake_it_once(stage):
    """Also where several accounts have their share, so that each end of a call is news."""

    async def script(dispatcher, _ledger, _settler):
        connections = dispatcher._connections
        ended = asyncio.create_task(asyncio.sleep(0))
        await ended
        for _ in range(10):
            connections.begin("demo")
        connections.answered({"demo"})
        timers = set()
        for _ in range(10):
            dispatcher._ended("demo", ended)
            timers.add(dispatcher._gathering)
        assert len(timers) == 1
        assert timers != {None}
        await asyncio.wait_for(dispatcher._news.wait(), 5)
        dispatcher._forget_news()
        assert (dispatcher._gathering, dispatcher._news.is_set()) == (None, False)

    asyncio.run(stage.play(script))


def test_a_message_that_arrives_while_it_rests_goes_at_once(stage, producer, simulator, monkeypatch):
    monkeypatch.setattr("sendline_worker.dispatch.dispatcher.LOOK", 3.0)

    async def script(dispatcher, _ledger, _settler):
        slice_ = asyncio.create_task(dispatcher.run(10))
        await asyncio.sleep(0.3)
        at = time.time()
        send(producer, 1)
        await until(lambda: simulator.summary().received == 1)
        stage.stopping.append(True)
        await slice_
        return at

    at = asyncio.run(stage.play(script))
    assert simulator.log()[0].at - at < 1.5, "the bell rang: it did not sleep through"


def test_calls_that_hang_do_not_hold_up_the_rest(stage, producer, simulator):
    async def script(dispatcher, _ledger, _settler):
        simulator.behave("hang", count=5)
        send(producer, 5)
        slice_ = asyncio.create_task(dispatcher.run(10))
        await until(lambda: simulator.summary().received == 5)
        send(producer, 20)
        await until(lambda: producer.counts()["sent"] == 20, timeout=0.9)
        stage.stopping.append(True)
        await slice_

    asyncio.run(stage.play(script))


def test_urgent_messages_have_connections_that_bulk_cannot_take(stage, producer, simulator):
    async def script(dispatcher, _ledger, _settler):
        simulator.behave("hang", count=18)
        send(producer, 30, lane="bulk")
        slice_ = asyncio.create_task(dispatcher.run(10))
        await until(lambda: simulator.summary().received == 18)
        send(producer, 1, lane="urgent")
        await until(lambda: producer.counts()["sent"] == 1, timeout=0.8)
        stage.stopping.append(True)
        await slice_

    asyncio.run(stage.play(script, connections=20))


def test_what_never_left_the_machine_is_tried_again_and_not_uncertain(stage, producer):
    account = stage.settings.accounts["demo"]
    options = {**account.options, "base_url": "http://127.0.0.1:9"}
    dead = account.model_copy(update={"options": options})
    stage.settings = stage.settings.model_copy(update={"accounts": {"demo": dead}, "max_attempts": 1})

    async def script(dispatcher, _ledger, settler):
        [message] = send(producer, 1)
        slice_ = asyncio.create_task(dispatcher.run(10))
        await until(lambda: producer.get(message.id).final)
        stage.stopping.append(True)
        await slice_
        await settler.flush(1)
        return producer.get(message.id)

    message = asyncio.run(stage.play(script))
    *_, sending, failed = message.timeline
    assert failed.at - sending.at < timedelta(seconds=1.1), (
        "not in place after a second, which the claim holds"
    )
    assert (message.status, message.error) == (Status.FAILED, "attempts_exhausted")
    assert Status.UNCERTAIN not in [entry.status for entry in message.timeline]


def test_a_stopping_worker_hands_back_what_it_has_not_begun(stage, producer, simulator):
    async def script(dispatcher, ledger, settler):
        send(producer, 5)
        request = work.ClaimRequest("other", 1, 5, 5, 90, 2, 3, may_sign_off=False)
        claimed = await ledger.run(work.claim(Limits.of(stage.settings), request))
        stage.stopping.append(True)
        for claim in claimed.claims:
            dispatcher._start(claim, Latest(elapsed.now() + 1, "late"))
        await dispatcher.drain(5)
        await settler.flush(5)
        return [claim.message_id for claim in claimed.claims]

    asyncio.run(stage.play(script))
    counts = producer.counts()
    assert (counts["created"], counts["sending"]) == (5, 0)
    assert simulator.summary().received == 0


def test_a_claim_that_grew_old_is_handed_back_unsent(stage, producer, simulator):
    async def script(dispatcher, ledger, settler):
        send(producer, 1)
        request = work.ClaimRequest("other", 1, 5, 5, 90, 2, 3, may_sign_off=False)
        claimed = await ledger.run(work.claim(Limits.of(stage.settings), request))
        dispatcher._start(claimed.claims[0], Latest(elapsed.now() - 0.01, "late"))
        await dispatcher.drain(5)
        await settler.flush(5)

    asyncio.run(stage.play(script))
    assert producer.counts()["created"] == 1
    assert simulator.summary().received == 0


def test_a_call_that_got_no_connection_in_time_is_handed_back_and_not_on_the_wire(stage, producer, simulator):
    async def script(dispatcher, _ledger, _settler):
        simulator.behave("slow", count=1, delay=1.3)
        slow, waits = send(producer, 2)
        slice_ = asyncio.create_task(slices(stage, dispatcher))
        await until(lambda: producer.counts()["sent"] == 2)
        stage.stopping.append(True)
        await slice_
        return producer.get(slow.id), producer.get(waits.id)

    stage.settings = stage.settings.model_copy(update={"call_timeout": 5.0})
    slow, waits = asyncio.run(stage.play(script, wires=1))
    assert [entry.status for entry in slow.timeline[:2]] == [Status.CREATED, Status.SENDING]
    assert told(waits)[:4] == ["created", "sending", "created: its claim grew too old", "sending"]
    assert (slow.attempts, waits.attempts) == (1, 1)
    assert (simulator.summary().received, simulator.summary().accepted) == (2, 2)


async def slices(stage, dispatcher):
    """One slice after the other: what is handed back when one has just signed off is the next one's."""
    while not stage.stopping:
        await dispatcher.run(20)


def told(message):
    return [entry.status.value + (f": {entry.reason}" if entry.reason else "") for entry in message.timeline]


def freezing(ledger, seconds):
    """Let the process stand still once, when a claim has brought something."""
    run, frozen = ledger.run, []

    async def run_and_freeze(call):
        answer = await run(call)
        if isinstance(answer, work.Claimed) and answer.claims and not frozen:
            frozen.append(answer)
            time.sleep(seconds)  # noqa: ASYNC251 - as a stopped process does
        return answer

    ledger.run = run_and_freeze


def test_a_process_that_stood_still_after_a_claim_hands_it_back_and_sends_it_at_the_next(
    stage, producer, simulator
):
    async def script(dispatcher, ledger, _settler):
        freezing(ledger, 1.05)
        [message] = send(producer, 1)
        slice_ = asyncio.create_task(dispatcher.run(10))
        await until(lambda: producer.get(message.id).status is Status.SENT)
        stage.stopping.append(True)
        await slice_
        return producer.get(message.id)

    message = asyncio.run(stage.play(script))
    assert told(message)[:4] == ["created", "sending", "created: its claim grew too old", "sending"]
    assert message.attempts == 1
    assert [entry.at - message.timeline[3].at.timestamp() < 1 for entry in simulator.log()] == [True]


def test_what_is_no_longer_valid_is_not_sent_late_but_expires(stage, producer, simulator):
    async def script(dispatcher, ledger, _settler):
        [message] = send(producer, 1, valid_for=1)
        await until(lambda: datetime.now(UTC) - message.created_at > timedelta(seconds=0.3))
        freezing(ledger, 0.8)
        slice_ = asyncio.create_task(dispatcher.run(10))
        await until(lambda: producer.get(message.id).final)
        stage.stopping.append(True)
        await slice_
        return producer.get(message.id)

    message = asyncio.run(stage.play(script))
    assert message.status is Status.EXPIRED
    assert told(message)[:3] == [
        "created",
        "sending",
        "created: its validity ended before it could be begun",
    ]
    assert simulator.summary().received == 0


@contextlib.asynccontextmanager
async def listening(talk, tls=None):
    """Hold `talk(reader, writer)` with each who connects to the port that is yielded."""
    tasks = set()

    async def connected(reader, writer):
        tasks.add(asyncio.current_task())
        with contextlib.suppress(asyncio.CancelledError, ConnectionError, ssl.SSLError):
            await talk(reader, writer)
        await close(writer)

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)


async def close(writer):
    writer.close()
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()


def passing_on_to(url):
    """Return how to pass everything on to the server at `url`."""
    target = urlsplit(url)

    async def pump(reader, writer):
        while data := await reader.read(65536):
            writer.write(data)

    async def talk(reader, writer):
        from_server, to_server = await asyncio.open_connection(target.hostname, target.port)
        pumps = [asyncio.create_task(pump(reader, to_server)), asyncio.create_task(pump(from_server, writer))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await end(*pumps)
            await close(to_server)

    return talk


def test_a_provider_to_which_connecting_takes_longer_than_a_claim_holds_is_reached_all_the_same(
    stage, producer, simulator, tmp_path
):
    certificate = make_certificate(tmp_path)

    async def script():
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
        async with listening(passing_on_to(simulator.url), tls) as port:
            with Proxy(("127.0.0.1", port)) as proxy:
                proxy.delay(1.2)
                stage.settings = with_account(stage.settings, f"https://127.0.0.1:{proxy.port}")
                trusting = ssl.create_default_context(cafile=str(certificate))
                return await stage.play(sending_one, tls=trusting), proxy.accepted

    async def sending_one(dispatcher, _ledger, _settler):
        [message] = send(producer, 1)
        slice_ = asyncio.create_task(slices(stage, dispatcher))
        await until(lambda: producer.get(message.id).status is Status.SENT)
        stage.stopping.append(True)
        await slice_
        return producer.get(message.id)

    message, connections = asyncio.run(script())
    assert told(message)[:4] == ["created", "sending", "created: its claim grew too old", "sending"]
    assert (message.attempts, connections) == (1, 1)
    assert (simulator.summary().received, simulator.summary().accepted) == (1, 1)


def with_account(settings, base_url, call_timeout=10.0):
    """Return `settings` with their account at `base_url`."""
    account = settings.accounts["demo"]
    elsewhere = account.model_copy(update={"options": {**account.options, "base_url": base_url}})
    return settings.model_copy(update={"accounts": {"demo": elsewhere}, "call_timeout": call_timeout})


def test_an_account_that_hangs_on_every_call_leaves_connections_for_the_others(stage, producer, simulator):
    held = []

    async def script():
        async with listening(hanging) as port:
            stuck = with_account(stage.settings, f"http://127.0.0.1:{port}").accounts["demo"]
            accounts = {**stage.settings.accounts, "stuck": stuck}
            stage.settings = stage.settings.model_copy(update={"accounts": accounts, "call_timeout": 4.0})
            await stage.play(sending)

    async def hanging(reader, _writer):
        held.append(reader)
        while await reader.read(65536):
            pass

    async def sending(dispatcher, _ledger, _settler):
        send(producer, 40, account="stuck", on_uncertain="hold")
        slice_ = asyncio.create_task(dispatcher.run(10))
        await until(lambda: len(held) >= 12)
        send(producer, 40, account="demo")
        await until(lambda: producer.counts()["sent"] == 40, timeout=2)
        assert len(held) == 12, "of 18 that are not kept for urgent messages"
        stage.stopping.append(True)
        await slice_

    asyncio.run(script())


# A ledger whose answers are lost


@pytest.fixture
def proxy(redis_url):
    with Proxy(urlsplit(redis_url).path) as made:
        yield made


@pytest.fixture
def claim_function():
    return scripts.script("claim").function.encode()


def test_a_claim_whose_answer_was_lost_is_given_back_when_its_slice_ends(
    stage, producer, simulator, proxy, claim_function
):
    async def script(dispatcher, _ledger, _settler):
        made = send(producer, 5)
        proxy.drop_replies(1000, claim_function)
        await dispatcher.run(1.2)
        assert proxy.dropped >= 2, "it claimed, and heard of nothing"
        for message in map(producer.get, [each.id for each in made]):
            assert (message.status, message.attempts) == (Status.CREATED, 0)
            assert message.timeline[-1].code == "handed_back"
        assert simulator.summary().received == 0
        proxy.drop_none()
        slice_ = asyncio.create_task(dispatcher.run(10))
        await until(lambda: producer.counts()["sent"] == 5)
        stage.stopping.append(True)
        await slice_

    asyncio.run(stage.play(script, url=proxy.redis_url))
    assert (simulator.summary().accepted, simulator.summary().accepted_twice) == (5, 0)


def test_an_answer_that_was_lost_once_is_asked_for_again(stage, producer, simulator, proxy, claim_function):
    async def script(dispatcher, _ledger, _settler):
        made = send(producer, 5)
        proxy.drop_replies(3, claim_function)
        slice_ = asyncio.create_task(dispatcher.run(10))
        await until(lambda: producer.counts()["sent"] == 5)
        assert {producer.get(each.id).attempts for each in made} == {1}
        stage.stopping.append(True)
        await slice_

    asyncio.run(stage.play(script, url=proxy.redis_url))
    assert proxy.dropped == 3
    assert (simulator.summary().received, simulator.summary().accepted_twice) == (5, 0)


@pytest.mark.parametrize("lost", ["every answer", "the whole ledger"])
def test_what_a_lost_answer_took_is_given_back_though_signing_off_fails_as_well(
    stage, producer, simulator, proxy, claim_function, lost
):
    async def script(dispatcher, _ledger, _settler):
        [message] = send(producer, 1)
        proxy.drop_replies(1000, b"" if lost == "every answer" else claim_function)
        slice_ = asyncio.create_task(dispatcher.run(1.2))
        await until(lambda: producer.get(message.id).status is Status.SENDING)
        if lost == "the whole ledger":
            proxy.refuse()
            proxy.cut()
        await slice_
        began = time.monotonic()
        await dispatcher.run(0.3)
        assert time.monotonic() - began < 2, "nothing is claimed before that is settled"
        if lost == "the whole ledger":
            assert producer.get(message.id).status is Status.SENDING
            proxy.refuse(False)
        proxy.drop_none()
        await dispatcher.drain(10)
        told = producer.get(message.id)
        assert (told.status, told.attempts, told.timeline[-1].code) == (Status.CREATED, 0, "handed_back")
        slice_ = asyncio.create_task(dispatcher.run(10))
        await until(lambda: producer.get(message.id).status is Status.SENT)
        stage.stopping.append(True)
        await slice_

    asyncio.run(stage.play(script, url=proxy.redis_url))
    assert (simulator.summary().received, simulator.summary().accepted_twice) == (1, 0)


def test_an_outcome_whose_writing_was_not_answered_is_written_once(stage, producer, simulator, proxy, raw):
    async def script(dispatcher, _ledger, _settler):
        proxy.drop_replies(3, scripts.script("settle").function.encode())
        send(producer, 20)
        slice_ = asyncio.create_task(dispatcher.run(10))
        await until(lambda: proxy.dropped == 3)
        await until(lambda: producer.counts()["sent"] == 20)
        stage.stopping.append(True)
        await slice_

    asyncio.run(stage.play(script, url=proxy.redis_url))
    assert raw.hget(KEYS["meta"], "dead") is None
    assert (simulator.summary().received, simulator.summary().accepted_twice) == (20, 0)


def test_a_message_of_an_account_that_this_worker_does_not_have_is_left_to_others(stage, producer):
    async def script(dispatcher, ledger, _settler):
        known = await ledger.run(
            configure(
                Limits(),
                '{"accounts":[{"name":"elsewhere","capabilities":{},"senders":[]}],"routes":[]}',
                WAKE,
                [AccountLimits("elsewhere", 100, 1, None, None)],
            )
        )
        assert known == 1
        message = producer.send(to=next(NUMBERS), text="Hello", sender="+13115552368", account="elsewhere")
        await dispatcher.run(1)
        await dispatcher.drain(1)
        return message.id

    message_id = asyncio.run(stage.play(script))
    message = producer.get(message_id)
    assert (message.status, message.error) == (Status.RETRYING, "handed_back")
    assert message.attempts == 0
    assert len(message.timeline) <= 3, "it was claimed once"


def test_an_outcome_that_cannot_be_written_ends_the_writing_of_no_other(stage, producer, simulator):
    async def script(dispatcher, _ledger, settler):
        broken = work.Settlement(b"i" * 16, 1, "demo", Status.SENT, deadline="no number")
        settler.put(broken)
        send(producer, 3)
        slice_ = asyncio.create_task(dispatcher.run(10))
        await until(lambda: producer.counts()["sent"] == 3)
        stage.stopping.append(True)
        await slice_

    asyncio.run(stage.play(script))


def test_nothing_private_reaches_the_log(stage, producer, simulator, caplog):
    async def script(dispatcher, _ledger, _settler):
        with caplog.at_level(logging.DEBUG):
            simulator.behave("error", count=1)
            producer.send(to="+13115556789", text="Secret code 271828")
            simulator.behave("refused", count=1)
            producer.send(to="+13115556789", text="Secret code 271828")
            slice_ = asyncio.create_task(dispatcher.run(10))
            await until(lambda: simulator.summary().received == 2)
            stage.stopping.append(True)
            await slice_

    asyncio.run(stage.play(script))
    assert "uncertain" in caplog.text or "perhaps_accepted" in caplog.text
    for private in ("3115556789", "271828", "Secret code", "3115552368", "simulated"):
        assert private not in caplog.text
