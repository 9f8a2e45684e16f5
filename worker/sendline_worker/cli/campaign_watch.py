"""`sendline campaign watch`: a campaign as it goes, until it has ended."""

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from sendline.contract.campaign import ENDED, CampaignState
from sendline.contract.errors import LedgerError
from sendline_worker.answers.campaign_estimate import about_done, plain, said
from sendline_worker.cli import opening, reading
from sendline_worker.cli.apps import Config, Json
from sendline_worker.cli.campaign_import import Pace
from sendline_worker.cli.campaign_show import find
from sendline_worker.cli.failures import INTERRUPTED, Failure
from sendline_worker.cli.printing import console, print_json, print_line

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

    from sendline.contract.campaign import Progress
    from sendline.ledger.connection import Ledger
    from sendline.settings import Settings
    from sendline_worker.answers.estimates import Estimate

LINE_EVERY: Final = 2.0
"""Seconds between two lines at least, where the output is no terminal."""
ESTIMATE_EVERY: Final = 5.0
"""Seconds after which its end is estimated anew: that reads all that waits."""
SHORTEST, LONGEST = 0.1, 3600.0


def watch(
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The campaign.")],
    every: Annotated[str, typer.Option(metavar="TIME", help="Look so often: seconds, or 500ms, 1m.")] = "1",
    config: Config = None,
    json: Json = False,
) -> int:
    """Watch a campaign until it has ended: how far it is, its rate, statuses, errors, about when it is done.

    Where the output is no terminal, there is a line when something has changed, every 2 seconds at most; with
    --json, an object on its own line. Ctrl-C ends the watching, not the campaign.

    \b
    Examples:
      sendline campaign watch sale
      sendline campaign watch sale --every 5 > sale.log
    """  # noqa: D301 - the parser's mark for what it must not wrap
    seconds = _every(every)
    settings = opening.load(config)
    with opening.ledger(settings) as ledger:
        watcher = _Watcher(ledger, settings, name)
        watcher.look()  # a mistake is told before anything is shown
        try:
            _follow(watcher, seconds, json=json)
        except KeyboardInterrupt:
            return INTERRUPTED
    return 0


def _every(text: str) -> float:
    milliseconds = text.strip().lower().removesuffix("ms")
    is_short = text.strip().lower().endswith("ms") and milliseconds.strip().isdecimal()
    seconds = int(milliseconds) / 1000 if is_short else reading.seconds("every", text)
    if not SHORTEST <= seconds <= LONGEST:
        raise Failure("every", f"must be from {SHORTEST:g} seconds to an hour")
    return seconds


class _Watcher:
    """Looks at one campaign again and again."""

    def __init__(self, ledger: "Ledger", settings: "Settings", name: str) -> None:
        self._ledger, self._settings, self._name = ledger, settings, name
        self._pace = Pace()
        self._estimated_at = float("-inf")
        self.now: Progress | None = None
        self.estimate: Estimate | None = None
        self.rate: float | None = None
        self.trouble = ""

    def look(self) -> "Progress":
        """Read it; where the server can't be used for a while, what was read last is as good as it gets."""
        try:
            found = find(self._ledger, self._name)
            self.now, self.trouble = found.progress, ""
            self.rate = self._pace.rate(gone(self.now))
            if self.now.state is not CampaignState.RUNNING:
                self.estimate, self._estimated_at = None, float("-inf")
            elif time.monotonic() - self._estimated_at >= ESTIMATE_EVERY:
                self._estimated_at = time.monotonic()
                self.estimate = about_done(self._ledger, self._settings, found.spec, found.progress)
        except LedgerError as error:
            if self.now is None:
                raise
            self.trouble = f"waiting: {error}"
        return self.now

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        now = self.look() if self.now is None else self.now
        rate = None if self.rate is None else round(self.rate, 1)
        return {**now.to_dict(), "rate": rate, "estimate": plain(self.estimate)}


def gone(now: "Progress") -> int:
    """Return how many messages are neither waiting nor on the wire."""
    return now.total - now.waiting - now.on_the_wire


def has_ended(now: "Progress") -> bool:
    """Return whether nothing of it changes any more."""
    return now.state in ENDED and not now.waiting and not now.on_the_wire


def _follow(watcher: _Watcher, every: float, *, json: bool) -> None:
    if json or not sys.stdout.isatty():
        _print(watcher, every, json=json)
        return
    from rich.live import Live

    with Live(console=console(), auto_refresh=False) as live:
        while True:
            now = watcher.look()
            _draw(live, watcher, now)
            if has_ended(now):
                return
            time.sleep(every)


def _print(watcher: _Watcher, every: float, *, json: bool) -> None:
    """Print a line when something has changed, not too often, and one at the end."""
    shown: Progress | None = None
    printed_at, trouble = float("-inf"), ""
    while True:
        now = watcher.look()
        over = has_ended(now)
        if now != shown and (over or time.monotonic() - printed_at >= LINE_EVERY):
            print_json(watcher.to_dict()) if json else print_line(_line(watcher, now))
            shown, printed_at = now, time.monotonic()
        if watcher.trouble != trouble:
            trouble = watcher.trouble
            sys.stderr.write(f"{trouble or 'going on: Redis answers again'}\n")
            sys.stderr.flush()
        if over:
            return
        time.sleep(every)


def _line(watcher: _Watcher, now: "Progress") -> str:
    parts = [f"{gone(now):,} of {now.total:,} gone", _counts(now)]
    parts += [f"{watcher.rate:,.1f} a second"] if watcher.rate else []
    told = said(watcher.estimate)
    parts += [f"done {told}" if told.startswith("in ") else told]
    return f"{now.name}: {now.summary}; {', '.join(filter(None, parts))}"


def _counts(now: "Progress") -> str:
    return ", ".join(f"{number:,} {status.value}" for status, number in now.statuses.items() if number)


def _draw(live: "Live", watcher: _Watcher, now: "Progress") -> None:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    bar = Table.grid(padding=(0, 2))
    rate = "" if watcher.rate is None else f"{watcher.rate:,.0f}/s"
    bar.add_row(
        ProgressBar(total=max(now.total, 1), completed=gone(now), width=40),
        Text(f"{gone(now):,} of {now.total:,}"),
        Text(rate),
        Text(said(watcher.estimate)),
    )
    parts: list[RenderableType] = [Text(f"{now.name}: {now.summary}", style="bold"), bar]
    parts.append(_table([(status.value, number) for status, number in now.statuses.items() if number]))
    if now.errors:
        errors = sorted(now.errors.items(), key=lambda each: -each[1])
        parts += [Text("errors", style="dim"), _table(errors)]
    if watcher.trouble:
        parts.append(Text(watcher.trouble, style="yellow"))
    live.update(Group(*parts), refresh=True)


def _table(rows: list[tuple[str, int]]) -> "RenderableType":
    from rich.table import Table
    from rich.text import Text

    from sendline_worker.cli.printing import STYLES

    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(justify="right")
    for word, number in rows:
        table.add_row(Text(f"  {word}", style=STYLES.get(word, "")), Text(f"{number:,}"))
    return table
