"""`sendline campaign retry`: a new round for those whom a campaign did not reach."""

from typing import Annotated

import typer

from sendline_worker.answers.spelling import counted
from sendline_worker.cli import opening
from sendline_worker.cli.apps import Config, Json
from sendline_worker.cli.campaign_import import (
    Follower,
    bar,
    is_watched,
    plain_import,
    show_imported,
    show_next,
    told_how_to_go_on,
)
from sendline_worker.cli.failures import Failure
from sendline_worker.cli.printing import print_json


def retry(
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The campaign whose failures are tried again.")],
    failed: Annotated[
        bool, typer.Option("--failed", help="Those that failed, were undelivered, or expired.")
    ] = False,
    new_name: Annotated[
        str | None,
        typer.Option("--name", metavar="NEW", help="The new campaign.  [default: NAME.2, NAME.3, ...]"),
    ] = None,
    start: Annotated[bool, typer.Option("--start", help="Start it at once.")] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Create a new campaign of just those messages of another that came to a bad end.

    Text, sender, window and the rest stay the same; weight and earliest times don't. Messages that are no
    longer kept are left out and counted. Those whose fate is uncertain are no failures: see
    `sendline uncertain`.

    \b
    Examples:
      sendline campaign retry sale --failed
      sendline campaign retry sale --failed --name sale-once-more --start
    """  # noqa: D301 - the parser's mark for what it must not wrap
    if not failed:
        raise Failure("--failed", f"missing; say what to try again: sendline campaign retry {name} --failed")
    with opening.producer(opening.load(config)) as producer:
        old = producer.campaign(name)
        number = old.progress().failed
        with bar("importing", "rows", number, shown=is_watched(json=json)) as tell:
            follower = Follower(lambda imported: tell(imported.rows, imported.rows))
            with told_how_to_go_on(producer, new_name, follower):
                made = old.retry_failed(new_name, on_progress=follower)
        now = made.start() if start else made.progress()
    gone = max(number - now.imported.rows, 0)
    if json:
        print_json({**plain_import(now, None), "retries": name, "no_longer_kept": gone})
        return
    verb = "is" if gone == 1 else "are"
    notes = [f"{counted(gone, 'message')} that failed {verb} no longer kept, and left out"] if gone else []
    show_imported(now, None, notes)
    show_next(now)
