"""What can go wrong when using Sendline.

SendlineError
 + InvalidMessage          a field of a message, or an argument, is wrong; names it and the fix
 |  + UnknownAccount       it names an account that nobody configured
 |  + CannotCarry          no account in its route can carry it; says why
 |  + RecipientRefused     `only_to` keeps this recipient out
 + InvalidCampaign         something about a campaign is wrong; names it and the fix
 |  + UnknownCampaign      there is no campaign of this name
 |  + CampaignConflict     it is in order, and the campaign as it stands does not allow it
 |     + CampaignExists    a campaign of this name is there, and no import of it to go on with
 |     + WrongCampaignState   it can't be started, paused, ... from the state that it is in
 + IdempotencyConflict     the idempotency key was used for other content
 + UnknownMessage          no message with this id
 + EventsLost              the event stream was trimmed past the cursor
 + NotFinal                wait() ran out of time
 + NotFinished             a campaign's wait() ran out of time
 + LedgerError             Redis can't be used
 |  + LedgerUnavailable    it can't be reached, or did not answer in time
 |  + LedgerRefused        it answered, and can't or won't (password, durability, memory)
 + ConfigurationError      a setting is wrong; names the setting and the fix
 + PartlyAccepted          send_many() was cut off; carries what was accepted
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sendline.contract.campaign import Progress
    from sendline.contract.message import Message


class SendlineError(Exception):
    """The base of every error that Sendline raises on purpose. Its text is one clear line."""


class InvalidMessage(SendlineError):
    """A field of a message, or an argument of a verb, is wrong. `field` names it; nothing was accepted.

    In send_many() `field` is as `messages[3].to`, and `index` is the 3; elsewhere `index` is None.
    """

    def __init__(self, field: str, problem: str, *, index: int | None = None) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem
        self.index = index

    def at(self, index: int) -> "InvalidMessage":
        """Return the same error for the message at `index` of a batch."""
        return type(self)(f"messages[{index}].{self.field}", self.problem, index=index)


class UnknownAccount(InvalidMessage):
    """The message names an account that no worker and no configuration knows."""


class CannotCarry(InvalidMessage):
    """No account that the message may take can carry it."""


class RecipientRefused(InvalidMessage):
    """The setting `only_to` keeps this recipient out."""


class InvalidCampaign(SendlineError):
    """Something about a campaign is wrong: its text, its file of recipients, what is asked of it.

    `field` names it (`text`, `recipients`, `window`, ...); nothing was changed.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class UnknownCampaign(InvalidCampaign):
    """No campaign of this name is in the ledger."""


class CampaignConflict(InvalidCampaign):
    """What is asked for is in order, and the campaign as it stands does not allow it."""


class CampaignExists(CampaignConflict):
    """A campaign of this name is there: another one, or this one, imported whole."""


class WrongCampaignState(CampaignConflict):
    """The campaign can't be started, paused, resumed, canceled or added to from the state that it is in."""


class IdempotencyConflict(SendlineError):
    """The idempotency key was used before, for other content. `message_id` is the first message's."""

    def __init__(self, message_id: str) -> None:
        super().__init__(
            f"idempotency_key: already used for other content by message {message_id}; "
            "use a new key for a new message"
        )
        self.message_id = message_id


class UnknownMessage(SendlineError):
    """No message with this id is in the ledger: it never was, or its retention has ended."""

    def __init__(self, message_id: str) -> None:
        super().__init__(f"message {message_id} is not known: mistyped, or past its retention")
        self.message_id = message_id


class EventsLost(SendlineError):
    """Events after the cursor are not here: trimmed from the bounded stream, or the ledger is another one.

    `first` is the oldest event left, or the next one where none is. inbound() raises it of what came in.
    """

    def __init__(self, after: int, first: int, what: str = "event") -> None:
        lost = f"{what}s {after + 1} to {first - 1} are no longer kept"
        if after >= first:
            lost = f"there is no {what} {after} yet: the cursor is another ledger's"
        super().__init__(f"{lost}; the oldest is {first}")
        self.after = after
        self.first = first


class NotFinal(SendlineError, TimeoutError):
    """The message was not final in time. `message` is how it stood last."""

    def __init__(self, message: "Message", timeout: float) -> None:
        super().__init__(f"message {message.id} is {message.status} and not final after {timeout:g} s")
        self.message = message


class NotFinished(SendlineError, TimeoutError):
    """The campaign had not ended in time. `progress` is how it stood last."""

    def __init__(self, progress: "Progress", timeout: float) -> None:
        super().__init__(f"campaign {progress.name} is {progress.summary} after {timeout:g} s")
        self.progress = progress


class LedgerError(SendlineError):
    """Redis can't be used."""


class LedgerUnavailable(LedgerError):
    """Redis can't be reached, or did not answer in time.

    A send() may have been accepted all the same: with an idempotency key it is safe to try it again.
    """


class LedgerRefused(LedgerError):
    """Redis answered, and can't or won't serve: password, durability, memory, version."""


class ConfigurationError(SendlineError):
    """A setting is wrong. The text names the setting and the fix."""


class PartlyAccepted(SendlineError):
    """send_many() was cut off. `accepted` are certain; the rest may be sent again with the same keys.

    `cause` is the error that cut it off: LedgerError, or IdempotencyConflict; with a spool
    also InvalidMessage, where `not_before` has passed and the key is new.
    """

    def __init__(self, accepted: "Sequence[Message]", total: int, cause: SendlineError) -> None:
        super().__init__(f"{len(accepted)} of {total} messages were accepted, then: {cause}")
        self.accepted = list(accepted)
        self.total = total
        self.cause = cause
