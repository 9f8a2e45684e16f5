"""`sendline recover`: lets dispatching go on after the ledger came back from an older state."""

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sendline.contract.message import instant, stamp
from sendline.ledger import recovery
from sendline.ledger.limits import Limits
from sendline.ledger.standing import clock, read_pulse
from sendline_worker.cli import opening, reading
from sendline_worker.cli.apps import Config, Json, make_app
from sendline_worker.cli.failures import Failure
from sendline_worker.cli.printing import confirm, print_json, print_line

if TYPE_CHECKING:
    from sendline.ledger.connection import Ledger

app = make_app()

REASON: Final = "the ledger came back from an older state: it may have been sent since"


@app.command()
def recover(
    *,
    restored: Annotated[
        bool,
        typer.Option("--restored", help="A backup was just restored, and no worker has run on it since."),
    ] = False,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="When the backup was made: what was sent later is not in it."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="When sending had ended.  [default: when the loss was noticed, or now]"
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask first.")] = False,
    config: Config = None,
    json: Json = False,
) -> int:
    """Hold what may have been sent in what the ledger forgot, then let dispatching go on.

    A failover to a replica, or a restored backup, brings the ledger back in an older state. Its users notice,
    and nothing is sent until this was run. It makes uncertain whatever may have been claimed meanwhile: what
    was being sent, what came due, and as many from the head of each line as the rates allow. Then see
    `sendline uncertain`. A TIME is ISO 8601, or how long ago: 10m, 6h, 2d.

    It may be interrupted and run again. Where `sendline up` is stopped, its server is started for this.

    \b
    Examples:
      sendline recover
      sendline recover --until 2026-11-21T03:05:00Z
      sendline recover --restored
      sendline recover --since 6h
    """  # noqa: D301 - the parser's mark for what it must not wrap
    settings = opening.load(config)
    with opening.ledger_at_rest(settings) as ledger:
        asked = _Asked.read(ledger, since, until)
        state = ledger.run(recovery.state())
        if state.behind is None:
            if not restored and not asked.since:
                return _not_behind(asked, json=json)
            _check_unnoticed(ledger, restored=restored, yes=yes, json=json)
        done = _recover(ledger, Limits.of(settings), state.era, asked, json=json)
    _tell(done, asked, json=json)
    return 0


@dataclass(frozen=True, slots=True)
class _Asked:
    """The times that were given, in milliseconds of the server's clock; 0: none."""

    since: int
    until: int

    @classmethod
    def read(cls, ledger: "Ledger", since: str | None, until: str | None) -> "_Asked":
        now = ledger.run(clock()) // 1000
        first, last = (
            0 if text is None else round(reading.past(field, text).timestamp() * 1000)
            for field, text in (("since", since), ("until", until))
        )
        for field, at in (("since", first), ("until", last)):
            if at > now:
                raise Failure(field, f"{stamp(instant(at))} is still to come; it must be past")
        if first and last and last < first:
            raise Failure("until", "must be later than since")
        return cls(first, last)


def _check_unnoticed(ledger: "Ledger", *, restored: bool, yes: bool, json: bool) -> None:
    """See that a person means it: nobody has noticed that the ledger lacks anything."""
    if not read_pulse(ledger).ticking:
        return
    if restored:
        fix = "stop the workers, and give --since with the time of the backup instead of --restored"
        raise Failure("--restored", f"a worker runs on this ledger already; {fix}")
    if not yes:
        confirm("Workers run, and nobody has noticed a loss: messages that wait may be held", json=json)


def _recover(ledger: "Ledger", limits: Limits, era: int, asked: _Asked, *, json: bool) -> recovery.Recovery:
    shows = sys.stderr.isatty() and not json
    while True:
        call = recovery.recover(limits, era, since=asked.since, until=asked.until, reason=REASON)
        so_far = ledger.run(call)
        if so_far is None:
            raise Failure("until", "must be later than the ledger's last sign of life; give --since too")
        if shows:
            sys.stderr.write(f"\r  {so_far.held} messages are uncertain")
        if so_far.done:
            break
    if shows:
        sys.stderr.write("\n")
    return so_far


def _tell(done: recovery.Recovery, asked: _Asked, *, json: bool) -> None:
    since = stamp(instant(done.since)) if done.since else None
    if json:
        print_json(
            {"recovered": True, "held": done.held, "since": since, "until": stamp(instant(done.until))}
        )
        return
    print_line("ok", f"recovered: what was claimed since {since or 'its beginning'} may have been forgotten")
    if asked.since and asked.since != done.since:
        print_line("warn", "a recovery that was begun earlier went on, with the times given then")
    print_line("ok", f"{done.held} messages that may have been sent are uncertain: see `sendline uncertain`")
    print_line("ok", "dispatching goes on")


def _not_behind(asked: _Asked, *, json: bool) -> int:
    if asked.until:
        raise Failure("until", "goes with --since or --restored: nobody has noticed that anything is missing")
    if json:
        print_json({"recovered": False, "held": 0})
    else:
        print_line("ok", "the ledger has all that its users have seen of it: there is nothing to recover")
        print_line("  ", "after restoring a backup, before any worker runs: sendline recover --restored")
    return 0
