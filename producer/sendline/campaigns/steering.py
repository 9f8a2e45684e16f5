"""What is done with campaigns, as plans: found, import, start, pause, resume, cancel, read."""

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from sendline.campaigns import importing
from sendline.campaigns.checking import Checker
from sendline.campaigns.importing import Import
from sendline.campaigns.recipients import Source, open_source
from sendline.campaigns.rejects import RejectsFile
from sendline.campaigns.spec import campaign_spec, checked_name, checked_weight
from sendline.campaigns.templates import Template
from sendline.contract import ids
from sendline.contract.campaign import CampaignSpec, Imported, Progress
from sendline.contract.draft import MAX_AHEAD, Rules
from sendline.contract.errors import InvalidCampaign
from sendline.ledger import campaigns
from sendline.ledger.campaigns import Found, Steering
from sendline.ledger.limits import Limits
from sendline.producer.plan import Plan

if TYPE_CHECKING:
    from sendline.campaigns.fields import CampaignFields

LATE: Final = timedelta(seconds=5)
"""A start may be as old as this: it was now when the owner computed it."""


def create(limits: Limits, rules: Rules, name: str, fields: "CampaignFields") -> Plan[Imported]:
    """Found a campaign and import its recipients, or go on with an import that stopped.

    Raises InvalidCampaign: then nothing was founded that was not there before. Raises LedgerError.
    """
    spec = campaign_spec({"name": name, **fields}, rules)
    weight = checked_weight(fields.get("weight", 1))
    if not rules.accounts:
        raise InvalidCampaign("account", "none is known yet: start a worker that has one, or configure one")
    if "recipients" not in fields:
        raise InvalidCampaign("recipients", "missing; pass a path, an open file, or an iterable")
    with open_source(
        fields["recipients"],
        fields.get("columns"),
        format=fields.get("format"),
        encoding=fields.get("encoding"),
    ) as source:
        demand_columns(Template(spec.text), source)
        there: Found | None = yield campaigns.read_campaign(spec.name)
        _demand_same(spec, source, there)
        begun = there.progress.imported if there else Imported()
        own = there.own if there else ids.new_id()
        with ExitStack() as open_files:
            path = fields.get("rejects")
            rejects = open_files.enter_context(RejectsFile(path, done=begun.line)) if path else None
            if there is None:
                own = yield from _found(limits, spec, own, weight, source.fingerprint)
            checker = Checker(spec, own, rules, datetime.now(UTC))
            on_progress = fields.get("on_progress", lambda _: None)
            return (yield from importing.run(Import(limits, checker, source, rejects, on_progress), begun))


def _found(
    limits: Limits, spec: CampaignSpec, own: bytes, weight: float, fingerprint: str | None
) -> Plan[bytes]:
    verdict, kept = yield campaigns.found(limits, spec, own, weight=weight, source=fingerprint or "")
    if verdict == "other":
        raise InvalidCampaign("name", "a campaign of this name was founded at this very moment")
    return kept  # type: ignore[no-any-return]


def find(name: str) -> Plan[Found]:
    """Read a campaign; raises InvalidCampaign where there is none."""
    found: Found | None = yield campaigns.read_campaign(checked_name(name))
    if found is None:
        raise InvalidCampaign("name", f"there is no campaign called {name}")
    return found


def progress(name: str) -> Plan[Progress]:
    """Read where a campaign stands."""
    return (yield from find(name)).progress


def start(limits: Limits, name: str, at: datetime | None) -> Plan[Progress]:
    """Start a campaign, now or at `at` (aware). Raises InvalidCampaign."""
    if at is None:
        return (yield from steer(limits, name, "start"))
    if at.tzinfo is None:
        raise InvalidCampaign("at", "has no time zone; write it as 2026-11-27T09:00:00+01:00")
    now = datetime.now(UTC)
    if at < now - LATE:
        raise InvalidCampaign("at", "is in the past; leave it out to start now")
    if at > now + MAX_AHEAD:
        raise InvalidCampaign("at", f"is more than {MAX_AHEAD.days} days ahead")
    return (yield from steer(limits, name, "schedule", str(round(at.timestamp() * 1000))))


def steer(limits: Limits, name: str, what: Steering, argument: str = "") -> Plan[Progress]:
    """Start, pause, resume or cancel a campaign; return where it then stands. Raises InvalidCampaign."""
    done: tuple[bool, str] | None = yield campaigns.steer(limits, checked_name(name), what, argument)
    if done is None:
        raise InvalidCampaign("name", f"there is no campaign called {name}")
    if not done[0]:
        raise InvalidCampaign("state", f"campaign {name} is {done[1]}: {_NOT_FROM[what]}")
    return (yield from progress(name))


_NOT_FROM: Final[dict[Steering, str]] = {
    "start": "only one that was not started can be",
    "schedule": "only one that was not started can be",
    "pause": "only one that is running can be paused",
    "resume": "only one that is paused can be resumed",
    "cancel": "it has ended already",
}


def demand_columns(text: Template, source: Source) -> None:
    """Raise InvalidCampaign where no row of the source can have what the text needs."""
    if source.variables is None:
        return
    missing = sorted(text.required.difference(source.variables))
    if missing:
        there = ", ".join(source.variables[:20]) or "none beside the recipient's"
        raise InvalidCampaign("text", f"needs a column {', '.join(missing[:5])}; there are: {there}")


def _demand_same(spec: CampaignSpec, source: Source, there: Found | None) -> None:
    """Raise InvalidCampaign unless the campaign is new, or its import can go on from this source."""
    if there is None:
        return
    known = bool(there.source and source.fingerprint)
    if there.spec != spec:
        raise InvalidCampaign("name", f"there is a campaign called {spec.name} already; choose another name")
    if there.progress.imported.complete:
        same = " from this very file" if known and there.source == source.fingerprint else ""
        raise InvalidCampaign(
            "name",
            f"there is a campaign called {spec.name} already, imported whole{same}, and it is "
            f"{there.progress.summary}: go on with that one, or choose another name",
        )
    if known and there.source != source.fingerprint:
        raise InvalidCampaign(
            "recipients", "this is not the file that the campaign's import began with; name that one"
        )
