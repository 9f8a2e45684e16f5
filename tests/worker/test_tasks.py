"""Ending tasks: a cancellation may be swallowed on its way."""

import asyncio
import contextlib

from sendline_worker.dispatch.tasks import end


async def hard_of_hearing(times):
    for _ in range(times):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
    await asyncio.Event().wait()


async def failing():
    raise ValueError


def test_tasks_end_however_often_they_must_be_told():
    async def script():
        tasks = [asyncio.create_task(hard_of_hearing(times)) for times in (0, 1, 3)]
        tasks.append(asyncio.create_task(failing()))
        await asyncio.sleep(0)
        await asyncio.wait_for(end(*tasks), 5)
        assert [task.cancelled() for task in tasks] == [True, True, True, False]
        assert isinstance(tasks[-1].exception(), ValueError)
        await end(*tasks)
        await end()

    asyncio.run(script())
