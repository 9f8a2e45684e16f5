"""`python -m reported`: one run; prints what it came to; 0 where no receipt was lost, else 1."""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from reported.run import Result, run
from sendline_worker.stack import interrupts

SHOWN = 20
"""Offenders listed."""


def main() -> int:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m reported", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same messages [1]")
    parser.add_argument("--messages", type=int, default=20_000, help="[20000]")
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = parser.parse_args()
    console = Console(stderr=asked.json)
    interrupts.once()
    logs = Path(tempfile.mkdtemp(prefix="sendline-reported-"))
    try:
        with console.status("starting") as line:
            result = run(asked.seed, asked.messages, logs, line.update)
    except KeyboardInterrupt:
        console.print(f"interrupted; everything was ended; logs: {logs}", soft_wrap=True)
        return 130
    if asked.json:
        sys.stdout.write(json.dumps(result.to_dict(), indent=1) + "\n")
    else:
        show(console, result)
    if result.offenders:
        console.print(f"logs: {logs}", soft_wrap=True)
        return 1
    shutil.rmtree(logs)
    return 0


def show(console: Console, result: Result) -> None:
    """Print what a run came to."""
    told = result.to_dict()
    for name in ("messages", "seed", "seconds", "by_status", "receipts_by_answer", "unclear", "forged"):
        console.print(f"{name.replace('_', ' ')}: {told[name]}", soft_wrap=True, highlight=False)
    console.print(f"faults: {', '.join(result.faults)}", highlight=False)
    for each in result.offenders[:SHOWN]:
        console.print(each, soft_wrap=True, highlight=False)
    if len(result.offenders) > SHOWN:
        console.print(f"and {len(result.offenders) - SHOWN} more")
    console.print("NOT what the provider's log says" if result.offenders else "as the provider's log says")


if __name__ == "__main__":
    sys.exit(main())
