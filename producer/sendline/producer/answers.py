"""What a producer answers of messages that it handed in."""

from sendline.contract import ids
from sendline.contract.draft import Draft
from sendline.contract.errors import IdempotencyConflict, SendlineError, UnknownMessage
from sendline.contract.message import Message, TimelineEntry, instant
from sendline.contract.status import Status
from sendline.ledger import verbs


def answer(checked: Draft, verdict: verbs.Acceptance) -> Message | SendlineError:
    """Return the message as it stands, or why there is none."""
    if isinstance(verdict, verbs.New):
        return accepted_as(checked, verdict.at)
    if isinstance(verdict, verbs.Suppressed):
        return verdict.message
    first = ids.to_text(verdict.message_id)
    if isinstance(verdict, verbs.Conflict):
        return IdempotencyConflict(first)
    return verdict.message or UnknownMessage(first)


def accepted_as(checked: Draft, at: int) -> Message:
    """Return the message as it stands right after the ledger accepted it at `at` (ms)."""
    created = instant(at)
    return Message(
        id=ids.to_text(checked.id),
        status=Status.CREATED,
        to=checked.to,
        sender=checked.sender,
        lane=checked.lane,
        account=checked.account,
        route=checked.route,
        created_at=created,
        expires_at=instant(max(checked.not_before_ms, at) + checked.valid_for_ms),
        due_at=instant(checked.not_before_ms) if checked.not_before_ms > at else None,
        attempts=0,
        segments=checked.segments,
        provider_id=None,
        error=None,
        text=checked.text,
        on_uncertain=checked.on_uncertain,
        cancel_requested=False,
        callback_url=checked.callback_url,
        metadata=dict(checked.metadata),
        timeline=(TimelineEntry(created, Status.CREATED),),
        campaign=checked.campaign,
    )
