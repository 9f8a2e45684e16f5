"""How commands print: one JSON object, or lines and plain tables that also read well in a file."""

import errno
import json
import os
import sys
from typing import TYPE_CHECKING, Any, Final, NoReturn

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sendline.contract.status import Status
from sendline_worker.cli.failures import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WIDE: Final = 1000
"""Columns where the output is no terminal: nothing is wrapped."""
GAP: Final = 2
"""Columns between two cells."""
LEAST: Final = 20
"""Columns in which the last cell of a row may be wrapped at the least."""

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
    "spent": "yellow",
}
"""The colours of words, on terminals only."""


class _Screen(Console):
    """Rich's own would end the process with code 1 where nobody reads any more."""

    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def console() -> Console:
    """Return where people read: it takes every text as it is, markup and emoji codes included.

    Its `print` raises BrokenPipeError where nobody reads any more. With NO_COLOR set, nothing is styled.
    """
    width = None if sys.stdout.isatty() else WIDE
    screen = _Screen(markup=False, highlight=False, emoji=False, width=width)
    if not screen.no_color:
        return screen
    return _Screen(markup=False, highlight=False, emoji=False, width=width, color_system=None)


def print_json(value: Any) -> None:
    """Print `value` as one JSON object on one line, at once."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def print_line(*words: str) -> None:
    """Print words on one line, statuses in their colour, at once."""
    console().print(*(_styled(word) for word in words), soft_wrap=True)


def print_table(
    heads: "Sequence[str]", rows: "Iterable[Sequence[str]]", *, spare: "Sequence[str]" = ()
) -> tuple[str, ...]:
    """Print a table without lines; without heads where they are empty. Return the columns it left out.

    The last column is wrapped where a terminal is too narrow; no other cell is: the columns of `spare` are
    left out, one by one, and what is still too wide goes on in the next line, as the terminal does that.
    """
    screen = console()
    cells = [list(row) for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(heads, *cells, strict=True)]
    left_out: list[int] = []
    for head in spare:
        if _needed([width for place, width in enumerate(widths) if place not in left_out]) <= screen.width:
            break
        left_out += [place for place, each in enumerate(heads) if each == head]
    kept = [place for place in range(len(heads)) if place not in left_out]
    last = kept[-1]
    table = Table(
        box=None, pad_edge=False, padding=(0, GAP, 0, 0), show_header=any(heads), header_style="dim"
    )
    for place in kept:
        width = min(widths[place], LEAST) if place == last else widths[place]
        table.add_column(heads[place], overflow="fold", no_wrap=place != last, min_width=width)
    for row in cells:
        table.add_row(*(_styled(row[place]) for place in kept))
    least = _needed([widths[place] for place in kept[:-1]] + [min(widths[last], LEAST)])
    screen.width = max(screen.width, least)
    with screen.capture() as printed:
        screen.print(table)
    sys.stdout.writelines(f"{line.rstrip()}\n" for line in printed.get().splitlines())
    sys.stdout.flush()
    return tuple(heads[place] for place in left_out)


def _needed(widths: "Sequence[int]") -> int:
    """Return how many columns of a terminal cells take beside each other."""
    return sum(widths) + GAP * (len(widths) - 1)


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
