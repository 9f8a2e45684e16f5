"""`sendline accounts`: how each stands, and what waits for it; `set`, `pause`, `resume` and `history`."""

import contextlib
import sys
import time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sendline.contract.errors import LedgerError
from sendline.contract.message import stamp
from sendline.ledger.accounts import changes_after, halt, newest_change, resume
from sendline.ledger.limits import Limits
from sendline_worker.alerts import sentence
from sendline_worker.answers.overview import read_account, read_overview
from sendline_worker.cli import opening
from sendline_worker.cli.accounts_table import show
from sendline_worker.cli.adjusting import check_account, set_limits, unknown
from sendline_worker.cli.apps import Config, Json, make_app
from sendline_worker.cli.failures import Failure
from sendline_worker.cli.printing import print_json, print_line, print_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sendline.ledger.accounts import AccountChange
    from sendline.ledger.connection import Ledger
    from sendline.settings import Settings

app = make_app()
app.command(name="set")(set_limits)

SHOWN: Final = 20
"""Changes that are shown, unless asked otherwise."""
FOLLOWED_EVERY: Final = 0.5
"""Seconds between two looks for changes."""

Name = Annotated[str, typer.Argument(metavar="NAME", help="The account.")]


@app.callback(invoke_without_command=True)
def accounts(
    context: typer.Context,
    *,
    urls: Annotated[
        bool, typer.Option("--urls", help="Show the URL to enter at each provider for its delivery reports.")
    ] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Show each account: its state, its rate, its calls under way, what waits for it, and for how long.

    `rate` is what is configured, or what a person has set; `in force` is less after the provider asked to
    slow down, and 0 where nothing goes. A message that may go by several accounts is counted at each of them.
    Beside how many wait stands how long ago the oldest of them was accepted, scheduled ones included.

    \b
    Examples:
      sendline accounts
      sendline accounts --urls
      sendline accounts set main --rate 10
      sendline accounts pause main --reason 'the provider has an outage'
      sendline accounts resume main
      sendline accounts history --follow
    """  # noqa: D301 - the parser's mark for what it must not wrap
    if context.invoked_subcommand is not None:
        _check_order(context, context.invoked_subcommand)
        return
    settings = opening.load(config)
    with opening.ledger(settings) as ledger:
        found = read_overview(ledger, settings)
    addresses = _addresses(settings) if urls else {}
    if json:
        plain = found.to_dict()
        for account in plain["accounts"]:
            account.update({"receipts_url": addresses.get(account["name"])} if urls else {})
        print_json(plain)
        return
    show(found)
    if urls:
        print_line("")
        if addresses:
            print_table(("account", "where its provider shall report deliveries"), addresses.items())
        else:
            print_line("no URLs: no account is configured here; they need one, public_url and secret_key")


@app.command()
def pause(
    *,
    account: Name,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Shown to whoever asks why it is paused.")] = "",
    config: Config = None,
    json: Json = False,
) -> None:
    """Let an account send nothing until `resume`: its messages wait, or go by the next one of their route.

    Calls that are under way come to their end.

    \b
    Examples:
      sendline accounts pause main
      sendline accounts pause main --reason 'the provider has an outage'
    """  # noqa: D301 - the parser's mark for what it must not wrap
    settings = opening.load(config)
    with opening.ledger(settings) as ledger:
        if not ledger.run(halt(Limits.of(settings), account, reason)):
            raise unknown(ledger, settings, account)
        if json:
            print_json(read_account(ledger, settings, account))
    if not json:
        print_line("ok", f"account {account} is paused; `sendline accounts resume {account}` lets it go on")


@app.command(name="resume")
def let_go_on(*, account: Name, config: Config = None, json: Json = False) -> None:
    """Let an account go on, whatever held it up: a person, a provider's pause, a stop or its circuit breaker.

    One that was stopped, or whose breaker is open, is tried at once, with one message.

    \b
    Examples:
      sendline accounts resume main
    """  # noqa: D301 - the parser's mark for what it must not wrap
    settings = opening.load(config)
    with opening.ledger(settings) as ledger:
        if not ledger.run(resume(Limits.of(settings), account)):
            raise unknown(ledger, settings, account)
        found = read_account(ledger, settings, account)
    if json:
        print_json(found)
    elif found["why"] is None:
        print_line("ok", f"account {account} goes on")
    else:
        print_line("ok", f"account {account} was let go on.", found["why"])


@app.command()
def history(
    *,
    account: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Only this account.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what comes, until Ctrl-C.")] = False,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="Show so many at most.")] = SHOWN,
    config: Config = None,
    json: Json = False,
) -> None:
    """Show how accounts have changed, the newest last: stopped, throttled, paused, adjusted, well again.

    The newest thousand changes are kept. With --follow and --json, each change is an object on its own line.

    \b
    Examples:
      sendline accounts history
      sendline accounts history main --follow
    """  # noqa: D301 - the parser's mark for what it must not wrap
    settings = opening.load(config)
    with opening.ledger(settings) as ledger:
        if account is not None:
            check_account(ledger, settings, account)
        found = list(_changes(ledger, 0))
        seen = found[-1].seq if found else 0
        shown = [each for each in found if account in {None, each.account}][-limit:]
        if json and not follow:
            print_json({"changes": [each.to_dict() for each in shown]})
            return
        if not shown and not follow:
            print_line("no account has changed yet")
        _print_changes(shown, json=json)
        if follow:
            _follow(ledger, seen, account, json=json)


def _follow(ledger: "Ledger", seen: int, account: str | None, *, json: bool) -> None:
    """Print what comes until Ctrl-C, which is how this ends. It waits where the server can't be used."""
    waits = False
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            time.sleep(FOLLOWED_EVERY)
            try:
                if waits:
                    seen = min(seen, ledger.run(newest_change()))  # it may have come back from an older state
                new = list(_changes(ledger, seen))
            except LedgerError as error:
                if not waits:
                    _say(f"waiting: {error}")
                waits = True
                continue
            if waits:
                _say("going on: Redis answers again")
            waits = False
            seen = new[-1].seq if new else seen
            _print_changes([each for each in new if account in {None, each.account}], json=json)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _print_changes(changes: "list[AccountChange]", *, json: bool) -> None:
    for each in changes:
        if json:
            print_json(each.to_dict())
        else:
            print_line(stamp(each.at) or "", "", each.account, sentence(each))


def _changes(ledger: "Ledger", seen: int) -> "Iterator[AccountChange]":
    while some := ledger.run(changes_after(seen)):
        yield from some
        seen = some[-1].seq


def _check_order(context: typer.Context, command: str) -> None:
    """Refuse options before the command: they are the table's."""
    for param in context.command.params:
        source = context.get_parameter_source(param.name or "")
        if source is not None and source.name == "COMMANDLINE":
            option = param.opts[0]
            raise Failure(option, f"options come after the command: sendline accounts {command} {option}")


def _addresses(settings: "Settings") -> dict[str, str]:
    """Return, by account, where its provider shall report deliveries, or why it can't."""
    from sendline_worker.accounts import load_accounts
    from sendline_worker.tokens import CallbackUrls

    made = CallbackUrls(settings.public_url, settings.secret_key)
    found = {}
    for name, account in load_accounts(settings).items():
        if not account.capabilities.receipts:
            found[name] = "none: its provider reports no deliveries"
        else:
            found[name] = made.account_url(name) or "none: set public_url and secret_key"
    return found
