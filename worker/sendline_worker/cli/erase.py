"""`sendline erase`: a privacy request."""

from typing import TYPE_CHECKING, Annotated

import typer

from sendline_worker.cli import opening
from sendline_worker.cli.apps import Config, Json, make_app
from sendline_worker.cli.printing import confirm, print_json, print_line

if TYPE_CHECKING:
    from sendline.contract.erased import Erased

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
) -> int:
    """Erase all that is kept of a phone number: a privacy request.

    The number, texts and notes go from messages to it, and messages from it; what waits is canceled, in this
    machine's spool_dir, too: run it on every machine that has one, as the user of its app. Ids, statuses and
    counts stay. Files that you wrote (reports, rejects) and backups are yours to erase. Exits 1 where
    something of the spool could not be read.

    \b
    Examples:
      sendline erase +13115552367
      sendline erase +13115552367 --keep-opt-out --yes
    """  # noqa: D301 - the parser's mark for what it must not wrap
    settings = opening.load(config)
    with opening.producer(settings, reaches_spool=True) as producer:
        if not yes:
            confirm("this erases all that is kept of the number, and cancels what waits", json=json)
        erased = producer.erase(number, keep_opt_out=keep_opt_out)
    if json:
        print_json(erased.to_dict())
    else:
        _tell(erased)
    return 1 if erased.spool_left else 0


def _tell(erased: "Erased") -> None:
    print_line("ok", f"messages to it: {erased.messages}, of which {erased.canceled} had waited")
    print_line("  ", f"messages from it: {erased.inbound}; unreadable requests with it: {erased.rejected}")
    if erased.under_way:
        print_line("  ", f"{erased.under_way} may be on their way: followed on, without the number")
    if erased.spooled:
        print_line("  ", f"taken out of this machine's spool: {erased.spooled}")
    if erased.spool_left:
        print_line(
            "WRONG", f"files of the spool that may hold it still: {erased.spool_left}; see `sendline spool`"
        )
    if erased.opted_out:
        print_line("warn", "it had opted out, and is not on the suppression list any more")
