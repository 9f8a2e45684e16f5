"""What becomes of a message after an attempt: a pure function of attempt, outcome, settings and chance.

Built from tenacity's strategies: `stop` says whether an attempt is left, `wait` how long until the next.
"""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from tenacity import RetryCallState, Retrying, stop_after_attempt, wait_exponential

from sendline.contract.codes import ErrorCode
from sendline.contract.status import Status
from sendline.ledger.record import Flag
from sendline.ledger.work import HEAD, Claim, Settlement
from sendline_worker.outcomes import (
    Accepted,
    AccountStopped,
    NotAccepted,
    NotBegun,
    Outcome,
    Refused,
    Throttled,
    Uncertain,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sendline.settings import Settings

ELSEWHERE_AFTER: Final = 5.0
"""Seconds until a message may be claimed again, by a worker that has its account."""
PROBE_AFTER: Final = 60.0
"""Seconds after which an account that stopped is tried again, with one message."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and when a message is tried. Times in seconds."""

    max_attempts: int = 12
    base: float = 2.0
    """The wait before the second attempt; each further one doubles it."""
    longest: float = 600.0
    deadline: float = 72 * 3600
    """How long an accepted or uncertain message waits for news."""

    @classmethod
    def of(cls, settings: "Settings") -> "RetryPolicy":
        """Return the policy that `settings` ask for."""
        return cls(settings.max_attempts, settings.retry_base, settings.retry_max, settings.deadline)

    def is_last(self, attempt: int) -> bool:
        """Return whether no attempt is left after number `attempt`, counted from 1."""
        return stop_after_attempt(self.max_attempts)(_state(attempt))

    def backoff(self, attempt: int, chance: float) -> float:
        """Return the seconds from attempt number `attempt` to the next.

        Exponential, then spread: `chance` in [0, 1) takes off up to half, so that messages which failed
        together don't come back together.
        """
        full = wait_exponential(multiplier=self.base, max=self.longest)(_state(attempt))
        return full * (1 - chance / 2)


def settlement(
    claim: Claim, outcome: Outcome, policy: RetryPolicy, *, receipts: bool, random: "Callable[[], float]"
) -> Settlement:
    """Return what the ledger shall write. `receipts`: whether the account reports deliveries."""
    settle = partial(Settlement, claim.message_id, claim.token, claim.account)
    unspent = partial(settle, Status.RETRYING, counted=False, delay=HEAD)
    attempt: int = claim.record.attempts
    match outcome:
        case Accepted(provider_id):
            deadline = policy.deadline if receipts else 0
            return settle(Status.SENT, provider_id=provider_id, deadline=deadline, effect="open")
        case Refused(code, reason):
            return settle(Status.FAILED, code=code, reason=reason, effect="open")
        case NotBegun(reason):
            return settle(
                Status.CREATED, counted=False, delay=HEAD, code=ErrorCode.HANDED_BACK, reason=reason
            )
        case NotAccepted(reason) if policy.is_last(attempt):
            said = f"attempt {attempt} of {policy.max_attempts}: {reason}"
            return settle(Status.FAILED, code=ErrorCode.ATTEMPTS_EXHAUSTED, reason=said, effect="fail")
        case NotAccepted(reason):
            accounts = _accounts(claim)
            delay = 0 if attempt < accounts else policy.backoff(attempt, random())
            return settle(
                Status.RETRYING,
                code=ErrorCode.UNAVAILABLE,
                reason=reason,
                delay=delay,
                effect="fail",
                onward=accounts > 1,
            )
        case Throttled(seconds, reason):
            return unspent(code=ErrorCode.THROTTLED, reason=reason, effect="pause", pause=seconds)
        case AccountStopped(reason):
            return unspent(code=ErrorCode.ACCOUNT_STOPPED, reason=reason, effect="stop", pause=PROBE_AFTER)
        case Uncertain(reason):
            delay = policy.backoff(attempt, random())
            return settle(
                Status.UNCERTAIN, code=ErrorCode.PERHAPS_ACCEPTED, reason=reason, delay=delay, effect="fail"
            )


def _accounts(claim: Claim) -> int:
    """Return how many accounts may take the message: only its own where it was perhaps accepted before."""
    if Flag.DOUBTED in Flag(claim.record.flags):
        return 1
    route: bytes = claim.record.route
    return route.count(b",") + 1


def not_ours(claim: Claim) -> Settlement:
    """Return the settlement of a claim for an account that this worker does not have: another one may."""
    return Settlement(
        claim.message_id,
        claim.token,
        claim.account,
        Status.RETRYING,
        counted=False,
        delay=ELSEWHERE_AFTER,
        code=ErrorCode.HANDED_BACK,
        reason="its account is not configured on the worker that claimed it",
    )


def _state(attempt: int) -> RetryCallState:
    state = RetryCallState(_RETRYING, None, (), {})
    state.attempt_number = attempt
    return state


_RETRYING: Final = Retrying()
"""tenacity's states want an owner; its strategies don't look at it."""
