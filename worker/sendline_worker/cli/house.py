"""How the accounts stand, what waits for them and about when it will have gone: read, and as JSON."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sendline.contract.lane import Lane
from sendline.contract.message import instant, stamp
from sendline.ledger import verbs
from sendline.ledger.account_state import AccountState, account_state
from sendline.ledger.lines import Row, read_rows
from sendline.ledger.standing import Pulse, read_pulse
from sendline_worker.answers.estimates import Estimate, Scene, estimates
from sendline_worker.answers.limits import adjusted, limits_of
from sendline_worker.answers.reasons import Limit, closed
from sendline_worker.answers.spelling import rounded, spell
from sendline_worker.cli import opening

if TYPE_CHECKING:
    from datetime import datetime

    from sendline.settings import Settings

_STATES: Final = {
    Limit.NOT_CONFIGURED: "unknown",
    Limit.HALTED: "halted",
    Limit.STOPPED: "stopped",
    Limit.BREAKER: "broken",
    Limit.DAILY_CAP: "spent",
}


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
class House:
    """What is shown: the accounts, the rows and whether anybody works."""

    pulse: Pulse
    states: tuple[AccountState, ...]
    providers: dict[str, str]
    rows: list[Row]
    shares: tuple[float, float]

    def state_of(self, state: AccountState) -> tuple[str, str, "datetime | None"]:
        """Return an account's state in a word, in a sentence where it isn't well, and until when."""
        now = self.pulse.now
        left = spell(state.paused_until / 1000 - now / 1_000_000)
        if (reason := closed(state, now)) is not None:
            return _STATES[reason.limit], reason.said[0], reason.until
        if state.stopped is not None:
            said = f"Account {state.name} is tried with one message now: {state.stopped}."
            return "broken" if state.broken else "stopped", said, None
        if state.is_paused(now):
            cause = state.cause or "no cause was kept"
            said = f"Account {state.name} is paused for {left} more: {cause}."
            return "paused", said, instant(state.paused_until)
        if state.in_flight and state.flying >= state.in_flight:
            return "full", "", None
        return ("at_rate" if state.free_at(now) > now else "open"), "", None

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
        """Return for how many seconds the oldest of them waits, by the heads of its rows."""
        now = instant(self.pulse.now / 1000)
        heads = [row.since for row in self.rows if row.since and row.lane is lane and row.serves(account)]
        return max(((now - since).total_seconds() for since in heads), default=None)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "accounts": [self._plain(state) for state in self.states],
            "lines": [
                {
                    "lane": row.lane,
                    "route": row.route.split(",") if row.route else [],
                    "row": row.name or None,
                    "waiting": row.length,
                }
                for row in self.rows
            ],
            "campaigns": [campaign.to_dict() for campaign in self.campaigns()],
            "worker_running": self.pulse.ticking,
        }

    def _plain(self, state: AccountState) -> dict[str, Any]:
        now = self.pulse.now
        kind, said, until = self.state_of(state)
        causes = {
            "stopped": state.stopped,
            "broken": state.stopped,
            "paused": state.cause,
            "halted": state.halted,
        }
        oldest = {lane.value: self.oldest(state.name, lane) for lane in Lane}
        return {
            "name": state.name,
            "provider": self.providers.get(state.name),
            "state": kind,
            "cause": causes.get(kind),
            "why": said or None,
            "until": stamp(until),
            "again_in": max(state.paused_until / 1000 - now / 1_000_000, 0),
            "rate": state.rate and rounded(state.rate),
            "rate_configured": state.configured_rate and rounded(state.configured_rate),
            "rate_in_force": rounded(state.rate_in_force(now)),
            "rate_in_use": rounded(state.rate_in_use(now)),
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


def read_house(settings: "Settings") -> House:
    """Return how the accounts stand: those that workers published, and those that are configured here."""
    with opening.ledger(settings) as ledger:
        published = ledger.run(verbs.directory()).accounts
        names = dict.fromkeys([*published, *settings.accounts])
        return House(
            read_pulse(ledger),
            tuple(ledger.run(account_state(name)) for name in names),
            {name: card.provider for name, card in published.items()}
            | {name: account.provider for name, account in settings.accounts.items()},
            read_rows(ledger),
            (settings.normal_share, settings.bulk_share),
        )


def _latest(rows: list[tuple[Row, Estimate]]) -> Estimate:
    """Return the estimate of the row that is done last; one that can't be said is last of all."""
    return max((each for _, each in rows), key=lambda each: (each.at is None, each.at or instant(0)))
