"""`sendline accounts`: how each account stands, and what waits for it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sendline.contract.lane import Lane
from sendline.contract.message import instant
from sendline.ledger import verbs
from sendline.ledger.standing import AccountState, Line, Pulse, account_state, read_lines, read_pulse
from sendline_worker.cli import opening
from sendline_worker.cli.apps import Config, Json, make_app
from sendline_worker.cli.printing import print_json, print_line, print_table
from sendline_worker.waiting import spell

if TYPE_CHECKING:
    from sendline.settings import Settings

app = make_app()


@app.command()
def accounts(
    *,
    urls: Annotated[
        bool, typer.Option("--urls", help="Show the URL to enter at each provider for its delivery reports.")
    ] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Show each account: its state, its rate, its calls under way, and what waits for it.

    A message that may go by several accounts is counted at each of them.

    \b
    Examples:
      sendline accounts
      sendline accounts --urls
    """  # noqa: D301 - the parser's mark for what it must not wrap
    settings = opening.load(config)
    found = read_house(settings)
    addresses = _addresses(settings) if urls else {}
    if json:
        plain = found.to_dict()
        for account in plain["accounts"]:
            account.update({"receipts_url": addresses.get(account["name"])} if urls else {})
        print_json(plain)
        return
    if not found.states:
        print_line("no accounts: none is configured, and no worker has published any")
    else:
        heads = ("account", "provider", "rate", "sending", *(lane.value for lane in Lane), "oldest", "state")
        print_table(heads, [found.row(state) for state in found.states])
    unrouted = sum(line.length for line in found.lines if not line.route)
    if unrouted:
        print_line(f"{unrouted} messages have no route yet: the next tick of a worker finds it")
    if found.pulse.behind:
        print_line("nothing is sent: the ledger came back from an older state; run `sendline recover`")
    if not found.pulse.ticking:
        print_line("no worker is running: start `sendline worker`, or `sendline up`")
    if urls:
        print_line("")
        rows = [(state.name, addresses[state.name]) for state in found.states if state.name in addresses]
        print_table(("account", "where its provider shall report deliveries"), rows)


@dataclass(frozen=True, slots=True)
class House:
    """What is shown: the accounts, the lines and whether anybody works."""

    pulse: Pulse
    states: tuple[AccountState, ...]
    providers: dict[str, str]
    lines: list[Line]

    def row(self, state: AccountState) -> tuple[str, ...]:
        """Return an account's row."""
        calls = f"{state.flying} of {state.in_flight}" if state.in_flight else str(state.flying)
        oldest = self._oldest(state.name)
        return (
            state.name,
            self.providers.get(state.name, "?"),
            f"{state.rate:g}/s" if state.rate else "",
            calls,
            *(str(self._waiting(state.name, lane)) for lane in Lane),
            "" if oldest is None else spell(oldest),
            self.state_of(state)[1],
        )

    def state_of(self, state: AccountState) -> tuple[str, str]:
        """Return the account's state in one word, and in a few."""
        now = self.pulse.now
        left = state.paused_until / 1000 - now / 1_000_000
        if state.interval is None:
            return "unknown", "not configured on a worker"
        if state.stopped:
            again = f", tried again in {spell(left)}" if left > 0 else ", tried again with the next message"
            return "stopped", f"stopped: {state.stopped}{again}"
        if left > 0:
            return "paused", f"paused for {spell(left)}: {state.cause}"
        if state.in_flight and state.flying >= state.in_flight:
            return "full", "open, all of its calls under way"
        if state.tat - (state.burst - 1) * state.interval > now:
            return "at_rate", "open, at its rate"
        return "open", "open"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "accounts": [self._plain(state) for state in self.states],
            "lines": [
                {
                    "lane": line.lane,
                    "route": line.route.split(",") if line.route else [],
                    "waiting": line.length,
                }
                for line in self.lines
            ],
            "worker_running": self.pulse.ticking,
        }

    def _plain(self, state: AccountState) -> dict[str, Any]:
        kind = self.state_of(state)[0]
        return {
            "name": state.name,
            "provider": self.providers.get(state.name),
            "state": kind,
            "cause": {"stopped": state.stopped, "paused": state.cause}.get(kind),
            "again_in": max(state.paused_until / 1000 - self.pulse.now / 1_000_000, 0),
            "rate": state.rate,
            "in_flight": state.in_flight or None,
            "sending": state.flying,
            "waiting": {lane.value: self._waiting(state.name, lane) for lane in Lane},
            "oldest_waiting": self._oldest(state.name),
        }

    def _waiting(self, account: str, lane: Lane) -> int:
        return sum(line.length for line in self.lines if line.lane is lane and _serves(line, account))

    def _oldest(self, account: str) -> float | None:
        """Return for how many seconds the message that waits longest does so, by the heads of its lines."""
        now = instant(self.pulse.now / 1000)
        ages = [
            (now - line.since).total_seconds() for line in self.lines if line.since and _serves(line, account)
        ]
        return max(ages, default=None)


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
            read_lines(ledger),
        )


def _serves(line: Line, account: str) -> bool:
    return account in line.route.split(",")


def _addresses(settings: "Settings") -> dict[str, str]:
    """Return, by account, where its provider shall report deliveries, or why it can't."""
    from sendline_worker.accounts import load_accounts
    from sendline_worker.tokens import CallbackUrls

    made = CallbackUrls(settings.public_url, settings.secret_key)
    found = {}
    for name, account in load_accounts(settings).items():
        if not account.capabilities.receipts:
            found[name] = "none: its provider reports no deliveries"
        else:
            found[name] = made.account_url(name) or "none: set public_url and secret_key"
    return found
