"""The receiver and its ledger: many receipts to a call, and none is lost while it is away."""

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from sendline.contract.errors import LedgerUnavailable
from sendline.contract.status import Status
from sendline.ledger.connection import AsyncLedger
from sendline.ledger.record import unpack
from sendline.ledger.work import Reported
from sendline_worker.receiver.collector import Collector
from worker.receiver.house import LIMITS, data, housed


class Watched(AsyncLedger):
    """A real ledger that remembers how many reports each call had."""

    sizes: list[int]

    def __init__(self, url, **options):
        super().__init__(url, **options)
        self.sizes = []

    async def run(self, call):
        self.sizes.append(len(unpack(call.arguments[1])))
        return await super().run(call)


def collecting(house, work):
    """Run `work(collector, ledger)` in an event loop of its own."""

    async def main():
        ledger = Watched(house.server.url)
        collector = Collector(ledger, LIMITS)
        try:
            return await work(collector, ledger)
        finally:
            await collector.aclose()
            await ledger.aclose()

    return asyncio.run(main())


@pytest.fixture
def house(tmp_path):
    with housed(tmp_path, request_seconds=1.0) as house:
        yield house


def report(provider_id, status=Status.DELIVERED):
    return Reported("main", status, provider_id=provider_id)


def test_what_comes_together_is_stored_together_and_each_gets_its_own_answer(house):
    house.sent("p3")
    house.sent("p599")

    async def work(collector, ledger):
        each = await asyncio.gather(*(collector.store([report(f"p{number}")]) for number in range(600)))
        return each, ledger.sizes

    each, sizes = collecting(house, work)
    assert sizes == [512, 88]
    assert [number for number, words in enumerate(each) if words == ["applied"]] == [3, 599]
    assert {word for words in each for word in words} == {"applied", "parked"}


def test_more_than_one_call_takes_is_split_and_its_order_kept(house):
    house.sent("p1200")

    async def work(collector, ledger):
        few, many = await asyncio.gather(
            collector.store([report("x")]), collector.store([report(f"p{number}") for number in range(1201)])
        )
        return few, many, ledger.sizes

    few, many, sizes = collecting(house, work)
    assert few == ["parked"]
    assert many == ["parked"] * 1200 + ["applied"]
    assert sizes == [1, 512, 512, 177]


def test_nothing_to_store_is_no_call(house):
    async def work(collector, ledger):
        return await collector.store([]), ledger.sizes

    assert collecting(house, work) == ([], [])


def test_whoever_gives_up_waiting_spoils_nothing_for_the_others(house):
    message_id = house.sent("abc")

    async def work(collector, _ledger):
        impatient = asyncio.ensure_future(collector.store([report("def")]))
        patient = asyncio.ensure_future(collector.store([report("abc")]))
        await asyncio.sleep(0)
        impatient.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await impatient
        return await patient, await collector.store([report("abc")])

    assert collecting(house, work) == (["applied"], ["unchanged"])
    assert house.status(message_id) == Status.DELIVERED


def lines_of(caplog):
    return [each.getMessage() for each in caplog.records if each.name == "sendline.receiver"]


def test_what_becomes_of_many_is_told_in_one_line_for_each_account(house, caplog):
    caplog.set_level("INFO", "sendline.receiver")
    house.sent("p1")
    elsewhere = Reported("other", Status.DELIVERED, provider_id="p1")

    async def work(collector, _ledger):
        given = [report("p1"), report("p2"), report("p3"), elsewhere]
        await asyncio.gather(*(collector.store([each]) for each in given))

    collecting(house, work)
    assert lines_of(caplog) == [
        "account main: receipts: 1 applied, 2 parked",
        "account other: receipts: 1 parked",
    ]


def test_what_many_calls_bring_is_told_at_most_once_a_second_and_nothing_is_left_untold(house, caplog):
    caplog.set_level("INFO", "sendline.receiver")

    async def work(collector, _ledger):
        for number in range(5):
            await collector.store([report(f"p{number}")])

    collecting(house, work)
    assert lines_of(caplog) == ["account main: receipts: 1 parked", "account main: receipts: 4 parked"]


def test_what_was_not_told_at_once_is_told_within_a_second(house, caplog):
    caplog.set_level("INFO", "sendline.receiver")

    async def work(collector, _ledger):
        for number in range(3):
            await collector.store([report(f"p{number}")])
        async with asyncio.timeout(5):
            while len(lines_of(caplog)) < 2:  # noqa: ASYNC110 - a log has no event
                await asyncio.sleep(0.01)
        return lines_of(caplog)

    assert collecting(house, work) == ["account main: receipts: 1 parked", "account main: receipts: 2 parked"]


def test_who_waits_too_long_is_told_so_and_never_is_more_than_one_call_under_way(house):
    async def work(collector, ledger):
        loop = asyncio.get_running_loop()
        with contextlib.closing(redis.Redis.from_url(house.server.url)) as raw:
            raw.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")
            begun = loop.time()
            late = []
            for number in range(5):
                late.append(asyncio.ensure_future(collector.store([report(f"p{number}")], begun + 0.3)))
                await asyncio.sleep(0.01)
            answers = await asyncio.gather(*late, return_exceptions=True)
            waited, calls = loop.time() - begun, len(ledger.sizes)
            raw.execute_command("CLIENT", "UNPAUSE")
        return answers, waited, calls, await collector.store([report("abc")])

    answers, waited, calls, then = collecting(house, work)
    assert {type(each) for each in answers} == {LedgerUnavailable}
    assert 0.3 <= waited < 1.5
    assert calls == 1
    assert then == ["parked"]


def test_a_failure_reaches_all_who_wait_and_the_next_call_is_tried_again(house):
    async def work(collector, _ledger):
        house.server.stop()
        failed = await asyncio.gather(
            *(collector.store([report(f"p{number}")]) for number in range(600)), return_exceptions=True
        )
        house.server.start()
        return failed, await collector.store([report("abc")])

    failed, then = collecting(house, work)
    assert {type(each) for each in failed} == {LedgerUnavailable}
    assert then == ["parked"]


def test_a_crowd_of_requests_is_answered_each_with_its_own_effect(house):
    messages = {f"p{number}": house.sent(f"p{number}") for number in range(300)}
    url = house.account_url()
    with ThreadPoolExecutor(30) as crowd:
        answers = list(crowd.map(lambda each: house.post(url, data(each, "delivered")), messages))
    assert {answer.status_code for answer in answers} == {200}
    assert {house.status(each) for each in messages.values()} == {Status.DELIVERED}
    assert house.app.state.counts == {"applied": 300}


def test_while_the_ledger_is_away_providers_are_asked_to_try_again(tmp_path):
    with housed(tmp_path, durability="disk") as house:
        message_id = house.sent("abc")
        assert house.client.get(f"{house.url}/health").status_code == 200
        house.server.stop()
        answer = house.post(house.account_url(), data("abc", "delivered"))
        assert (answer.status_code, answer.json()) == (503, {"error": "unavailable"})
        assert int(answer.headers["retry-after"]) > 0
        assert house.client.get(f"{house.url}/health").status_code == 503
        house.server.start()
        assert house.client.get(f"{house.url}/health").status_code == 200
        assert house.status(message_id) == Status.SENT
        assert house.post(house.account_url(), data("abc", "delivered")).status_code == 200
        assert house.status(message_id) == Status.DELIVERED
        assert house.app.state.counts == {"not_stored": 1, "applied": 1}


def test_a_ledger_that_hangs_does_not_hold_a_request_beyond_its_time(tmp_path):
    with housed(tmp_path, request_seconds=0.3, redis_timeout=20.0) as house:
        message_id = house.sent("abc")
        with contextlib.closing(redis.Redis.from_url(house.server.url)) as raw:
            raw.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")
            answer = house.post(house.account_url(), data("abc", "delivered"))
            assert (answer.status_code, answer.json()) == (503, {"error": "unavailable"})
            raw.execute_command("CLIENT", "UNPAUSE")
        assert house.post(house.account_url(), data("abc", "delivered")).status_code == 200
        assert house.status(message_id) == Status.DELIVERED


def test_a_ledger_that_takes_no_writes_loses_no_receipt_either(house):
    message_id = house.sent("abc")
    with contextlib.closing(redis.Redis.from_url(house.server.url)) as raw, house.unmoved():
        raw.execute_command("REPLICAOF", "127.0.0.1", "1")
        answer = house.post(house.account_url(), data("abc", "delivered"))
        raw.execute_command("REPLICAOF", "NO", "ONE")
        assert answer.status_code == 503
    assert house.post(house.account_url(), data("abc", "delivered")).status_code == 200
    assert house.status(message_id) == Status.DELIVERED
