"""What a campaign would come to, reckoned from its text and its recipients: nothing is founded or sent."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from sendline.campaigns.checking import Checker, Rejected
from sendline.campaigns.preview import Preview, Previewer
from sendline.campaigns.spec import campaign_spec
from sendline.campaigns.steering import demand_columns
from sendline.campaigns.templates import Template
from sendline.campaigns.windows import DAYS, finish_at
from sendline.contract import ids
from sendline.contract.draft import Rules
from sendline.contract.errors import ConfigurationError, LedgerError
from sendline.ledger import verbs
from sendline.ledger.account_state import AccountState, account_state
from sendline.ledger.directory import Directory
from sendline.producer.core import rules_of
from sendline_worker.answers.spelling import a_second, rounded, spell
from sendline_worker.cli import opening

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sendline.campaigns.recipients import Source
    from sendline.ledger.campaigns import Enlisted
    from sendline.settings import Settings

DAY: Final = 86400.0
TELL_EVERY: Final = 500
FIRST: Final = 5
"""Rejected rows that are told of."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What a campaign is held against, and how fast accounts send."""

    rules: Rules
    states: "Mapping[str, AccountState]" = field(default_factory=dict)
    absent: str | None = None
    """Why the ledger can't be asked; None: it was."""


@dataclass(slots=True)
class Trial:
    """What the recipients come to."""

    rows: int = 0
    rejected: int = 0
    first: list[Rejected] = field(default_factory=list)
    messages: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By the account that comes first, and the key of time zones."""
    segments: Counter[tuple[str, str]] = field(default_factory=Counter)
    hours: "Mapping[str, tuple[int, ...]]" = field(default_factory=dict)
    preview: Preview | None = None

    def add(self, checked: "Enlisted | Rejected", routes: "list[tuple[str, ...]]") -> None:
        """Count one row."""
        self.rows += 1
        if isinstance(checked, Rejected):
            self.rejected += 1
            if len(self.first) < FIRST:
                self.first.append(checked)
            return
        key = (next(iter(routes[checked.route]), ""), checked.zones)
        self.messages[key] += 1
        self.segments[key] += checked.segments


def read_ground(settings: "Settings") -> Ground:
    """Return the rules in force; without a ledger, the configured ones. Raises ConfigurationError."""
    try:
        with opening.ledger(settings) as ledger:
            directory = ledger.run(verbs.directory())
            states = {name: ledger.run(account_state(name)) for name in directory.accounts}
        absent = None
    except (LedgerError, ConfigurationError) as error:
        directory, states, absent = Directory(), {}, str(error)
    if not directory.accounts and settings.accounts:
        from sendline_worker.accounts import directory_of, load_accounts

        directory = directory_of(load_accounts(settings), settings)
    return Ground(rules_of(settings, directory), states, absent)


def try_out(
    source: "Source",
    fields: dict[str, Any],
    rules: Rules,
    *,
    samples: int,
    rows: int | None,
    tell: "Callable[[int, int], None]",
) -> Trial:
    """Hold the recipients, or the first `rows` of them, against a campaign of `fields`.

    Raises InvalidCampaign.
    """
    spec = campaign_spec({"name": "preview", **fields}, rules)
    template = Template(spec.text)
    demand_columns(template, source)
    price = None if spec.price is None else Decimal(spec.price)
    previewer = Previewer(template, samples=samples, price=price)
    checker = Checker(spec, ids.new_id(), rules, datetime.now(UTC), previewer.add)
    trial = Trial()
    routes: list[tuple[str, ...]] = []
    for row in islice(source, rows):
        checked = checker.check(row)
        if len(routes) < len(checker.routes):
            routes = list(checker.routes)
        trial.add(checked, routes)
        if trial.rows % TELL_EVERY == 0:
            tell(source.read, trial.rows)
    trial.hours = checker.hours
    trial.preview = previewer.result()
    return trial


def duration(trial: Trial, ground: Ground, now: datetime) -> tuple[float | None, str]:
    """Return in how many seconds all would have gone, were it started `now` and alone, and why so or not."""
    if ground.absent is not None:
        return None, f"not known, for the ledger can't be asked: {ground.absent}"
    names = sorted({account for account, _ in trial.messages})
    known = [ground.states[name] for name in names if name in ground.states and ground.states[name].rate]
    if not names or len(known) < len(names):
        return None, "not known: no worker has said how fast the accounts send"
    spans = [_span(state, trial, now) for state in known]
    rates = " and ".join(f"account {each.name} sends {_rate(each)}" for each in known)
    if None in spans:
        return None, f"more than {DAYS} days: {rates}, and only within the window"
    return max(span for span in spans if span is not None), rates


def _rate(state: AccountState) -> str:
    cap = f", {state.cap} a day at most" if state.cap else ""
    return f"{a_second(rounded(state.rate or 0), state.unit)}{cap}"


def _span(state: AccountState, trial: Trial, now: datetime) -> float | None:
    counts = trial.segments if state.unit == "segments" else trial.messages
    amounts = {zones: number for (account, zones), number in counts.items() if account == state.name}
    total = sum(amounts.values())
    rate = state.rate or 0.0
    if state.cap and total > state.cap:
        rate = min(rate, state.cap / DAY)
    if not trial.hours:
        return total / rate
    schedules = {
        zones: (tuple(zip(trial.hours[zones][::2], trial.hours[zones][1::2], strict=True)), number)
        for zones, number in amounts.items()
    }
    begun = round(now.timestamp() * 1_000_000)
    end = finish_at(schedules, rate, begun)
    return None if end is None else (end - begun) / 1_000_000


def told(seconds: float | None, why: str) -> str:
    """Return a duration as people read it."""
    return why if seconds is None else f"about {spell(seconds)}, were it alone: {why}"
