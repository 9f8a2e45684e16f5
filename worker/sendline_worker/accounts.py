"""The configured accounts: each with its adapter, what is published of it, and its limits."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sendline.contract.accounts import AccountCard, Capabilities, RouteRule
from sendline.contract.errors import ConfigurationError
from sendline.contract.numbers import is_number
from sendline.ledger.accounts import AccountLimits
from sendline.ledger.directory import Directory
from sendline_worker.providers.registry import adapter_class

if TYPE_CHECKING:
    from sendline.settings import AccountSettings, Settings
    from sendline_worker.providers.base import Adapter


@dataclass(frozen=True, slots=True)
class Account:
    """One configured account at one provider."""

    name: str
    settings: "AccountSettings"
    adapter: "Adapter"
    capabilities: Capabilities = field(init=False, repr=False, compare=False)
    """What it can carry and report: the adapter's word, and the owner's on receipts."""
    card: AccountCard = field(init=False, repr=False, compare=False)
    """What producers may know of it."""

    def __post_init__(self) -> None:
        """Put together once what every message is held against."""
        can, asked = self.adapter.capabilities, self.settings.receipts
        if asked is not None:
            can = replace(can, receipts=asked and can.receipts)
        object.__setattr__(self, "capabilities", can)
        card = AccountCard(self.name, can, self.settings.senders, self.settings.provider)
        object.__setattr__(self, "card", card)

    @property
    def asks(self) -> bool:
        """Whether its provider can be asked what became of a message."""
        return self.capabilities.lookup or self.capabilities.search

    @property
    def limits(self) -> AccountLimits:
        """What claims are held to."""
        asked = self.settings
        return AccountLimits(
            name=self.name,
            rate=asked.rate or self.adapter.default_rate,
            burst=asked.burst,
            in_flight=asked.in_flight,
            on_uncertain=asked.on_uncertain,
            asks=self.asks,
            receipt_time=asked.receipt_time if self.asks and self.capabilities.receipts else None,
            unit=asked.rate_unit,
            daily_cap=asked.daily_cap,
            time_zone=asked.time_zone,
            sender=asked.senders[0] if asked.senders else "",
            sender_rate=asked.sender_rate,
            sender_burst=asked.sender_burst,
            sender_daily_cap=asked.sender_daily_cap,
            callback_url=asked.callback_url or "",
        )


def load_accounts(settings: "Settings") -> dict[str, Account]:
    """Return the configured accounts by name, in file order. Raises ConfigurationError."""
    return {name: _load(name, account) for name, account in settings.accounts.items()}


def _load(name: str, account: "AccountSettings") -> Account:
    try:
        kind = adapter_class(account.provider)
    except ConfigurationError as error:
        raise ConfigurationError(f"accounts.{name}.{error}") from None
    adapter = kind(account.options, name=name, not_accepted=frozenset(account.not_accepted))
    if not adapter.capabilities.alphanumeric_sender:
        _check_senders(name, account.senders)
    return Account(name, account, adapter)


def _check_senders(name: str, senders: tuple[str, ...]) -> None:
    """Raise ConfigurationError where one of `senders` is no phone number; it is told by its place."""
    for place, sender in enumerate(senders, start=1):
        if not is_number(sender):
            raise ConfigurationError(
                f"accounts.{name}.senders: this provider sends only from phone numbers, such as "
                f"+13115552368; number {place} in the list is a name"
            )


def directory_of(accounts: Mapping[str, Account], settings: "Settings") -> Directory:
    """Return what producers are told."""
    rules = tuple(RouteRule(rule.to, rule.accounts, rule.weights) for rule in settings.routes)
    return Directory({name: account.card for name, account in accounts.items()}, rules)


def directory_json(directory: Directory) -> str:
    """Return the directory as the ledger keeps it."""
    return json.dumps(directory.to_plain(), separators=(",", ":"))
