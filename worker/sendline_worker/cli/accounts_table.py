"""What `sendline accounts` shows to people: a table, what is not well, and campaigns."""

from typing import TYPE_CHECKING, Final

from sendline.contract.lane import Lane
from sendline_worker.answers.limits import adjusted, number
from sendline_worker.answers.spelling import counted, rounded, spell
from sendline_worker.cli.house import House
from sendline_worker.cli.printing import print_line, print_table

if TYPE_CHECKING:
    from sendline.ledger.account_state import AccountState

SHOWN: Final = 20
"""Campaigns that are shown at most."""
LEAST_USE: Final = 0.01
"""A rate in use that is less is shown as none."""


def show(found: House) -> None:
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
        print_table([heads[place] for place in used], [[row[place] for place in used] for row in rows])
    notes = [line for state in found.states for line in _notes(found, state)]
    if notes:
        print_line("")
    for line in notes:
        print_line(line)
    _show_campaigns(found)
    unrouted = sum(row.length for row in found.rows if not row.route)
    if unrouted:
        print_line(f"{unrouted} messages have no route yet: the next tick of a worker finds it")
    if found.pulse.behind:
        print_line("nothing is sent: the ledger came back from an older state; run `sendline recover`")
    if not found.pulse.ticking:
        print_line("no worker is running: start `sendline worker`, or `sendline up`")


def _row(found: House, state: "AccountState") -> list[str]:
    now = found.pulse.now
    per = "/s" if state.unit == "messages" else " seg/s"
    return [
        state.name,
        found.providers.get(state.name, "?"),
        found.state_of(state)[0].replace("_", " "),
        f"{rounded(state.rate):g}{per}" if state.rate else "",
        f"{rounded(state.rate_in_force(now)):g}",
        f"{state.rate_in_use(now):.3g}" if state.rate_in_use(now) >= LEAST_USE else "0",
        f"{state.flying} of {state.in_flight}" if state.in_flight else str(state.flying),
        *(_waiting(found, state.name, lane) for lane in Lane),
        f"{state.used_today(now)} of {state.cap}" if state.cap else "",
        state.breaker(now),
    ]


def _waiting(found: House, account: str, lane: Lane) -> str:
    """Return how many wait and for how long the oldest does, shortly: 1200, 3 min."""
    length, age = found.waiting(account, lane), found.oldest(account, lane)
    return str(length) if age is None else f"{length}, {' '.join(spell(age).split()[:2])}"


def _notes(found: House, state: "AccountState") -> list[str]:
    """Return what is said of an account that isn't well, or that a person has adjusted."""
    said = found.state_of(state)[1]
    lines = [said] if said else []
    if state.fraction(found.pulse.now) < 1:
        part = f"{state.fraction(found.pulse.now):.0%}"
        lines.append(f"Account {state.name}, asked to slow down, has {part} of its rate, which climbs back.")
    changed = [
        f"{limit} {number(values['in_force'])}, configured {number(values['configured'])}"
        for limit, values in adjusted(state).items()
    ]
    if changed:
        back = f"`sendline accounts set {state.name} --reset` takes that back"
        lines.append(f"Account {state.name} was adjusted by a person: {'; '.join(changed)}. {back}.")
    return lines


def _show_campaigns(found: House) -> None:
    campaigns = found.campaigns()
    if not campaigns:
        return
    print_line("")
    rows = []
    for each in campaigns[:SHOWN]:
        done = each.estimate.because
        if each.estimate.at is not None:
            left = spell(each.estimate.at.timestamp() - found.pulse.now / 1_000_000)
            done = f"in about {left}"
        names = " or ".join(each.route.split(",")) or "?"
        rows.append((each.name or "(none)", names, str(each.waiting), f"{each.weight:g}", done))
    print_table(("campaign", "account", "waiting", "weight", "done, if nothing new comes"), rows)
    if len(campaigns) > SHOWN:
        print_line(f"and {counted(len(campaigns) - SHOWN, 'more line')}; --json shows all")
