"""`python -m chaos`: one campaign for each policy, the tables, and 0 where the promises hold, else 1."""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from chaos.messages import Campaign
from chaos.plan import plan
from chaos.report import View, show, show_plan, write_result
from chaos.run import Result, run
from sendline_worker.stack import interrupts

POLICIES = ("hold", "resend")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same faults [1]")
    parser.add_argument("--messages", type=int, default=20_000, help="in each run [20000]")
    parser.add_argument("--seconds", type=float, default=240.0, help="how long faults come [240]")
    parser.add_argument("--policy", choices=(*POLICIES, "both"), default="both")
    parser.add_argument("--keep", type=Path, help="where the logs shall stay, also of a good run")
    parser.add_argument("--list", action="store_true", help="print the plan and do nothing")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


def main() -> int:
    """Do what the command line asks for."""
    asked = _arguments()
    console = Console(stderr=asked.json)
    if asked.list:
        show_plan(console, plan(asked.seed, asked.seconds))
        return 0
    interrupts.once()
    campaign = Campaign(asked.seed, asked.messages, asked.seconds)
    policies = POLICIES if asked.policy == "both" else (asked.policy,)
    kept = asked.keep or Path(tempfile.mkdtemp(prefix="sendline-chaos-"))
    try:
        results = [_run(console, campaign, policy, kept / policy) for policy in policies]
    except KeyboardInterrupt:
        console.print(f"interrupted; everything was ended; logs: {kept}", soft_wrap=True)
        return 130
    if asked.json:
        sys.stdout.write(json.dumps([result.to_dict() for result in results], indent=1) + "\n")
    else:
        show(console, results)
    holds = all(result.verdict.holds for result in results)
    if holds and asked.keep is None:
        shutil.rmtree(kept)
    return 0 if holds else 1


def _run(console: Console, campaign: Campaign, policy: str, directory: Path) -> Result:
    directory.mkdir(parents=True)
    with View(console, policy) as view:
        result = run(campaign, policy, directory, view.watch)
    write_result(result)
    return result


if __name__ == "__main__":
    sys.exit(main())
