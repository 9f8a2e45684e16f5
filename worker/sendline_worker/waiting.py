"""Why a message is still waiting, in plain sentences: a pure function of it and what it waits for."""

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sendline.contract.message import instant, stamp
from sendline.contract.status import WAITING, Status
from sendline.ledger.recovery import WHAT_HAPPENED

if TYPE_CHECKING:
    from datetime import datetime

    from sendline.contract.message import Message
    from sendline.ledger.standing import AccountState, Pulse, Standing

PATIENCE: Final = 3.0
"""Seconds for which something that could happen may not have happened yet, without anything being wrong."""

_BEHIND: Final = f"Nothing is sent: {WHAT_HAPPENED}. Run `sendline recover`."
_UNITS: Final = (("day", 86400), ("h", 3600), ("min", 60))


def explain(message: "Message", standing: "Standing", max_attempts: int) -> list[str]:
    """Return the reasons, the most telling first; none where nothing is waited for."""
    now = instant(standing.pulse.now / 1000)
    if message.status is Status.SENDING:
        return _sending(message, standing, now)
    if message.status in WAITING and standing.pulse.behind:
        return [_BEHIND]
    if message.status in WAITING:
        return _waiting(message, standing, max_attempts, now)
    if message.final or message.due_at is None:
        return []
    left = spell((message.due_at - now).total_seconds())
    if message.status is Status.SENT:
        return [f"The provider has accepted it and reports deliveries: one is awaited for {left} more."]
    deciding = "a receipt, a look-up or a person (`sendline uncertain`) decides"
    held = "The provider may or may not have accepted it, so it is not sent again"
    return [f"{held}: {deciding}, else this is final in {left}."]


def spell(seconds: float) -> str:
    """Return a length of time for people: 80 ms, 1.5 s, 12 s, 3 min 20 s, 2 h 5 min, 3 days."""
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    if seconds < 10:  # noqa: PLR2004 - from here on tenths say nothing
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    left = round(seconds)
    words = []
    for unit, size in _UNITS:
        number, left = divmod(left, size)
        if number:
            words.append(f"{number} {unit}{'s' if unit == 'day' and number > 1 else ''}")
    if left and seconds < 3600:  # noqa: PLR2004 - an hour
        words.append(f"{left} s")
    return " ".join(words[:2])


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


def _waiting(message: "Message", standing: "Standing", max_attempts: int, now: "datetime") -> list[str]:
    ends = [] if message.expires_at is None else [f"It expires at {stamp(message.expires_at)}."]
    if message.expires_at is not None and message.expires_at <= now:
        return ["Its validity has ended: the tick lets it expire.", *_nobody(standing.pulse)]
    if message.due_at is not None:
        return [*_for_its_time(message, standing.pulse, max_attempts, now), *ends]
    return [*_in_line(message, standing), *_last_error(message), *ends]


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


def _in_line(message: "Message", standing: "Standing") -> list[str]:
    if not message.route:
        absent = _nobody(standing.pulse)
        return absent or ["No account was known when it was accepted: the next tick finds its route."]
    place = _place(message, standing)
    pulse = standing.pulse
    if absent := _nobody(pulse):
        return [*absent, place]
    held = _held_back(standing)
    if held:
        return [*held, place]
    ready = standing.line.ready_at if standing.line else None
    if pulse.awake == 0 and ready is not None and pulse.now - ready > PATIENCE * 1_000_000:
        wakes = f" ({pulse.wakes} wakes wait to be taken)" if pulse.wakes else ""
        return [
            f"It may go, and a worker runs, but none of its processes claims{wakes}: see the worker's log.",
            place,
        ]
    return ["It may go, and is claimed next.", place] if standing.ahead == 0 else [place]


def _nobody(pulse: "Pulse") -> list[str]:
    if pulse.ticking or pulse.awake:
        return []
    if pulse.configured:
        return ["No worker is running: start `sendline worker`, or `sendline up`."]
    return ["No worker has run on this ledger yet: start `sendline worker`, or `sendline up`."]


def _place(message: "Message", standing: "Standing") -> str:
    line = f"the {message.lane} line of {' or '.join(message.route)}"
    if standing.ahead is None:
        return f"It stands far back in {line}: {standing.line.length if standing.line else 0} wait there."
    if standing.ahead == 0:
        return f"It stands at the head of {line}."
    verb = "message stands" if standing.ahead == 1 else "messages stand"
    return f"{standing.ahead} {verb} before it in {line}."


def _held_back(standing: "Standing") -> list[str]:
    """Return why the account that its route takes next sends nothing now, as claim.lua chooses it."""
    now = standing.pulse.now
    said = []
    for account in standing.accounts:
        if account.interval is None:
            said.append(f"Account {account.name} is not configured on the workers.")
        elif account.stopped and account.paused_until > now / 1000:
            left = spell(account.paused_until / 1000 - now / 1_000_000)
            said.append(f"Account {account.name} is stopped, and tried again in {left}: {account.stopped}.")
        else:
            return [*said, *_limited(account, standing)]
    return said


def _limited(account: "AccountState", standing: "Standing") -> list[str]:
    now = standing.pulse.now
    name, interval = account.name, account.interval or 1
    if account.paused_until > now / 1000:
        left = spell(account.paused_until / 1000 - now / 1_000_000)
        return [f"Account {name} is paused for {left} more: {account.cause or 'no cause was kept'}."]
    if account.in_flight and account.flying >= account.in_flight:
        return [f"Account {name} has all of its {account.in_flight} calls under way (in_flight)."]
    rate = f"Account {name} sends {account.rate:g} a second"
    if standing.ahead is None:
        return [f"{rate}."]
    wait = max(account.tat, now) - now + (standing.ahead + 1 - account.burst) * interval
    if wait <= 0:
        return []
    soonest = spell(timedelta(microseconds=wait).total_seconds())
    return [f"{rate}: its turn comes in {soonest} at the earliest."]
