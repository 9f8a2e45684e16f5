"""Sendline itself, whole: `sendline worker` with a configuration of its own, and a producer beside it."""

import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from pydantic import SecretStr

from comparison.places import Server
from comparison.processes import Command, wait
from comparison.work import ACCOUNT, SENDER, Request, recipient, text
from sendline import Producer
from sendline.ledger.accounts import halt, resume
from sendline.ledger.connection import Ledger
from sendline.ledger.limits import Limits
from sendline.settings import AccountSettings, Settings
from sendline_worker.accounts import load_accounts
from sendline_worker.providers.base import Outbound
from sendline_worker.providers.registry import simulated_account

BATCH: Final = 500
VALID_FOR: Final = 86_400


def account_options(url: str) -> dict[str, Any]:
    """Return the configuration of an account at the provider behind `url`, without a limit in the way."""
    simulated = simulated_account(url)
    return {**simulated, "senders": [SENDER], "receipts": False, "rate": 10_000, "burst": 10_000}


def request_at(url: str) -> Request:
    """Return the request that Sendline composes for that account, so that all post the same."""
    account = AccountSettings.model_validate(account_options(url))
    adapter = load_accounts(SimpleNamespace(accounts={ACCOUNT: account}))[ACCOUNT].adapter  # type: ignore[arg-type]
    composed = adapter.compose(Outbound("", recipient(0), SENDER, text("m", 0), None))
    kept = {"authorization", "content-type"}
    return Request(str(composed.url), {k: v for k, v in composed.headers.items() if k.lower() in kept})


@dataclass(frozen=True, slots=True)
class House:
    """A worker that runs, the producer of an app, and the hand on its accounts."""

    worker: Command
    producer: Producer
    ledger: Ledger
    accounts: Sequence[str]

    def halt(self) -> None:
        """Let nothing be sent."""
        for name in self.accounts:
            if not self.ledger.run(halt(Limits(), name, "until all wait")):
                raise RuntimeError(f"no account {name}")

    def resume(self) -> None:
        """Let all be sent."""
        for name in self.accounts:
            self.ledger.run(resume(Limits(), name))

    def send_many(self, messages: Iterable[tuple[str, str]], **fields: Any) -> None:
        """Hand in messages in bulk."""
        rows: Iterator[Any] = ({"to": to, "text": said, "sender": SENDER, **fields} for to, said in messages)
        while batch := list[Any](itertools.islice(rows, BATCH)):
            self.producer.send_many(batch)

    def send(self, message: tuple[str, str], **fields: Any) -> None:
        """Hand in one."""
        to, said = message
        self.producer.send(to, said, SENDER, **fields)


def configuration(url: str, server: Server, accounts: Sequence[str]) -> str:
    """Return a sendline.toml."""
    lines = [f"redis_url = {json.dumps(server.url)}", 'secret_key = ["a key for this run only"]']
    for name in accounts:
        options = account_options(url)
        lines += [f"[accounts.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in options.items())]
    return "\n".join(lines) + "\n"


def command(path: Path, processes: int) -> list[str]:
    """Return the command of a worker."""
    sendline = Path(sys.executable).parent / "sendline"
    return [str(sendline), "worker", "--processes", str(processes), "--config", str(path)]


@contextmanager
def house(
    place: Path,
    url: str,
    server: Server,
    *,
    processes: int,
    accounts: Sequence[str] = (ACCOUNT,),
    name: str = "sendline",
) -> Iterator[House]:
    """Run a worker with accounts at the provider behind `url`, on `server`."""
    path = place / f"{name}.toml"
    path.write_text(configuration(url, server, accounts))
    settings = Settings.model_construct(
        _fields_set=set(), redis_url=SecretStr(server.url), redis_timeout=30.0, valid_for=VALID_FOR
    )
    with (
        Command(command(path, processes), place / f"{name}.log") as worker,
        Producer(settings=settings) as producer,
        closing(Ledger(server.url, timeout=30)) as ledger,
    ):
        worker.wait_for("ready")
        known = [name.encode() for name in accounts]
        wait(lambda: all(ledger.run(resume(Limits(), each.decode())) for each in known), 20, "the accounts")
        yield House(worker, producer, ledger, accounts)
