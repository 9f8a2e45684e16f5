"""How the accounts stand, what waits for them and about when it will have gone: read, and as JSON."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sendline.contract.lane import Lane
from sendline.contract.message import instant, stamp
from sendline.ledger import verbs
from sendline.ledger.account_state import AccountState, account_state
from sendline.ledger.lines import ROWS_READ, Row, read_rows
from sendline.ledger.standing import Pulse, read_pulse
from sendline_worker.answers.estimates import Estimate, Scene, estimates
from sendline_worker.answers.limits import adjusted, in_use, limits_of
from sendline_worker.answers.reasons import STATES, Reason, closed, paused, tried
from sendline_worker.answers.spelling import rounded

if TYPE_CHECKING:
    from sendline.ledger.connection import Ledger
    from sendline.settings import Settings


@dataclass(frozen=True, slots=True)
class Campaign:
    """What waits of one campaign in one line; without a name, what belongs to none."""

    name: str
    route: str
    waiting: int
    weight: float
    estimate: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "campaign": self.name or None,
            "accounts": self.route.split(",") if self.route else [],
            "waiting": self.waiting,
            "weight": self.weight,
            "done_about": stamp(self.estimate.at),
            "because": self.estimate.because,
        }


@dataclass(frozen=True, slots=True)
class Overview:
    """What is shown: the accounts, the rows and whether anybody works."""

    pulse: Pulse
    states: tuple[AccountState, ...]
    providers: dict[str, str]
    rows: list[Row]
    shares: tuple[float, float]

    @property
    def is_whole(self) -> bool:
        """Return whether all rows were read; else more waits than is shown."""
        return len(self.rows) < ROWS_READ

    def ailment(self, state: AccountState) -> Reason | None:
        """Return what holds an account up but its rate and its calls under way; None: it is well."""
        now = self.pulse.now
        return closed(state, now) or tried(state) or paused(state, now)

    def state_of(self, state: AccountState) -> str:
        """Return an account's state in a word."""
        ailment = self.ailment(state)
        if ailment is not None:
            return STATES[ailment.limit]
        if state.in_flight and state.flying >= state.in_flight:
            return "full"
        return "at_rate" if state.free_at(self.pulse.now) > self.pulse.now else "open"

    def campaigns(self) -> list[Campaign]:
        """Return what waits in bulk, what is done first at the head; what goes nowhere at the end."""
        scene = Scene(self.pulse.now, {state.name: state for state in self.states}, self.rows, self.shares)
        found: dict[tuple[str, str], list[tuple[Row, Estimate]]] = {}
        for row, estimate in zip(self.rows, estimates(scene), strict=True):
            if row.lane is Lane.BULK:
                found.setdefault((row.campaign, row.route), []).append((row, estimate))
        campaigns = [
            Campaign(name, route, sum(row.length for row, _ in rows), rows[0][0].weight, _latest(rows))
            for (name, route), rows in found.items()
        ]
        return sorted(campaigns, key=lambda each: (each.estimate.at is None, each.estimate.at or instant(0)))

    def waiting(self, account: str, lane: Lane) -> int:
        """Return how many messages of a lane wait that an account may carry."""
        return sum(row.length for row in self.rows if row.lane is lane and row.serves(account))

    def oldest(self, account: str, lane: Lane) -> float | None:
        """Return how many seconds ago the oldest of them was accepted, by the heads of its rows."""
        now = instant(self.pulse.now / 1000)
        heads = [row.since for row in self.rows if row.since and row.lane is lane and row.serves(account)]
        return max(((now - since).total_seconds() for since in heads), default=None)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "accounts": [self.account(state) for state in self.states],
            "lines": [
                {
                    "lane": row.lane,
                    "route": row.route.split(",") if row.route else [],
                    "row": row.name or None,
                    "waiting": row.length,
                }
                for row in self.rows
            ],
            "lines_whole": self.is_whole,
            "campaigns": [campaign.to_dict() for campaign in self.campaigns()],
            "worker_running": self.pulse.ticking,
        }

    def account(self, state: AccountState) -> dict[str, Any]:
        """Return how one account stands, as plain JSON types: the same wherever an account is printed."""
        now = self.pulse.now
        ailment = self.ailment(state)
        by = None if ailment is None else ailment.paused_by
        causes = {"stopped": state.stopped, "broken": state.stopped, "paused": state.cause}
        word = self.state_of(state)
        oldest = {lane.value: self.oldest(state.name, lane) for lane in Lane}
        return {
            "name": state.name,
            "provider": self.providers.get(state.name),
            "state": word,
            "paused_by": by,
            "cause": (state.halted if by == "person" else causes.get(word)) or None,
            "why": None if ailment is None else ailment.said[0],
            "until": None if ailment is None else stamp(ailment.until),
            "again_in": max(state.paused_until / 1000 - now / 1_000_000, 0),
            "rate": state.rate and rounded(state.rate),
            "rate_configured": state.configured_rate and rounded(state.configured_rate),
            "rate_in_force": rounded(state.rate_in_force(now)),
            "rate_in_use": rounded(in_use(state, now)),
            "unit": state.unit,
            "in_flight": state.in_flight or None,
            "sending": state.flying,
            "breaker": state.breaker(now),
            "daily_cap": state.cap or None,
            "used_today": state.used_today(now) if state.cap else None,
            "day_ends": stamp(instant(state.day_ends(now))) if state.cap else None,
            "limits": limits_of(state),
            "adjusted": adjusted(state),
            "waiting": {lane.value: self.waiting(state.name, lane) for lane in Lane},
            "oldest": oldest,
            "oldest_waiting": max((age for age in oldest.values() if age is not None), default=None),
        }


def read_overview(ledger: "Ledger", settings: "Settings") -> Overview:
    """Return how the accounts stand: those that workers published, and those that are configured here.

    Raises LedgerError.
    """
    published = ledger.run(verbs.directory()).accounts
    names = dict.fromkeys([*published, *settings.accounts])
    providers = {name: card.provider for name, card in published.items()}
    providers |= {name: account.provider for name, account in settings.accounts.items()}
    return _read(ledger, settings, tuple(names), providers, read_rows(ledger))


def read_account(ledger: "Ledger", settings: "Settings", name: str) -> dict[str, Any]:
    """Return how one account stands, as `Overview.account` does. Raises LedgerError."""
    card = ledger.run(verbs.directory()).accounts.get(name)
    configured = settings.accounts.get(name) or card
    providers = {name: configured.provider} if configured is not None else {}
    found = _read(ledger, settings, (name,), providers, read_rows(ledger, (name,)))
    return found.account(found.states[0])


def _read(
    ledger: "Ledger", settings: "Settings", names: tuple[str, ...], providers: dict[str, str], rows: list[Row]
) -> Overview:
    states = tuple(ledger.run(account_state(name)) for name in names)
    shares = (settings.normal_share, settings.bulk_share)
    return Overview(read_pulse(ledger), states, providers, rows, shares)


def _latest(rows: list[tuple[Row, Estimate]]) -> Estimate:
    """Return the estimate of the row that is done last; one that can't be said is last of all."""
    return max((each for _, each in rows), key=lambda each: (each.at is None, each.at or instant(0)))
