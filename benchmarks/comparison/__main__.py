"""Runs all in one session, writes results.md, results.svg and results.png, and says what holds.

    python -m comparison                    in the folder benchmarks, or: make bench
    python -m comparison --quick
    python -m comparison turns flat --rounds 5 --json

Exits 1 where a target is not kept. Ctrl-C ends everything that was started.
"""

import argparse
import resource
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Final

from comparison import accepting, campaigning, flat, latency, others, turns, urgent
from comparison.figures import Book
from comparison.places import server
from comparison.plot import draw
from comparison.processes import BENCHMARKS, Others
from comparison.report import as_json, machine, target_table, write
from comparison.session import Asked, Session, session
from comparison.targets import targets

PARTS: Final[dict[str, Callable[[Session, Book, Asked], None]]] = {
    "turns": turns.measure,
    "accepting": accepting.measure,
    "idle": latency.measure,
    "urgent": urgent.measure,
    "flat": flat.measure,
    "campaign": campaigning.measure,
    "provider": others.capacity,
    "receipts": others.receipts,
}
BUSY: Final = 10.0
"""Per cent of the machine from which on it is told that something else runs on it."""


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m comparison", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", help=f"{', '.join(PARTS)} [all]")
    parser.add_argument("--quick", action="store_true", help="a round of small counts, about two minutes")
    parser.add_argument("--rounds", type=int, help="turns of each [3; quick: 1]")
    parser.add_argument("--scale", type=float, help="multiplies messages and samples [1; quick: 0.12]")
    parser.add_argument("--processes", type=int, nargs="+", help="worker processes [1 2; quick: 2]")
    parser.add_argument("--most", type=int, help="of flat: what waits at most [1000000; quick: 100000]")
    parser.add_argument("--output", type=Path, default=BENCHMARKS, help="where the results are written")
    parser.add_argument("--json", action="store_true", help="print all figures as JSON")
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"{', '.join(sorted(unknown))}: no such part; there are {', '.join(PARTS)}")
    return asked


def command(given: argparse.Namespace) -> str:
    """Return the command that was given, without the place of its results."""
    told = {"rounds": given.rounds, "scale": given.scale, "most": given.most}
    words = [*given.parts, *(["--quick"] if given.quick else [])]
    words += [f"--{name} {value}" for name, value in told.items() if value is not None]
    words += [f"--processes {' '.join(map(str, given.processes))}"] if given.processes else []
    return f'make bench BENCH="{" ".join(words)}"' if words else "make bench"


def measure(name: str, running: Session, book: Book, asked: Asked) -> None:
    """Measure one part; where it fails, the others are measured all the same."""
    try:
        PARTS[name](running, book, asked)
    except Exception as error:  # noqa: BLE001 - whatever it was, it is told, and the run fails
        traceback.print_exc()
        book.fail(f"{name}: {type(error).__name__}: {str(error)[:200]}")


def main() -> int:
    """Measure, write, print."""
    given = arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))
    asked = Asked(
        rounds=given.rounds or (1 if given.quick else 3),
        scale=given.scale or (0.12 if given.quick else 1.0),
        processes=tuple(given.processes or ([2] if given.quick else [1, 2])),
        tries=not given.quick,
        most=given.most or (100_000 if given.quick else 1_000_000),
    )
    elsewhere, book = Others(), Book()
    with tempfile.TemporaryDirectory(prefix="sl") as folder, session(Path(folder)) as running:
        with server(Path(folder), "v") as valkey:
            settings = valkey.settings()
        for name in given.parts or PARTS:
            measure(name, running, book, asked)
    busy = elsewhere.share()
    if busy > BUSY:
        book.doubt(f"other programs used {busy:.0f} % of the machine meanwhile: latencies mean little")
    found = targets(book, asked.processes)
    head = {
        "command": command(given),
        "rounds": f"{asked.rounds} round{'s' if asked.rounds > 1 else ''}",
        "server": settings,
        "machine": machine(busy),
    }
    path = write(given.output, head, book, found)
    draw(given.output, book, asked.processes)
    if given.json:
        print(as_json(book, found))
    else:
        print(*target_table(found), "", *book.failures, *book.doubts, sep="\n")
        print(f"written: {path.name}, results.svg, results.png")
    return 0 if not book.failures and all(each.kept for each in found) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("ended before its time; nothing was written")
