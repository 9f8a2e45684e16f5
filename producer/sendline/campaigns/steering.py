"""What is done with campaigns, as plans: found, import, start, pause, resume, cancel, read."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, BinaryIO, Final

from sendline.campaigns import importing
from sendline.campaigns.checking import Checker, Rejected
from sendline.campaigns.importing import Import
from sendline.campaigns.recipients import Columns, Source, content_of, masked, open_source
from sendline.campaigns.rejects import Hearer, RejectsFile
from sendline.campaigns.spec import campaign_spec, checked_name, checked_weight
from sendline.campaigns.templates import Template
from sendline.contract import ids
from sendline.contract.campaign import ENDED, CampaignSpec, Imported, Progress
from sendline.contract.draft import MAX_AHEAD, Rules
from sendline.contract.errors import (
    CampaignConflict,
    CampaignExists,
    InvalidCampaign,
    UnknownCampaign,
    WrongCampaignState,
)
from sendline.ledger import campaigns
from sendline.ledger.campaigns import Found, Steering
from sendline.ledger.limits import Limits
from sendline.producer.plan import Plan

if TYPE_CHECKING:
    from sendline.campaigns.fields import CampaignFields

LATE: Final = timedelta(seconds=5)
"""A start may be as old as this: it was now when the owner computed it."""


def create(
    limits: Limits,
    rules: Rules,
    name: str,
    fields: "CampaignFields",
    owner: str | None = None,
    *,
    senders: Sequence[str] = (),
) -> Plan[Imported]:
    """Found a campaign and import its recipients, or go on with an import that stopped.

    `owner` is the name of the API key whose campaign it is. Rows may name only `senders`; empty: any.

    Raises InvalidCampaign: then nothing was founded that was not there before. Raises LedgerError.
    """
    spec, weight = _checked(rules, name, fields)
    with _opened(fields) as source:
        demand_columns(Template(spec.text), source)
        there: Found | None = yield campaigns.read_campaign(spec.name)
        _demand_same(spec, source, there, owner)
        begun = there.progress.imported if there else Imported()
        own = there.own if there else ids.new_id()
        with ExitStack() as open_files:
            path = fields.get("rejects")
            done = begun.line if there else None
            rejects = RejectsFile(path, spec.name, done=done, rejected=begun.rejected) if path else None
            if rejects is not None:
                open_files.enter_context(rejects)
            if there is None:
                fingerprint = source.fingerprint or ""
                _, own = yield from _found(
                    limits, spec, own, weight=weight, fingerprint=fingerprint, owner=owner
                )
            checker = Checker(spec, own, rules, datetime.now(UTC), senders=frozenset(senders))
            on_progress = fields.get("on_progress", lambda _: None)
            work = Import(
                limits,
                checker,
                source,
                rejects,
                on_progress,
                tells_earlier=rejects is not None and rejects.lacks_earlier,
            )
            return (yield from importing.run(work, begun))


def found(
    limits: Limits, rules: Rules, name: str, fields: "CampaignFields", owner: str | None = None
) -> Plan[bool]:
    """Found a campaign whose recipients come later, by `enroll`; return whether it is new.

    Founding the very same one again changes nothing. Raises InvalidCampaign, and CampaignExists where there
    is another one of this name.
    """
    spec, weight = _checked(rules, name, fields)
    there: Found | None = yield campaigns.read_campaign(spec.name)
    if there is not None:
        _demand_alike(spec, there, owner)
        return False
    is_new, _ = yield from _found(limits, spec, ids.new_id(), weight=weight, fingerprint=None, owner=owner)
    return is_new


def enroll(
    limits: Limits,
    rules: Rules,
    name: str,
    file: BinaryIO,
    fields: "CampaignFields",
    *,
    senders: Sequence[str] = (),
    on_rejected: Callable[[Sequence[Rejected]], None] = lambda _: None,
) -> Plan[Imported]:
    """Import the recipients of a campaign that `found` founded, or go on with an import that stopped.

    `fields` say how `file` is read, and who hears of progress. It is read to its end before the first of it
    is accepted: one that is damaged changes nothing. Rows may name only `senders`; empty: any. `on_rejected`
    hears of the rows that are not sent to: those that an earlier import was done with, too.

    A file that was imported whole before changes nothing: the same is one of the very same bytes, read in the
    same way. Raises UnknownCampaign, InvalidCampaign, CampaignConflict, LedgerError.
    """
    fields = {**fields, "recipients": file}
    fingerprint = content_of(file, _reading(fields))
    there = yield from find(name)
    spec = there.spec
    checker = Checker(spec, there.own, rules, datetime.now(UTC), senders=frozenset(senders))
    with _opened(fields) as source:
        demand_columns(Template(spec.text), source)
        _demand_source(fingerprint, there)
        begun = there.progress.imported
        on_progress: Callable[[Imported], None] = fields.get("on_progress", lambda _: None)
        for number, row in enumerate(source):
            if number % importing.STRETCH == 0:
                on_progress(begun)
            if row.line <= begun.line and isinstance(rejected := checker.check(row), Rejected):
                on_rejected([rejected])
    if begun.complete:
        return begun
    bound: str | None = yield campaigns.bind(limits, spec.name, there.own, fingerprint)
    if bound != fingerprint:
        raise CampaignConflict("recipients", _ANOTHER_FILE)
    file.seek(0)
    with _opened(fields) as source:
        work = Import(limits, checker, source, Hearer(on_rejected), on_progress)
        return (yield from importing.run(work, begun))


def _checked(rules: Rules, name: str, fields: "CampaignFields") -> tuple[CampaignSpec, float]:
    """Return what a campaign is to send, and its weight. Raises InvalidCampaign."""
    spec = campaign_spec({"name": name, **fields}, rules)
    weight = checked_weight(fields.get("weight", 1))
    if not rules.accounts:
        raise InvalidCampaign("account", "none is known yet: start a worker that has one, or configure one")
    return spec, weight


def _opened(fields: "CampaignFields") -> Source:
    """Open the recipients, from their beginning. Raises InvalidCampaign."""
    if "recipients" not in fields:
        raise InvalidCampaign("recipients", "missing; pass a path, an open file, or an iterable")
    source = open_source(
        fields["recipients"],
        fields.get("columns"),
        format=fields.get("format"),
        encoding=fields.get("encoding"),
    )
    try:
        demand_encoding(source)
    except InvalidCampaign:
        source.close()
        raise
    return source


def _reading(fields: "CampaignFields") -> tuple[object, ...]:
    """Return what says how a file is read: another way makes other recipients of it."""
    return fields.get("format"), fields.get("encoding"), fields.get("columns") or Columns()


def _found(
    limits: Limits,
    spec: CampaignSpec,
    own: bytes,
    *,
    weight: float,
    fingerprint: str | None,
    owner: str | None,
) -> Plan[tuple[bool, bytes]]:
    verdict, kept = yield campaigns.found(limits, spec, own, weight=weight, source=fingerprint, owner=owner)
    if verdict == "other":
        raise CampaignExists("name", "a campaign of this name was founded at this very moment")
    return verdict == "new", kept


def find(name: str) -> Plan[Found]:
    """Read a campaign; raises UnknownCampaign, and InvalidCampaign where none can have this name."""
    found: Found | None = yield campaigns.read_campaign(checked_name(name))
    if found is None:
        raise UnknownCampaign("name", f"there is no campaign called {name}")
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
    """Start, pause, resume or cancel a campaign; return where it then stands.

    Raises UnknownCampaign, WrongCampaignState, InvalidCampaign.
    """
    done: tuple[bool, str] | None = yield campaigns.steer(limits, checked_name(name), what, argument)
    if done is None:
        raise UnknownCampaign("name", f"there is no campaign called {name}")
    if not done[0] and done[1] == _LATE:
        raise WrongCampaignState(
            "state", f"campaign {name} was not started in time, and ends; make another one"
        )
    if not done[0]:
        raise WrongCampaignState("state", f"campaign {name} is {done[1]}: {_NOT_FROM[what]}")
    return (yield from progress(name))


_LATE: Final = "late"
"""What the ledger says of a campaign that waited for its start for too long."""
_NOT_FROM: Final[dict[Steering, str]] = {
    "start": "only one that was not started yet can be started",
    "schedule": "only one that was not started yet can be started at another time",
    "pause": "only one that is running can be paused",
    "resume": "only one that is paused can be resumed",
    "cancel": "it has ended already",
}


def demand_encoding(source: Source) -> None:
    """Raise InvalidCampaign where the encoding of a file is a guess: a wrong one would be sent to many."""
    if source.guessed:
        raise InvalidCampaign(
            "encoding",
            f"{source.name} is not UTF-8; it looks like {source.encoding}, which is a guess: "
            "see whether `sendline campaign preview` shows it well, and name it (--encoding)",
        )


def demand_columns(text: Template, source: Source) -> None:
    """Raise InvalidCampaign where no row of the source can have what the text needs."""
    if source.variables is None:
        return
    missing = sorted(text.required.difference(source.variables))
    if missing:
        there = ", ".join(map(masked, source.variables[:20])) or "none beside the recipient's"
        raise InvalidCampaign(
            "text", f"needs a column {', '.join(map(masked, missing[:5]))}; there are: {there}"
        )


_ANOTHER_FILE: Final = "this is not the file that the campaign's import began with; name that one"


def _demand_same(spec: CampaignSpec, source: Source, there: Found | None, owner: str | None) -> None:
    """Raise InvalidCampaign unless the campaign is new, or its import can go on from this source."""
    if there is None:
        return
    _demand_alike(spec, there, owner)
    if there.progress.imported.complete:
        is_same = there.source and there.source == source.fingerprint
        same = " from this very file" if is_same else ""
        raise CampaignExists(
            "name",
            f"there is a campaign called {spec.name} already, imported whole{same}, and it is "
            f"{there.progress.summary}: go on with that one, or choose another name",
        )
    if there.source and source.fingerprint and there.source != source.fingerprint:
        raise CampaignConflict("recipients", _ANOTHER_FILE)


def _demand_alike(spec: CampaignSpec, there: Found, owner: str | None) -> None:
    """Raise CampaignExists unless the campaign is the very same."""
    if there.spec != spec or there.owner != owner:
        raise CampaignExists("name", f"there is a campaign called {spec.name} already; choose another name")


def _demand_source(fingerprint: str, there: Found) -> None:
    """Raise CampaignConflict unless the campaign takes this source: as its first, or once more."""
    now = there.progress
    if there.source == fingerprint:
        if now.state in ENDED and not now.imported.complete:
            raise WrongCampaignState("state", f"campaign {there.spec.name} is {now.state}: it takes no more")
        return
    if now.imported.complete or now.state in ENDED:
        raise WrongCampaignState(
            "state", f"campaign {there.spec.name} is {now.state}: it takes no more recipients"
        )
    if there.source or now.imported.line:
        raise CampaignConflict("recipients", _ANOTHER_FILE)
