"""What an adapter is: pure translation between Sendline's words and one provider's API.

An adapter composes requests, judges answers and reads receipts. It never sleeps, retries, logs, reads the
clock of the machine or talks to anything; the transport and the dispatch do.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import httpx

    from sendline.contract.accounts import Capabilities
    from sendline.contract.codes import ErrorCode
    from sendline.contract.status import Status
    from sendline_worker.outcomes import Outcome


@dataclass(frozen=True, slots=True)
class Outbound:
    """One message as an adapter sees it. Numbers are E.164 with +; `sender` may be a name."""

    id: str
    to: str
    sender: str
    text: str | None
    callback_url: str | None
    """Where the provider shall report this very message, signed; None without a public_url."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider answered, its body read up to a bound. Header names are lower case."""

    status: int
    headers: "Mapping[str, str]"
    body: bytes
    truncated: bool = False
    """The body was longer than the bound; `body` holds its beginning."""


@dataclass(frozen=True, slots=True)
class Hook:
    """One request to the receiver: what a provider told us, unread."""

    headers: "Mapping[str, str]"
    query: "Mapping[str, str]"
    body: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """One thing a provider reported about one message it accepted.

    `status` is `sent`, `delivered` or `undelivered`; None for news that moves nothing.
    `provider_id` is normalised as `Accepted.provider_id` is, so that the two compare equal.
    """

    provider_id: str | None
    status: "Status | None"
    code: "ErrorCode | None" = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Inbound:
    """One SMS that somebody wrote to a number of the account's."""

    provider_id: str | None
    """The provider's id of it, the same however often it is told; None where there is none."""
    sender: str = field(repr=False)
    """Who wrote, as it was told: with + or without."""
    to: str = field(repr=False)
    """The number that was written to, as it was told."""
    text: str = field(repr=False)


Told = Receipt | Inbound
"""What a request to the receiver can hold."""


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A message of unknown fate, or sent and not reported on, as an adapter needs it to ask about it."""

    provider_id: str | None
    """The provider's id as the ledger keeps it; None where no answer ever told it."""
    to: str
    sender: str
    text: str | None
    """None once the provider told that it has the message."""
    callback_url: str | None
    """The URL that the request carried, its signature of whatever key; None where it carried none."""
    begun: "datetime"
    ended: "datetime"
    """The request left between these two moments, both in UTC, by our clock."""


@dataclass(frozen=True, slots=True)
class Found:
    """The provider has it, or what looks like it.

    `sure` means that an id or a callback URL proves all of `receipts` to be about our message. Without it
    they are candidates, each of the same numbers, text and minutes, the nearest in time first; a candidate
    may be another message's.
    """

    receipts: tuple[Receipt, ...]
    sure: bool


@dataclass(frozen=True, slots=True)
class NotFound:
    """The provider's whole answer shows nothing that may be ours. It may show it a little later."""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """No usable answer: nothing is known that was not known before."""

    reason: str
    pause: float = 0.0
    """The seconds for which the provider asked us to wait; 0 where it did not."""


Finding = Found | NotFound | Unanswered


class UnreadableReceipt(ValueError):
    """The body is not in any shape that the provider documents. Its text never quotes the body."""


class Adapter(Protocol):
    """One account at one provider, speaking that provider's API."""

    @property
    def capabilities(self) -> "Capabilities":
        """What this account, as it is configured, can carry, report and look up."""
        ...

    @property
    def default_rate(self) -> float:
        """Messages a second where the account configures no rate, and why in the adapter's docs."""
        ...

    def compose(self, message: Outbound) -> "httpx.Request":
        """Return the request that sends `message`."""
        ...

    def judge(self, answer: Answer) -> "Outcome":
        """Return what `answer` to a composed request means."""
        ...

    def read_receipts(self, hook: Hook) -> "Sequence[Told]":
        """Return what the provider tells in `hook`; raises UnreadableReceipt.

        What moves nothing is left out. A message that came in is never taken for one of ours, nor ours
        for it.
        """
        ...

    def inquire(self, inquiry: Inquiry) -> "httpx.Request | None":
        """Return the request that asks what became of a message; None where it can't be asked."""
        ...

    def judge_inquiry(self, inquiry: Inquiry, answer: Answer) -> Finding:
        """Return what `answer` to the request of `inquire(inquiry)` tells. Call it for no other answer."""
        ...


class Unasked:
    """What an adapter is made of whose provider documents no way to ask about a message."""

    def inquire(self, inquiry: Inquiry) -> "httpx.Request | None":
        """Return None: there is nothing to ask."""
        return None

    def judge_inquiry(self, inquiry: Inquiry, answer: Answer) -> Finding:
        """Return that nothing is known: no answer can be to a question of ours."""
        return Unanswered("this provider has no look-up")
