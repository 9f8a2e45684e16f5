"""`sendline recover`: lets dispatching go on after the ledger came back from an older state."""

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from sendline.contract.message import instant, stamp
from sendline.ledger import recovery
from sendline.ledger.limits import Limits
from sendline.ledger.standing import read_pulse
from sendline_worker.cli import opening, reading
from sendline_worker.cli.apps import Config, Json, make_app
from sendline_worker.cli.failures import Failure
from sendline_worker.cli.printing import print_json, print_line

if TYPE_CHECKING:
    from sendline.ledger.connection import Ledger

app = make_app()

REASON = "the ledger came back from an older state: it may have been sent since"


@app.command()
def recover(
    *,
    restored: Annotated[
        bool,
        typer.Option("--restored", help="A backup was just restored, and no worker has run on it since."),
    ] = False,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="When the backup was taken: what was sent later is not known to it."
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="When sending had ended.  [default: when it was noticed, or now]"),
    ] = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Hold what may have been sent in what the ledger forgot, then let dispatching go on.

    A failover to a replica, or a restored backup, brings the ledger back in an older state. Its users notice,
    and nothing is sent until this was run. It makes uncertain whatever may have been claimed meanwhile: what
    was being sent, what came due, and as many from the head of each line as the rates allow. Then see
    `sendline uncertain`.

    It may be interrupted and run again.

    \b
    Examples:
      sendline recover
      sendline recover --restored
      sendline recover --since 2026-11-21T03:00:00Z
    """  # noqa: D301 - the parser's mark for what it must not wrap
    settings = opening.load(config)
    first = 0 if since is None else _ms(reading.instant("since", since))
    last = 0 if until is None else _ms(reading.instant("until", until))
    if first and last and last < first:
        raise Failure("until", "must be later than since")
    with opening.ledger(settings) as ledger:
        behind = ledger.run(recovery.behind())
        if behind is None and not restored and not first:
            return _not_behind(json=json)
        if behind is None and not first and read_pulse(ledger).ticking:
            raise Failure(
                "restored",
                "a worker runs on this ledger already; stop it, and say --since when the backup was taken",
            )
        done = _recover(ledger, Limits.of(settings), first, last, json=json)
    if json:
        told = {"since": stamp(instant(done.since)), "until": stamp(instant(done.until))}
        print_json({"recovered": True, "held": done.held, **told})
        return 0
    print_line(
        "ok", f"recovered: what was claimed since {stamp(instant(done.since))} may have been forgotten"
    )
    print_line("ok", f"{done.held} messages that may have been sent are uncertain: see `sendline uncertain`")
    print_line("ok", "dispatching goes on")
    return 0


def _recover(ledger: "Ledger", limits: Limits, since: int, until: int, *, json: bool) -> recovery.Recovery:
    shows = sys.stderr.isatty() and not json
    while True:
        so_far = ledger.run(recovery.recover(limits, since=since, until=until, reason=REASON))
        if shows:
            sys.stderr.write(f"\r  {so_far.held} messages are uncertain")
        if so_far.done:
            break
    if shows:
        sys.stderr.write("\n")
    return so_far


def _not_behind(*, json: bool) -> int:
    if json:
        print_json({"recovered": False, "held": 0})
    else:
        print_line("ok", "the ledger has all that its users have seen of it: there is nothing to recover")
        print_line("  ", "after restoring a backup, before any worker runs: sendline recover --restored")
    return 0


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
