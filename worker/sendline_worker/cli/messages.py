"""`sendline messages`: finds messages by status, campaign, recipient and time."""

import json as plain_json
import sys
from itertools import chain, islice
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from sendline.contract.message import stamp
from sendline.contract.numbers import mask
from sendline_worker.cli import opening, reading
from sendline_worker.cli.apps import Config, Json, make_app
from sendline_worker.cli.printing import print_line, print_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sendline.contract.message import Message
    from sendline.contract.page import Filters

app = make_app()

DEFAULT_LIMIT: Final = 50
TABLE_AT_ONCE: Final = 500
"""Lines of the table that are laid out together."""


@app.command()
def messages(
    *,
    to: Annotated[str | None, typer.Option(metavar="NUMBER", help="Only those to this number.")] = None,
    status: Annotated[str | None, typer.Option(metavar="STATUS", help="Only those with it now.")] = None,
    campaign: Annotated[str | None, typer.Option(metavar="NAME", help="Only those of this one.")] = None,
    key: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only those sent with API keys of this name.")
    ] = None,
    after: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only those accepted then or later.")
    ] = None,
    before: Annotated[str | None, typer.Option(metavar="TIME", help="Only those accepted earlier.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="How many at most; 0: all.")] = DEFAULT_LIMIT,
    config: Config = None,
    json: Json = False,
) -> None:
    """List messages, the newest first.

    A TIME is how long ago (30m, 2h, 3d), or ISO 8601, without a zone in local time. Numbers are shown in
    part, with --json whole; texts never.

    \b
    Examples:
      sendline messages --to +13115552367
      sendline messages --status failed --after 24h
      sendline messages --campaign black-friday --limit 0 --json > messages.json
    """  # noqa: D301 - the parser's mark for what it must not wrap
    filters: Filters = {
        "to": to,
        "status": status,
        "campaign": campaign,
        "owner": key,
        "after": None if after is None else reading.past("after", after),
        "before": None if before is None else reading.past("before", before),
    }
    with opening.producer(opening.load(config)) as producer:
        found = producer.find(**filters)
        first = next(found, None)  # a mistake is told before anything is printed
        some = islice(() if first is None else chain([first], found), limit or None)
        if json:
            _print_json(some)
        elif not _print_rows(some):
            print_line("ok", "no message that is kept fits")


def _print_json(found: "Iterator[Message]") -> None:
    """Print one JSON object on one line, however many messages there are."""
    write, separator = sys.stdout.write, ""
    write('{"messages": [')
    for message in found:
        write(separator + plain_json.dumps(_plain(message)))
        separator = ", "
    write("]}\n")
    sys.stdout.flush()


def _plain(message: "Message") -> dict[str, Any]:
    plain = message.to_dict()
    del plain["text"]
    return plain


def _print_rows(found: "Iterator[Message]") -> int:
    number = 0
    while some := list(islice(found, TABLE_AT_ONCE)):
        heads = ("message", "accepted", "to", "status", "account", "campaign", "error")
        print_table(heads if not number else ("",) * len(heads), [_row(message) for message in some])
        number += len(some)
    return number


def _row(message: "Message") -> tuple[str, ...]:
    return (
        message.id,
        stamp(message.created_at) or "",
        mask(message.to),
        message.status.value,
        message.account or "",
        message.campaign or "",
        str(message.error or ""),
    )
