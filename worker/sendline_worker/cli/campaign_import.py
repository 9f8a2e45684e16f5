"""An import as a person follows it: a bar on terminals, and what to do where it was cut off."""

import contextlib
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from sendline.contract.campaign import ENDED, CampaignState, Imported
from sendline.contract.errors import InvalidCampaign, LedgerError, SendlineError, UnknownCampaign
from sendline.contract.status import Status
from sendline_worker.answers.spelling import counted
from sendline_worker.cli.failures import INTERRUPTED, Failure
from sendline_worker.cli.printing import print_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import Progress as Bar

    from sendline.campaigns.recipients import Source
    from sendline.contract.campaign import Progress
    from sendline.producer import Producer

AVERAGED: Final = 10.0
"""Seconds over which a rate is averaged."""


def is_watched(*, json: bool) -> bool:
    """Return whether a person watches: nothing moves in a file or a pipe."""
    return not json and sys.stdout.isatty() and sys.stderr.isatty()


class Pace:
    """Tells how fast a number grows, over the last seconds."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._marks: deque[tuple[float, int]] = deque()

    def rate(self, number: int) -> float | None:
        """Take how large the number is; return by how much it grows a second, None where nobody knows."""
        now = time.monotonic()
        self._marks.append((now, number))
        while len(self._marks) > 2 and now - self._marks[1][0] > AVERAGED:  # noqa: PLR2004 - both ends
            self._marks.popleft()
        then, before = self._marks[0]
        return (number - before) / (now - then) if now > then else None


@contextlib.contextmanager
def bar(what: str, unit: str, total: int | None, *, shown: bool) -> "Iterator[Callable[[int, int], None]]":
    """Show a bar on the terminal while this lasts; yields what tells it a part of `total` and a number."""
    if not shown:
        yield lambda _part, _number: None
        return
    drawn = _bar(unit)
    with drawn:
        task = drawn.add_task(what, total=total, number="0", rate="-")
        pace = Pace()

        def tell(part: int, number: int) -> None:
            rate = pace.rate(number)
            told = "-" if rate is None else f"{rate:,.0f}"
            drawn.update(task, completed=part, number=f"{number:,}", rate=told)

        yield tell


def _bar(unit: str) -> "Bar":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("  {task.description}"),
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        TextColumn(f"{{task.fields[number]}} {unit}, {{task.fields[rate]}}/s"),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True, markup=False, highlight=False, emoji=False),
        transient=True,
    )


class Follower:
    """Hears how far an import has come, and passes it on."""

    def __init__(self, tell: "Callable[[Imported], None]") -> None:
        """`tell` moves the bar."""
        self.seen: Imported | None = None
        self._tell = tell

    def __call__(self, imported: Imported) -> None:
        """Take how far the import is."""
        self.seen = imported
        self._tell(imported)


@contextlib.contextmanager
def told_how_to_go_on(producer: "Producer", name: str | None, follower: Follower) -> "Iterator[None]":
    """Turn what cuts an import off, Ctrl-C too, into one line that says how to go on.

    Without a `name`, what was seen last is told.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise Failure(None, f"interrupted: {_state(producer, name, follower)}", INTERRUPTED) from None
    except SendlineError as error:
        if follower.seen is None or not follower.seen.rows:
            raise
        field = error.field if isinstance(error, InvalidCampaign) else "redis_url"
        problem = error.problem if isinstance(error, InvalidCampaign) else str(error)
        raise Failure(field, f"{problem}; {_done(follower.seen)}: {GO_ON}") from None


GO_ON: Final = "the very same command goes on there, nothing is doubled or skipped"


def _state(producer: "Producer", name: str | None, follower: Follower) -> str:
    """Return what an import that was just cut off has done, as the ledger knows it."""
    producer.close()  # a call may have been cut off in its middle
    if name is None:
        return f"{_done(follower.seen or Imported())}, nothing was sent: {GO_ON}"
    try:
        now = producer.campaign(name).progress()
    except UnknownCampaign:
        now = None
    except LedgerError:
        return f"what was imported is kept; {GO_ON}"
    if now is None:
        return "no campaign was created"
    if now.imported.complete or now.state in ENDED:
        return f"campaign {now.name} is imported whole, and {now.summary}"
    return f"{_done(now.imported)}, nothing was sent: {GO_ON}"


def _done(imported: Imported) -> str:
    refused = f", {imported.rejected:,} rejected" if imported.rejected else ""
    return f"{imported.rows:,} rows are done ({imported.accepted:,} accepted{refused})"


def show_imported(now: "Progress", rejects: str | None, notes: "list[str]") -> None:
    """Print what was imported, and how the campaign stands."""
    imported = now.imported
    suppressed = now.statuses.get(Status.SUPPRESSED, 0)
    print_line(
        "ok" if imported.accepted else "warn", f"campaign {now.name}: {counted_rows(imported.rows)} read"
    )
    print_line(f"   accepted    {imported.accepted:,}")
    if suppressed:
        print_line(f"   suppressed  {suppressed:,} of them: they have opted out, and get nothing")
    if imported.rejected:
        where = rejects or "`sendline campaign preview` says why, --rejects FILE keeps them"
        print_line(f"   rejected    {imported.rejected:,} ({where})")
    if imported.duplicates:
        print_line(f"   duplicates  {imported.duplicates:,} dropped")
    for note in notes:
        print_line("warn", note)


def show_next(now: "Progress") -> None:
    """Print how a campaign stands that was just imported, and what starts it."""
    go = f"; `sendline campaign start {now.name}` starts it" if now.state is CampaignState.CREATED else ""
    print_line("  ", f"it is {now.state.value}{go}")


def guess(source: "Source") -> str:
    """Return that an encoding is a guess."""
    return f"{source.name} looks like {source.encoding}, which is a guess: --encoding names another"


def counted_rows(number: int) -> str:
    """Return how many rows there are, in words."""
    return counted(number, "row") if number < 1000 else f"{number:,} rows"  # noqa: PLR2004 - with a comma


def plain_import(now: "Progress", rejects: str | None) -> dict[str, Any]:
    """Return what --json prints of a campaign that was imported."""
    return {**now.to_dict(), "suppressed": now.statuses.get(Status.SUPPRESSED, 0), "rejects": rejects}
