"""`sendline erase`: a privacy request."""

from typing import Annotated

import typer

from sendline_worker.cli import opening
from sendline_worker.cli.apps import Config, Json, make_app
from sendline_worker.cli.printing import confirm, print_json, print_line

app = make_app()


@app.command()
def erase(
    *,
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="A phone number, as +13115552367.")],
    keep_opt_out: Annotated[
        bool, typer.Option("--keep-opt-out", help="Leave it on the suppression list, if it is there.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Erase all that is kept of a phone number: a privacy request.

    The number, texts and notes go from messages to it, and messages from it; what waits is canceled. Ids,
    statuses and counts stay. Files (reports, rejects, an app's spool) and backups are yours to erase.

    \b
    Examples:
      sendline erase +13115552367
      sendline erase +13115552367 --keep-opt-out --yes
    """  # noqa: D301 - the parser's mark for what it must not wrap
    settings = opening.load(config)
    with opening.producer(settings) as producer:
        if not yes:
            confirm("this erases all that is kept of the number, and cancels what waits", json=json)
        erased = producer.erase(number, keep_opt_out=keep_opt_out)
    if json:
        print_json(erased.to_dict())
        return
    print_line("ok", f"messages to it: {erased.messages}, of which {erased.canceled} had waited")
    print_line("  ", f"messages from it: {erased.inbound}; unreadable requests with it: {erased.rejected}")
    if erased.under_way:
        print_line("  ", f"{erased.under_way} may be on their way: followed on, without the number")
    if erased.opted_out:
        print_line("warn", "it had opted out, and is not on the suppression list any more")
