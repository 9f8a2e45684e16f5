"""The commands: which there are, where each one stands, and the overview that `sendline --help` prints.

A command's module is imported only when it is called. It holds `app`, made by `apps.make_app()`, with one
command, or several where the command is a family; each returns its exit code, or None for 0.
"""

import difflib
from importlib.util import find_spec
from typing import Final

PACKAGE: Final = "sendline_worker.cli"

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "demo": ("demo", "see the whole of it at work on this machine; sends no SMS"),
    "up": ("up", "run everything on this machine until Ctrl-C"),
    "send": ("send", "send one message"),
    "status": ("status", "show a message, its timeline and, while it waits, why"),
    "messages": ("messages", "find messages by status, campaign, recipient, time"),
    "cancel": ("cancel", "cancel a message that was not sent yet"),
    "uncertain": ("uncertain", "list messages whose fate is not known, and decide about them"),
    "suppressions": ("suppressions", "list, add, remove, check the numbers that are never sent to"),
    "erase": ("erase", "erase all that is kept of a phone number"),
    "campaign": ("campaign", "send to many: import, preview, start, pause, watch, report, retry"),
    "keys": ("keys", "list, create, revoke the keys of the HTTP API"),
    "receipts": ("receipts", "show what providers reported that could not be read"),
    "webhooks": ("webhooks", "list the endpoints told of events; resume, replay, drop"),
    "spool": ("spool", "show what waits on this disk since Redis was away, and deliver it"),
    "accounts": ("accounts", "show each account, its limits and what waits; set, pause, resume"),
    "check": ("check", "check configuration, Redis and providers, and say how to mend what is wrong"),
    "audit": ("audit", "prove that the ledger is whole: counts add up, nothing is stuck"),
    "recover": ("recover", "go on after a failover or a restored backup, without sending anything twice"),
    "worker": ("worker", "run a worker"),
    "receiver": ("receiver", "run the receiver of delivery reports"),
    "api": ("api", "run the HTTP API"),
    "simulator": ("simulator", "run a simulated provider, for tests"),
}
"""Each command's module in this package, and what it does. One whose module is absent does not exist."""

_OVERVIEW: Final = """\
Usage: sendline COMMAND [OPTIONS]

Sends SMS: nothing lost, nothing sent twice.

Commands:
{commands}

Every command takes --config PATH (default: sendline.toml here), --json, and --help with examples.
Exit codes: 0 all well; 1 it is not well; 2 a mistake, in one line on stderr; 3 not in time; 130 Ctrl-C.

Begin with:
  sendline demo
  sendline up
  sendline send --to +13115552367 --text 'Hello, world!' --wait
"""


def module_of(command: str) -> str | None:
    """Return the name of the command's module, or None where there is no such command."""
    if command not in COMMANDS:
        return None
    module = f"{PACKAGE}.{COMMANDS[command][0]}"
    return module if find_spec(module) is not None else None


def known() -> list[str]:
    """Return the names of the commands, in the order of the overview."""
    return [name for name in COMMANDS if module_of(name)]


def overview() -> str:
    """Return what `sendline --help` prints."""
    width = max(map(len, known()))
    rows = [f"  {name:<{width}} {COMMANDS[name][1]}" for name in known()]
    return _OVERVIEW.format(commands="\n".join(rows))


def nearest(word: str, words: list[str]) -> str | None:
    """Return the one of `words` that was probably meant."""
    near = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    return near[0] if near else None
