"""From what an adapter read to what the ledger shall be told. Pure."""

from typing import TYPE_CHECKING, Final

from sendline.ledger.work import Reported

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sendline_worker.providers.base import Receipt
    from sendline_worker.tokens import Verified

LONGEST_ID: Final = 255
LONGEST_REASON: Final = 120


def reports(account: str, verified: "Verified", receipts: "Sequence[Receipt]") -> list[Reported]:
    """Return what can move a message, or teach us its provider's id.

    A token names one message, so it counts only where the provider told of one; else their ids do.
    """
    named = verified.message_id if len(receipts) == 1 else None
    told = [report(account, named, receipt) for receipt in receipts]
    return [each for each in told if _matters(each)]


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
