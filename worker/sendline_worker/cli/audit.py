"""`sendline audit`: proves that the ledger is whole, or names what isn't so, and mends what can be mended."""

import contextlib
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sendline.ledger import recovery
from sendline.ledger.limits import Limits
from sendline_worker.audit import Audit, Finding, Repair, Repaired, Report
from sendline_worker.cli import opening
from sendline_worker.cli.apps import Config, Json, make_app
from sendline_worker.cli.printing import print_json, print_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

app = make_app()

STEP: Final = 5000
"""Entries and records read from one word of progress to the next."""


@app.command()
def audit(
    *,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what can be derived from the records, then audit again.")
    ] = False,
    config: Config = None,
    json: Json = False,
) -> int:
    """Prove that the ledger is whole: counts add up, every message is where it must be, nothing is stuck.

    It reads in small steps, and may run while messages are sent; then some counts can't be compared. Exits 1
    where something isn't so, and names the messages.

    --repair mends places in lines, timers, indexes and counts, and may run while messages are sent, too. It
    never changes a message's status or content, and sends nothing. What the records can't prove, it leaves
    and names: then it exits 1.

    \b
    Examples:
      sendline audit
      sendline audit --json
      sendline audit --repair
    """  # noqa: D301 - the parser's mark for what it must not wrap
    settings = opening.load(config)
    limits = Limits.of(settings)
    with opening.ledger(settings) as ledger, _progress() as progress:
        behind = ledger.run(recovery.state()).behind is not None
        auditing = Audit(ledger, limits, progress=progress)
        if repair:
            repaired = Repair(ledger, limits, auditing, lease=settings.lease).run()
        else:
            repaired = Repaired((), auditing.run())
    if json:
        print_json(repaired.to_dict() if repair else repaired.report.to_dict())
    else:
        _show(repaired, repair=repair, behind=behind)
    return 1 if repaired.report.findings else 0


@contextlib.contextmanager
def _progress() -> "Iterator[Callable[[int], None] | None]":
    """Tell on a terminal how far the audit is, on one line that goes away at the end."""
    if not sys.stderr.isatty():
        yield None
        return
    told = 0

    def tell(read: int) -> None:
        nonlocal told
        if read // STEP != told:
            told = read // STEP
            sys.stderr.write(f"\r\x1b[K{read} entries and records read")
            sys.stderr.flush()

    try:
        yield tell
    finally:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


def _show(repaired: Repaired, *, repair: bool, behind: bool) -> None:
    for mended in repaired.mended:
        print_line("mended", _told(mended))
    report = repaired.report
    _show_counts(report)
    for finding in report.findings:
        print_line("WRONG", _told(finding))
    if behind:
        print_line("     ", "a recovery comes first: run `sendline recover`")
    elif not report.findings:
        print_line("ok   ", "every message is where it must be, and nothing is stuck")
    elif repair:
        print_line("     ", "what is still wrong can't be derived from the records")


def _show_counts(report: Report) -> None:
    counts = report.counts
    statuses = ", ".join(f"{counts[name]} {name}" for name in report.records if counts[name])
    adds_up = counts["accepted"] == sum(counts[name] for name in report.records)
    print_line("ok   " if adds_up else "WRONG", f"{counts['accepted']} accepted: {statuses or 'none'}")
    behind = f", {report.left_behind} of them of messages that wait no more" if report.left_behind else ""
    print_line("     ", f"{sum(report.records.values())} records; {report.lines} ids in lines{behind}")
    if not report.compared:
        print_line("     ", "busy: counts and records were not compared, because messages moved all the time")


def _told(finding: Finding) -> str:
    number = f" ({finding.number})" if finding.number else ""
    ids = f": {', '.join(finding.ids)}" if finding.ids else ""
    more = ", ..." if finding.ids and finding.number > len(finding.ids) else ""
    return f"{finding.what}{number}{ids}{more}"
