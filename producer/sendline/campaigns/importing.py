"""The import of a campaign's recipients, as a plan: in stretches, each accepted whole and once.

The ledger keeps the last line that is done with. An import that is killed and run again reads the source
anew, passes over what is done with, and completes it: nothing is doubled or skipped.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from sendline.campaigns.checking import Checker, Rejected
from sendline.campaigns.heeding import heed
from sendline.campaigns.recipients import BadRow, Row, Source
from sendline.campaigns.rejects import Rejects
from sendline.contract.campaign import Imported
from sendline.contract.errors import CampaignConflict, UnknownCampaign, WrongCampaignState
from sendline.ledger import campaigns
from sendline.ledger.campaigns import Enlisted, Stretch
from sendline.ledger.limits import Limits
from sendline.producer.plan import Plan

STRETCH: Final = 500
"""Rows of one call: some 15 ms of the server's time."""


@dataclass(frozen=True, slots=True)
class Import:
    """What one import works with."""

    limits: Limits
    checker: Checker
    source: Source
    rejects: Rejects | None = None
    on_progress: Callable[[Imported], None] = lambda _: None
    tells_earlier: bool = False
    """`rejects` takes the rows that an earlier import rejected, too."""


def run(work: Import, begun: Imported) -> Plan[Imported]:
    """Import what is not done with; return how far it came: to the end.

    Raises InvalidCampaign where the source can't be read, CampaignConflict where another import is under way
    or it takes no more, UnknownCampaign where it is gone; LedgerError; Stopped where nobody waits for it.
    """
    spec = work.checker.spec
    done, now = begun.line, begun
    for stretch in _stretches(_not_done(work, begun.line)):
        checked = [work.checker.check(row) for row in stretch]
        rejected = [each for each in checked if isinstance(each, Rejected)]
        recipients = [each for each in checked if isinstance(each, Enlisted)]
        if work.rejects is not None:
            work.rejects.write(rejected)
        call = Stretch(
            campaign=spec.name,
            own=work.checker.own,
            before=done,
            line=stretch[-1].line if stretch else done,
            rows=len(stretch),
            rejected=len(rejected),
            recipients=recipients,
            routes=list(work.checker.routes),
            account=spec.account,
            on_uncertain=spec.on_uncertain,
            is_hooked=spec.callback_url is not None,
            is_watched=spec.pause_at is not None,
            hours={r.zones: work.checker.hours[r.zones] for r in recipients if r.zones},
            is_last=not stretch,
            repeats=spec.keep_duplicates,
        )
        verdict, _ = yield campaigns.enlist(work.limits, call)
        if verdict not in ("done", "again"):
            kind, why = _WHY[verdict]
            raise kind("recipients", why)
        done = call.line
        found = yield campaigns.read_campaign(spec.name)
        if found is not None:
            now = found.progress.imported
            work.on_progress(now)
    return now


_WHY: Final = {
    "elsewhere": (
        CampaignConflict,
        "another import of this campaign is under way; wait for it, or run this one again later",
    ),
    "unknown": (UnknownCampaign, "the campaign is gone"),
    "closed": (
        WrongCampaignState,
        "the campaign takes no more recipients: it was imported whole, or canceled",
    ),
}


def _not_done(work: Import, line: int) -> Iterator[Row | BadRow]:
    for row in work.source:
        heed()
        if row.line > line:
            yield row
        elif work.rejects is not None and work.tells_earlier:
            rejected = work.checker.check(row)
            if isinstance(rejected, Rejected):
                work.rejects.write([rejected])


def _stretches(rows: Iterator[Row | BadRow]) -> Iterator[list[Row | BadRow]]:
    """Yield rows in lists of STRETCH, and an empty one at the end."""
    stretch: list[Row | BadRow] = []
    for row in rows:
        stretch.append(row)
        if len(stretch) == STRETCH:
            yield stretch
            stretch = []
    if stretch:
        yield stretch
    yield []
