"""The producers: both faces keep the same promises."""

import asyncio
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import redis

from ledger_world import SENDER, TO, WAKE, World, publish_accounts
from sendline import (
    AsyncProducer,
    CannotCarry,
    ConfigurationError,
    IdempotencyConflict,
    InvalidMessage,
    LedgerRefused,
    LedgerUnavailable,
    NotFinal,
    PartlyAccepted,
    Producer,
    RecipientRefused,
    Status,
    UnknownAccount,
    UnknownMessage,
)
from sendline.ledger.connection import Ledger
from sendline.producer import core
from sendline.settings import Settings
from servers import DURABLE, ValkeyServer, free_port

PASSWORD = "correct-horse-battery"
NOBODY = "01a1fff9-b87b-73bf-9598-65b6ae9a0d15"


class Awaited:
    """The async producer, driven from a loop in a thread of its own, with the sync one's verbs."""

    def __init__(self, *args, **named):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        try:
            self._producer = self._run(self._make(*args, **named))
        except BaseException:
            self._end()
            raise

    async def _make(self, *args, **named):
        return AsyncProducer(*args, **named)

    def __getattr__(self, verb):
        return lambda *args, **named: self._run(getattr(self._producer, verb)(*args, **named))

    def events(self, *args, **named):
        async def gather():
            return [event async for event in self._producer.events(*args, **named)]

        return self._run(gather())

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    def _end(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
        self._end()


@pytest.fixture(params=[Producer, Awaited], ids=["sync", "async"])
def face(request):
    """The class of the producer, in both faces."""
    return request.param


@pytest.fixture
def producer(face, settings):
    with face(settings=settings) as made:
        yield made


@pytest.fixture
def plain(ledger, raw, clock):
    """The ledger's verbs, with their clock in hand."""
    return World(ledger, raw, clock)


def fields(**others):
    return {"to": TO, "text": "Hello", "sender": SENDER} | others


# One message


def test_send_returns_the_message_as_the_ledger_holds_it(producer):
    message = producer.send(
        *(TO, "Hello", SENDER),
        lane="bulk",
        valid_for=60,
        on_uncertain="hold",
        callback_url="https://a.example/x",
        metadata={"order": "7"},
        not_before=datetime.now(UTC) + timedelta(hours=1),
        account="main",
    )
    assert message == producer.get(message.id)
    assert (message.status, message.account, message.route) == (Status.CREATED, "main", ("main",))


def test_send_needs_little_and_is_found_again(producer):
    message = producer.send(to=TO, text="Hello")
    assert message == producer.get(message.id)
    assert producer.get(message.id.upper()).id == message.id
    assert producer.counts() == {"accepted": 1, **dict.fromkeys(Status, 0), "created": 1}


def test_ids_sort_by_the_time_they_were_made(producer):
    made = [producer.send(**fields()).id for _ in range(20)]
    assert made == sorted(made)


def test_a_message_takes_the_published_routes(producer, publish):
    publish("main", "spare", routes=[("+1", ("spare",))])
    assert producer.send(**fields()).route == ("spare",)
    with pytest.raises(UnknownAccount):
        producer.send(**fields(account="other"))
    with pytest.raises(CannotCarry):
        producer.send(**fields(sender="+13115550000"))
    assert producer.counts()["accepted"] == 1


def test_the_configured_accounts_stand_in_while_nobody_published_any(face, redis_url):
    accounts = {"main": {"provider": "opentact"}, "spare": {"provider": "opentact"}}
    routes = [{"to": "+1", "accounts": ["spare", "main"]}]
    with face(settings=Settings(redis_url=redis_url, accounts=accounts, routes=routes)) as producer:
        assert producer.send(**fields()).route == ("spare", "main")
        with pytest.raises(UnknownAccount):
            producer.send(**fields(account="other"))


def test_the_settings_rule_what_is_accepted(face, redis_url):
    settings = Settings(redis_url=redis_url, only_to=["+1311"], default_region="US", urgent_valid_for=30)
    with face(settings=settings) as producer:
        message = producer.send(to="(311) 555-2367", text="Hello", lane="urgent")
        assert message.to == TO
        assert (message.expires_at - message.created_at).total_seconds() == 30
        with pytest.raises(RecipientRefused):
            producer.send(to="+13125552367", text="Hello")


def test_a_bad_message_names_its_field_and_accepts_nothing(producer):
    with pytest.raises(InvalidMessage) as caught:
        producer.send(**fields(to="12"))
    assert caught.value.field == "to"
    assert producer.counts()["accepted"] == 0


def test_a_key_makes_a_message_once(producer):
    first = producer.send(**fields(idempotency_key="order-7"))
    assert producer.send(**fields(idempotency_key="order-7")) == first
    with pytest.raises(IdempotencyConflict) as conflict:
        producer.send(**fields(idempotency_key="order-7", text="Other"))
    assert conflict.value.message_id == first.id
    assert producer.counts()["accepted"] == 1


def test_a_key_answers_with_the_message_as_it_stands_now(producer):
    first = producer.send(**fields(idempotency_key="k"))
    producer.cancel(first.id)
    assert producer.send(**fields(idempotency_key="k")).status is Status.CANCELED


def test_what_was_scheduled_is_the_first_message_still_when_its_time_has_passed(producer):
    passed = datetime.now(UTC) - timedelta(hours=1)
    first = producer.send(**fields(idempotency_key="k"))
    again = fields(idempotency_key="k", not_before=passed)
    assert producer.send(**again) == first
    assert producer.send_many([again, fields(idempotency_key="new")])[0] == first
    assert producer.check(**again).idempotency_key == "k"
    with pytest.raises(IdempotencyConflict):
        producer.send(**{**again, "text": "Other"})


def test_a_time_that_has_passed_is_refused_of_a_new_message_whatever_its_key(producer):
    late = fields(idempotency_key="k", not_before=datetime.now(UTC) - timedelta(hours=1))
    for verb in (producer.send, producer.check):
        with pytest.raises(InvalidMessage, match="not_before: is in the past"):
            verb(**late)
    with pytest.raises(InvalidMessage, match="not_before: is in the past") as raised:
        producer.send_many([fields(), late])
    assert raised.value.index == 1
    assert producer.counts()["accepted"] == 0


@pytest.mark.parametrize("message_id", ["", "x", "0" * 32, NOBODY, "\ud83d", "x" * 1000])
@pytest.mark.parametrize("verb", ["get", "cancel", "wait"])
def test_an_unknown_message_is_named(producer, verb, message_id):
    with pytest.raises(UnknownMessage) as unknown:
        getattr(producer, verb)(message_id)
    assert len(str(unknown.value)) < 150


def test_cancel_returns_the_message_as_it_then_stands(producer):
    message = producer.send(**fields())
    canceled = producer.cancel(message.id)
    assert (canceled.status, canceled.final) == (Status.CANCELED, True)
    assert producer.cancel(message.id) == producer.get(message.id) == canceled


def test_wait_returns_what_is_final_at_once(producer):
    message = producer.send(**fields())
    producer.cancel(message.id)
    assert producer.wait(message.id, timeout=0).status is Status.CANCELED


def test_wait_returns_once_the_message_is_final(producer, settings):
    message = producer.send(**fields())
    with Producer(settings=settings) as other, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(producer.wait, message.id, 20)
        other.cancel(message.id)
        assert waiting.result(20).status is Status.CANCELED


def test_wait_tells_how_the_message_stood_when_time_ran_out(producer):
    message = producer.send(**fields())
    with pytest.raises(NotFinal) as caught:
        producer.wait(message.id, timeout=0.05)
    assert caught.value.message == message
    assert isinstance(caught.value, TimeoutError)


def test_events_tell_every_change_and_end_when_it_is_quiet(producer):
    message = producer.send(**fields())
    producer.cancel(message.id)
    told = list(producer.events(after=0, timeout=0.1))
    assert [(event.seq, event.message_id, event.status) for event in told] == [
        (1, message.id, "created"),
        (2, message.id, "canceled"),
    ]
    assert list(producer.events(after=1, timeout=0.1)) == told[1:]


def test_events_come_as_they_happen(producer, settings):
    producer.send(**fields())
    with ThreadPoolExecutor(1) as pool, Producer(settings=settings) as other:
        told = pool.submit(lambda: list(producer.events(after=1, timeout=1)))
        message = other.send(**fields())
        other.cancel(message.id)
        assert [event.status for event in told.result(20)] == ["created", "canceled"]


def test_a_closed_producer_may_be_used_again(producer):
    first = producer.send(**fields())
    producer.close()
    assert producer.get(first.id) == first
    producer.close()


def test_a_message_is_checked_without_being_sent(producer):
    checked = producer.check("+1 (311) 555-2367", "Hello" * 40)
    assert (checked.to, checked.segments) == ("+13115552367", 2)
    for wrong in (
        {"to": "12", "text": "Hello"},
        {"to": TO, "text": ""},
        {"to": TO, "text": "Hello", "lane": "fast"},
    ):
        with pytest.raises(InvalidMessage):
            producer.check(**wrong)
    assert producer.counts()["accepted"] == 0


# Many


def test_many_messages_are_accepted_in_their_order(producer):
    many = producer.send_many([fields(text=f"Number {n}", idempotency_key=f"k{n}") for n in range(1000)])
    assert [message.text for message in many] == [f"Number {n}" for n in range(1000)]
    assert len({message.id for message in many}) == 1000
    assert producer.counts()["created"] == 1000
    again = producer.send_many(fields(text=f"Number {n}", idempotency_key=f"k{n}") for n in range(1000))
    assert again == many
    assert [event.seq for event in producer.events(after=0, timeout=0.1)] == list(range(1, 1001))


def test_none_is_none(producer):
    assert producer.send_many([]) == []


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (fields(to="12"), "messages[299].to"),
        (fields(color="red"), "messages[299].color"),
        (7, "messages[299]"),
    ],
)
def test_one_bad_message_of_many_is_named_and_none_is_accepted(producer, bad, field):
    with pytest.raises(InvalidMessage) as caught:
        producer.send_many([fields()] * 299 + [bad] + [fields()])
    assert (caught.value.field, caught.value.index) == (field, 299)
    assert producer.counts()["accepted"] == 0


def test_more_than_send_many_carries_is_refused_without_reading_it_all(producer):
    def endless():
        while True:
            yield fields()

    with pytest.raises(InvalidMessage) as caught:
        producer.send_many(endless())
    assert caught.value.field == "messages"
    assert producer.counts()["accepted"] == 0


def test_a_key_used_for_other_content_leaves_the_others_of_its_batch_accepted(producer):
    producer.send(**fields(idempotency_key="k"))
    with pytest.raises(PartlyAccepted) as partly:
        producer.send_many([fields(), fields(idempotency_key="k", text="Other"), fields()])
    assert (len(partly.value.accepted), partly.value.total) == (2, 3)
    assert "idempotency_key" in str(partly.value)
    assert [producer.get(message.id) for message in partly.value.accepted] == partly.value.accepted


def test_when_the_server_dies_in_the_middle_what_was_accepted_is_told_and_kept(face, poll):
    with ValkeyServer() as server, face(settings=Settings(redis_url=server.url, redis_timeout=1)) as producer:
        publish_accounts(ledger := Ledger(server.url), "main")
        ledger.close()
        with ThreadPoolExecutor(1) as pool, Producer(settings=Settings(redis_url=server.url)) as other:
            sending = pool.submit(producer.send_many, [fields(metadata={"n": str(n)}) for n in range(20_000)])
            poll(lambda: other.counts()["accepted"] >= 512, 30)  # so the first answer has come
            server.kill()
            with pytest.raises(PartlyAccepted) as partly:
                sending.result(30)
        accepted = partly.value.accepted
        assert 256 <= len(accepted) < partly.value.total == 20_000
        assert isinstance(partly.value.__cause__, LedgerUnavailable)
        server.start()
        assert producer.counts()["accepted"] >= len(accepted)
        assert [producer.get(message.id) for message in accepted[::50]] == accepted[::50]


# Servers that can't serve


def refusal(face, error, **settings):
    with face(settings=Settings(redis_timeout=0.5, **settings)) as producer:
        for call in (lambda: producer.send(**fields()), lambda: producer.send_many([fields()])):
            with pytest.raises(error) as caught:
                call()
            said = str(caught.value)
            assert "\n" not in said
            assert PASSWORD not in said
    return said


def test_no_redis_is_one_clear_line(face, tmp_path):
    said = refusal(face, LedgerUnavailable, redis_url=f"unix://:{PASSWORD}@{tmp_path}/nobody")
    assert said.endswith(
        "can't be reached (No such file or directory): is it running, and is redis_url right?"
    )


def test_a_closed_port_is_one_clear_line(face):
    said = refusal(face, LedgerUnavailable, redis_url=f"redis://user:{PASSWORD}@127.0.0.1:1/0")
    assert said.startswith("Redis at 127.0.0.1:1 can't be reached")


def test_a_wrong_or_missing_password_is_one_clear_line(face):
    with ValkeyServer(*DURABLE, "--requirepass", "another") as server:
        for url in (server.url_with("default", PASSWORD), server.url):
            assert "refuses the user or password of redis_url" in refusal(face, LedgerRefused, redis_url=url)
        with face(settings=Settings(redis_url=server.url_with("default", "another"))) as producer:
            assert producer.send(**fields()).status is Status.CREATED


def test_a_server_that_does_not_keep_what_it_accepts_is_refused_unless_that_is_wanted(face):
    with ValkeyServer("--appendonly", "yes", "--appendfsync", "everysec") as server:
        said = refusal(face, LedgerRefused, redis_url=server.url)
        assert "appendonly yes and appendfsync everysec" in said
        assert "appendfsync always" in said
        with face(settings=Settings(redis_url=server.url, durability="memory")) as producer:
            assert producer.send(**fields()).status is Status.CREATED


def test_a_server_that_ceases_to_keep_what_it_accepts_is_refused_soon(face, monkeypatch):
    monkeypatch.setattr(core, "DIRECTORY_AGE", 0.0)
    with ValkeyServer(*DURABLE) as server, face(settings=Settings(redis_url=server.url)) as producer:
        assert producer.send(**fields()).status is Status.CREATED
        with redis.Redis.from_url(server.url) as raw:
            raw.config_set("appendonly", "no")
        with pytest.raises(LedgerRefused, match="appendonly no"):
            producer.send(**fields())


def test_a_replica_is_refused(face):
    port = str(free_port())
    with (
        ValkeyServer(*DURABLE, "--port", port, "--bind", "127.0.0.1"),
        ValkeyServer(*DURABLE, "--replicaof", f"127.0.0.1 {port}") as replica,
    ):
        said = refusal(face, LedgerRefused, redis_url=replica.url)
    assert "is a replica; redis_url must name the primary" in said


def test_a_full_server_is_refused_and_has_accepted_nothing(face):
    with ValkeyServer(*DURABLE, "--maxmemory", "1mb", "--maxmemory-policy", "noeviction") as server:
        assert "out of memory" in refusal(face, LedgerRefused, redis_url=server.url)
        with face(settings=Settings(redis_url=server.url)) as producer:
            assert producer.counts()["accepted"] == 0


def test_a_user_who_may_not_see_the_configuration_can_send_where_memory_is_enough(face):
    with ValkeyServer("--user", *f"app on >{PASSWORD} ~* +@all -config".split()) as server:
        url = server.url_with("app", PASSWORD)
        assert "does not permit" in refusal(face, LedgerRefused, redis_url=url)
        with face(settings=Settings(redis_url=url, durability="memory")) as producer:
            assert producer.send(**fields()).status is Status.CREATED


def test_a_server_that_does_not_answer_is_given_up_after_the_timeout(face, tmp_path):
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / "deaf"))
        deaf.listen()
        said = refusal(face, LedgerUnavailable, redis_url=f"unix://{tmp_path}/deaf")
    assert "did not answer in time (redis_timeout)" in said


def test_a_server_that_is_restarted_is_used_again(face):
    with ValkeyServer() as server, face(settings=Settings(redis_url=server.url)) as producer:
        first = producer.send(**fields())
        server.kill()
        with pytest.raises(LedgerUnavailable):
            producer.send(**fields())
        server.start()
        assert producer.get(first.id) == first
        assert producer.send(**fields()).status is Status.CREATED


def test_without_any_redis_it_says_what_to_do(face, monkeypatch, tmp_path):
    monkeypatch.setenv("SENDLINE_STATE_DIR", str(tmp_path))
    with pytest.raises(ConfigurationError) as caught, face():
        pass
    assert "sendline up" in str(caught.value)


def test_redis_url_is_all_it_needs(face, redis_url, monkeypatch):
    with face(redis_url) as producer:
        message = producer.send(**fields())
    monkeypatch.setenv("SENDLINE_REDIS_URL", redis_url)
    with face() as producer:
        assert producer.get(message.id) == message


# Threads and forks


def test_one_producer_serves_many_threads(settings, ledger):
    publish_accounts(ledger, "main")
    with Producer(settings=settings) as producer, ThreadPoolExecutor(8) as pool:

        def send_fifty(_):
            return [producer.send(**fields()).id for _ in range(50)]

        made = [message_id for ids_ in pool.map(send_fifty, range(8)) for message_id in ids_]
        assert len(set(made)) == 400
        assert producer.counts()["created"] == 400


def test_one_async_producer_serves_many_tasks(settings):
    async def main():
        async with AsyncProducer(settings=settings) as producer:
            made = await asyncio.gather(*(producer.send(**fields()) for _ in range(400)))
            assert len({message.id for message in made}) == 400
            assert (await producer.counts())["created"] == 400

    asyncio.run(main())


FORKS = """
import os, sys, threading
from sendline import Producer

producer = Producer(sys.argv[1])
fields = {"to": "+13115552367", "text": "Hello", "sender": "+13115552368"}
stop = threading.Event()

def busy():
    while not stop.is_set():
        producer.counts()

producer.send(**fields)
threads = [threading.Thread(target=busy) for _ in range(int(sys.argv[2]))]
for thread in threads:
    thread.start()
children = []
for _ in range(4):
    child = os.fork()
    if child == 0:
        made = [producer.send(**fields).id for _ in range(50)]
        os._exit(0 if all(producer.get(i).id == i for i in made) else 1)
    children.append(child)
made = [producer.send(**fields).id for _ in range(50)]
stop.set()
for thread in threads:
    thread.join()
good = all(producer.get(i).id == i for i in made)
good = all(os.waitpid(child, 0)[1] == 0 for child in children) and good
producer.close()
sys.exit(0 if good else 1)
"""


@pytest.mark.parametrize("threads", [0, 3])
def test_a_producer_made_before_a_fork_serves_parent_and_children(settings, threads):
    url = settings.redis_url.get_secret_value()
    done = subprocess.run(
        [sys.executable, "-c", FORKS, url, str(threads)], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    with Producer(settings=settings) as producer:
        assert producer.counts()["created"] == 251


# What an app sees of a message's life


def test_the_whole_life_of_a_message_is_told(face, settings, plain):
    plain.configure("main")
    with face(settings=settings) as producer:
        message = producer.send(**fields())
        claim = plain.claim_one()
        assert producer.get(message.id).status is Status.SENDING
        plain.settle(claim, "retrying", delay=2, reason="503")
        assert producer.get(message.id).due_at is not None
        plain.clock.advance(2)
        plain.tick()
        plain.settle(plain.claim_one(), "sent", provider_id="p")
        plain.receive("delivered", provider_id="p")
        done = producer.wait(message.id, timeout=5)
        assert (done.status, done.attempts, done.provider_id, done.text) == (Status.DELIVERED, 2, "p", None)
        assert [entry.status for entry in done.timeline] == [
            *("created", "sending", "retrying", "sending", "sent", "delivered"),
        ]
        assert [event.status for event in producer.events(after=0, timeout=0.1)] == [
            entry.status for entry in done.timeline
        ]
    assert plain.raw.llen(WAKE.queue) >= 1
