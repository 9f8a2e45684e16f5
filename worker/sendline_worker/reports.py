"""From what an adapter read to what the ledger shall be told. Pure."""

from typing import TYPE_CHECKING, Final

from sendline.contract.numbers import parse_number
from sendline.ledger.inbound import Arrival
from sendline.ledger.work import Reported
from sendline_worker.providers.base import Inbound, Receipt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sendline.contract.keywords import Keywords
    from sendline_worker.providers.base import Told
    from sendline_worker.tokens import Verified

LONGEST_ID: Final = 255
LONGEST_REASON: Final = 120
LONGEST_NUMBER: Final = 64
LONGEST_TEXT: Final = 8000
"""Characters of a text that came in; 39 segments, the most that one SMS can have, hold 5,967."""


def reports(account: str, verified: "Verified", told: "Sequence[Told]") -> list[Reported]:
    """Return what can move a message, or teach us its provider's id.

    A token names one message, so it counts only where the provider told of one; else their ids do.
    """
    receipts = [each for each in told if isinstance(each, Receipt)]
    named = verified.message_id if len(receipts) == 1 else None
    found = [report(account, named, receipt) for receipt in receipts]
    return [each for each in found if _matters(each)]


def arrivals(account: str, keywords: "Keywords", told: "Sequence[Told]") -> list[Arrival]:
    """Return what people wrote to us, numbers in E.164 where they are any."""
    return [_arrival(account, keywords, each) for each in told if isinstance(each, Inbound)]


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


def _arrival(account: str, keywords: "Keywords", inbound: "Inbound") -> Arrival:
    text = _storable(inbound.text)[:LONGEST_TEXT]
    return Arrival(
        account=account,
        sender=_number(inbound.sender),
        to=_number(inbound.to),
        text=text,
        keyword=keywords.read(text),
        provider_id=_provider_id(inbound.provider_id),
    )


def _number(told: str) -> str:
    """Return a number as recipients are written, so that STOP finds it; a short code or a name as it is."""
    try:
        return parse_number(told, None)
    except ValueError:
        return _storable(told)[:LONGEST_NUMBER]


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
    return text.encode(errors="replace").decode()
