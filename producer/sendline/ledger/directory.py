"""What workers publish for producers: accounts without their secrets, and routes."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from sendline.contract.accounts import AccountCard, Capabilities, RouteRule

_KNOWN_CAPABILITIES = frozenset(f.name for f in fields(Capabilities))


@dataclass(frozen=True, slots=True)
class Directory:
    """The accounts and routes in force. Empty until a worker has started once."""

    accounts: dict[str, AccountCard] = field(default_factory=dict)
    """By name, in the order of the configuration."""
    routes: tuple[RouteRule, ...] = ()

    def to_plain(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "accounts": [asdict(card) for card in self.accounts.values()],
            "routes": [asdict(rule) for rule in self.routes],
        }

    @classmethod
    def parse(cls, plain: dict[str, Any]) -> "Directory":
        """Return the directory behind `plain`; what a newer release added is passed over."""
        cards = [
            AccountCard(
                account["name"],
                Capabilities(
                    **{k: v for k, v in account["capabilities"].items() if k in _KNOWN_CAPABILITIES}
                ),
                tuple(account["senders"]),
                account.get("provider", ""),
            )
            for account in plain["accounts"]
        ]
        rules = tuple(
            RouteRule(rule["prefix"], tuple(rule["accounts"]), tuple(rule.get("weights", ())))
            for rule in plain.get("routes", [])
        )
        return cls({card.name: card for card in cards}, rules)
