"""The verbs about API keys: made, listed, revoked; read with each request; and held to their rates."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from secrets import token_bytes
from typing import Any, Final

from sendline.contract.api_key import ApiKey, Scope, StoredKey
from sendline.contract.message import instant
from sendline.ledger.accounts import interval
from sendline.ledger.call import Argument, Call
from sendline.ledger.keys import KEYS
from sendline.ledger.limits import Limits
from sendline.ledger.record import UNREADABLE, pack, unpack
from sendline.ledger.scripts import script

MOST_KEYS: Final = 10_000
"""Those included that were revoked, while they are kept."""

KEY_AGE: Final = 1.0
"""Seconds for which a process of the API may remember a key that it has read."""

_VERSION: Final = 1
"""Of a stored key. One of a later release may be bound in ways that are not known here: it opens nothing."""
_SCOPES: Final = {scope.value.encode(): scope for scope in Scope}


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether a request may go on, by its key's rate. Times in seconds."""

    allowed: bool
    limit: int
    """The most messages that may go at once: one second's worth."""
    remaining: int
    """How many more may go now."""
    retry_after_s: float
    """After this the same request is let through, if nothing else is before; 0 where it was."""
    reset_s: float
    """After this `remaining` is `limit` again."""


def create_key(limits: Limits, key: ApiKey, secret_hash: bytes) -> Call[ApiKey | None]:
    """Store a key and return it as it is kept, `created_at` by the server's clock.

    None where there are MOST_KEYS already. Revoked keys whose retention has ended are forgotten here.
    """

    def read(reply: Any) -> ApiKey | None:
        return replace(key, created_at=instant(int(reply))) if int(reply) >= 0 else None

    body = pack(
        [
            secret_hash,
            key.name,
            [scope.value for scope in sorted(key.scopes)],
            list(key.senders),
            key.rate or 0,
        ]
    )
    return Call(script("issue"), [limits.packed, key.id, body, MOST_KEYS, _VERSION], read)


def read_key(key_id: str) -> Call[StoredKey | None]:
    """Read a key, a revoked one too; None where it is unknown, or can't be read."""
    return Call("HGET", [KEYS["api_keys"], key_id], lambda raw: _readable(key_id, raw) if raw else None)


def list_keys(limits: Limits) -> Call[list[ApiKey]]:
    """Read all keys, the oldest first, with those that were revoked within the retention.

    What was revoked earlier is forgotten here. A key that can't be read is left out: it opens nothing.
    """

    def read(reply: Any) -> list[ApiKey]:
        pairs = zip(reply[::2], reply[1::2], strict=True)
        found = [_readable(key_id.decode(), raw) for key_id, raw in pairs]
        keys = [each.key for each in found if each]
        return sorted(keys, key=lambda key: (key.created_at, key.id))

    return Call(script("keyring"), [limits.packed], read)


def revoke_keys(limits: Limits, ids: Sequence[str]) -> Call[list[bool | None]]:
    """Revoke keys: for each whether it was in force until now; None where there is no such key.

    A process of the API may remember a key for as long as `KEY_AGE` says; after that none takes it.
    """
    verdicts = {1: True, 0: False, -1: None}

    def read(reply: Any) -> list[bool | None]:
        return [verdicts[int(each)] for each in reply]

    return Call(script("revoke"), [limits.packed, *ids], read)


def revoke_key(limits: Limits, key_id: str) -> Call[bool | None]:
    """Revoke one key; the answer as `revoke_keys` gives it."""
    call = revoke_keys(limits, [key_id])
    return Call(call.target, call.arguments, lambda reply: call.read(reply)[0])


def admit(
    limits: Limits, who: str, rate: float, number: int, *, name: bytes | None = None
) -> Call[Admission]:
    """Take `number` messages out of what the rate of `who` (a key's id) allows: all or none. 0 only asks.

    `rate` in messages a second; at most one second's worth, and one at least, goes at once. A request of
    more is let through when nothing is taken, and leaves a debt. `name` names the call: the same again is
    the same call again.
    """
    each, most = interval(rate), max(1, math.floor(rate))

    def read(reply: Any) -> Admission:
        allowed, remaining, wait, reset = map(int, reply)
        return Admission(allowed == 1, most, remaining, wait / 1_000_000, reset / 1_000_000)

    arguments: list[Argument] = [limits.packed, who, each, most, number, name or token_bytes(8)]
    return Call(script("admit"), arguments, read)


def _readable(key_id: str, raw: bytes) -> StoredKey | None:
    try:
        version, created, revoked, body, *_ = unpack(raw)
        if version > _VERSION:
            return None
        secret_hash, name, scopes, senders, rate, *_ = unpack(body)
        key = ApiKey(
            id=key_id,
            name=name.decode(),
            scopes=frozenset(known for scope, known in _SCOPES.items() if scope in scopes),
            created_at=instant(created),
            senders=tuple(sender.decode() for sender in senders),
            rate=_rate(rate),
            revoked_at=instant(revoked) if revoked else None,
        )
    except UNREADABLE:
        return None
    return StoredKey(key, secret_hash) if isinstance(secret_hash, bytes) else None


def _rate(kept: Any) -> float | None:
    """Return a rate as it was kept; raises ValueError for what bounds the key in a way not known here."""
    if not isinstance(kept, int | float) or not 0 <= kept < math.inf:
        raise ValueError("no rate")
    return kept or None
