"""`sendline campaign create`: a campaign from a text and a file of recipients."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sendline_worker.cli import campaign_options as options
from sendline_worker.cli import opening, reading
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
from sendline_worker.cli.campaign_weigh import weight_of
from sendline_worker.cli.printing import print_json

if TYPE_CHECKING:
    from sendline.contract.campaign import Imported, Progress
    from sendline.producer import Producer
    from sendline_worker.cli.campaign_options import Given

Name = Annotated[str, typer.Argument(metavar="NAME", help="What the campaign is called.")]
Start = Annotated[bool, typer.Option("--start", help="Start it once all are imported.")]


def create(
    *,
    name: Name,
    text: options.Text = None,
    text_file: options.TextFile = None,
    recipients: options.Recipients = None,
    to_column: options.ToColumn = None,
    sender_column: options.SenderColumn = None,
    not_before_column: options.NotBeforeColumn = None,
    format: options.Format = None,  # noqa: A002 - the option's name
    encoding: options.Encoding = None,
    sender: options.Sender = None,
    account: options.Account = None,
    valid_for: options.ValidFor = None,
    window: options.Window = None,
    default_zone: options.DefaultZone = None,
    keep_duplicates: options.KeepDuplicates = False,
    pause_at: options.PauseAt = None,
    pause_over: options.PauseOver = 200,
    price: options.Price = None,
    weight: options.Weight = None,
    callback_url: options.CallbackUrl = None,
    on_uncertain: options.OnUncertain = None,
    rejects: options.Rejects = None,
    start: Start = False,
    config: Config = None,
    json: Json = False,
) -> int:
    """Create a campaign and import its recipients: each gets one message, none of them before its start.

    The columns of the file are the text's variables. An import that is cut off, by Ctrl-C or a crash, goes on
    when the very same command is given again. Exits 1 where no row could be accepted.

    \b
    Examples:
      sendline campaign create sale --text 'Hi {{ name }}' --recipients people.csv
      sendline campaign create sale --text Hello --recipients a.csv --rejects rejects.csv
    """  # noqa: D301 - the parser's mark for what it must not wrap
    given = options.given(recipients, (to_column, sender_column, not_before_column), format, encoding)
    fields = options.optional(
        text=options.text_of(text, text_file, given),
        sender=sender,
        account=account,
        valid_for=None if valid_for is None else reading.seconds("valid_for", valid_for),
        window=window,
        default_zone=default_zone,
        keep_duplicates=keep_duplicates,
        pause_at=_part(pause_at),
        pause_over=pause_over,
        price=price,
        weight=None if weight is None else weight_of(weight),
        callback_url=callback_url,
        on_uncertain=on_uncertain,
        rejects=options.rejects_path(rejects, text_file, None if given.is_stdin else given.path),
    )
    with opening.producer(opening.load(config)) as producer:
        now = _imported(producer, name, given, fields, json=json)
        now = producer.campaign(name).start() if start else now
    return _tell(now, rejects, json=json)


def _imported(
    producer: "Producer", name: str, given: "Given", fields: dict[str, Any], *, json: bool
) -> "Progress":
    """Import, with a bar on a terminal; return how the campaign then stands."""
    with contextlib.ExitStack() as open_files:
        source: Any = given.path
        size = encoding = None
        if not given.is_stdin:
            encoding, size = _looked_at(given)
            source = open_files.enter_context(Path(given.path).open("rb"))
        tell = open_files.enter_context(bar("importing", "rows", size, shown=is_watched(json=json)))

        def follow(imported: "Imported") -> None:
            tell(0 if given.is_stdin else source.tell(), imported.rows)

        follower = Follower(follow)
        how = options.optional(
            columns=given.columns, format=given.format, encoding=encoding or given.encoding
        )
        with told_how_to_go_on(producer, name, follower):
            made = producer.campaign(name, recipients=source, on_progress=follower, **how, **fields)
    return made.progress()


def _looked_at(given: "Given") -> tuple[str | None, int | None]:
    """Return the encoding and the size of a file. Raises InvalidCampaign."""
    from sendline.campaigns.steering import demand_encoding

    with given.open() as source:
        demand_encoding(source)
        return source.encoding, source.size


def _tell(now: "Progress", rejects: str | None, *, json: bool) -> int:
    """Print what was imported; return the exit code."""
    if json:
        print_json(plain_import(now, rejects))
    else:
        show_imported(now, rejects, [])
        show_next(now)
    return 0 if now.total else 1


def _part(text: str | None) -> float | str | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return text
