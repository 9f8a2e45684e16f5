"""`sendline campaign weigh`: what a campaign gets of the accounts that carry several."""

import math
from typing import Annotated

import typer

from sendline.campaigns.spec import GREATEST_WEIGHT, LEAST_WEIGHT
from sendline.contract.draft import campaign_name
from sendline.contract.errors import InvalidMessage
from sendline.ledger.lines import read_rows, weigh
from sendline_worker.answers.spelling import counted
from sendline_worker.cli import opening
from sendline_worker.cli.apps import Config, Json
from sendline_worker.cli.failures import Failure
from sendline_worker.cli.printing import print_json, print_line


def set_weight(
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The campaign.")],
    weight: Annotated[str, typer.Argument(metavar="WEIGHT", help="From 0.01 to 1000; 1 without it.")],
    config: Config = None,
    json: Json = False,
) -> None:
    """Set the weight by which a campaign takes turns: one with weight 2 sends twice as much as one with 1.

    It counts at once, and also for what is accepted later. Messages that `send` was given the name of a
    campaign for belong to it, too. Of a name that no imported campaign has, it is forgotten once it was
    neither changed nor used for 90 days.

    \b
    Examples:
      sendline campaign weigh black-friday 3
      sendline campaign weigh black-friday 1
    """  # noqa: D301 - the parser's mark for what it must not wrap
    number = weight_of(weight)
    checked = _name(name)
    with opening.ledger(opening.load(config)) as ledger:
        ledger.run(weigh(checked, number))
        waiting = sum(row.length for row in read_rows(ledger, heads=False) if row.campaign == checked)
    if json:
        print_json({"campaign": checked, "weight": number, "waiting": waiting})
        return
    verb = "waits" if waiting == 1 else "wait"
    waits = f"{counted(waiting, 'message')} of it {verb}"
    print_line("ok", f"campaign {checked} takes turns with weight {number:g}; {waits}")


def weight_of(text: str) -> float:
    """Return the weight that `text` means. Raises Failure."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not LEAST_WEIGHT <= number <= GREATEST_WEIGHT:
        raise Failure("weight", f"{text!r} is not a number from {LEAST_WEIGHT:g} to {GREATEST_WEIGHT:g}")
    return number


def _name(text: str) -> str:
    try:
        return campaign_name(text)
    except InvalidMessage as error:
        raise Failure("name", f"{text!r} is no campaign's name: it {error.problem}") from None
