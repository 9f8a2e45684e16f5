"""How commands print: one JSON object, or lines and plain tables that also read well in a file."""

import json
import sys
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sendline.contract.status import Status
from sendline_worker.cli.failures import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WIDE: Final = 1000
"""Columns where the output is no terminal: nothing is wrapped."""

STYLES: Final = {
    Status.DELIVERED: "green",
    Status.SENT: "green",
    Status.FAILED: "red",
    Status.UNDELIVERED: "red",
    Status.EXPIRED: "red",
    Status.UNCERTAIN: "yellow",
    Status.RETRYING: "yellow",
    "ok": "green",
    "open": "green",
    "warn": "yellow",
    "FAIL": "bold red",
    "WRONG": "bold red",
    "stopped": "bold red",
    "broken": "bold red",
    "paused": "yellow",
    "halted": "yellow",
    "spent": "yellow",
}
"""The colours of words, on terminals only."""


def console() -> Console:
    """Return where people read: it takes every text as it is, markup and emoji codes included."""
    width = None if sys.stdout.isatty() else WIDE
    return Console(markup=False, highlight=False, emoji=False, width=width)


def print_json(value: Any) -> None:
    """Print `value` as one JSON object on one line, at once."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def print_line(*words: str) -> None:
    """Print words on one line, statuses in their colour, at once."""
    console().print(*(_styled(word) for word in words), soft_wrap=True)


def print_table(heads: "Sequence[str]", rows: "Iterable[Sequence[str]]") -> None:
    """Print a table without lines; without heads where they are empty."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=any(heads), header_style="dim")
    for place, head in enumerate(heads, 1):
        table.add_column(head, overflow="fold", no_wrap=place < len(heads))  # the last one says why
    for row in rows:
        table.add_row(*(_styled(cell) for cell in row))
    screen = console()
    with screen.capture() as printed:
        screen.print(table)
    sys.stdout.writelines(f"{line.rstrip()}\n" for line in printed.get().splitlines())
    sys.stdout.flush()


def confirm(what: str, *, json: bool) -> None:
    """Ask on a terminal whether `what` is meant; elsewhere raise Failure, since nobody can answer."""
    if json or not sys.stdin.isatty():
        raise Failure("--yes", f"{what}; give --yes to say that this is meant")
    sys.stderr.write(f"{what}. Go on? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise KeyboardInterrupt


def _styled(word: str) -> Text:
    return Text(word, style=STYLES.get(word.partition(" ")[0].rstrip(":,"), ""))
