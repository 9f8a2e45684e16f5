"""What `sendline accounts` shows to people: a table, what is not well, and campaigns."""

from typing import TYPE_CHECKING, Final

from sendline.contract.lane import Lane
from sendline_worker.answers.estimates import left_out
from sendline_worker.answers.limits import in_use, told
from sendline_worker.answers.spelling import counted, rounded, spell
from sendline_worker.cli.printing import print_line, print_table

if TYPE_CHECKING:
    from sendline.ledger.account_state import AccountState
    from sendline_worker.answers.overview import Campaign, Overview

SHOWN: Final = 20
"""Campaigns that are shown at most."""
SPARE: Final = ("breaker", "provider", "in use", "sending", "today")
"""Columns that a narrow terminal does without, the first of them first."""


def show(found: "Overview") -> None:
    """Print how the accounts stand."""
    if not found.states:
        print_line("no accounts: none is configured, and no worker has published any")
    else:
        heads = ["account", "provider", "state", "rate", "in force", "in use", "sending"]
        heads += [*(lane.value for lane in Lane), "today", "breaker"]
        rows = [_row(found, state) for state in found.states]
        used = [
            place for place, head in enumerate(heads) if head != "today" or any(row[place] for row in rows)
        ]
        table = [[row[place] for place in used] for row in rows]
        absent = print_table([heads[place] for place in used], table, spare=SPARE)
        if absent:
            print_line(f"left out, for want of room: {', '.join(absent)}; --json shows them")
    notes = [line for state in found.states for line in _notes(found, state)]
    if notes:
        print_line("")
    for line in notes:
        print_line(line)
    _show_campaigns(found)
    if not found.is_whole:
        print_line(f"only {counted(len(found.rows), 'row')} of lines were read: more waits than is shown")
    unrouted = sum(row.length for row in found.rows if not row.route)
    if unrouted:
        verb = "has" if unrouted == 1 else "have"
        print_line(f"{counted(unrouted, 'message')} {verb} no route yet: the next tick of a worker finds it")
    if found.pulse.behind:
        print_line("nothing is sent: the ledger came back from an older state; run `sendline recover`")
    if not found.pulse.ticking:
        print_line("no worker is running: start `sendline worker`, or `sendline up`")


def _row(found: "Overview", state: "AccountState") -> list[str]:
    now = found.pulse.now
    per = "/s" if state.unit == "messages" else " seg/s"
    return [
        state.name,
        found.providers.get(state.name, "?"),
        found.state_of(state).replace("_", " "),
        f"{rounded(state.rate):g}{per}" if state.rate else "",
        f"{rounded(state.rate_in_force(now)):g}",
        f"{in_use(state, now):.3g}",
        f"{state.flying} of {state.in_flight}" if state.in_flight else str(state.flying),
        *(_waiting(found, state.name, lane) for lane in Lane),
        f"{state.used_today(now)} of {state.cap}" if state.cap else "",
        state.breaker(now),
    ]


def _waiting(found: "Overview", account: str, lane: Lane) -> str:
    """Return how many wait and for how long the oldest does, shortly: 1200, 3 min."""
    length, age = found.waiting(account, lane), found.oldest(account, lane)
    return str(length) if age is None else f"{length}, {' '.join(spell(age).split()[:2])}"


def _notes(found: "Overview", state: "AccountState") -> list[str]:
    """Return what is said of an account that isn't well, or that a person has adjusted."""
    ailment = found.ailment(state)
    lines = [] if ailment is None else [ailment.said[0]]
    if state.fraction(found.pulse.now) < 1:
        part = f"{state.fraction(found.pulse.now):.0%}"
        lines.append(f"Account {state.name}, asked to slow down, has {part} of its rate, which climbs back.")
    changed = told(state)
    if changed:
        back = f"`sendline accounts set {state.name} --reset` takes that back"
        lines.append(f"Account {state.name} was adjusted by a person: {changed}. {back}.")
    return lines


def _show_campaigns(found: "Overview") -> None:
    campaigns = found.campaigns()
    if not campaigns:
        return
    print_line("")
    rows = []
    for each in campaigns[:SHOWN]:
        done = each.estimate.word
        if each.estimate.at is not None:
            left = spell(each.estimate.at.timestamp() - found.pulse.now / 1_000_000)
            done = f"in about {left}"
        names = " or ".join(each.route.split(",")) or "?"
        rows.append((each.name or "(none)", names, str(each.waiting), f"{each.weight:g}", done))
    print_table(("campaign", "account", "waiting", "weight", "done, if nothing new comes"), rows)
    if len(campaigns) > SHOWN:
        print_line(f"and {counted(len(campaigns) - SHOWN, 'more line')}; --json shows all")
    _show_left_out(found, campaigns[:SHOWN])


def _show_left_out(found: "Overview", campaigns: "list[Campaign]") -> None:
    """Print which limits the estimates that are shown don't reckon with."""
    names = {name for each in campaigns if each.estimate.at is not None for name in each.route.split(",")}
    for state in found.states:
        if state.name in names and (line := left_out(state)):
            print_line(line)
