"""An import in an event loop: read and checked in a thread, so that the loop's other tasks go on."""

import asyncio
import io
import os
import subprocess
import sys
import threading
import time

import pytest

from sendline import AsyncProducer, InvalidCampaign
from sendline.campaigns.report import CsvReport
from sendline.producer.off_loop import GRACE, carry_out
from sendline.producer.plan import Pause
from sendline.settings import Settings

ROWS = 5_000


def content(rows=ROWS):
    return b"to,name\n" + b"".join(b"+1311%07d,Ada\n" % (5_550_000 + n) for n in range(rows))


class Heart:
    """A task of the event loop that beats as often as it gets its turn."""

    def __init__(self):
        self.beats = 0

    async def beat(self):
        while True:
            self.beats += 1
            await asyncio.sleep(0.001)

    def beats_on(self):
        """Wait, in whatever thread asks, for the next beat; return whether it came."""
        before, deadline = self.beats, time.monotonic() + 10
        while self.beats == before and time.monotonic() < deadline:
            time.sleep(0.001)
        return self.beats > before


class Watched:
    """A file that goes on being read only once the heart has beaten."""

    def __init__(self, heart, raw):
        self._heart = heart
        self._file = io.BytesIO(raw)
        self.reads = 0
        self.readers = set()

    def read(self, size):
        self.reads += 1
        self.readers.add(threading.get_ident())
        assert self._heart.beats_on(), "the event loop stands still"
        return self._file.read(size)


def in_a_loop(redis_url, body):
    """Run `body(producer, heart)` in an event loop in which a heart beats."""

    async def go():
        heart = Heart()
        beating = asyncio.create_task(heart.beat())
        try:
            async with AsyncProducer(settings=Settings(redis_url=redis_url, durability="memory")) as made:
                return await body(made, heart)
        finally:
            beating.cancel()

    return asyncio.run(go())


def test_other_tasks_go_on_while_a_large_file_is_imported(redis_url, publish):
    publish("main")
    told, tellers = [], set()

    def hear(imported):
        told.append(imported.rows)
        tellers.add(threading.get_ident())

    async def body(producer, heart):
        file = Watched(heart, content())
        campaign = await producer.campaign("sale", text="Hi {{ name }}", recipients=file, on_progress=hear)
        return file, await campaign.progress()

    file, progress = in_a_loop(redis_url, body)
    assert file.reads > 2
    assert (progress.total, progress.imported.complete) == (ROWS, True)
    assert threading.get_ident() not in file.readers
    assert len(file.readers) == 1
    assert (told[-1], tellers) == (ROWS, {threading.get_ident()})
    assert told == sorted(told)


def test_what_is_wrong_is_raised_as_ever_and_who_hears_of_progress_may_end_it(redis_url, publish):
    publish("main")

    def enough(imported):
        if imported.rows >= 2000:
            raise KeyError("enough")

    async def body(producer, _):
        with pytest.raises(InvalidCampaign, match="recipients: "):
            await producer.campaign("sale", text="Hi", recipients=io.BytesIO(b""))
        file = io.BytesIO(content())
        with pytest.raises(KeyError, match="enough"):
            await producer.campaign("sale", text="Hi", recipients=file, on_progress=enough)
        return await (await producer.campaign("sale")).progress()

    progress = in_a_loop(redis_url, body)
    assert (progress.imported.rows, progress.imported.complete) == (2000, False)


def test_an_import_that_is_canceled_goes_on_when_it_is_called_again(redis_url, publish, poll):
    publish("main")

    async def body(producer, heart):
        heard = asyncio.Event()

        def call():
            return producer.campaign(
                "sale", text="Hi", recipients=io.BytesIO(content()), on_progress=lambda _: heard.set()
            )

        task = asyncio.create_task(call())
        await heard.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await (await call()).progress()

    assert in_a_loop(redis_url, body).imported.accepted == ROWS
    poll(lambda: not any("sendline-import" in thread.name for thread in threading.enumerate()), 5)


def threads():
    return [thread for thread in threading.enumerate() if "sendline-import" in thread.name]


WAITED_FOR = 5.0
"""Seconds: half of what a thread is held for, and much more than a busy machine adds."""


async def canceled(doing, when):
    """Cancel what is done once `when`, an event of threads, is set; return how long that took."""
    task = asyncio.create_task(doing)
    await asyncio.to_thread(when.wait, 10)
    begun = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return time.monotonic() - begun


def test_a_canceled_import_ends_at_its_next_row_and_closes_what_it_reads_in_its_thread(
    redis_url, publish, poll
):
    publish("main")
    reading, go_on, never, closed_by = threading.Event(), threading.Event(), threading.Event(), []

    def people():
        try:
            while True:  # a stretch takes it minutes
                yield {"to": "+13115550001"}
                reading.set()
                assert go_on.wait(10)
                never.wait(0.3)
        finally:
            closed_by.append(threading.current_thread().name)

    async def body(producer, _):
        return await canceled(producer.campaign("sale", text="Hi", recipients=people()), reading)

    assert in_a_loop(redis_url, body) < WAITED_FOR
    go_on.set()
    poll(lambda: not threads(), 10)
    assert closed_by == ["sendline-import"]


def test_an_import_that_passes_over_what_is_done_ends_too(redis_url, publish, poll):
    publish("main")
    passing, go_on, never = threading.Event(), threading.Event(), threading.Event()

    def rows(*, slowly):
        for number in range(1_000_000):
            if slowly and number == 100:
                passing.set()
            if slowly and number >= 100:
                assert go_on.wait(10)
                never.wait(0.3)
            yield {"to": f"+1311{5_550_000 + number}"}
            if number > 1500 and not slowly:
                raise KeyError("cut off")

    async def body(producer, _):
        with pytest.raises(KeyError):
            await producer.campaign("sale", text="Hi", recipients=rows(slowly=False))
        return await canceled(producer.campaign("sale", text="Hi", recipients=rows(slowly=True)), passing)

    assert in_a_loop(redis_url, body) < WAITED_FOR
    go_on.set()
    poll(lambda: not threads(), 10)


def test_what_fails_when_a_canceled_plan_is_closed_is_logged_without_what_it_says(poll, caplog):
    begun = threading.Event()

    def plan():
        try:
            begun.set()
            yield Pause(100)
        finally:
            raise RuntimeError("of +13115550001")

    async def never(_):
        raise AssertionError

    assert asyncio.run(canceled(carry_out(plan(), never, lambda: None), begun)) < WAITED_FOR
    poll(lambda: not threads(), 5)
    assert "ended badly: RuntimeError" in caplog.text
    assert "5550001" not in caplog.text


def test_a_canceled_report_closes_its_file_behind_what_its_thread_is_writing(
    redis_url, publish, poll, tmp_path, monkeypatch, caplog
):
    publish("main")
    writing, go_on, wrote = threading.Event(), threading.Event(), []
    real = CsvReport.write

    def write(self, rows):
        writing.set()
        assert go_on.wait(10)
        real(self, rows)
        wrote.append(threading.current_thread().name)

    monkeypatch.setattr(CsvReport, "write", write)

    async def body(producer, _):
        campaign = await producer.campaign("sale", text="Hi", recipients=["+13115550001"])
        return await canceled(campaign.report(tmp_path / "report.csv"), writing)

    assert in_a_loop(redis_url, body) < WAITED_FOR
    assert len(list(tmp_path.iterdir())) == 1, "it is being written"
    go_on.set()
    poll(lambda: not threads(), 5)
    assert wrote == ["sendline-import"]
    assert list(tmp_path.iterdir()) == []
    assert caplog.text == ""


HANGING = """
import asyncio, sys, threading, time
from sendline import AsyncProducer

reading = threading.Event()

def people():
    yield {"to": "+13115550001"}
    reading.set()
    time.sleep(100)

async def main():
    async with AsyncProducer() as producer:
        task = asyncio.create_task(producer.campaign("sale", text="Hi", recipients=people()))
        while not reading.is_set():
            await asyncio.sleep(0.01)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            print("canceled", flush=True)

asyncio.run(main())
"""


def test_an_interpreter_that_ends_waits_for_no_canceled_import_that_hangs(redis_url, publish):
    publish("main")
    environment = {**os.environ, "SENDLINE_REDIS_URL": redis_url}
    run = [sys.executable, "-c", HANGING]
    with subprocess.Popen(run, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "canceled\n"
        begun = time.monotonic()
        assert process.wait(20) == 0
        assert time.monotonic() - begun < GRACE + 4


def test_a_round_of_what_failed_is_made_off_the_loop_too(redis_url, publish, hands):
    publish("main")
    tellers = set()

    async def body(producer, _):
        campaign = await producer.campaign("sale", text="Hi", recipients=["+13115550001"])
        await campaign.start()
        await asyncio.to_thread(hands.settle, hands.claim(), "failed", code="rejected")
        again = await campaign.retry_failed(on_progress=lambda _: tellers.add(threading.get_ident()))
        return again.name, (await again.progress()).total

    assert in_a_loop(redis_url, body) == ("sale.2", 1)
    assert tellers == {threading.get_ident()}
