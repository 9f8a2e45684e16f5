"""The verb that takes in what people wrote to our numbers, and the plain reads of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from sendline.contract.inbound import InboundMessage
from sendline.contract.keywords import Keyword
from sendline.contract.message import instant
from sendline.ledger.call import Argument, Call
from sendline.ledger.keys import KEYS
from sendline.ledger.limits import Limits
from sendline.ledger.record import digest, pack, unpack
from sendline.ledger.scripts import script

MESSAGES_A_READ: Final = 100
"""Of the stream of what came in."""
_LAST: Final = 2**64 - 1
"""No second half of a stream's id is greater."""
_KEYWORDS: Final = {keyword.value.encode(): keyword for keyword in Keyword}
_FIELD: Final = b"m"


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a provider brought us: one SMS that somebody wrote to one of our numbers."""

    account: str
    sender: str = field(repr=False)
    """Who wrote: E.164, or as the provider told it where that is no number."""
    to: str = field(repr=False)
    text: str = field(repr=False)
    keyword: Keyword | None = None
    provider_id: str | None = None


Arrived = Literal["new", "known"]


def inbound(limits: Limits, arrivals: Sequence[Arrival]) -> Call[list[Arrived]]:
    """Take messages in, each once, and let STOP and START hold; return for each whether it was new.

    One that came with its provider's id is known by it for three days. Of those without, the same text
    between the same numbers is the same message within a minute.
    """

    def read(reply: Any) -> list[Arrived]:
        return ["new" if word == 1 else "known" for word in reply]

    return Call(script("inbound"), [limits.packed, *map(_packed, arrivals)], read)


def _packed(arrival: Arrival) -> bytes:
    a = arrival
    known_by = (a.provider_id,) if a.provider_id else ("", a.sender, a.to, a.text)
    return pack(
        [
            a.account,
            digest(a.account, *known_by, size=16),
            a.provider_id or "",
            a.sender,
            a.to,
            a.text,
            a.keyword or "",
        ]
    )


def newest_inbound() -> Call[int]:
    """Read the number of the newest message that came in; 0 where none ever did."""
    return Call("HGET", [KEYS["meta"], "inbound"], lambda reply: int(reply or 0))


def oldest_inbound() -> Call[int | None]:
    """Read the number of the oldest message that is still kept."""
    return Call(
        "XRANGE",
        [KEYS["inbound"], "-", "+", "COUNT", 1],
        lambda entries: _seq(entries[0][0]) if entries else None,
    )


def inbound_after(seq: int, *, block_ms: int | None) -> Call[list[InboundMessage]]:
    """Read what came in behind `seq`, as many as a read brings; wait up to `block_ms` for the first."""
    waiting: list[Argument] = ["BLOCK", block_ms] if block_ms is not None else []

    def read(reply: Any) -> list[InboundMessage]:
        return [_message(*entry) for entry in (reply[0][1] if reply else [])]

    behind = f"{seq}-{_LAST}"
    return Call("XREAD", ["COUNT", MESSAGES_A_READ, *waiting, "STREAMS", KEYS["inbound"], behind], read)


def _message(stream_id: bytes, fields: Sequence[bytes]) -> InboundMessage:
    """Return one entry of the stream; what a newer release appended is passed over."""
    account, sender, to, text, at, keyword, provider_id, *_ = unpack(fields[fields.index(_FIELD) + 1])
    return InboundMessage(
        seq=_seq(stream_id),
        account=account.decode(),
        sender=sender.decode(),
        to=to.decode(),
        text=text.decode(),
        at=instant(at),
        keyword=_KEYWORDS.get(keyword),
        provider_id=provider_id.decode() or None,
    )


def _seq(stream_id: bytes) -> int:
    return int(stream_id.split(b"-")[0])
