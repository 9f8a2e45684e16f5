"""Why a message is still waiting, in plain sentences: a pure function of it and what it waits for."""

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sendline.contract.message import instant, stamp
from sendline.contract.status import WAITING, Status
from sendline.ledger.recovery import WHAT_HAPPENED
from sendline.ledger.standing import SEARCHED
from sendline_worker.answers.holding import held_back
from sendline_worker.answers.reasons import Limit, Reason, resting
from sendline_worker.answers.spelling import spell

if TYPE_CHECKING:
    from datetime import datetime

    from sendline.contract.message import Message
    from sendline.ledger.standing import Pulse, Standing

PATIENCE: Final = 3.0
"""Seconds for which something that could happen may not have happened yet, without anything being wrong."""

_BEHIND: Final = f"Nothing is sent: {WHAT_HAPPENED}. Run `sendline recover`."


def explain(
    message: "Message", standing: "Standing", max_attempts: int, shares: tuple[float, float]
) -> list[str]:
    """Return the reasons, the most telling first; none where nothing is waited for.

    `shares` are the parts of an account's rate kept for normal and for bulk messages.
    """
    reason = look_into(message, standing, max_attempts, shares)
    return [] if reason is None else list(reason.said)


def look_into(
    message: "Message", standing: "Standing", max_attempts: int, shares: tuple[float, float]
) -> Reason | None:
    """Return what a message waits for; None where it waits for nothing."""
    now = instant(standing.pulse.now / 1000)
    if message.status is Status.SENDING:
        return Reason(Limit.OUTCOME, tuple(_sending(message, standing, now)), account=message.account)
    if message.status in WAITING and standing.pulse.behind:
        return Reason(Limit.LEDGER, (_BEHIND,))
    if message.status in WAITING:
        return _waiting(message, standing, max_attempts, shares)
    if message.final or message.due_at is None:
        return None
    left = spell((message.due_at - now).total_seconds())
    if message.status is Status.SENT:
        said = f"The provider has accepted it and reports deliveries: one is awaited for {left} more."
    else:
        deciding = "a receipt, a look-up or a person (`sendline uncertain`) decides"
        held = "The provider may or may not have accepted it, so it is not sent again"
        said = f"{held}: {deciding}, else this is final in {left}."
    return Reason(Limit.NEWS, (said,), account=message.account, until=message.due_at)


def _sending(message: "Message", standing: "Standing", now: "datetime") -> list[str]:
    since = spell((now - message.timeline[-1].at).total_seconds())
    said = [f"A worker claimed it {since} ago and calls the provider through account {message.account}."]
    if standing.timer_at is not None:
        left = standing.timer_at / 1000 - now.timestamp()
        if left > 0:
            said.append(f"If no outcome comes within {spell(left)}, its fate counts as uncertain.")
        else:
            said.append(f"Its claim ended {spell(-left)} ago: its worker died, and the tick judges it.")
            said += _nobody(standing.pulse)
    if message.cancel_requested:
        said.append("Its cancellation was asked for: it is canceled if the provider does not accept it.")
    return said


def _waiting(
    message: "Message", standing: "Standing", max_attempts: int, shares: tuple[float, float]
) -> Reason:
    now = instant(standing.pulse.now / 1000)
    if message.expires_at is not None and message.expires_at <= now:
        said = ("Its validity has ended: the tick lets it expire.", *_nobody(standing.pulse))
        return Reason(Limit.VALIDITY, said, until=message.expires_at)
    rests = resting(standing.campaign, now)
    if message.due_at is not None:
        said = tuple(_for_its_time(message, standing.pulse, max_attempts, now))
        if rests is not None:
            return _more(rests, *said, *_end(message, None))
        first = message.attempts == 0 and message.status is Status.CREATED
        limit = Limit.SCHEDULE if first else Limit.RETRY
        reason = Reason(limit, said, until=message.due_at, about=max(message.due_at, now))
        return _more(reason, *_end(message, None))
    if rests is not None:
        return _more(rests, *_nobody(standing.pulse), *_last_error(message), *_end(message, None))
    reason = _in_line(message, standing, shares)
    return _more(reason, *_last_error(message), *_end(message, reason.about))


def _more(reason: Reason, *said: str) -> Reason:
    return replace(reason, said=(*reason.said, *said))


def _end(message: "Message", about: "datetime | None") -> list[str]:
    if message.expires_at is None:
        return []
    early = " That is before its turn comes." if about is not None and about > message.expires_at else ""
    return [f"It expires at {stamp(message.expires_at)}.{early}"]


def _for_its_time(message: "Message", pulse: "Pulse", max_attempts: int, now: "datetime") -> list[str]:
    due = message.due_at or now
    left = (due - now).total_seconds()
    if left <= 0:
        late = [] if left > -PATIENCE else _nobody(pulse)
        return [f"Its time came {spell(-left)} ago: the next tick puts it into its line.", *late]
    if message.attempts == 0 and message.status is Status.CREATED:
        return [f"It is scheduled: not sent before {stamp(due)}, which is in {spell(left)}."]
    number = message.attempts + 1
    return [f"Attempt {number} of {max_attempts} is due in {spell(left)}.", *_last_error(message)]


def _last_error(message: "Message") -> list[str]:
    if not message.error:
        return []
    reason = next((entry.reason for entry in reversed(message.timeline) if entry.code), "")
    return [f"Last time: {message.error}{': ' if reason else ''}{reason}."]


def _in_line(message: "Message", standing: "Standing", shares: tuple[float, float]) -> Reason:
    pulse = standing.pulse
    absent = tuple(_nobody(pulse))
    if not message.route:
        told = absent or ("No account was known when it was accepted: the next tick finds its route.",)
        return Reason(Limit.WORKER if absent else Limit.ROUTE, told)
    place = _place(message, standing)
    if absent:
        return Reason(Limit.WORKER, (*absent, place))
    held = held_back(message, standing, shares)
    if held is not None:
        return _more(held, place)
    ready = standing.row.ready_at if standing.row else None
    if pulse.awake == 0 and ready is not None and pulse.now - ready > PATIENCE * 1_000_000:
        wakes = f" ({pulse.wakes} wakes wait to be taken)" if pulse.wakes else ""
        stuck = (
            f"It may go, and a worker runs, but none of its processes claims{wakes}: see the worker's log."
        )
        return Reason(Limit.WORKER, (stuck, place))
    said = ("It may go, and is claimed next.", place) if standing.ahead == 0 else (place,)
    return Reason(Limit.CLAIM, said, about=instant(pulse.now / 1000))


def _nobody(pulse: "Pulse") -> list[str]:
    if pulse.ticking or pulse.awake:
        return []
    if pulse.configured:
        return ["No worker is running: start `sendline worker`, or `sendline up`."]
    return ["No worker has run on this ledger yet: start `sendline worker`, or `sendline up`."]


def _place(message: "Message", standing: "Standing") -> str:
    line = f"the {message.lane} line of {' or '.join(message.route)}"
    if standing.is_missing:
        again = "a worker may have taken it this moment. If it is still not found, run `sendline audit`"
        return f"It was not found in {line}: {again}."
    if standing.ahead is None:
        length = standing.row.length if standing.row else 0
        return f"It stands far back in {line}, behind {SEARCHED} or more: {length} wait there."
    if standing.ahead == 0:
        return f"It stands at the head of {line}."
    verb = "message stands" if standing.ahead == 1 else "messages stand"
    return f"{standing.ahead} {verb} before it in {line}."
