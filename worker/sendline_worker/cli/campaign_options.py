"""What `sendline campaign create` and `preview` are given: the text, the recipients, how they are read."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from sendline_worker.cli import reading
from sendline_worker.cli.failures import Failure

if TYPE_CHECKING:
    from sendline.campaigns.recipients import Columns, Source

STDIN: Final = "-"

Text = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="The text, with variables: 'Hi {{ name }}'; - is standard input."),
]
TextFile = Annotated[str | None, typer.Option(metavar="FILE", help="A file that holds the text, in UTF-8.")]
Recipients = Annotated[
    str | None, typer.Option(metavar="FILE", help="CSV, JSON lines or Parquet; - is standard input.")
]
ToColumn = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="The column of the numbers.  [default: to, phone, mobile, ...]"),
]
SenderColumn = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="A sender for each row.  [default: sender, if there is one]"),
]
NotBeforeColumn = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="An earliest time for each row, ISO 8601.  [default: not_before, if there is one]",
    ),
]
Format = Annotated[
    str | None, typer.Option(metavar="FORMAT", help="csv, jsonl or parquet.  [default: by the file's name]")
]
Encoding = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="As cp1252, utf-16.  [default: UTF-8, or what it looks like]"),
]
Sender = Annotated[
    str | None, typer.Option(metavar="SENDER", help="A number or a name.  [default: the account's first]")
]
Account = Annotated[str | None, typer.Option(metavar="NAME", help="Only by this account.")]
Window = Annotated[
    str | None,
    typer.Option(metavar="HOURS", help="Of the recipient's clock: 09:00-20:00, 'Mon-Fri 09:00-20:00'."),
]
DefaultZone = Annotated[
    str | None,
    typer.Option(metavar="ZONE", help="Of numbers that may lie in several: Europe/Berlin. With --window."),
]
Price = Annotated[str | None, typer.Option(metavar="PRICE", help="Of one segment, as 0.0079.")]
ValidFor = Annotated[
    str | None,
    typer.Option(
        metavar="TIME", help="Seconds, or 90m, 3d, from its start: never sent later.  [default: 72h]"
    ),
]
OnUncertain = Annotated[
    str | None,
    typer.Option(metavar="POLICY", help="hold: never sent twice; resend.  [default: by account and lane]"),
]
CallbackUrl = Annotated[
    str | None, typer.Option(metavar="URL", help="Your app's endpoint: called with each event.")
]
KeepDuplicates = Annotated[
    bool, typer.Option("--keep-duplicates", help="Send to a number as often as the file names it.")
]
PauseAt = Annotated[
    str | None, typer.Option(metavar="PART", help="It pauses by itself when so many fail: 20%, or 0.2.")
]
PauseOver = Annotated[
    int, typer.Option(metavar="N", help="Of so many outcomes, the newest.", show_default=True)
]
Weight = Annotated[
    str | None, typer.Option(metavar="WEIGHT", help="What it gets beside other campaigns.  [default: 1]")
]
Rejects = Annotated[
    str | None, typer.Option(metavar="FILE", help="A CSV file for rows that can't be sent to, and why.")
]


@dataclass(frozen=True, slots=True)
class Given:
    """The recipients, and how they are read."""

    path: str
    columns: "Columns"
    format: str | None
    encoding: str | None

    @property
    def is_stdin(self) -> bool:
        """Whether they come from standard input."""
        return self.path == STDIN

    def open(self) -> "Source":
        """Open them. Raises InvalidCampaign."""
        from sendline.campaigns.recipients import open_source

        return open_source(self.path, self.columns, format=self.format, encoding=self.encoding)


def given(
    path: str | None,
    columns: tuple[str | None, str | None, str | None],
    form: str | None,
    encoding: str | None,
) -> Given:
    """Return the recipients that the options mean; `columns` are those of number, sender and earliest time.

    Raises Failure where no recipients are named.
    """
    from sendline.campaigns.recipients import Columns

    if not path:
        raise Failure("recipients", "missing; give --recipients FILE, or - for standard input")
    return Given(path, Columns(*columns), form, encoding)


def text_of(text: str | None, file: str | None, recipients: Given) -> str:
    """Return the template: the text itself, standard input where it is "-", or what the file holds."""
    if text is not None and file is not None:
        raise Failure("text", "--text and --text-file exclude each other; give one of them")
    if text == STDIN and recipients.is_stdin:
        raise Failure("text", "standard input can't hold both the text and the recipients")
    found = reading.text_of(text) if file is None else _read(file)
    if found is None:
        raise Failure("text", "missing; give --text TEXT, or --text-file FILE")
    return found


def _read(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            raw = file.read(reading.MAX_STDIN)
    except (OSError, ValueError) as error:
        why = (getattr(error, "strerror", None) or str(error)).lower()
        raise Failure("text_file", f"{path} can't be read: {why}") from None
    try:
        return raw.decode("utf-8-sig").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise Failure("text_file", f"{path} is not UTF-8; convert it, as with iconv -t utf-8") from None


def rejects_path(path: str | None, *read: str | None) -> str | None:
    """Return where rejected rows go. Raises Failure for a file that is read."""
    if path is None or not Path(path).exists():
        return path
    if any(other is not None and Path(other).exists() and Path(other).samefile(path) for other in read):
        raise Failure("rejects", f"{path} is read by this command; name another file")
    return path


def optional(**fields: Any) -> dict[str, Any]:
    """Return those of `fields` that were given."""
    return {name: value for name, value in fields.items() if value is not None}
