"""What many requests want stored goes in calls that they share."""

import asyncio

import pytest

from sendline.contract.errors import LedgerRefused, LedgerUnavailable
from sendline_worker.gathering import Gatherer


@pytest.mark.parametrize(("error", "calls"), [(LedgerUnavailable("away"), 1), (LedgerRefused("no"), 3)])
def test_who_waits_for_a_ledger_that_is_away_is_told_with_who_is_served(error, calls):
    called = []

    async def call(things):
        called.append(things)
        await asyncio.sleep(0)
        raise error

    async def store():
        gatherer = Gatherer(call, 2)
        until = asyncio.get_running_loop().time() + 10
        waiting = [gatherer.store([number, number], until) for number in range(3)]
        told = await asyncio.gather(*waiting, return_exceptions=True)
        await gatherer.aclose()
        return told

    assert asyncio.run(store()) == [error] * 3
    assert len(called) == calls
