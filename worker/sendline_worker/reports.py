"""From what an adapter read to what the ledger shall be told. Pure."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sendline.contract.keywords import Keyword, Keywords
from sendline.ledger.inbound import Arrival
from sendline.ledger.work import Reported
from sendline_worker.inbound_numbers import read_ours, read_sender
from sendline_worker.providers.base import Inbound, Receipt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sendline_worker.providers.base import Told
    from sendline_worker.tokens import Verified

LONGEST_ID: Final = 255
LONGEST_REASON: Final = 120
LONGEST_NUMBER: Final = 64
LONGEST_TEXT: Final = 8000
"""Characters of a text that came in; 39 segments, the most that one SMS can have, hold 5,967."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How what came in is read."""

    keywords: Keywords = field(default_factory=Keywords)
    region: str | None = None
    """Where numbers are from that name no country, nor were written to one of ours: the default_region."""


def reports(account: str, verified: "Verified", told: "Sequence[Told]") -> list[Reported]:
    """Return what can move a message, or teach us its provider's id.

    A token names one message, so it counts only where the provider told of one; else their ids do.
    """
    receipts = [each for each in told if isinstance(each, Receipt)]
    named = verified.message_id if len(receipts) == 1 else None
    return [each for receipt in receipts if _matters(each := report(account, named, receipt))]


def arrivals(
    account: str, reading: Reading, told: "Sequence[Told]", *, senders: "Sequence[str]" = ()
) -> list[Arrival]:
    """Return what people wrote to us, to the `senders` of the account or another number of its.

    Numbers are in E.164, and as they were told where they can't be read.
    """
    return [_arrival(account, reading, each, senders) for each in told if isinstance(each, Inbound)]


def is_unheeded(arrival: Arrival) -> bool:
    """Say whether it asks for STOP or START, and nobody can tell for which number."""
    asks = arrival.keyword in {Keyword.STOP, Keyword.START}
    return asks and read_sender(arrival.sender, None, None) != arrival.sender


def report(account: str, message_id: bytes | None, receipt: "Receipt") -> Reported:
    """Return what one receipt tells of the message `message_id`, or of the one that its own id names."""
    return Reported(
        account=account,
        status=receipt.status,
        message_id=message_id,
        provider_id=_provider_id(receipt.provider_id),
        code=receipt.code,
        reason=_storable(receipt.reason)[:LONGEST_REASON],
    )


def _arrival(account: str, reading: Reading, inbound: "Inbound", senders: "Sequence[str]") -> Arrival:
    text = _storable(inbound.text)[:LONGEST_TEXT]
    to = read_ours(inbound.to, senders, reading.region)
    return Arrival(
        account=account,
        sender=read_sender(inbound.sender, to, reading.region) or _as_told(inbound.sender),
        to=to or _as_told(inbound.to),
        text=text,
        keyword=reading.keywords.read(text),
        provider_id=_provider_id(inbound.provider_id),
    )


def _as_told(number: str) -> str:
    return _storable(number)[:LONGEST_NUMBER]


def _matters(report: Reported) -> bool:
    if report.status is None:
        return report.message_id is not None and report.provider_id is not None
    return report.message_id is not None or report.provider_id is not None


def _provider_id(provider_id: str | None) -> str | None:
    """Return the id; None where it is no id that we could have been given when we sent."""
    if not provider_id or len(provider_id) > LONGEST_ID or _storable(provider_id) != provider_id:
        return None
    return provider_id


def _storable(text: str) -> str:
    """Return `text` without the lone surrogates that JSON can hold and UTF-8 can't."""
    return text if text.isascii() else text.encode(errors="replace").decode()
