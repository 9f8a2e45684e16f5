"""Why messages wait, as data and in a sentence; and which account of a route carries them now."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Literal

from sendline.contract.campaign import CampaignState
from sendline.contract.message import instant, stamp
from sendline_worker.answers.spelling import counted, spell

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sendline.contract.campaign import Progress
    from sendline.ledger.account_state import AccountState


class Limit(StrEnum):
    """What a message waits for. Programs read these words: they don't change."""

    RATE = "rate"
    """Its account sends so many a second, and others go before it."""
    TURNS = "turns"
    """It is the first of its row, and other rows of its account take their turns."""
    THROTTLED = "throttled"
    """As `rate`, while the rate is lowered because the provider asked for it."""
    IN_FLIGHT = "in_flight"
    """As many calls are under way as its account allows."""
    DAILY_CAP = "daily_cap"
    """Its account has sent what it may send in a day."""
    SENDER_RATE = "sender_rate"
    """Its account sends so many a second from each sender."""
    SENDER_DAILY_CAP = "sender_daily_cap"
    """Its sender has sent, through its account, what one sender may send in a day."""
    PAUSED = "paused"
    """The provider asked for a pause, or a person paused the account."""
    STOPPED = "stopped"
    """The provider does not serve the account."""
    BREAKER = "breaker"
    """Calls of the account failed one after the other."""
    NOT_CONFIGURED = "not_configured"
    """No worker has the account."""
    ROUTE = "route"
    """No account was known when it was accepted."""
    CAMPAIGN = "campaign"
    """Its campaign was not started, or is paused, or was canceled."""
    WINDOW = "window"
    """Its campaign's window is closed where the recipient lives."""
    SCHEDULE = "schedule"
    """It is not to be sent before an instant."""
    RETRY = "retry"
    """Its next attempt is due at an instant."""
    VALIDITY = "validity"
    """It is over: the tick lets it expire."""
    WORKER = "worker"
    """Nobody works."""
    LEDGER = "ledger"
    """The ledger is behind: nothing is sent until it is recovered."""
    CLAIM = "claim"
    """It may go, and is claimed next."""
    OUTCOME = "outcome"
    """A worker calls the provider."""
    NEWS = "news"
    """A receipt, a look-up or a person."""


By = Literal["person", "provider"]

STATES: Final = {
    Limit.NOT_CONFIGURED: "unknown",
    Limit.PAUSED: "paused",
    Limit.STOPPED: "stopped",
    Limit.BREAKER: "broken",
    Limit.DAILY_CAP: "spent",
}
"""The state of an account, in a word, of which a limit is told."""


@dataclass(frozen=True, slots=True)
class Reason:
    """What a message waits for."""

    limit: Limit
    said: tuple[str, ...]
    """Sentences for people, the most telling first."""
    account: str | None = None
    """Whose limit it is."""
    until: "datetime | None" = None
    """When the limit ends, where that is known."""
    about: "datetime | None" = None
    """About when the message goes, if nothing new comes before it; None: that can't be said."""
    paused_by: By | None = None
    """Who paused the account, where that is the limit."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        until, about = stamp(self.until), stamp(self.about)
        return {
            "limit": self.limit.value,
            "account": self.account,
            "paused_by": self.paused_by,
            "until": until,
            "about": about,
        }


def resting(campaign: "Progress | None", now: "datetime") -> Reason | None:
    """Return why nothing of a message's campaign goes; None: it does, or it has none."""
    if campaign is None:
        return None
    until = None
    match campaign.state:
        case CampaignState.CREATED:
            said = f"was not started: `sendline campaign start {campaign.name}` starts it."
        case CampaignState.SCHEDULED:
            until = campaign.start_at or now
            said = f"starts at {stamp(until)}, which is in {spell((until - now).total_seconds())}."
        case CampaignState.PAUSED:
            cause = f": {campaign.cause}" if campaign.cause else ""
            said = f"is paused{cause}. `sendline campaign resume {campaign.name}` lets it go on."
        case CampaignState.CANCELED:
            said = "was canceled: the tick ends what had not been sent."
        case _:
            return None
    return Reason(Limit.CAMPAIGN, (f"Its campaign {campaign.name} {said}",), until=until)


def choose(accounts: "Iterable[AccountState]", now: int) -> "tuple[AccountState | None, tuple[Reason, ...]]":
    """Return the account of a route that carries its next message at `now` (us), and why not those before it.

    None where none does: then there is a reason for each.
    """
    passed: list[Reason] = []
    for account in accounts:
        reason = closed(account, now)
        if reason is None:
            return account, tuple(passed)
        passed.append(reason)
    return None, tuple(passed)


def closed(account: "AccountState", now: int) -> Reason | None:
    """Return why an account carries nothing at `now` (us), so that its routes pass it over; None: it does."""
    name = account.name
    if not account.interval:
        return Reason(
            Limit.NOT_CONFIGURED, (f"Account {name} is not configured on the workers.",), account=name
        )
    if account.halted is not None:
        cause = f": {account.halted}" if account.halted else ""
        said = (
            f"Account {name} is paused by a person{cause}. `sendline accounts resume {name}` lets it go on."
        )
        return Reason(Limit.PAUSED, (said,), account=name, paused_by="person")
    if account.stopped is not None and account.is_paused(now):
        return _stopped(account, now)
    if account.is_spent(now):
        until = instant(account.day_ends(now))
        day = "today" if account.zone == "UTC" else f"today in {account.zone}"
        sent = counted(account.cap, account.unit.removesuffix("s"))
        said = f"Account {name} has sent its {sent} of {day}: it goes on at {stamp(until)}."
        return Reason(Limit.DAILY_CAP, (said,), account=name, until=until)
    return None


def paused(account: "AccountState", now: int) -> Reason | None:
    """Return until when its provider lets an account wait at `now` (us); None: it doesn't."""
    if not account.is_paused(now):
        return None
    left = spell(account.paused_until / 1000 - now / 1_000_000)
    cause = account.cause or "no cause was kept"
    said = f"Account {account.name} is paused for {left} more: {cause}."
    until = instant(account.paused_until)
    return Reason(Limit.PAUSED, (said,), account=account.name, until=until, paused_by="provider")


def tried(account: "AccountState") -> Reason | None:
    """Return what holds all messages but one, while an account that was stopped or broken is to be tried."""
    if account.stopped is None:
        return None
    limit = Limit.BREAKER if account.broken else Limit.STOPPED
    said = f"Account {account.name} is tried with one message now; the others follow if it works"
    return Reason(limit, (f"{said}: {account.stopped}.",), account=account.name)


def _stopped(account: "AccountState", now: int) -> Reason:
    name, cause = account.name, account.stopped
    left = spell(account.paused_until / 1000 - now / 1_000_000)
    if account.broken:
        failed = f"The circuit breaker of account {name} is open, because its calls failed: {cause}."
        said = f"{failed} One message tries it in {left}."
    else:
        said = f"Account {name} is stopped, and tried again in {left}: {cause}."
    limit = Limit.BREAKER if account.broken else Limit.STOPPED
    return Reason(limit, (said,), account=name, until=instant(account.paused_until))
