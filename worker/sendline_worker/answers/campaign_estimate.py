"""About when a campaign will have gone: what the simulation says of its rows, and what its window allows."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sendline.contract.campaign import CampaignState
from sendline.contract.message import instant, stamp
from sendline.ledger.lines import zones_of_name
from sendline_worker.answers.estimates import Estimate, Scene, estimates
from sendline_worker.answers.overview import read_overview
from sendline_worker.answers.spelling import counted, spell

if TYPE_CHECKING:
    from sendline.contract.campaign import CampaignSpec, Progress
    from sendline.ledger.connection import Ledger
    from sendline.ledger.lines import Row
    from sendline.settings import Settings
    from sendline_worker.answers.overview import Overview


def about_done(
    ledger: "Ledger", settings: "Settings", spec: "CampaignSpec", now: "Progress"
) -> Estimate | None:
    """Return about when what waits of a campaign will have gone; None where it does not go, or has gone.

    Raises LedgerError.
    """
    if now.state is not CampaignState.RUNNING or not now.waiting:
        return None
    found = read_overview(ledger, settings)
    scene = Scene(found.pulse.now, {state.name: state for state in found.states}, found.rows, found.shares)
    told = estimates(scene)
    mine = [(row, each) for row, each in zip(found.rows, told, strict=True) if row.campaign == spec.name]
    if not mine:
        return _nowhere(found)
    latest = max((each for _, each in mine), key=lambda each: (each.at is None, each.at or instant(0)))
    if latest.at is None:
        return latest
    if spec.window is not None:
        latest = _within_hours(found, spec, [row for row, _ in mine], latest, latest.at)
    later = now.waiting - sum(row.length for row, _ in mine)
    if later > 0:
        verb = "is" if later == 1 else "are"
        note = f"{counted(later, 'message')} that {verb} not due yet {verb} not reckoned with."
        latest = Estimate(latest.at, f"{latest.because} {note}", latest.word)
    return latest


def _nowhere(found: "Overview") -> Estimate:
    """Return why nothing of a campaign that waits stands in a line of its own."""
    if any(not row.route for row in found.rows):
        return Estimate(None, "No account was known when it was imported.", "no route")
    return Estimate(None, "What waits of it is not due yet: its earliest time has not come.", "not due")


def _within_hours(
    found: "Overview", spec: "CampaignSpec", rows: "list[Row]", flow: Estimate, at: datetime
) -> Estimate:
    """Return the later of what flows freely, and of what the window lets through at the accounts' rates."""
    from sendline.campaigns.spec import window_of  # noqa: PLC0415 - few commands need them
    from sendline.campaigns.windows import DAYS, finish_at  # noqa: PLC0415

    window = window_of(spec)
    names = {name for row in rows for name in row.route.split(",")[:1]}
    rate = sum(state.rate_in_force(found.pulse.now) for state in found.states if state.name in names)
    if window is None or not rate:
        return flow
    instant_now = datetime.fromtimestamp(found.pulse.now / 1_000_000, UTC)
    counts: dict[str, int] = {}
    for row in rows:
        zones = zones_of_name(row.name)
        counts[zones] = counts.get(zones, 0) + row.length
    schedules = {
        zones: (window.schedule_for(zones, instant_now), number) for zones, number in counts.items() if zones
    }
    end = finish_at(schedules, rate, found.pulse.now)
    if end is None:
        why = f"It goes only within its window, {spec.window}: more than {DAYS} days are left."
        return Estimate(None, why, f"more than {DAYS} days")
    if end / 1000 <= at.timestamp() * 1000:
        return flow
    return Estimate(instant(end // 1000), f"{flow.because} It goes only within its window, {spec.window}.")


def said(estimate: Estimate | None) -> str:
    """Return an estimate in a few words: in about 5 min; empty where there is none."""
    if estimate is None:
        return ""
    if estimate.at is None:
        return estimate.word or "can't be said"
    left = (estimate.at - datetime.now(UTC)).total_seconds()
    return f"in about {spell(left)}"


def plain(estimate: Estimate | None) -> dict[str, str | None] | None:
    """Return plain JSON types."""
    return None if estimate is None else {"done_about": stamp(estimate.at), "because": estimate.because}
