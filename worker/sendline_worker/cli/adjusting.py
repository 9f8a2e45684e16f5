"""`sendline accounts set`: other limits of an account, in force at once and until they are taken back."""

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from sendline.ledger import verbs
from sendline.ledger.account_state import account_state
from sendline.ledger.accounts import LIFTED, LIMITS, adjust
from sendline.ledger.accounts import reset as take_back
from sendline.ledger.limits import Limits
from sendline_worker.answers.adjusting import bounds_of, has_meaning, is_whole, is_within, why_unknown
from sendline_worker.answers.limits import told
from sendline_worker.answers.overview import read_account
from sendline_worker.cli import opening
from sendline_worker.cli.apps import Config, Json
from sendline_worker.cli.failures import Failure
from sendline_worker.cli.printing import print_json, print_line

if TYPE_CHECKING:
    from sendline.ledger.connection import Ledger
    from sendline.settings import Settings

CONFIGURED: Final = "configured"
"""The word that takes an adjustment back."""
NONE: Final = ("0", "none")
"""The words that lift a limit."""


def _option(text: str) -> Any:
    return typer.Option(metavar="N", help=text)


def set_limits(
    *,
    account: Annotated[str, typer.Argument(metavar="NAME", help="The account.")],
    rate: Annotated[str | None, _option("Messages (or segments) a second.")] = None,
    burst: Annotated[str | None, _option("What may go at once after a pause.")] = None,
    in_flight: Annotated[str | None, _option("Calls at the same time; 0: no bound.")] = None,
    daily_cap: Annotated[str | None, _option("What it sends in a day; 0: no bound.")] = None,
    sender_rate: Annotated[str | None, _option("A second from each sender; 0: no bound.")] = None,
    sender_burst: Annotated[str | None, _option("At once from each sender.")] = None,
    sender_daily_cap: Annotated[str | None, _option("In a day from each sender; 0: no bound.")] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Take all adjustments back.")] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Let other limits be in force than the configured ones: at once, in all workers, also after a restart.

    Each option takes a number, or the word `configured`, which takes its adjustment back.

    \b
    Examples:
      sendline accounts set main --rate 10
      sendline accounts set main --daily-cap 5000 --sender-rate 1
      sendline accounts set main --rate configured
      sendline accounts set main --reset
    """  # noqa: D301 - the parser's mark for what it must not wrap
    given = (rate, burst, in_flight, daily_cap, sender_rate, sender_burst, sender_daily_cap)
    asked = {limit: text for limit, text in zip(LIMITS, given, strict=True) if text is not None}
    if not asked and not reset:
        raise Failure(
            "limit", "missing; give --rate, --burst, ... or --reset, see `sendline accounts set --help`"
        )
    if asked and reset:
        raise Failure("--reset", "takes all adjustments back; leave out the others")
    changes = {limit: read_limit(limit, text) for limit, text in asked.items()}
    settings = opening.load(config)
    with opening.ledger(settings) as ledger:
        bounds = Limits.of(settings)
        if not has_meaning(ledger.run(account_state(account)), changes):
            raise Failure(
                "--sender-burst", "has no meaning without a rate for senders; give --sender-rate, too"
            )
        if not ledger.run(take_back(bounds, account) if reset else adjust(bounds, account, changes)):
            raise unknown(ledger, settings, account)
        if json:
            print_json(read_account(ledger, settings, account))
            return
        changed = told(ledger.run(account_state(account)))
    print_line("ok", f"account {account}:", changed or "all of its limits are those that are configured")


def read_limit(limit: str, text: str) -> float | None:
    """Return the limit that `text` means, 0 where it lifts it; None: the configured one. Raises Failure."""
    word = text.strip().lower()
    option = f"--{limit.replace('_', '-')}"
    if word == CONFIGURED:
        return None
    if word in NONE and limit in LIFTED:
        return 0
    wanted = f"{bounds_of(limit)}, or the word {CONFIGURED}"
    try:
        found = int(word) if is_whole(limit) else float(word)
    except ValueError:
        raise Failure(option, f"{text!r} is not {wanted}") from None
    if not found or not is_within(limit, found):
        raise Failure(option, f"{text!r} is not {wanted}")
    return found


def check_account(ledger: "Ledger", settings: "Settings", account: str) -> None:
    """Refuse an account that nobody knows: it is a slip."""
    if account not in ledger.run(verbs.directory()).accounts and account not in settings.accounts:
        raise unknown(ledger, settings, account)


def unknown(ledger: "Ledger", settings: "Settings", account: str) -> Failure:
    """Return what is wrong with an account that no worker has published."""
    return Failure("account", why_unknown(ledger, settings, account) or "was not known a moment ago")
