"""Writes what was measured: results.md with its tables, results.svg and results.png."""

import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import psutil  # type: ignore[import-untyped]

from comparison.figures import Book
from comparison.targets import Target, spread

PACKAGES: Final = (
    *("aiohttp", "celery", "hiredis", "httpx", "httpx-aiohttp", "kombu", "redis", "tenacity", "uvloop"),
)
HEAD: Final = """\
# Sendline, a plain Celery program and a bare client

Measured on {date} by `{command}`. Told are the median of {rounds}, and in brackets the least and the most.

All do the same work on the same machine, taking turns: a POST of a message of 120 characters to a provider
that answers after 50 ms (a process of its own, which logs when each request had arrived), and a status kept.
CPU is that of the whole tree of worker processes, user and system; memory is what they hold, shared pages
counted once (PSS). Each turn has a server of its own, started as Sendline's embedded one, over a Unix socket:
{server}.

{machine}
"""
MACHINE: Final = """\
| machine | |
|---|---|
| processor | {processor}, {cores} cores |
| memory | {memory:.0f} GB |
| system | {system} |
| Python | {python} |
| packages | {packages} |
| used by other programs meanwhile | {busy:.0f} % |
"""


def machine(busy: float) -> str:
    """Return a table of what it ran on."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return MACHINE.format(
        processor=processor(),
        cores=os.cpu_count(),
        memory=psutil.virtual_memory().total / 1e9,
        system=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        packages=packages,
        busy=busy,
    )


def processor() -> str:
    """Return its name, where the system tells."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def write(place: Path, head: dict[str, Any], book: Book, found: Sequence[Target]) -> Path:
    """Write results.md; return its path."""
    lines = [HEAD.format(date=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", **head)]
    lines += ["## Targets", "", *target_table(found), ""]
    lines += [
        "## What makes figures doubtful",
        "",
        *(f"- {each}" for each in [*book.failures, *book.doubts] or ["nothing"]),
        "",
    ]
    lines += ["![plot](results.svg)", ""]
    for part in book.parts():
        lines += [f"## {part[0].upper()}{part[1:]}", "", *part_table(book, part), ""]
        lines += [*(f"- {each}" for each in book.notes.get(part, ())), ""]
    path = place / "results.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    return path


def target_table(found: Iterable[Target]) -> list[str]:
    """Return the targets, one a row."""
    rows = [(each.what, each.asked, each.measured, "kept" if each.kept else "**not kept**") for each in found]
    return table(("", "asked", "measured", ""), rows)


def part_table(book: Book, part: str) -> list[str]:
    """Return the figures of a part."""
    whats = book.whats(part)
    rows = []
    for who in book.whos(part):
        found = [book.middle(part, who, what) for what, _ in whats]
        rows.append((who, *(spread(each) if each else "" for each in found)))
    return table(["", *(f"{what}, {unit}" if unit else what for what, unit in whats)], rows)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a table."""
    return [
        f"| {' | '.join(heads)} |",
        "|" + "---|" * len(heads),
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def as_json(book: Book, found: Sequence[Target]) -> str:
    """Return all figures of all rounds, and the targets."""
    return json.dumps(
        {
            "figures": [{**asdict(key), "values": values} for key, values in book.figures.items()],
            "targets": [asdict(each) for each in found],
            "notes": book.notes,
            "doubts": book.doubts,
            "failures": book.failures,
            "kept": not book.failures and all(each.kept for each in found),
        }
    )
