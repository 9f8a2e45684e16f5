"""The texts of messages: a campaign's is a template, held once, and filled in for each recipient here."""

from typing import TYPE_CHECKING, Final

from sendline.campaigns.templates import RenderError, Template
from sendline.contract.status import Status
from sendline.ledger.campaigns import read_campaign
from sendline.ledger.record import Flag, unpack

if TYPE_CHECKING:
    from sendline.ledger.connection import AsyncLedger
    from sendline.ledger.record import Record

__all__ = ["RenderError", "Texts"]

_FOUNDED: Final = 6
"""Bytes of a message's id that tell when its campaign was founded: see sendline.campaigns.identity."""
KEPT: Final = 256
"""Templates that are remembered; the oldest goes first. A campaign's never changes."""


class Texts:
    """Tells what a message says."""

    def __init__(self, ledger: "AsyncLedger") -> None:
        """Prepare, without reading."""
        self._ledger = ledger
        self._templates: dict[tuple[str, bytes], Template] = {}

    async def of(self, message_id: bytes, record: "Record") -> str | None:
        """Return a message's text; None where its provider has it, or where it was erased.

        Raises LedgerError where its campaign's template can't be read, RenderError where that is gone or
        can't be filled in.
        """
        if not record.flags & Flag.TEMPLATED or record.state is Status.SENT:
            text: str = record.text.decode()
            return text or None
        values = unpack(record.extras) if record.extras else {}
        template = await self._template(record.campaign.decode(), message_id[:_FOUNDED])
        return template.render({name.decode(): value.decode() for name, value in values.items()})

    async def _template(self, campaign: str, founded: bytes) -> Template:
        """Return the template of the campaign that was founded at that time: names come again after years."""
        known = self._templates.get((campaign, founded))
        if known is None:
            found = await self._ledger.run(read_campaign(campaign))
            if found is None or found.own[:_FOUNDED] != founded:
                raise RenderError("its campaign is gone")
            known = self._templates[campaign, founded] = Template(found.spec.text)
            if len(self._templates) > KEPT:
                del self._templates[next(iter(self._templates))]
        return known
