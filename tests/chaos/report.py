"""What a person sees of a run: a line while it runs, the tables at the end."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from rich.console import Console
from rich.table import Table

from chaos.kinds import KINDS
from chaos.plan import Fault
from chaos.run import Progress, Result
from chaos.verdict import SHOWN as STATUSES
from sendline import Status

if TYPE_CHECKING:
    from rich.status import Status as Spinner

LINE_EVERY: Final = 10.0
"""Seconds between two lines where the output is no terminal."""
SHOWN: Final = 20
"""Offenders listed; the rest are in the file."""


class View:
    """Shows how far a run is; a context manager, so that the terminal is left as it was."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = title
        self._spinner: Spinner | None = None
        self._line_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._spinner is not None:
            self._spinner.stop()

    def watch(self, reached: Progress) -> None:
        """Show it."""
        if not self._console.is_terminal:
            if time.monotonic() - self._line_at >= LINE_EVERY:
                self._line_at = time.monotonic()
                self._console.print(self._line(reached), soft_wrap=True)
            return
        if self._spinner is None:
            self._spinner = self._console.status("")
            self._spinner.start()
        self._spinner.update(self._line(reached))

    def _line(self, reached: Progress) -> str:
        counts = ", ".join(f"{reached.counts[s]} {s}" for s in Status if reached.counts.get(s))
        now = f"; now: {', '.join(reached.now)}" if reached.now else ""
        return (
            f"{self._title} {reached.seconds:.0f}/{reached.of:.0f} s, {reached.faults} faults: "
            f"{counts} of {reached.total}{now}"
        )


def show_plan(console: Console, faults: Sequence[Fault]) -> None:
    """Print when which fault comes."""
    for fault in faults:
        strength = f" ({fault.strength:g})" if fault.strength else ""
        when = f"{fault.at:7.2f} s  for {fault.lasts:5.2f} s"
        line = f"{when}  {fault.place:25}  {fault.name}: {fault.kind.what}"
        console.print(line + strength, soft_wrap=True, highlight=False)


def show(console: Console, results: Sequence[Result]) -> None:
    """Print what the runs came to."""
    console.print(_totals(results))
    console.print()
    console.print(_faults(results))
    for result in results:
        _show_rest(console, result)


def _totals(results: Sequence[Result]) -> Table:
    table = Table(box=None, padding=(0, 2), title_justify="left")
    table.add_column("")
    for result in results:
        table.add_column(result.verdict.policy, justify="right")
    verdicts = [result.verdict for result in results]
    table.add_row("accepted by send()", *(f"{v.accepted:,}" for v in verdicts))
    for status in STATUSES:
        table.add_row(status.value, *(f"{v.by_status.get(status, 0):,}" for v in verdicts))
    table.add_row("  of them the provider has", *(f"{sum(v.uncertain_taken.values()):,}" for v in verdicts))
    table.add_row("lost", *(f"{v.lost:,}" for v in verdicts), style="bold")
    table.add_row("sent twice", *(f"{v.twice:,}" for v in verdicts), style="bold")
    table.add_row("  at most, by what was in doubt", *(f"{v.bound:,}" for v in verdicts))
    table.add_row("faults injected", *(f"{sum(r.faults.values()):,}" for r in results))
    table.add_row("seconds, all in all", *(f"{r.seconds:.0f}" for r in results))
    table.add_row("  quiet again after the last fault", *(f"{r.settled_after:.0f}" for r in results))
    return table


def _faults(results: Sequence[Result]) -> Table:
    table = Table(box=None, padding=(0, 2))
    table.add_column("fault")
    for result in results:
        table.add_column(result.verdict.policy, justify="right")
    for kind in KINDS:
        table.add_row(kind.name, *(str(r.faults.get(kind.name, 0)) for r in results))
    return table


def _show_rest(console: Console, result: Result) -> None:
    policy, offenders = result.verdict.policy, result.verdict.offenders
    for note in sorted(set(result.notes)):
        console.print(f"  {policy}: {note} ({result.notes.count(note)})", soft_wrap=True)
    if not offenders:
        console.print(f"✓ {policy}: the promises hold (seed {result.campaign.seed})", style="green")
        return
    for offender in offenders[:SHOWN]:
        console.print(f"✗ {policy}: {offender}", style="red", soft_wrap=True)
    if len(offenders) > SHOWN:
        console.print(f"✗ {policy}: and {len(offenders) - SHOWN} more", style="red")
    console.print(f"  logs, and the stories of the messages: {result.directory}", soft_wrap=True)


def write_result(result: Result) -> Path:
    """Write all of a result beside the logs."""
    path = result.directory / "result.json"
    path.write_text(json.dumps(result.to_dict(), indent=1) + "\n")
    return path
