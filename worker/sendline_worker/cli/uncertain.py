"""`sendline uncertain`: messages whose fate is not known, and what a person decides about them."""

import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from sendline.contract import ids
from sendline.contract.codes import ErrorCode
from sendline.contract.message import stamp
from sendline.contract.numbers import mask
from sendline.ledger import verbs
from sendline.ledger.doubts import Decided, Decision
from sendline.ledger.limits import Limits
from sendline_worker.cli import opening, reading
from sendline_worker.cli.apps import Config, Json, make_app
from sendline_worker.cli.failures import Failure
from sendline_worker.cli.printing import confirm, print_json, print_line, print_table
from sendline_worker.doubted import Choice, Doubted, chosen, decide

if TYPE_CHECKING:
    from sendline.ledger.connection import Ledger
    from sendline.settings import Settings

app = make_app()

SHOWN: Final = 50
WORDS: Final[dict[Decided, str]] = {
    "settled": "not uncertain, or not any more",
    "over": "final already: its deadline has passed",
    "expired": "not resent: its validity has ended (let it fail, or send a new message)",
    "canceled": "not resent: it was canceled (let it fail)",
    "unknown": "not known",
}
"""Why a decision could not hold."""

Account = Annotated[str | None, typer.Option(metavar="NAME", help="Only those of this account.")]
Error = Annotated[
    str | None,
    typer.Option(metavar="CODE", help="Only those with this error: perhaps_accepted, worker_died, failover."),
]
Older = Annotated[
    str | None, typer.Option(metavar="TIME", help="Only those uncertain for longer: 10m, 2h, 1d.")
]
Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="The messages' ids.")]
All = Annotated[bool, typer.Option("--all", help="All that are uncertain, or those that the options choose.")]
Yes = Annotated[bool, typer.Option("--yes", help="Don't ask first.")]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Kept in the message's timeline.")]


@app.callback(invoke_without_command=True)
def uncertain(
    context: typer.Context,
    *,
    account: Account = None,
    error: Error = None,
    older: Older = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="Show so many at most.")] = SHOWN,
    config: Config = None,
    json: Json = False,
) -> None:
    """List the messages whose fate is not known, first accepted first; `resend` and `fail` decide about them.

    The provider may or may not have accepted them, so they are not sent again by themselves: a receipt, a
    look-up, you or their deadline decides.

    \b
    Examples:
      sendline uncertain
      sendline uncertain --account main --older 1h
      sendline uncertain resend 0199a1b2-0000-7000-8000-000000000000
      sendline uncertain fail --all --error failover
    """  # noqa: D301 - the parser's mark for what it must not wrap
    if context.invoked_subcommand is not None:
        _check_order(context, context.invoked_subcommand)
        return
    choice = _choice(account, error, older)
    with opening.ledger(opening.load(config)) as ledger:
        found = chosen(ledger, choice)
        shown = list(islice(found, limit))
        more = sum(1 for _ in found)
        if not shown:
            _check_account(ledger, account)
    if json:
        print_json({"number": len(shown) + more, "messages": [_plain(each) for each in shown]})
        return
    if not shown:
        print_line(
            "ok",
            "no message is uncertain" if choice == Choice() else "none that is uncertain fits these options",
        )
        return
    heads = ["message", "uncertain since", "account", "to", "error", "final at", "why"]
    print_table(heads, (_row(each) for each in shown))
    if more:
        print_line(f"and {more} more; --limit {len(shown) + more} shows all")


@app.command()
def resend(
    *,
    message_ids: Ids = None,
    everything: All = False,
    account: Account = None,
    error: Error = None,
    older: Older = None,
    reason: Reason = "a person said: send it again",
    yes: Yes = False,
    config: Config = None,
    json: Json = False,
) -> int:
    """Send uncertain messages again, by the same account: a recipient may then get one twice.

    Exits 1 where it could not be done for one of them.

    \b
    Examples:
      sendline uncertain resend 0199a1b2-0000-7000-8000-000000000000
      sendline uncertain resend --all --account main --yes
    """  # noqa: D301 - the parser's mark for what it must not wrap
    _check(message_ids, everything, account, error, older)
    return _decide("resend", message_ids, _choice(account, error, older), reason, config, yes=yes, json=json)


@app.command()
def fail(
    *,
    message_ids: Ids = None,
    everything: All = False,
    account: Account = None,
    error: Error = None,
    older: Older = None,
    reason: Reason = "a person said: it was not sent",
    yes: Yes = False,
    config: Config = None,
    json: Json = False,
) -> int:
    """Let uncertain messages fail: they are not sent again. A receipt can still prove them delivered.

    Exits 1 where it could not be done for one of them.

    \b
    Examples:
      sendline uncertain fail 0199a1b2-0000-7000-8000-000000000000
      sendline uncertain fail --all --older 1d --yes
    """  # noqa: D301 - the parser's mark for what it must not wrap
    _check(message_ids, everything, account, error, older)
    return _decide("fail", message_ids, _choice(account, error, older), reason, config, yes=yes, json=json)


def _check_order(context: typer.Context, decision: str) -> None:
    """Refuse options before the decision: they are the list's, and would choose nothing."""
    for param in context.command.params:
        source = context.get_parameter_source(param.name or "")
        if source is not None and source.name == "COMMANDLINE":
            option = param.opts[0]
            raise Failure(option, f"options come after the command: sendline uncertain {decision} {option}")


def _check(named: list[str] | None, everything: bool, *choosing: str | None) -> None:  # noqa: FBT001
    if everything and named:
        raise Failure("--all", "and ids exclude each other; give one of them")
    if named and any(choosing):
        raise Failure("id", "options that choose go with --all; leave out either them or the ids")
    if not everything and not named:
        raise Failure("id", "missing; name the messages, or give --all")


def _choice(account: str | None, error: str | None, older: str | None) -> Choice:
    codes = [code.value for code in ErrorCode]
    if error is not None and error not in codes:
        raise Failure("error", f"{error!r} is no error code; known: {', '.join(codes)}")
    before = None
    if older is not None:
        try:
            before = datetime.now(UTC) - timedelta(seconds=reading.seconds("older", older))
        except OverflowError:
            raise Failure("older", f"{older!r} is too long ago; write seconds, or 10m, 72h, 3d") from None
    return Choice(account, error, before)


def _check_account(ledger: "Ledger", account: str | None) -> None:
    """Refuse an account that nobody knows: it is a slip."""
    known = ledger.run(verbs.directory()).accounts
    if account is not None and account not in known:
        raise Failure("account", f"{account!r} is not known; known: {', '.join(known) or 'none'}")


def _decide(
    decision: Decision,
    named: list[str] | None,
    choice: Choice,
    reason: str,
    config: str | None,
    *,
    yes: bool,
    json: bool,
) -> int:
    settings = opening.load(config)
    meant = _meant(settings, named, choice)
    verb = "sent again" if decision == "resend" else "failed"
    if named is None and meant and not yes:
        confirm(f"{len(meant)} messages will be {verb}", json=json)
    became: Counter[Decided] = Counter()
    with opening.ledger(settings) as ledger:
        for some in decide(ledger, Limits.of(settings), decision, meant, reason):
            became += some
            if sys.stderr.isatty() and not json:
                sys.stderr.write(f"\r  {became.total()} of {len(meant)}")
    if sys.stderr.isatty() and not json and meant:
        sys.stderr.write("\n")
    done = became.pop("decided", 0)
    if json:
        print_json({"decision": decision, "decided": done, **became})
    else:
        print_line("ok" if done or not became else "warn", f"{done} {verb}")
        for word, number in became.items():
            print_line("warn", f"{number} {WORDS[word]}")
    return 1 if became else 0


def _meant(settings: "Settings", named: list[str] | None, choice: Choice) -> list[bytes]:
    if named is None:
        with opening.ledger(settings) as ledger:
            texts = [each.message.id for each in chosen(ledger, choice)]
            if not texts:
                _check_account(ledger, choice.account)
    else:
        texts = named
    meant: dict[bytes, None] = {}
    for text in texts:
        message_id = ids.to_bytes(text)
        if message_id is None:
            raise Failure("id", f"{text!r} is no message id")
        meant[message_id] = None
    return list(meant)


def _row(doubted: Doubted) -> tuple[str, ...]:
    message = doubted.message
    return (
        message.id,
        stamp(doubted.since) or "",
        message.account or "",
        mask(message.to),
        str(message.error or ""),
        stamp(message.due_at) or "",
        doubted.reason,
    )


def _plain(doubted: Doubted) -> dict[str, Any]:
    message = doubted.message
    return {
        "id": message.id,
        "since": stamp(doubted.since),
        "account": message.account,
        "to": mask(message.to),
        "error": message.error,
        "attempts": message.attempts,
        "provider_id": message.provider_id,
        "final_at": stamp(message.due_at),
        "valid_until": stamp(message.expires_at),
        "reason": doubted.reason,
    }
