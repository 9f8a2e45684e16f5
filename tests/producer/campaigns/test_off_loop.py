"""An import in an event loop: read and checked in a thread, so that the loop's other tasks go on."""

import asyncio
import io
import threading
import time

import pytest

from sendline import AsyncProducer, InvalidCampaign
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
