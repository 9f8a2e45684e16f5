"""Whose a message is: a key without admin sees only what its name has sent, itself or by a campaign."""

from typing import TYPE_CHECKING

from sendline.contract import ids
from sendline.ledger.finding import records
from sendline.producer.finding import owner_of
from sendline.producer.trails import Campaigns
from sendline_worker.api.plans import carry_out
from sendline_worker.api.problems import ProblemError, unknown_message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sendline.contract.message import Message
    from sendline_worker.api.auth import Caller
    from sendline_worker.api.context import Context


async def own_message(here: "Context", caller: "Caller", message_id: str) -> "Message":
    """Return the message; raises ProblemError where it is unknown or another's, and LedgerError."""
    raw = ids.to_bytes(message_id)
    if raw is None or ids.to_text(raw) != message_id.lower():
        raise ProblemError(unknown_message())
    [found] = await own_messages(here, caller, [raw])
    if found is None:
        raise ProblemError(unknown_message())
    return found


async def own_messages(
    here: "Context", caller: "Caller", message_ids: "Sequence[bytes]"
) -> "list[Message | None]":
    """Return the messages, None for each that is unknown or another's; raises LedgerError."""
    if not message_ids:
        return []
    found = await here.ledger.run(records(message_ids))
    campaigns = Campaigns()
    messages: list[Message | None] = []
    for raw, record in zip(message_ids, found, strict=True):
        is_theirs = record is not None and (
            caller.is_admin or caller.sees(await carry_out(here.ledger, owner_of(raw, record, campaigns)))
        )
        messages.append(record.message(raw) if record is not None and is_theirs else None)
    return messages
