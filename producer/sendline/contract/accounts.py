"""What is known of an account without its credentials, and whether it can carry a message."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sendline.contract.numbers import is_number

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a provider's API can carry, report and look up. Each adapter states its own."""

    text: bool = True
    """It sends the text that we give. False: the text comes from the provider's own flow."""
    provider_id: bool = True
    """It answers an accepted message with an id."""
    receipts: bool = True
    """It reports deliveries. False: `sent` is final."""
    reference: bool = False
    """It takes a callback URL or a reference per message, so a receipt can name the message."""
    lookup: bool = False
    """It can be asked for the state of a message by the provider's id."""
    search: bool = False
    """It can be searched for a message whose id we never saw."""
    alphanumeric_sender: bool = False
    """The sender may be a name instead of a number."""
    max_length: int | None = None
    """The longest text, in characters; None where the provider documents none."""


@dataclass(frozen=True, slots=True)
class AccountCard:
    """What workers publish of an account, for producers to check messages against. No secrets."""

    name: str
    capabilities: Capabilities
    senders: tuple[str, ...] = ()
    """The senders it may use; the first is used where a message names none. Empty: any."""
    provider: str = ""
    """Whose API it uses, for people to read."""

    def refusal(self, *, text: str | None, sender: str | None) -> tuple[str, str] | None:
        """Return (field, why) where this account can't carry the message, else None."""
        can = self.capabilities
        if can.text and text is None:
            return "text", f"missing, and account {self.name} needs one"
        if not can.text and text is not None:
            return "text", (
                f"account {self.name} carries no text of ours: its provider sends what is "
                "configured for the sender; leave text out"
            )
        if text is not None and can.max_length is not None and len(text) > can.max_length:
            return "text", (
                f"{len(text)} characters, and account {self.name} carries at most {can.max_length}"
            )
        chosen = sender or (self.senders[0] if self.senders else None)
        if chosen is None:
            return "sender", f"missing, and account {self.name} has none configured"
        if self.senders and chosen not in self.senders:
            return "sender", f"not one of the senders of account {self.name}"
        if not can.alphanumeric_sender and not is_number(chosen):
            return "sender", f"account {self.name} sends only from phone numbers"
        return None


@dataclass(frozen=True, slots=True)
class RouteRule:
    """Which accounts may carry what goes to numbers with this prefix, in order of preference."""

    prefix: str
    accounts: tuple[str, ...]


def candidates(rules: "Iterable[RouteRule]", known: "Iterable[str]", to: str) -> tuple[str, ...]:
    """Return the accounts that may carry a message to `to`: the longest prefix's, or all known."""
    matching = [rule for rule in rules if to.startswith(rule.prefix)]
    if matching:
        return max(matching, key=lambda rule: len(rule.prefix)).accounts
    return tuple(known)
