"""Which limit holds a message in its line, and until about when: as claim.lua takes messages."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from sendline.contract.message import instant, stamp
from sendline.ledger.lines import zones_of_name
from sendline_worker.answers.estimates import Scene, estimate, rivals
from sendline_worker.answers.reasons import Limit, Reason, choose, paused, tried
from sendline_worker.answers.spelling import a_second, counted, rounded, spell

if TYPE_CHECKING:
    from sendline.contract.message import Message
    from sendline.ledger.account_state import AccountState
    from sendline.ledger.lines import Row
    from sendline.ledger.standing import Standing

SOON: Final = timedelta(milliseconds=1)
"""What is nearer than this is now."""
AT_ONCE: Final = timedelta(seconds=1)
"""What comes so soon behind the end of a limit comes with it."""


def held_back(message: "Message", standing: "Standing", shares: tuple[float, float]) -> Reason | None:
    """Return what holds a message that stands in a line whose route is known; None: it may go now."""
    now = standing.pulse.now
    about = _about(message, standing, shares)
    carrier, passed = choose(standing.accounts, now)
    earlier = tuple(sentence for reason in passed for sentence in reason.said)
    if carrier is None:
        if not passed:
            return None
        first = min(passed, key=lambda reason: (reason.until is None, reason.until or instant(0)))
        return replace(first, said=(*earlier, *_later(about, first.until, now)), about=about)
    held = _held_at(carrier, message, standing, about)
    if held is None:
        return None
    later = _later(about, held.until, now) if held.until is not None else []
    return replace(held, said=(*earlier, *held.said, *later), account=carrier.name, about=about)


def _later(about: datetime | None, until: datetime | None, now: int) -> list[str]:
    """Return when a message's turn comes, where that is later than what holds it now."""
    if about is None or (until is not None and about - until < AT_ONCE):
        return []
    return [f"Its turn comes in about {spell((about - instant(now / 1000)).total_seconds())}."]


def _held_at(
    account: "AccountState", message: "Message", standing: "Standing", about: datetime | None
) -> Reason | None:
    now = standing.pulse.now
    row = standing.row
    if account.is_paused(now):
        return paused(account, now)
    if row is not None and row.held_until is not None and row.held_until > now:
        return _held_by_sender(account, row, now)
    if account.stopped is not None:
        return None if standing.ahead == 0 else tried(account)
    if account.in_flight and account.flying >= account.in_flight:
        calls = "its only call" if account.in_flight == 1 else f"all of its {account.in_flight} calls"
        said = f"Account {account.name} has {calls} under way (in_flight)."
        return Reason(Limit.IN_FLIGHT, (said,))
    if about is not None and about - instant(now / 1000) < SOON:
        return None
    return _held_by_rate(account, message, standing, about)


def _held_by_sender(account: "AccountState", row: "Row", now: int) -> Reason:
    held = row.held_until or now
    until = instant(held / 1000)
    if account.s_cap and held // 1000 >= account.day_ends(now):
        sent = counted(account.s_cap, account.unit.removesuffix("s"))
        said = f"Its sender has sent its {sent} of today through account {account.name}"
        return Reason(Limit.SENDER_DAILY_CAP, (f"{said}: it goes on at {stamp(until)}.",), until=until)
    left = spell((held - now) / 1_000_000)
    if zones_of_name(row.name) and held - now > account.s_interval:
        said = (
            f"The window of campaign {row.campaign} is closed on its recipient's clock: it goes on in {left}."
        )
        return Reason(Limit.WINDOW, (said,), until=until)
    each = f" {a_second(rounded(1_000_000 / account.s_interval), account.unit)}" if account.s_interval else ""
    said = f"Account {account.name} sends{each} from each sender: its sender goes on in {left}."
    return Reason(Limit.SENDER_RATE, (said,), until=until)


def _held_by_rate(
    account: "AccountState", message: "Message", standing: "Standing", about: datetime | None
) -> Reason:
    now, row = standing.pulse.now, standing.row
    full, lowered = rounded(account.rate or 0), rounded(1_000_000 / account.pace(now))
    limit, rate = Limit.RATE, f"Account {account.name} sends {a_second(full, account.unit)}"
    if lowered < full:
        limit = Limit.THROTTLED
        part = f"{lowered:g} of its {a_second(full, account.unit)}"
        rate = f"Account {account.name}, asked to slow down, sends {part}"
    others = [each for each in rivals(standing.rows, account.name, message.lane) if each is not row]
    if others and standing.ahead == 0 and limit is Limit.RATE:
        limit = Limit.TURNS
    if about is None:
        said = [f"{rate}."]
    else:
        left = spell((about - instant(now / 1000)).total_seconds())
        said = [f"{rate}: its turn comes {'within' if standing.ahead is None else 'in'} about {left}."]
    turns = _others(message, others)
    return Reason(limit, (*turns, *said) if limit is Limit.TURNS else (*said, *turns))


def _others(message: "Message", others: "list[Row]") -> list[str]:
    """Return what is said of rows that go before a message's own, or take turns with it."""
    before = sum(row.length for row in others if row.lane is not message.lane)
    beside = [row for row in others if row.lane is message.lane]
    said = []
    if before:
        verb = "goes" if before == 1 else "go"
        said.append(f"{counted(before, 'message')} of more urgent lanes {verb} before it.")
    if beside:
        rows = "another row" if len(beside) == 1 else f"{len(beside)} other rows"
        said.append(f"It takes turns with {rows} of {counted(sum(r.length for r in beside), 'message')}.")
    return said


def _about(message: "Message", standing: "Standing", shares: tuple[float, float]) -> datetime | None:
    """Return about when a message's turn comes; where it stands too far back, by when."""
    if standing.row is None or standing.is_missing:
        return None
    own = replace(standing.row, segments=max(message.segments, 1))
    rows = [row for row in standing.rows if row is not standing.row]
    accounts = {account.name: account for account in standing.accounts}
    scene = Scene(standing.pulse.now, accounts, (own, *rows), shares)
    number = None if standing.ahead is None else standing.ahead + 1
    return estimate(scene, own, number).at
