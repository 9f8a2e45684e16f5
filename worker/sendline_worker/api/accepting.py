"""The producer of the API: an AsyncProducer that checks for an owner, and accepts what was checked before."""

from collections.abc import Mapping, Sequence
from typing import Any

from sendline.contract.draft import Draft
from sendline.contract.errors import SendlineError
from sendline.contract.message import Message
from sendline.producer.aio import AsyncProducer


class Accepting(AsyncProducer):
    """An AsyncProducer with the steps of send() apart."""

    async def refresh(self) -> None:
        """Read the accounts and routes where what is known is old; raises LedgerError."""
        await self._do(self._core.refresh())

    def check_for(self, owner: str, fields: Mapping[str, Any], *, is_keyed: bool) -> Draft:
        """Return the message that `fields` make for `owner`; raises InvalidMessage.

        `is_keyed`: it is to get an idempotency key that is not among them.
        """
        return self._core.check(fields, owner, is_keyed=is_keyed)

    async def accept(self, drafts: Sequence[Draft]) -> list[Message | SendlineError]:
        """Accept checked messages, at most 256; raises LedgerError."""
        return await self._do(self._core.accept(drafts))
