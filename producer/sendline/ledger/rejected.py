"""The verb that keeps requests of providers that could not be read, and the plain reads of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from secrets import token_hex
from typing import Any, Final

from sendline.contract.message import instant
from sendline.ledger.call import Call
from sendline.ledger.keys import KEYS
from sendline.ledger.limits import Limits
from sendline.ledger.record import pack, short, unpack
from sendline.ledger.scripts import script

MOST: Final = 1000
"""Requests that are kept; the oldest go first."""
KEPT: Final = 7 * 86_400
"""Seconds for which they are kept."""
BODY_KEPT: Final = 16 * 1024
"""Bytes of a body that are kept: its beginning."""
QUERY_KEPT: Final = 2048
HEADER_KEPT: Final = 200
HEADERS: Final = ("content-type", "content-encoding", "user-agent")
"""The headers that are kept: no other may hold a credential."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A request to the receiver that could not be read. It may hold texts and numbers."""

    account: str
    why: str
    headers: Mapping[str, str] = field(repr=False)
    """Those of HEADERS that it had."""
    query: str = field(repr=False)
    body: bytes = field(repr=False)
    size: int
    """Bytes of its whole body; `body` may be its beginning."""
    at: datetime | None = None
    """When it was kept, by the ledger's clock; None before."""


def reject(limits: Limits, requests: Sequence[Rejected]) -> Call[list[int]]:
    """Keep requests, each cut to its bounds; return 1 for each."""
    packed = [
        pack(
            [
                each.account,
                short(each.why),
                {name: short(each.headers[name])[:HEADER_KEPT] for name in HEADERS if name in each.headers},
                each.query[:QUERY_KEPT].encode(errors="replace"),
                each.body[:BODY_KEPT],
                each.size,
            ]
        )
        for each in requests
    ]
    return Call(script("reject"), [limits.packed, token_hex(8), MOST, KEPT * 1000, *packed], list)


def rejected(now: datetime, most: int = MOST) -> Call[list[Rejected]]:
    """Read what is kept, at most `most` of it, the newest first; what is too old at `now` is left out."""

    def read(reply: Any) -> list[Rejected]:
        found = [_rejected(raw) for raw in reply]
        return [each for each in found if each.at is None or (now - each.at).total_seconds() < KEPT]

    return Call("LRANGE", [KEYS["rejected"], 0, most - 1], read)


def count_rejected() -> Call[int]:
    """Read how many requests are kept."""
    return Call("LLEN", [KEYS["rejected"]], int)


def clear_rejected() -> Call[bool]:
    """Forget all that is kept; return whether there was any."""
    return Call("DEL", [KEYS["rejected"]], lambda reply: reply == 1)


def _rejected(raw: bytes) -> Rejected:
    at, account, why, headers, query, body, size, *_ = unpack(raw)
    # an empty map of Lua's may be packed as an empty array
    pairs = headers.items() if isinstance(headers, dict) else ()
    return Rejected(
        account=account.decode(),
        why=why.decode(),
        headers={name.decode(): value.decode() for name, value in pairs},
        query=query.decode(),
        body=body,
        size=size,
        at=instant(at),
    )
