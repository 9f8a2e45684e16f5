"""API keys: who may ask the HTTP API for what. Pure.

A token, `sl_<id>_<secret>`, is what an app sends with each request. Its secret is drawn at random, 256 bits
of it: nobody guesses that, so a plain SHA-256 of it is kept, where a password would need a slow hash.
"""

import hmac
import re
import secrets
import string
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from sendline.contract.numbers import parse_sender

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_SENDERS: Final = 100
"""Of one key."""
LEAST_RATE, MOST_RATE = 1e-5, 10_000.0
"""Messages a second; the same bounds as an account's."""

_ID_LENGTH: Final = 12
_ID_ALPHABET: Final = string.ascii_lowercase + string.digits
_SECRET_BYTES: Final = 32
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_ID: Final = re.compile(rf"[a-z0-9]{{{_ID_LENGTH}}}")
_TOKEN: Final = re.compile(rf"sl_({_ID.pattern})_([A-Za-z0-9_-]{{43}})")


class Scope(StrEnum):
    """What a key may do."""

    SEND = "send"
    """Send messages and campaigns, and steer or cancel those of its own name."""
    READ = "read"
    """Read what its own name sent."""
    ADMIN = "admin"
    """All of everybody, and accounts, suppressions and erasing besides."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is shown and logged: nothing of its secret is in it."""

    id: str
    """12 letters and digits; public."""
    name: str
    """Its owner. Messages, campaigns and idempotency keys belong to the name: keys of one name share them,
    so that a new one can replace an old one."""
    scopes: frozenset[Scope]
    created_at: datetime
    senders: tuple[str, ...] = field(default=(), repr=False)
    """The senders that it may use, canonical; the first is used where a message names none. Empty: any."""
    rate: float | None = None
    """Messages a second, over all processes of the API; None: unbounded."""
    revoked_at: datetime | None = None

    def may(self, scope: Scope) -> bool:
        """Return whether it has `scope`; admin has every one. A revoked key may nothing."""
        return self.revoked_at is None and (scope in self.scopes or Scope.ADMIN in self.scopes)

    def may_use(self, sender: str) -> bool:
        """Return whether it may send from `sender`, which is canonical."""
        return not self.senders or sender in self.senders

    def sees(self, owner: str | None) -> bool:
        """Return whether it sees what the key name `owner` sent; None: an app of the house sent it."""
        return Scope.ADMIN in self.scopes or owner == self.name


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key with what its token is proved by."""

    key: ApiKey
    secret_hash: bytes = field(repr=False)

    def opens(self, secret: str) -> bool:
        """Return whether `secret` is the key's; it takes as long for any that is not."""
        return hmac.compare_digest(self.secret_hash, hash_of(secret))


def new_key(
    name: str, scopes: "Iterable[Scope]", *, senders: "Iterable[str]" = (), rate: float | None = None
) -> tuple[ApiKey, str]:
    """Return a new key and its secret; its `token` is shown once and never again.

    What it is made of was checked by `key_name`, `key_senders` and `key_rate`.
    """
    key_id = "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))
    key = ApiKey(key_id, name, frozenset(scopes), datetime.now(UTC), tuple(senders), rate)
    return key, secrets.token_urlsafe(_SECRET_BYTES)


def token(key: ApiKey, secret: str) -> str:
    """Return what an app sends as its key."""
    return f"sl_{key.id}_{secret}"


def parse_token(text: str) -> tuple[str, str] | None:
    """Return the id and the secret of a token; None where `text` is none."""
    found = _TOKEN.fullmatch(text)
    return (found[1], found[2]) if found else None


def hash_of(secret: str) -> bytes:
    """Return what is stored of a secret."""
    return sha256(secret.encode()).digest()


def is_key_id(text: str) -> bool:
    """Return whether `text` has the form of a key's id; a name may have it, too."""
    return _ID.fullmatch(text) is not None


def key_name(text: str) -> str:
    """Return the name of a key; raises ValueError, one line."""
    if _NAME.fullmatch(text) is None:
        raise ValueError(
            "names are 1 to 32 lower-case letters, digits, - and _, beginning with a letter or digit"
        )
    return text


def key_rate(rate: float) -> float:
    """Return the rate of a key, messages a second; raises ValueError, one line."""
    if not LEAST_RATE <= rate <= MOST_RATE:
        raise ValueError(f"must be {LEAST_RATE:.5f} to {MOST_RATE:.0f} messages a second")
    return rate


def key_senders(senders: "Iterable[str]", region: str | None) -> tuple[str, ...]:
    """Return the canonical senders of a key, each once, in order; raises ValueError, one line.

    `region` ("US") reads numbers that have no country code.
    """
    canonical = tuple(dict.fromkeys(parse_sender(each, region) for each in senders))
    if len(canonical) > MOST_SENDERS:
        raise ValueError(f"{len(canonical)} senders; one key has at most {MOST_SENDERS}")
    return canonical
