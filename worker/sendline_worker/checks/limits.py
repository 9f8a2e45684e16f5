"""What `sendline check` finds of limits: configured ones that hinder each other, accounts held up."""

import shutil
from typing import TYPE_CHECKING, Final

from sendline.ledger import verbs
from sendline.ledger.account_state import account_state
from sendline.ledger.accounts import FIELDS
from sendline.ledger.standing import clock
from sendline_worker.answers.limits import adjusted
from sendline_worker.answers.spelling import counted, rounded
from sendline_worker.checks.parts import Check

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sendline.ledger.account_state import AccountState
    from sendline.ledger.accounts import AccountLimits
    from sendline.ledger.connection import Ledger
    from sendline.settings import Settings
    from sendline_worker.accounts import Account

CALL: Final = 0.05
"""Seconds that a call to a provider takes at least, often."""
UNEVEN: Final = 2.0
"""How many times its part of the rate an account may get by the weights of its route."""


def check_limits(settings: "Settings", accounts: "Mapping[str, Account]") -> "Iterator[Check]":
    """Check that the limits which are configured go together."""
    for account in accounts.values():
        yield from _check_senders(account)
        yield from _check_calls(account)
    for route in settings.routes:
        if route.weights:
            rates = [accounts[name].limits.rate for name in route.accounts if name in accounts]
            yield from _check_weights(route.to, dict(zip(route.accounts, route.weights, strict=True)), rates)


def check_alerts(settings: "Settings") -> "Iterator[Check]":
    """Check that the command which is told of accounts is there."""
    if settings.alert_command and shutil.which(settings.alert_command[0]) is None:
        fix = "correct its first word, the name or the path of a program"
        yield Check("warn", "alert_command", "its program is not found on this machine", fix)


def check_states(ledger: "Ledger", accounts: "Mapping[str, Account]") -> "Iterator[Check]":
    """Check how the accounts stand that workers have published. Raises LedgerError."""
    now = ledger.run(clock())
    for name in ledger.run(verbs.directory()).accounts:
        state = ledger.run(account_state(name))
        yield from check_state(state, now)
        if name in accounts:
            yield from _check_difference(state, accounts[name].limits)


def check_state(state: "AccountState", now: int) -> "Iterator[Check]":
    """Check that nothing holds an account up at `now` (us) but what is configured."""
    name = state.name
    again = f"`sendline accounts resume {name}` lets it go on"
    if state.halted is not None:
        why = f": {state.halted}" if state.halted else ""
        yield Check("warn", "accounts", f"{name} is paused by a person{why}", again)
    if state.broken:
        told = f"{name} fails, its circuit breaker is {state.breaker(now)}: {state.stopped}"
        yield Check("warn", "accounts", told, "see its provider; it is tried again by itself")
    elif state.stopped is not None:
        fix = f"see to it with its provider, then {again}"
        yield Check("FAIL", "accounts", f"{name} is stopped: {state.stopped}", fix)
    if state.is_spent(now):
        sent = counted(state.cap, state.unit.removesuffix("s"))
        fix = f"wait for midnight in {state.zone}, or `sendline accounts set {name} --daily-cap NUMBER`"
        yield Check("warn", "accounts", f"{name} has sent its {sent} of today", fix)
    if state.adjusted:
        limits = ", ".join(adjusted(state))
        fix = f"`sendline accounts set {name} --reset` takes that back"
        yield Check("warn", "accounts", f"{name} has other limits than are configured: {limits}", fix)


def _check_difference(state: "AccountState", limits: "AccountLimits") -> "Iterator[Check]":
    here = limits.stored
    others = [name for name, field in FIELDS.items() if state.configured.get(field) != here[field]]
    if others and state.configured:
        told = f"{state.name} works by other limits than are configured here: {', '.join(others)}"
        yield Check("warn", "accounts", told, "restart the workers, or correct the configuration here")


def _check_senders(account: "Account") -> "Iterator[Check]":
    limits, senders = account.limits, len(account.settings.senders)
    if limits.sender_rate is None or not senders:
        return
    together = limits.sender_rate * senders
    if together < limits.rate:
        told = f"its {counted(senders, 'sender')} send {rounded(together):g} of its {limits.rate:g} a second"
        fix = f"add senders, or lower accounts.{account.name}.rate"
        yield Check("warn", "limits", f"{account.name}: {told}", fix)


def _check_calls(account: "Account") -> "Iterator[Check]":
    limits = account.limits
    if limits.in_flight is None or limits.in_flight / limits.rate >= CALL or limits.rate <= 1 / CALL:
        return
    longest = limits.in_flight / limits.rate * 1000
    told = (
        f"in_flight {limits.in_flight} allows {limits.rate:g} a second only while calls take {longest:.3g} ms"
    )
    yield Check("warn", "limits", f"{account.name}: {told}", f"raise accounts.{account.name}.in_flight")


def _check_weights(to: str, weights: dict[str, int], rates: list[float]) -> "Iterator[Check]":
    """Check that no account gets much more than its part of the rate: its messages would wait for it."""
    if len(rates) != len(weights):
        return
    for (name, weight), rate in zip(weights.items(), rates, strict=True):
        given, able = weight / sum(weights.values()), rate / sum(rates)
        if given > UNEVEN * able:
            told = f"route {to} gives {name} {given:.0%} of its messages, and it has {able:.0%} of the rate"
            yield Check("warn", "limits", told, "set the route's weights as the rates of its accounts are")
