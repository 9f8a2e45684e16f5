"""What is known of an account without its credentials, and whether it can carry a message."""

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from sendline.contract.numbers import is_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


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
    weights: tuple[int, ...] = ()
    """One for each account: in which proportions they come first. Empty: always the first of them."""

    def order(self, carriers: "Sequence[str]", message_id: bytes) -> tuple[str, ...]:
        """Return those of its accounts that can carry the message in the order that it is to try them.

        The first is drawn by weight, from the message's id and nothing else: the same message always gets the
        same order. The others follow in the order of the rule. An account of weight 0 is never drawn.
        """
        weight_of = dict(zip(self.accounts, self.weights, strict=False))
        weights = [weight_of.get(name, 0) for name in carriers]
        if not any(weights):
            return tuple(carriers)
        place = _drawn(weights, message_id)
        return (carriers[place], *carriers[:place], *carriers[place + 1 :])


def candidates(rules: "Iterable[RouteRule]", known: "Iterable[str]", to: str) -> RouteRule:
    """Return the rule for a message to `to`: that of the longest prefix, or one of all known accounts."""
    matching = [rule for rule in rules if to.startswith(rule.prefix)]
    if matching:
        return max(matching, key=lambda rule: len(rule.prefix))
    return RouteRule("", tuple(known))


def _drawn(weights: "Sequence[int]", message_id: bytes) -> int:
    """Return a place in `weights`, each as often among many messages as it weighs."""
    point = int.from_bytes(blake2b(message_id, digest_size=8).digest(), "big") % sum(weights)
    for place, weight in enumerate(weights):
        point -= weight
        if point < 0:
            return place
    raise AssertionError("the point lies below the sum of the weights")
