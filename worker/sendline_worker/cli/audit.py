"""`sendline audit`: proves that the ledger is whole, or names what isn't so."""

from sendline.ledger.limits import Limits
from sendline_worker.audit import Audit
from sendline_worker.audit_report import Report
from sendline_worker.cli import opening
from sendline_worker.cli.apps import Config, Json, make_app
from sendline_worker.cli.printing import print_json, print_line

app = make_app()


@app.command()
def audit(*, config: Config = None, json: Json = False) -> int:
    """Prove that the ledger is whole: counts add up, every message is where it must be, nothing is stuck.

    It reads in small steps, and may run while messages are sent; then some counts can't be compared. Exits 1
    where something isn't so, and names the messages.

    \b
    Examples:
      sendline audit
      sendline audit --json
    """  # noqa: D301 - the parser's mark for what it must not wrap
    settings = opening.load(config)
    with opening.ledger(settings) as ledger:
        report = Audit(ledger, Limits.of(settings)).run()
    if json:
        print_json(report.to_dict())
    else:
        _show(report)
    return 1 if report.findings else 0


def _show(report: Report) -> None:
    counts = report.counts
    statuses = ", ".join(f"{counts[name]} {name}" for name in report.records if counts[name])
    print_line(
        "ok   " if _adds_up(report) else "WRONG", f"{counts['accepted']} accepted: {statuses or 'none'}"
    )
    behind = f", {report.left_behind} of them of messages that wait no more" if report.left_behind else ""
    print_line("     ", f"{sum(report.records.values())} records; {report.lines} ids in lines{behind}")
    if not report.compared:
        print_line("     ", "busy: counts and records were not compared, because messages moved all the time")
    for finding in report.findings:
        number = f" ({finding.number})" if finding.number else ""
        shown = f": {', '.join(finding.ids)}" if finding.ids else ""
        more = ", ..." if finding.ids and finding.number > len(finding.ids) else ""
        print_line("WRONG", f"{finding.what}{number}{shown}{more}")
    if not report.findings:
        print_line("ok   ", "every message is where it must be, and nothing is stuck")


def _adds_up(report: Report) -> bool:
    return report.counts["accepted"] == sum(report.counts[name] for name in report.records)
