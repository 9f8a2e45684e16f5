"""`sendline campaign report`: a row for each recipient, while it runs or after."""

import io
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from sendline.contract.errors import InvalidCampaign
from sendline_worker.answers.spelling import counted
from sendline_worker.cli import opening
from sendline_worker.cli.apps import Config, Json
from sendline_worker.cli.campaign_import import bar, counted_rows, is_watched
from sendline_worker.cli.failures import Failure
from sendline_worker.cli.printing import print_json, print_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from sendline.campaigns.report import ReportWriter
    from sendline.producer.campaign import Campaign

ENDINGS: Final = (".csv", ".parquet")
STDOUT: Final = "-"
AT_ONCE: Final = 5000
"""Rows that are written at once: a group of rows, in Parquet."""


class Written(NamedTuple):
    """How many rows were written, and of how many of them the record can't be read."""

    rows: int
    unreadable: int


def report(
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The campaign.")],
    output: Annotated[
        str | None, typer.Option(metavar="FILE", help="FILE.csv or FILE.parquet; - prints CSV.")
    ] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Write a report: for each recipient its number, status, error, segments and times (UTC).

    It can be written at any time; the file is there whole or not at all, and only its owner may read it. No
    cell of a CSV is one that a spreadsheet would run. Messages past their retention are not in it; of one
    whose record is damaged, it has the id and the error "unreadable".

    \b
    Examples:
      sendline campaign report sale --output sale.csv
      sendline campaign report sale --output sale.parquet
      sendline campaign report sale --output - | grep ',failed,'
    """  # noqa: D301 - the parser's mark for what it must not wrap
    path = _checked(output, json=json)
    with opening.producer(opening.load(config)) as producer:
        campaign = producer.campaign(name)
        total = campaign.progress().total
        if path == STDOUT:
            unreadable = _print(campaign).unreadable
            if unreadable:
                sys.stderr.write(f"warn {_damaged(unreadable)}\n")
            return
        shown = is_watched(json=json)
        with bar("writing", "rows", total, shown=shown) as tell:
            written = _write(campaign, path, lambda number: tell(number, number))
    gone = max(total - written.rows, 0)
    if json:
        numbers = {"rows": written.rows, "unreadable": written.unreadable, "no_longer_kept": gone}
        print_json({"name": name, "output": path, **numbers})
        return
    verb = "is" if gone == 1 else "are"
    left_out = f"; {counted(gone, 'message')} {verb} no longer kept" if gone else ""
    print_line("ok", f"{path}: {counted_rows(written.rows)}{left_out}")
    if written.unreadable:
        print_line("warn", _damaged(written.unreadable))


def _damaged(number: int) -> str:
    """Return that records can't be read."""
    its = "its row says" if number == 1 else "their rows say"
    return f"{counted(number, 'record')} can't be read: {its} unreadable, `sendline audit` names the damage"


def _checked(output: str | None, *, json: bool) -> str:
    if not output:
        raise Failure("output", "missing; give --output FILE.csv or FILE.parquet, or - for CSV here")
    if output == STDOUT:
        if json:
            raise Failure("output", "- prints CSV, so --json does not go with it; name a file")
        return output
    if Path(output).suffix.lower() not in ENDINGS:
        raise Failure("output", f"{output}: a report is CSV or Parquet; name it FILE.csv or FILE.parquet")
    return output


def _write(campaign: "Campaign", path: str, tell: "Callable[[int], None]") -> Written:
    from sendline.campaigns.report import report_file

    try:
        with report_file(path) as writer:
            return _copy(campaign, writer, tell)
    except InvalidCampaign as error:
        raise Failure("output" if error.field == "report" else error.field, error.problem) from None


def _print(campaign: "Campaign") -> Written:
    """Write CSV to standard output, in UTF-8 wherever that goes."""
    from sendline.campaigns.report import CsvReport

    sys.stdout.flush()
    text = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="", write_through=True)
    try:
        written = _copy(campaign, CsvReport(text), lambda _: None)
        text.flush()
    finally:
        text.detach()
    return written


def _copy(campaign: "Campaign", writer: "ReportWriter", tell: "Callable[[int], None]") -> Written:
    from sendline.campaigns.report import UNREADABLE_ERROR

    rows = campaign.report_rows()
    written = unreadable = 0
    while some := list(islice(rows, AT_ONCE)):
        writer.write(some)
        written += len(some)
        unreadable += sum(row.error == UNREADABLE_ERROR for row in some)
        tell(written)
    return Written(written, unreadable)
