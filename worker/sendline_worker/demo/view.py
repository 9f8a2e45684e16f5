"""What a person sees of the demo: steps, a live view while it runs, the findings at the end."""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from sendline.contract.message import Message, TimelineEntry
from sendline.contract.status import Status
from sendline_worker.demo.run import Progress as Reached
from sendline_worker.demo.run import Result

LINE_EVERY: Final = 2.0
"""Seconds between two lines where the output is no terminal."""
ENOUGH: Final = 50
"""Messages from which on a rate can be told."""
SHOWN: Final = 20
"""Problems listed; the rest are counted."""


class View:
    """Shows steps and progress on a console; a context manager, so that the terminal is left as it was."""

    def __init__(self, console: Console) -> None:
        """Show nothing yet."""
        self._console = console
        self._bar = Progress(
            TextColumn("  sent"),
            BarColumn(bar_width=40),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}/s"),
            TimeElapsedColumn(),
            console=console,
        )
        self._task: TaskID | None = None
        self._live: Live | None = None
        self._line_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_live()

    def say(self, step: str) -> None:
        """Tell of a step."""
        self._end_live()
        self._console.print(f"  {step}")

    def watch(self, reached: Reached) -> None:
        """Show how far it is."""
        rate = f"{reached.done / reached.seconds:.0f}" if reached.seconds > 1 else "-"
        if self._console.is_terminal:
            self._draw(reached, rate)
        elif time.monotonic() - self._line_at >= LINE_EVERY:
            self._line_at = time.monotonic()
            self._console.print(f"  {reached.done}/{reached.total} sent, {_by_status(reached.counts)}")

    def _draw(self, reached: Reached, rate: str) -> None:
        if self._live is None:
            self._task = self._bar.add_task("sent", total=reached.total, rate=rate)
            self._live = Live(console=self._console, refresh_per_second=10, transient=True)
            self._live.start()
        if self._task is not None:
            self._bar.update(self._task, completed=reached.done, rate=rate)
        self._live.update(Group(self._bar, f"  {_by_status(reached.counts)}"))

    def _end_live(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def show(console: Console, result: Result) -> None:
    """Print what a run came to."""
    console.print("\nThe urgent message, sent behind all the others:")
    console.print(timeline_table(result.urgent))
    console.print("\nAll messages by status:")
    console.print(_counts_table(result))
    console.print(f"\nRate: {result.rate:g} a second configured{_rate_seen(result)}.")
    v = result.verdict
    console.print(
        f"Provider's log: {v.requests:,} requests; {v.accepted_once:,} messages accepted exactly once, "
        f"{v.accepted_twice} twice, {v.refused} never."
    )
    if not result.problems:
        done = f"every message is as the provider's log implies; audit clean; {result.seconds:.0f} s"
        console.print("✓", done, style="green")
        return
    for problem in result.problems[:SHOWN]:
        console.print("✗", problem, style="red")
    if len(result.problems) > SHOWN:
        console.print("✗ and", len(result.problems) - SHOWN, "more", style="red")


def timeline_table(message: Message) -> Table:
    """Return a message's timeline as a table."""
    table = Table(box=None, pad_edge=True, padding=(0, 2))
    for title in ("time (UTC)", "status", "after", "why"):
        table.add_column(title, no_wrap=title != "why")
    before: TimelineEntry | None = None
    for entry in message.timeline:
        after = "" if before is None else f"+{(entry.at - before.at).total_seconds() * 1000:,.0f} ms"
        why = ": ".join(part for part in (entry.code or "", entry.reason) if part)
        table.add_row(f"{entry.at:%H:%M:%S.%f}"[:-3], str(entry.status), after, why)
        before = entry
    return table


def _counts_table(result: Result) -> Table:
    table = Table(box=None, pad_edge=True, padding=(0, 2), show_header=False)
    table.add_column("status")
    table.add_column("messages", justify="right")
    for status in Status:
        if result.counts[status]:
            table.add_row(str(status), f"{result.counts[status]:,}")
    table.add_row("accepted in all", f"{result.counts['accepted']:,}", style="bold")
    return table


def _rate_seen(result: Result) -> str:
    if result.counts["accepted"] < ENOUGH:
        return ""
    return (
        f"; the provider saw {result.rate_used:.1f} a second "
        f"while messages waited, at most {result.rate_peak} in any one second"
        f"{_pauses(result.pauses)}"
    )


def _by_status(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{counts[status]} {status}" for status in Status if counts[status])


def _pauses(number: int) -> str:
    if not number:
        return ""
    asked = "a pause of a second" if number == 1 else f"{number} pauses of a second"
    return f", and asked for {asked}, behind which the rate climbs back from half"
