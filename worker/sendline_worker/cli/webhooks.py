"""`sendline webhooks`: the endpoints that are told of events, and what is done about those that fail."""

import re
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sendline.contract.errors import LedgerUnavailable
from sendline.ledger import notices
from sendline.ledger.limits import Limits
from sendline_worker.answers.endpoints import label, public, read_endpoints
from sendline_worker.answers.spelling import counted
from sendline_worker.cli import opening, webhooks_table
from sendline_worker.cli.apps import Config, Json, make_app
from sendline_worker.cli.failures import Failure
from sendline_worker.cli.printing import confirm, print_json, print_line
from sendline_worker.cli.webhooks_table import ILL, STATES, named, plain, state, why

if TYPE_CHECKING:
    from sendline.ledger.connection import Ledger
    from sendline.ledger.notices import Endpoint

app = make_app()

SHOWN: Final = 100
"""Endpoints that are listed, unless asked otherwise."""
LEAST: Final = 4
"""Characters that name an endpoint: fewer may fit one by chance."""
NAMED: Final = 5
"""Endpoints that one error names."""
SEE: Final = "see `sendline webhooks list`"

_MARK: Final = re.compile(r"[0-9a-f]{4,16}")

Mark = Annotated[
    str,
    typer.Argument(metavar="MARK", help="The endpoint: its mark, its URL, or a part of one."),
]
Marks = Annotated[
    list[str] | None,
    typer.Argument(metavar="MARK", help="The endpoints: marks, URLs, or parts of them."),
]


@app.callback()
def webhooks() -> None:
    """Show the endpoints that are told of events, and act on those that fail.

    An endpoint is a callback_url of messages or of an account, without its query; a mark stands for it.
    At least 4 characters of its beginning will do, or of a part of the URL that no other endpoint has.

    \b
    Examples:
      sendline webhooks list
      sendline webhooks resume 3f2a
    """  # noqa: D301 - the parser's mark for what it must not wrap


@app.command("list")
def show(
    *,
    failing: Annotated[bool, typer.Option("--failing", help="Only those that fail, or are stopped.")] = False,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="Show so many at most.")] = SHOWN,
    config: Config = None,
    json: Json = False,
) -> None:
    """List the endpoints: first those that are stopped, then those that fail, then the others.

    `waiting` counts messages, those whose webhooks are under way included; `lost` and `told` count notices:
    one is one event. What is lost was tried for too long, or was too much; it is kept for `replay`. An
    endpoint is forgotten a day after the last thing it was told.

    \b
    Examples:
      sendline webhooks list
      sendline webhooks list --failing --json
    """  # noqa: D301 - the parser's mark for what it must not wrap
    settings = opening.load(config)
    with opening.ledger(settings) as ledger:
        found = read_endpoints(ledger, Limits.of(settings))
    fit = [each for each in found if not failing or state(each) in ILL]
    fit.sort(key=lambda each: (min(STATES.index(state(each)), len(ILL)), each.url))
    shown = fit[:limit]
    if json:
        print_json({"number": len(fit), "endpoints": [plain(each) for each in shown]})
    elif shown:
        webhooks_table.show(shown)
        if fit[limit:]:
            print_line(f"and {len(fit) - limit} more; --limit {len(fit)} shows all")
    elif found:
        print_line("ok", "no endpoint fails or is stopped")
    else:
        print_line("ok", "no endpoint is told of anything now: one comes to be with the first message")
        print_line("  ", "that names a callback_url, or whose account has one in its configuration")


@app.command()
def resume(
    *,
    marks: Marks = None,
    everything: Annotated[bool, typer.Option("--all", help="All that fail, or are stopped.")] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Take up telling endpoints again, at once: those that are stopped, or are left alone since they fail.

    What waits for them is told now; what was lost meanwhile is told by `replay`.

    \b
    Examples:
      sendline webhooks resume 3f2a
      sendline webhooks resume https://app.example/hooks/sms
      sendline webhooks resume --all
    """  # noqa: D301 - the parser's mark for what it must not wrap
    if everything and marks:
        raise Failure("--all", "and marks exclude each other; give one of them")
    if not everything and not marks:
        raise Failure("mark", "missing; name the endpoints, or give --all")
    settings = opening.load(config)
    limits = Limits.of(settings)
    with opening.ledger(settings) as ledger:
        if marks:
            named_ones = [_meant(ledger, limits, word) for word in marks]
            meant = list({each.mark: each for each in named_ones}.values())
        else:
            meant = [each for each in read_endpoints(ledger, limits) if state(each) in ILL]
        resumed = [(each, _resume(ledger, limits, each)) for each in meant]
    if json:
        print_json({"resumed": [named(each) | {"waiting": waiting} for each, waiting in resumed]})
        return
    if not resumed:
        print_line("ok", "no endpoint fails or is stopped")
    for each, waiting in resumed:
        print_line("ok", f"{label(each)} is told again; it waits to be told of {counted(waiting, 'message')}")
        if each.lost:
            lost = counted(each.lost, "lost notice")
            print_line("  ", f"{lost}: `sendline webhooks replay {each.mark}` tells what was lost")


@app.command()
def replay(
    *,
    mark: Mark,
    resumes: Annotated[
        bool, typer.Option("--resume", help="Take up telling it again, if it is stopped.")
    ] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Tell an endpoint what was lost, after all: the oldest first, and tried for as long as if it were new.

    Notices of one message are told in order, but behind what the endpoint was told of it meanwhile. This may
    be interrupted and run again.

    \b
    Examples:
      sendline webhooks replay 3f2a
      sendline webhooks replay 3f2a --resume
    """  # noqa: D301 - the parser's mark for what it must not wrap
    settings = opening.load(config)
    limits = Limits.of(settings)
    with opening.ledger(settings) as ledger:
        meant = _meant(ledger, limits, mark)
        stopped = state(meant) == "stopped"
        if stopped and not resumes:
            raise Failure(
                "--resume",
                f"{label(meant)} is stopped {why(meant)}; give --resume to take up telling it again",
            )
        if stopped:
            _resume(ledger, limits, meant)
        number = _replay(ledger, limits, meant, json=json)
    if json:
        print_json(named(meant) | {"replayed": number, "resumed": stopped})
        return
    if stopped:
        print_line("ok", f"{label(meant)} is told again")
    told = f"{counted(number, 'lost notice')} will be told after all" if number else "nothing is lost"
    print_line("ok", told)


@app.command()
def drop(
    *,
    mark: Mark,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask first.")] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Forget an endpoint, and what it was not told: that is never told then.

    It comes to be anew, and is told again, with the next event of a message that names it.

    \b
    Examples:
      sendline webhooks drop 3f2a
      sendline webhooks drop https://old.example/hooks/sms --yes
    """  # noqa: D301 - the parser's mark for what it must not wrap
    settings = opening.load(config)
    limits = Limits.of(settings)
    with opening.ledger(settings) as ledger:
        meant = _meant(ledger, limits, mark)
        if not yes:
            untold = f"{counted(meant.waiting, 'message')} that it waits to be told of"
            all_of_it = f"{untold} and {counted(meant.lost, 'lost notice')}"
            confirm(f"{label(meant)} will be forgotten, with {all_of_it}", json=json)
        number = ledger.run(notices.drop(limits, meant.mark))
    if number < 0:  # the answer to this very call was lost, or somebody else was quicker: it is gone
        number = meant.waiting + meant.lost
    if json:
        print_json(named(meant) | {"dropped": number})
    else:
        lost = min(meant.lost, number)
        untold = f"{counted(number - lost, 'message')} and {counted(lost, 'lost event')}"
        print_line("ok", f"{label(meant)} is forgotten; it was not told of {untold}")


def _meant(ledger: "Ledger", limits: Limits, word: str) -> "Endpoint":
    """Return the one endpoint that a mark, a URL or a part of one means. Raises Failure."""
    word, mark = public(word), word.lower()
    if len(word) < LEAST:
        raise Failure("mark", f"{word!r} is too short; give {LEAST} or more characters of a mark or a URL")
    found = read_endpoints(ledger, limits, mark) if _MARK.fullmatch(mark) else []
    if not found:
        urls = [(each, public(each.url)) for each in read_endpoints(ledger, limits)]
        found = [each for each, url in urls if (word == url if "://" in word else word in url)]
    if not found:
        raise Failure("mark", f"no endpoint is known as {word!r}; {SEE}")
    if len(found) > 1:
        some = ", ".join(sorted(each.mark for each in found)[:NAMED]) + (", ..." if found[NAMED:] else "")
        raise Failure("mark", f"{word!r} may mean {len(found)} endpoints; give one of {some}")
    return found[0]


def _resume(ledger: "Ledger", limits: Limits, endpoint: "Endpoint") -> int:
    """Tell it again; return how many messages wait for it."""
    waiting = ledger.run(notices.readmit(limits, endpoint.mark))
    if waiting < 0:
        raise _gone(endpoint)
    return waiting


def _replay(ledger: "Ledger", limits: Limits, endpoint: "Endpoint", *, json: bool) -> int:
    """Take out what is lost, batch by batch, until nothing is left; return how many notices that were."""
    shows = sys.stderr.isatty() and not json and endpoint.lost > notices.REPLAYED
    number, taken = 0, notices.REPLAYED
    while taken == notices.REPLAYED:
        call = notices.replay(limits, endpoint.mark)
        try:
            taken = ledger.run(call)
        except LedgerUnavailable:
            taken = ledger.run(call)  # under the same name: where only the answer was lost, it comes again
        if taken < 0:
            raise _gone(endpoint)
        number += taken
        if shows:
            sys.stderr.write(f"\r  {number} of {max(number, endpoint.lost)}")
    if shows:
        sys.stderr.write("\n")
    return number


def _gone(endpoint: "Endpoint") -> Failure:
    return Failure("mark", f"{label(endpoint)} was dropped or forgotten meanwhile; {SEE}")
