"""What runs: a server, the simulator, a receiver and a worker, with two accounts."""

from typing import Any, Final

from pydantic import SecretStr

from faulty import SECRET, Whole, processes
from reported.messages import ACCOUNTS
from sendline.settings import AccountSettings, Settings
from sendline_worker.providers.registry import simulated_account
from sendline_worker.tokens import CallbackUrls
from waiting import poll

RATE: Final = 500.0
"""Of each account, messages a second; the machine carries fewer."""
LEASE: Final = 60.0
"""Seconds; longer than the server is away."""
CALL: Final = 18.0
"""Seconds; the provider may report before it answers, which takes long where the receiver is away."""


class Ground(Whole):
    """All of it; only the calls to the provider pass a proxy."""

    @property
    def urls(self) -> CallbackUrls:
        """What makes the URLs that are handed out."""
        return CallbackUrls(self._receiver_url, (SecretStr(SECRET),))

    @property
    def receiver_url(self) -> str:
        """Where the receiver is."""
        return self._receiver_url

    def kill_receiver(self) -> None:
        """Kill -9 the receiver; what reports come now find nobody."""
        [process] = processes(self.receiver)
        process.kill()
        poll(lambda: not self.receiver.is_running())

    def _settings(self) -> Settings:
        return (
            super()
            ._settings()
            .model_copy(
                update={
                    "redis_url": SecretStr(self.server.url),
                    "accounts": {name: self._account(name) for name in ACCOUNTS},
                    "lease": LEASE,
                    "call_timeout": CALL,
                    "connections": 40,
                    "events_kept": 1_000_000,
                }
            )
        )

    def _account(self, name: str) -> AccountSettings:
        more: dict[str, Any] = {"api_key": key_of(name), "rate": RATE}
        if name == ACCOUNTS[1]:
            more["generation"] = "A"
        return AccountSettings.model_validate({**simulated_account(self.provider.http_url), **more})


def key_of(account: str) -> str:
    """Return the credential of an account."""
    return f"simulated-{account}"
