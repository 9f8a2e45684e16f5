"""Receipts on their way: each message's plan is posted step by step, a bounded number at a time."""

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from sendline_worker.simulator.behaviours import Way

if TYPE_CHECKING:
    import random

    from sendline_worker.simulator.entries import Entry, Log
    from sendline_worker.simulator.face import Reporter
    from sendline_worker.simulator.options import Settings, SimulatorOptions

logger = logging.getLogger(__name__)

TOO_MANY = 429
JSON = {"content-type": "application/json"}
ASTRAY = "/nobody/listens/here"


class _Plan:
    """One message's plan and how far it got; a retried step is a plan of its own."""

    __slots__ = ("attempt", "entry", "reporter", "run", "step", "url")

    def __init__(self, entry: "Entry", reporter: "Reporter", url: str, run: int) -> None:
        self.entry = entry
        self.reporter = reporter
        self.url = url
        self.run = run
        self.step = 0
        self.attempt = 0


class Receipts:
    """Posts receipts as a provider does: keep-alive, no redirects, a few more tries on failure and 5xx."""

    def __init__(self, options: "SimulatorOptions", log: "Log", rng: "random.Random") -> None:
        self._retries = options.receipt_retries
        self._concurrency = options.receipt_concurrency
        self._log = log
        self._rng = rng
        self.run = 0
        """Changes when all that waits is dropped."""
        self._queue: asyncio.Queue[_Plan] = asyncio.Queue()
        self._session: aiohttp.ClientSession | None = None
        self._workers: list[asyncio.Task[None]] = []
        self.settings: Settings = options.settings()
        self.pending = 0
        """Receipts that wait for their time, their turn or their next try."""

    async def start(self) -> None:
        """Open the client."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=5),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self._workers = [asyncio.create_task(self._work()) for _ in range(self._concurrency)]

    async def stop(self) -> None:
        """Close the client; what waits is dropped."""
        self.forget()
        for task in self._workers:
            task.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        if self._session:
            await self._session.close()

    def forget(self) -> None:
        """Drop all receipts that wait."""
        self.run += 1
        self.pending = 0

    def begin(self, entry: "Entry", reporter: "Reporter", url: str, run: int) -> None:
        """Let the plan of `entry` run, its first step after the receipt delay; not if `run` is over."""
        if entry.plan and run == self.run:
            self._later(_Plan(entry, reporter, url, self.run), self._delay(entry, 0))

    async def post_all(self, entry: "Entry", reporter: "Reporter", url: str) -> None:
        """Post the whole plan of `entry` at once, in order; a step that failed is tried again later."""
        for step in range(len(entry.plan)):
            plan = _Plan(entry, reporter, url, self.run)
            plan.step = step
            if await self._post(plan) and self._retries and plan.run == self.run:
                plan.attempt = 1
                self._later(plan, self._retries[0])

    def _delay(self, entry: "Entry", step: int) -> float:
        shortest, longest = self.settings.receipt_delay
        return self._rng.uniform(shortest, longest) + entry.plan[step].after

    def _later(self, plan: _Plan, delay: float) -> None:
        self.pending += 1
        asyncio.get_running_loop().call_later(delay, self._queue.put_nowait, plan)

    async def _work(self) -> None:
        while True:
            plan = await self._queue.get()
            if plan.run != self.run:
                continue
            try:
                await self._advance(plan)
            except Exception as error:  # noqa: BLE001  # whatever it is, the next receipts go on
                logger.warning("a receipt could not be posted: %s", type(error).__name__)
            finally:
                if plan.run == self.run:
                    self.pending -= 1

    async def _advance(self, plan: _Plan) -> None:
        """Try one step; let the next one, and another try of this one, come in their time."""
        again = await self._post(plan)
        if plan.run != self.run:
            return
        following = plan.step + 1
        if plan.attempt == 0 and following < len(plan.entry.plan):
            successor = _Plan(plan.entry, plan.reporter, plan.url, plan.run)
            successor.step = following
            self._later(successor, self._delay(plan.entry, following))
        if again and plan.attempt < len(self._retries):
            delay = self._retries[plan.attempt]
            plan.attempt += 1
            self._later(plan, delay)

    async def _post(self, plan: _Plan) -> bool:
        """Post one receipt, record it, and say whether it shall be tried again."""
        entry, now = plan.entry, time.time()
        step = entry.plan[plan.step]
        report = step.report
        entry.reached = max(entry.reached, plan.step + 1)
        provider_id, url = self._log.provider_id(entry) or "", plan.url
        if step.way is Way.RESPELLED:
            provider_id = f" {provider_id.upper()} "
        elif step.way is Way.ASTRAY:
            url = urlunsplit(urlsplit(url)._replace(path=ASTRAY))
        body = plan.reporter.receipt(entry, provider_id, report, self.settings.shape, now)
        result = await self.post(url, body)
        if plan.run == self.run:
            self._log.tried(entry, report, now, result, done=result.startswith("2"))
        return not result.isdecimal() or result.startswith("5") or result == str(TOO_MANY)

    async def post(self, url: str, body: bytes) -> str:
        """Post `body`, once, and return the status that `url` answered, or what went wrong."""
        if self._session is None:
            return "not started"
        try:
            async with self._session.post(url, data=body, headers=JSON, allow_redirects=False) as response:
                with contextlib.suppress(aiohttp.ClientError):
                    await response.read()
                return str(response.status)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return type(error).__name__
