"""`sendline campaign preview`: what a campaign would send, and what that comes to."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from sendline_worker.cli import campaign_options as options
from sendline_worker.cli import opening
from sendline_worker.cli.apps import Config, Json
from sendline_worker.cli.campaign_import import bar, counted_rows, guess, is_watched
from sendline_worker.cli.failures import Failure
from sendline_worker.cli.printing import print_json, print_line

if TYPE_CHECKING:
    from sendline.campaigns.preview import Preview
    from sendline_worker.cli.campaign_trial import Trial

INDENT: Final = "    "

Samples = Annotated[int, typer.Option(min=0, max=1000, metavar="N", help="Show so many texts.")]
Rows = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Look at the first N rows only.  [default: all]")
]


def preview(
    *,
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
    window: options.Window = None,
    default_zone: options.DefaultZone = None,
    price: options.Price = None,
    samples: Samples = 3,
    rows: Rows = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Show what a campaign would send, and what it comes to: segments, cost, time, rows that are no good.

    Nothing is created or sent, and no Redis is needed; without one the time is left out. Duplicates, and
    numbers that have opted out, are found by `create`. Exits 1 where no row could be sent to.

    \b
    Examples:
      sendline campaign preview --text 'Hi {{ name }}' --recipients people.csv
      sendline campaign preview --text-file text.txt --recipients people.csv --price 0.0079
      sendline campaign preview --text Hello --recipients people.csv --window 09:00-20:00
    """  # noqa: D301 - the parser's mark for what it must not wrap
    from sendline_worker.cli.campaign_trial import duration, read_ground, try_out

    given = options.given(recipients, (to_column, sender_column, not_before_column), format, encoding)
    fields = options.optional(
        text=options.text_of(text, text_file, given),
        sender=sender,
        account=account,
        window=window,
        default_zone=default_zone,
        price=price,
    )
    ground = read_ground(opening.load(config))
    with given.open() as source, bar("reading", "rows", source.size, shown=is_watched(json=json)) as tell:
        trial = try_out(source, fields, ground.rules, samples=samples, rows=rows, tell=tell)
        notes = [guess(source)] if source.guessed else []
    seconds, why = duration(trial, ground, datetime.now(UTC))
    if json:
        print_json(_plain(trial, notes, seconds, why))
    else:
        _show(trial, notes, price, seconds, why)
    return 0 if trial.rows > trial.rejected else 1


def _found(trial: "Trial") -> "Preview":
    if trial.preview is None:
        raise Failure(None, "nothing was read")
    return trial.preview


def _show(trial: "Trial", notes: list[str], price: str | None, seconds: float | None, why: str) -> None:
    found = _found(trial)
    for sample in found.samples:
        print_line(f"{sample.to}")
        print_line(f"{INDENT}{_shown(sample.text)}")
    counts = found.segments
    if found.samples:
        print_line("")
    print_line(f"recipients  {found.recipients:,} of {counted_rows(trial.rows)}")
    if found.recipients:
        numbers = f"min {counts.min}, mean {counts.mean:.2f}, max {counts.max}, total {counts.total:,}"
        print_line(f"segments    {numbers}; the longest text has {found.longest:,} characters")
        print_line("encodings  ", ", ".join(f"{name} {number:,}" for name, number in found.encodings.items()))
        _show_forcing(found)
        if found.cost is not None:
            print_line(f"cost        {found.cost:,f} at {price} a segment")
        print_line("time       ", _told(seconds, why))
    if trial.rejected:
        print_line(f"rejected    {counted_rows(trial.rejected)}, the first:")
        for each in trial.first:
            print_line(f"{INDENT}line {each.line}: {each.reason}")
    for note in notes:
        print_line("warn", note)


def _told(seconds: float | None, why: str) -> str:
    from sendline_worker.cli.campaign_trial import told

    return told(seconds, why)


def _show_forcing(found: "Preview") -> None:
    if not found.forcing:
        return
    print_line("UCS-2       forced by these characters, which more than halve what fits a segment:")
    for each in found.forcing:
        by = "the text itself" if each.in_template else "variables"
        instead = found.replacements.get(each.character)
        fix = (
            "" if instead is None else f"; {instead!r} could stand there" if instead else "; can be left out"
        )
        name = f"U+{ord(each.character):04X}"
        shown = each.character if each.character.isprintable() else " "
        print_line(f"{INDENT}{shown}  {name} in {_counted(each.recipients)}, from {by}{fix}")


def _counted(texts: int) -> str:
    return "1 text" if texts == 1 else f"{texts:,} texts"


def _shown(text: str) -> str:
    """Return a text as a terminal may show it: lines stay, and nothing steers the terminal."""
    lines = text.split("\n")
    safe = ("".join(c if c.isprintable() else ascii(c)[1:-1] for c in line) for line in lines)
    return f"\n{INDENT}".join(safe)


def _plain(trial: "Trial", notes: list[str], seconds: float | None, why: str) -> dict[str, Any]:
    found = _found(trial)
    return {
        **asdict(found),
        "cost": None if found.cost is None else str(found.cost),
        "rows": trial.rows,
        "rejected": trial.rejected,
        "rejected_first": [{"line": each.line, "reason": each.reason} for each in trial.first],
        "seconds": seconds,
        "because": why,
        "notes": notes,
    }
