"""recording(), and the pytest fixture over it: all producers of the process, and all as before at the end."""

import asyncio
import subprocess
import sys
import unittest

import pytest

from ledger_world import SENDER, TO
from sendline import AsyncProducer, LedgerUnavailable, Producer, Status, UnknownAccount
from sendline.settings import Settings
from sendline.testing import RecordingProducer, recording

pytest_plugins = ["sendline.testing.plugin"]


def state():
    """What recording() touches of the classes."""
    import sendline.settings as module
    from sendline.producer import aio, sync

    return [dict(vars(each)) for each in (Producer, AsyncProducer, aio, sync)], module.ledger_url


def test_producers_that_were_made_before_are_recorded_and_go_on_after(settings, publish):
    publish("main")
    with Producer(settings=settings) as producer:
        before = producer.send(to=TO, text="real", sender=SENDER)
        with recording() as outbox:
            message = producer.send(to=TO, text="kept")
            outbox.assert_sent(to=TO, text="kept")
            assert producer.counts()["accepted"] == 1
        assert producer.get(before.id).status is Status.CREATED
        assert producer.counts()["accepted"] == 1
        after = producer.send(to=TO, text="real", sender=SENDER)
        assert after.route == ("main",)
        assert message.route == ()


def test_a_producer_that_is_made_meanwhile_needs_no_redis():
    with recording() as outbox:
        producer = Producer()
        producer.send(to=TO, text="Hello")
        outbox.assert_sent(to=TO)
    with pytest.raises(LedgerUnavailable):
        producer.send(to=TO, text="Hello")


def test_async_producers_are_recorded_in_any_loop():
    producer = AsyncProducer("redis://127.0.0.1:1/0")
    with recording() as outbox:
        for text in ("One", "Two"):
            asyncio.run(producer.send(to=TO, text=text))
    assert [message.text for message in outbox.messages] == ["One", "Two"]


def test_all_is_restored_also_after_an_error_and_when_nested():
    before = state()
    with pytest.raises(ZeroDivisionError), recording() as outer:  # noqa: PT012 - the block is what is tested
        producer = Producer()
        producer.send(to=TO, text="outer")
        with recording() as inner:
            producer.send(to=TO, text="inner")
        producer.send(to=TO, text="outer")
        assert (len(outer), len(inner)) == (2, 1)
        _ = 1 / 0
    assert state() == before


def test_settings_and_accounts_that_are_given_hold_for_every_producer():
    producer = Producer("redis://127.0.0.1:1/0")
    with recording(settings=Settings(default_region="US"), accounts={"main": [SENDER]}):
        assert producer.send(to="311 555 2367", text="Hello").route == ("main",)
        with pytest.raises(UnknownAccount):
            producer.send(to=TO, text="Hello", account="other")


def test_each_producer_follows_its_own_settings_otherwise():
    producer = Producer(settings=Settings(redis_url="redis://127.0.0.1:1/0", default_region="US"))
    with recording() as outbox:
        producer.send(to="311 555 2367", text="Hello")
        assert len(outbox.sent_to("311 555 2367")) == 1


def test_a_recording_producer_keeps_its_own_outbox():
    producer = RecordingProducer()
    with recording() as outbox:
        producer.send(to=TO, text="Hello")
    outbox.assert_nothing_sent()
    producer.outbox.assert_sent(to=TO)


def test_nothing_goes_through_a_spool(tmp_path):
    settings = Settings(redis_url="redis://127.0.0.1:1/0", spool_dir=tmp_path / "spool")
    with recording() as outbox, Producer(settings=settings) as producer:
        outbox.fail_next()
        with pytest.raises(LedgerUnavailable):
            producer.send(to=TO, text="Hello")
        producer.send(to=TO, text="Hello")
    assert not list(tmp_path.rglob("*.sms"))


def test_it_serves_unittest():
    class SignUp(unittest.TestCase):
        def setUp(self):
            self.outbox = self.enterContext(recording())

        def test_a_code_is_sent(self):
            Producer().send(to=TO, text="Your code is 4711")
            self.assertEqual(self.outbox.code_for(TO), "4711")  # noqa: PT009 - as its users write it

    result = unittest.TestResult()
    SignUp("test_a_code_is_sent").run(result)
    assert (result.testsRun, result.failures, result.errors) == (1, [], [])


def test_the_fixture_records(outbox):
    Producer().send(to=TO, text="Hello")
    outbox.assert_sent(to=TO, text="Hello")


APP = """
from sendline import AsyncProducer, Producer
producer = Producer("redis://127.0.0.1:1/0")
awaited = AsyncProducer("redis://127.0.0.1:1/0")
"""
CONFTEST = """
import sys
import pytest

def pytest_collection_finish(session):
    assert "sendline" not in sys.modules, "the plugin imported it"

@pytest.fixture
def sendline_accounts():
    return {"main": ["+13115552368"]}

@pytest.fixture(autouse=True)
def nothing_stays():
    yield
    import sendline
    assert "_core" not in vars(sendline.Producer)
    assert "_ledger" not in vars(sendline.AsyncProducer)
"""
TESTS = """
import pytest

@pytest.mark.parametrize("place", range(3))
def test_each_has_an_outbox_of_its_own(outbox, place):
    import app
    app.producer.send(to="+13115552367", text="Hello")
    assert outbox.last.route == ("main",)
    outbox.assert_sent(to="+1 311 555 2367")

@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_of_a_coroutine(outbox):
    import app
    message = await app.awaited.send(to="+13115552367", text="Hello")
    outbox.deliver(message)
    assert (await app.awaited.wait(message.id)).final

def test_that_fails(outbox):
    import app
    app.producer.send(to="+13115552367", text="Hello")
    outbox.assert_nothing_sent()

def test_without_it():
    import app, sendline
    with pytest.raises(sendline.LedgerUnavailable):
        app.producer.send(to="+13115552367", text="Hello")
"""


@pytest.mark.parametrize("parallel", [[], ["-p", "xdist", "-n", "2"]], ids=["alone", "xdist"])
def test_the_plugin_serves_a_suite_of_its_own(tmp_path, parallel, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    for name, text in (("app", APP), ("conftest", CONFTEST), ("test_app", TESTS)):
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    options = [
        "-q",
        "-W",
        "error",
        "-p",
        "no:cacheprovider",
        "-p",
        "sendline_pytest",
        "-p",
        "anyio",
        *parallel,
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tmp_path)],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert "1 failed, 5 passed" in done.stdout, done.stdout + done.stderr
    assert "expected that nothing was sent, and there is 1." in done.stdout
    assert "warning" not in done.stdout.lower()


def loaded_by(code):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"import sys\n{code}\nprint(*sys.modules)"],
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    return set(done.stdout.split())


def test_importing_sendline_loads_neither_pytest_nor_this_package():
    assert not {"pytest", "sendline.testing", "sendline_pytest"} & loaded_by("import sendline")


def test_the_package_for_tests_needs_no_pytest():
    assert "pytest" not in loaded_by("import sendline.testing")


def test_the_plugin_that_pytest_finds_does_not_load_sendline():
    assert "sendline" not in loaded_by("import sendline_pytest")
