"""Campaigns as producers hand them out: one handle that blocks, one that is awaited, over the same plans."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime
from os import PathLike
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar

from sendline.campaigns import again, steering
from sendline.campaigns.heeding import heed
from sendline.campaigns.report import ReportRow, read_rows, report_file
from sendline.contract.campaign import ENDED, CampaignSpec, Imported, Progress
from sendline.contract.errors import InvalidCampaign, NotFinished
from sendline.contract.message import Message
from sendline.ledger import campaigns, verbs
from sendline.producer.plan import Pause, Plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from sendline.campaigns.fields import CampaignFields
    from sendline.ledger.limits import Limits

    Found = Callable[[str, CampaignFields, str | None], Plan["CampaignPlans"]]

T = TypeVar("T")
PAGE: Final = 500
"""Messages of a report that are read at once."""
Until = Literal["finished", "sent"]
"""What wait() waits for: every message is final, or nothing waits to be sent."""
LOOK: Final = 0.5
"""Seconds between two looks of wait()."""


class CampaignPlans:
    """What can be done with one campaign."""

    def __init__(self, name: str, limits: "Limits", clock: "Callable[[], float]", found: "Found") -> None:
        """`clock` is monotonic, in seconds; `found` founds another campaign."""
        self.name = name
        self._limits = limits
        self._clock = clock
        self._found = found

    def spec(self) -> Plan[CampaignSpec]:
        """Read what it sends."""
        return (yield from steering.find(self.name)).spec

    def progress(self) -> Plan[Progress]:
        """Read where it stands."""
        return steering.progress(self.name)

    def start(self, at: datetime | None) -> Plan[Progress]:
        """Start it."""
        return steering.start(self._limits, self.name, at)

    def pause(self) -> Plan[Progress]:
        """Pause it."""
        return steering.steer(self._limits, self.name, "pause")

    def resume(self) -> Plan[Progress]:
        """Resume it."""
        return steering.steer(self._limits, self.name, "resume")

    def cancel(self) -> Plan[Progress]:
        """Cancel it."""
        return steering.steer(self._limits, self.name, "cancel")

    def wait(self, timeout: float | None, until: Until) -> Plan[Progress]:
        """Read where it stands once it has ended, or all was sent, and no message is under way."""
        if until not in ("finished", "sent"):
            raise InvalidCampaign("until", 'is neither "finished" nor "sent"')
        deadline = None if timeout is None else self._clock() + timeout
        while True:
            now = yield from self.progress()
            is_over = now.state in ENDED or (until == "sent" and now.imported.complete)
            if is_over and not now.waiting and not now.on_the_wire:
                return now
            if deadline is not None and self._clock() >= deadline:
                raise NotFinished(now, timeout or 0)
            yield Pause(LOOK)

    def retry_failed(
        self, name: str | None, on_progress: "Callable[[Imported], None] | None"
    ) -> Plan["CampaignPlans"]:
        """Found a campaign for those of its messages that came to a bad end; it has the same owner."""
        return (yield from again.make_round(self.name, name, self._found, on_progress or (lambda _: None)))

    def messages(self, start: int) -> Plan["Page[Message]"]:
        """Read some of its messages, without damaged ones, in the order of its source, from `start` on."""
        ids: list[bytes] = yield campaigns.members(self.name, start, PAGE)
        found: list[Message | None] = (yield verbs.get_all(ids)) if ids else []
        return Page([message for message in found if message is not None], _behind(start, ids))

    def report_rows(self, start: int) -> Plan["Page[ReportRow]"]:
        """Read what a report tells of the same messages."""
        ids: list[bytes] = yield campaigns.members(self.name, start, PAGE)
        rows: list[ReportRow] = (yield read_rows(ids)) if ids else []
        return Page(rows, _behind(start, ids))

    def report(self, path: str | PathLike[str]) -> Plan[int]:
        """Write a row for each recipient; read how many."""
        written, start = 0, 0
        with report_file(path) as writer:
            while True:
                page = yield from self.report_rows(start)
                writer.write(page.found)
                heed()
                written += len(page.found)
                if page.behind is None:
                    return written
                start = page.behind


def _behind(start: int, ids: list[bytes]) -> int | None:
    return start + len(ids) if len(ids) == PAGE else None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """What is read at once of a campaign's messages, without those that are no longer kept."""

    found: list[T]
    behind: int | None
    """Where the next ones begin; None: these were the last."""


class Campaign:
    """A campaign, in scripts and in apps of threads. Safe in threads and forks, as its producer is."""

    def __init__(self, plans: CampaignPlans, do: "Callable[[Plan[Any]], Any]") -> None:
        """`do` carries plans out."""
        self._plans = plans
        self._do = do

    @property
    def name(self) -> str:
        """Return its name."""
        return self._plans.name

    def spec(self) -> CampaignSpec:
        """Return what it sends, and how."""
        found: CampaignSpec = self._do(self._plans.spec())
        return found

    def progress(self) -> Progress:
        """Return where it stands: counts of one instant, which add up."""
        return self._progress(self._plans.progress())

    def start(self, at: datetime | None = None) -> Progress:
        """Start it, now or at `at` (with a time zone). Raises WrongCampaignState, InvalidCampaign."""
        return self._progress(self._plans.start(at))

    def pause(self) -> Progress:
        """Let nothing more of it be sent; what is on the wire is settled, and told apart (`on_the_wire`).

        Raises WrongCampaignState where it is not running.
        """
        return self._progress(self._plans.pause())

    def resume(self) -> Progress:
        """Let it go on. Raises WrongCampaignState where it is not paused."""
        return self._progress(self._plans.resume())

    def cancel(self) -> Progress:
        """End it: what has not been sent is not sent any more, from the next claim on.

        Raises WrongCampaignState where it is finished.
        """
        return self._progress(self._plans.cancel())

    def wait(self, timeout: float | None = None, *, until: Until = "finished") -> Progress:
        """Return where it stands once every message is final; raises NotFinished after `timeout` seconds.

        Receipts may take days: `until="sent"` waits until nothing waits to be sent any more. Of one that was
        canceled, neither waits for receipts.
        """
        return self._progress(self._plans.wait(timeout, until))

    def messages(self) -> Iterator[Message]:
        """Yield its messages, in the order of its source, as they stand when they are read.

        One whose record is damaged is passed over: a report has a row for it.
        """
        for page in self._pages(self._plans.messages):
            yield from page

    def report_rows(self) -> Iterator[ReportRow]:
        """Yield what report() writes of each recipient; the error of a damaged record is `unreadable`."""
        for page in self._pages(self._plans.report_rows):
            yield from page

    def report(self, path: str | PathLike[str]) -> int:
        """Write a row for each recipient: CSV, or Parquet where `path` ends so; return how many.

        It can be written at any time. Raises InvalidCampaign where it can't be written.
        """
        written: int = self._do(self._plans.report(path))
        return written

    def retry_failed(
        self, name: str | None = None, *, on_progress: "Callable[[Imported], None] | None" = None
    ) -> "Campaign":
        """Found a campaign for those of its messages that failed, were undelivered or expired.

        `name` is NAME.2, NAME.3, ... by default. What it sends, and how, stays the same; its weight is 1. An
        import that was cut off goes on when this is called again; `on_progress` hears how far it has come.
        Raises CampaignConflict where none failed, InvalidCampaign, LedgerError.
        """
        return Campaign(self._do(self._plans.retry_failed(name, on_progress)), self._do)

    def _pages(self, read: "Callable[[int], Plan[Page[T]]]") -> Iterator[list[T]]:
        start: int | None = 0
        while start is not None:
            page: Page[T] = self._do(read(start))
            yield page.found
            start = page.behind

    def _progress(self, plan: Plan[Progress]) -> Progress:
        found: Progress = self._do(plan)
        return found


class AsyncCampaign:
    """A campaign, within one event loop: the same verbs, awaited."""

    def __init__(
        self, plans: CampaignPlans, do: "Callable[[Plan[Any]], Any]", off_loop: "Callable[..., Any]"
    ) -> None:
        """`do` carries plans out; `off_loop` those of imports and reports, without holding the loop up."""
        self._plans = plans
        self._do = do
        self._off_loop = off_loop

    @property
    def name(self) -> str:
        """Return its name."""
        return self._plans.name

    async def spec(self) -> CampaignSpec:
        """Return what it sends, and how."""
        found: CampaignSpec = await self._do(self._plans.spec())
        return found

    async def progress(self) -> Progress:
        """Return where it stands: counts of one instant, which add up."""
        return await self._progress(self._plans.progress())

    async def start(self, at: datetime | None = None) -> Progress:
        """Start it, now or at `at` (with a time zone). Raises WrongCampaignState, InvalidCampaign."""
        return await self._progress(self._plans.start(at))

    async def pause(self) -> Progress:
        """Let nothing more of it be sent; what is on the wire is settled, and told apart (`on_the_wire`).

        Raises WrongCampaignState where it is not running.
        """
        return await self._progress(self._plans.pause())

    async def resume(self) -> Progress:
        """Let it go on. Raises WrongCampaignState where it is not paused."""
        return await self._progress(self._plans.resume())

    async def cancel(self) -> Progress:
        """End it: what has not been sent is not sent any more, from the next claim on.

        Raises WrongCampaignState where it is finished.
        """
        return await self._progress(self._plans.cancel())

    async def wait(self, timeout: float | None = None, *, until: Until = "finished") -> Progress:
        """Return where it stands once every message is final. See Campaign.wait()."""
        return await self._progress(self._plans.wait(timeout, until))

    async def messages(self) -> AsyncIterator[Message]:
        """Yield its messages, in the order of its source, as they stand when they are read.

        One whose record is damaged is passed over: a report has a row for it.
        """
        async for page in self._pages(self._plans.messages):
            for message in page:
                yield message

    async def report_rows(self) -> AsyncIterator[ReportRow]:
        """Yield what report() writes of each recipient; the error of a damaged record is `unreadable`."""
        async for page in self._pages(self._plans.report_rows):
            for row in page:
                yield row

    async def report(self, path: str | PathLike[str]) -> int:
        """Write a row for each recipient: CSV, or Parquet where `path` ends so; return how many.

        It can be written at any time. Raises InvalidCampaign where it can't be written.
        """
        written: int = await self._off_loop(lambda _: self._plans.report(path), None)
        return written

    async def retry_failed(
        self, name: str | None = None, *, on_progress: "Callable[[Imported], None] | None" = None
    ) -> "AsyncCampaign":
        """Found a campaign for those of its messages that failed, were undelivered or expired.

        `name` is NAME.2, NAME.3, ... by default. What it sends, and how, stays the same; its weight is 1. An
        import that was cut off goes on when this is called again; `on_progress` hears how far it has come.
        Raises CampaignConflict where none failed, InvalidCampaign, LedgerError.
        """
        plans = await self._off_loop(lambda hear: self._plans.retry_failed(name, hear), on_progress)
        return AsyncCampaign(plans, self._do, self._off_loop)

    async def _pages(self, read: "Callable[[int], Plan[Page[T]]]") -> AsyncIterator[list[T]]:
        start: int | None = 0
        while start is not None:
            page: Page[T] = await self._do(read(start))
            yield page.found
            start = page.behind

    async def _progress(self, plan: Plan[Progress]) -> Progress:
        found: Progress = await self._do(plan)
        return found
