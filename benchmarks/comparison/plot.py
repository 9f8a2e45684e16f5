"""Draws what was measured."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl

from comparison import accepting, latency, urgent
from comparison.figures import Book
from comparison.turns import part_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS: Final = {"Sendline": "#1b7f5c", "Celery": "#c2702e", "bare": "#8a93a0"}


def draw(place: Path, book: Book, processes: Sequence[int]) -> None:
    """Write results.svg and results.png."""
    mpl.use("Agg")
    mpl.rcParams.update(
        {"svg.hashsalt": "sendline", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    )
    from matplotlib import pyplot as plt  # noqa: PLC0415 - once it is known what draws

    figure, places = plt.subplots(2, 2, figsize=(11, 7), layout="constrained")
    parts = [part_of(each) for each in processes]
    bars(places[0][0], book, [(part, "messages a second") for part in parts], "messages a second")
    bars(places[0][1], book, [(part, "CPU a message") for part in parts], "µs of CPU a message")
    whens = [(part, name) for part in (latency.PART, urgent.PART) for name in ("p50", "p99")]
    bars(places[1][0], book, whens, "ms from send() to the provider", log=True)
    ways = [(part, "CPU together") for part in (accepting.ONE, accepting.BULK)]
    bars(places[1][1], book, ways, "µs of CPU to hand in a message, Redis' included")
    for suffix, metadata in (("svg", {"Date": None}), ("png", {})):
        figure.savefig(place / f"results.{suffix}", dpi=130, metadata=metadata)
    plt.close(figure)


def bars(
    axes: "Axes", book: Book, groups: Sequence[tuple[str, str]], title: str, *, log: bool = False
) -> None:
    """Draw a group of bars for each part and figure, whiskers from the least to the most."""
    at, marks = 0.0, []
    for part, what in groups:
        begin = at
        for who in book.whos(part):
            found = book.middle(part, who, what)
            if found is None:
                continue
            colour = next(colour for name, colour in {**COLOURS, "": "#555"}.items() if who.startswith(name))
            error: Any = [[found.median - found.low], [found.high - found.median]]
            axes.barh(at, found.median, xerr=error, color=colour, height=0.8)
            axes.text(found.high, at, f"  {found.median:,.4g}", va="center", fontsize=7)
            marks.append((at, who))
            at += 1
        if at > begin:
            axes.text(
                0.99,
                begin - 0.75,
                short(part, what),
                ha="right",
                fontsize=8,
                transform=axes.get_yaxis_transform(),
            )
            at += 1.2
    axes.set_yticks([each for each, _ in marks], [who for _, who in marks])
    axes.set_ylim(at - 0.4, -1.3)
    axes.set_title(title, fontsize=10, pad=10)
    if log and marks:
        axes.set_xscale("log")
    axes.margins(x=0.18)


def short(part: str, what: str) -> str:
    """Return what a group of bars shows."""
    head = part.partition(":")[0]
    return f"{head}, {what}" if what.startswith("p") else head
