"""What an attempt came to, as data. Adapters make these; policy, settle and logs match on them."""

from dataclasses import dataclass

from sendline.contract.codes import ErrorCode


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider promised to send it. `provider_id` is None where it gives none."""

    provider_id: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The provider refused this message for good."""

    code: ErrorCode
    reason: str


@dataclass(frozen=True, slots=True)
class NotBegun:
    """The provider was not called: the claim grew too old, or the worker ends. No attempt is counted."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotAccepted:
    """Certainly not accepted, and another attempt may succeed."""

    reason: str


@dataclass(frozen=True, slots=True)
class Throttled:
    """Not accepted: the whole account shall pause for `retry_after` seconds."""

    retry_after: float
    reason: str = "the provider asked us to slow down"


@dataclass(frozen=True, slots=True)
class AccountStopped:
    """Not accepted: nothing of this account will be until a person mends it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Uncertain:
    """The request was begun, and whether it was accepted is not known."""

    reason: str


Outcome = Accepted | Refused | NotBegun | NotAccepted | Throttled | AccountStopped | Uncertain
