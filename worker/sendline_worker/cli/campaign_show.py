"""`sendline campaign list` and `status`: which campaigns there are, and where one stands."""

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from sendline.contract.campaign import CampaignState
from sendline.contract.message import stamp
from sendline.contract.status import FINAL, Status
from sendline.ledger.campaigns import campaign_names, read_campaign
from sendline.ledger.lines import read_rows
from sendline_worker.answers.campaign_estimate import about_done, plain, said
from sendline_worker.cli import opening
from sendline_worker.cli.apps import Config, Json
from sendline_worker.cli.failures import Failure
from sendline_worker.cli.printing import print_json, print_line, print_table

if TYPE_CHECKING:
    from datetime import datetime

    from sendline.contract.campaign import CampaignSpec, Progress
    from sendline.ledger.campaigns import Found
    from sendline.ledger.connection import Ledger
    from sendline_worker.answers.estimates import Estimate

SHOWN: Final = 50
"""Campaigns that are listed, unless asked otherwise."""
SPARE: Final = ("created", "rejected", "sending")
"""Columns that a narrow terminal does without, the first of them first."""

Name = Annotated[str, typer.Argument(metavar="NAME", help="The campaign.")]


def list_all(
    *,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="Show so many at most.")] = SHOWN,
    config: Config = None,
    json: Json = False,
) -> None:
    """List campaigns, the newest first, with their counts. A campaign is forgotten some time after its end.

    \b
    Examples:
      sendline campaign list
      sendline campaign list --limit 5 --json
    """  # noqa: D301 - the parser's mark for what it must not wrap
    with opening.ledger(opening.load(config)) as ledger:
        found, more = _newest(ledger, limit)
    if json:
        print_json({"campaigns": [now.to_dict() for now in found], "more": more})
    elif not found:
        print_line("ok", "no campaigns; `sendline campaign create` makes one")
    else:
        heads = [
            "campaign",
            "created",
            "recipients",
            "rejected",
            "waiting",
            "sending",
            "sent",
            "failed",
            "state",
        ]
        print_table(heads, map(_row, found), spare=SPARE)
        if more:
            print_line(f"there are more; --limit {2 * limit} shows some of them")


def _newest(ledger: "Ledger", limit: int) -> "tuple[list[Progress], bool]":
    """Return the newest campaigns that are still kept, and whether there are more."""
    found: list[Progress] = []
    start = 0
    while names := ledger.run(campaign_names(start, limit + 1)):
        for name in names:
            there = ledger.run(read_campaign(name))
            if there is not None and len(found) == limit:
                return found, True
            if there is not None:
                found.append(there.progress)
        start += len(names)
    return found, False


def _row(now: "Progress") -> tuple[str, ...]:
    sent = now.statuses.get(Status.SENT, 0) + now.statuses.get(Status.DELIVERED, 0)
    return (
        now.name,
        stamp(now.created_at) or "",
        f"{now.total:,}",
        f"{now.imported.rejected:,}",
        f"{now.waiting:,}",
        f"{now.on_the_wire:,}",
        f"{sent:,}",
        f"{now.failed:,}",
        now.summary + ("" if now.imported.complete else ", import not complete"),
    )


def status(*, name: Name, config: Config = None, json: Json = False) -> None:
    """Show where a campaign stands: counts of one instant, which add up, errors, and about when it is done.

    \b
    Examples:
      sendline campaign status sale
      sendline campaign status sale --json
    """  # noqa: D301 - the parser's mark for what it must not wrap
    settings = opening.load(config)
    with opening.ledger(settings) as ledger:
        found = find(ledger, name)
        estimate = about_done(ledger, settings, found.spec, found.progress)
        weight = _weight(ledger, found)
    if json:
        facts = _facts(found.spec, weight)
        print_json({**found.progress.to_dict(), "spec": facts, "estimate": plain(estimate)})
        return
    for head, words in _lines(found.spec, found.progress, weight, estimate):
        print_line(f"{head:<11}", words)
    rows = [(each.value, f"{number:,}") for each, number in found.progress.statuses.items() if number]
    if rows:
        print_line("")
        print_table(("status", "messages"), rows)
    if found.progress.errors:
        print_line("")
        errors = sorted(found.progress.errors.items(), key=lambda each: -each[1])
        print_table(("error", "messages"), [(code, f"{number:,}") for code, number in errors])


def find(ledger: "Ledger", name: str) -> "Found":
    """Return a campaign. Raises Failure where there is none, LedgerError."""
    found = ledger.run(read_campaign(name))
    if found is None:
        raise Failure("name", f"there is no campaign called {name}; `sendline campaign list` shows all")
    return found


def _weight(ledger: "Ledger", found: "Found") -> float | None:
    """Return the weight by which it takes turns; None where nothing of it stands in a line."""
    rows = read_rows(ledger, heads=False) if found.progress.waiting else []
    return next((row.weight for row in rows if row.campaign == found.spec.name), None)


def _facts(spec: "CampaignSpec", weight: float | None) -> dict[str, Any]:
    """Return what it sends and how, but for its text, as plain JSON types."""
    left_out = {"name", "text", "sender"}
    return {**{k: v for k, v in spec.to_plain().items() if k not in left_out}, "weight": weight}


def _lines(
    spec: "CampaignSpec", now: "Progress", weight: float | None, estimate: "Estimate | None"
) -> list[tuple[str, str]]:
    imported = now.imported
    parts = [f"{imported.accepted:,} accepted", f"{imported.rejected:,} rejected"]
    duplicates = "duplicate" if imported.duplicates == 1 else "duplicates"
    parts += [f"{imported.duplicates:,} {duplicates} dropped"] if imported.duplicates else []
    rows = ", ".join(parts) + ("" if imported.complete else "; not complete: the same `create` goes on there")
    final = sum(number for each, number in now.statuses.items() if each in FINAL)
    lines = [("campaign", now.name), ("state", now.summary), ("recipients", rows)]
    lines += [("final", f"{final:,} of {now.total:,}; {now.waiting:,} wait, {now.on_the_wire:,} on the wire")]
    lines += [("account", spec.account)] if spec.account else []
    if spec.window:
        zone = f" (default zone {spec.default_zone})" if spec.default_zone else ""
        lines += [("window", f"{spec.window} of the recipient's clock{zone}")]
    if spec.pause_at is not None:
        lines += [
            ("pauses", f"by itself when {spec.pause_at * 100:.4g}% of the last {spec.pause_over:,} failed")
        ]
    lines += [("weight", f"{weight:g}")] if weight is not None else []
    lines += [(head, f"{stamp(at)}{more}") for head, at, more in _times(now) if at is not None]
    if estimate is not None:
        lines += [("done", f"{said(estimate)}. {estimate.because}".strip())]
    return lines


def _times(now: "Progress") -> "list[tuple[str, datetime | None, str]]":
    starts = now.start_at if now.started_at is None else None
    ends = now.ends_at if now.ended_at is None else None
    unless = ", unless it is started before" if now.state is CampaignState.CREATED else ""
    return [
        ("created", now.created_at, ""),
        ("starts", starts, ""),
        ("started", now.started_at, ""),
        ("expires", ends, unless),
        ("ended", now.ended_at, ""),
    ]
