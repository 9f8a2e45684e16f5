"""What a file of the spool holds: one checked message, and when it was accepted onto the disk.

One line that names the format, its version and a digest of the rest; then the message as JSON. A release
reads the files of every earlier one; those of a later one it leaves alone.
"""

import json
from dataclasses import dataclass, fields, replace
from hashlib import blake2b
from typing import Any, Final

from sendline.contract.draft import Draft
from sendline.contract.lane import Lane, OnUncertain

VERSION: Final = 1
LARGEST: Final = 256 * 1024
"""Bytes of a file that are read; a message with everything that it may have takes less."""
PAST: Final = -1
"""What is left of a validity that has ended (ms): such a message expires before anything could claim it."""
SKEW: Final = 0.1
"""The part of the ledger's retention by which clocks may differ, or have been set."""

FORMAT: Final = "sendline-spool"
_FIELDS: Final = frozenset(field.name for field in fields(Draft)) - {"late"}
"""What is late is not kept here."""


class Damaged(ValueError):
    """The file does not hold what was once written."""


class Newer(ValueError):
    """The file is whole, as far as can be told, and was written by a later release."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A message in the spool."""

    draft: Draft
    at_ms: int
    """When it was accepted, by this machine's clock: ms since the epoch."""

    def pack(self) -> bytes:
        """Return what its file holds."""
        body = self.body()
        return f"{FORMAT} {VERSION} {digest_of(body)}\n".encode() + body

    def body(self) -> bytes:
        """Return it as JSON, in one line."""
        plain: dict[str, Any] = {
            name: value for name in sorted(_FIELDS) if (value := getattr(self.draft, name)) is not None
        }
        plain |= {"id": self.draft.id.hex(), "route": list(self.draft.route)}
        plain["metadata"] = dict(self.draft.metadata)
        return json.dumps({"at": self.at_ms, "message": plain}).encode()

    @classmethod
    def unpack(cls, raw: bytes) -> "Entry":
        """Return the entry behind `raw`. Raises Damaged or Newer."""
        head, _, body = raw.partition(b"\n")
        words = head.split(b" ")
        if len(words) != 3 or words[0] != FORMAT.encode() or len(raw) > LARGEST:  # noqa: PLR2004 - see pack()
            raise Damaged("it is no file of a spool")
        if words[2] != digest_of(body).encode():
            raise Damaged("it was not written whole, or was changed since")
        if words[1] != str(VERSION).encode():
            raise Newer(f"its format is {words[1].decode(errors='replace')[:20]}")
        return cls.of_body(body)

    @classmethod
    def of_body(cls, body: bytes) -> "Entry":
        """Return the entry that `body()` made this of. Raises Damaged or Newer."""
        try:
            plain = json.loads(body)
            return cls(_draft(plain["message"]), int(plain["at"]))
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            if isinstance(error, Newer):
                raise
            raise Damaged(f"it can't be read: {type(error).__name__}") from None

    def due(self, now_ms: int) -> Draft:
        """Return the message as it is accepted at `now_ms`: with what is left of its validity."""
        begins = max(self.draft.not_before_ms, self.at_ms)
        if begins > now_ms:
            return self.draft
        left = begins + self.draft.valid_for_ms - now_ms
        return replace(self.draft, not_before_ms=0, valid_for_ms=left if left > 0 else PAST)

    def is_marked(self, field: str, value: str) -> bool:
        """Whether its `field`, "id" (in hex) or "idempotency_key", is `value`."""
        return value == (self.draft.id.hex() if field == "id" else self.draft.idempotency_key)

    def is_stale(self, now_ms: int, retention: float) -> bool:
        """Whether the ledger may have accepted it so long ago that it does not know its id any more.

        `retention`, in seconds, is how long the ledger knows an id at the least.
        """
        return now_ms - self.at_ms > retention * 1000 * (1 - SKEW)


def digest_of(body: bytes) -> str:
    """Return the digest by which damage is noticed."""
    return blake2b(body, digest_size=16).hexdigest()


def _draft(plain: dict[str, Any]) -> Draft:
    if unknown := plain.keys() - _FIELDS:
        raise Newer(f"it has {len(unknown)} fields that this release does not know")
    asked = plain.get("on_uncertain")
    return Draft(
        **{
            **dict.fromkeys(("text", "sender", "account")),
            **plain,
            "id": bytes.fromhex(plain["id"]),
            "route": tuple(plain["route"]),
            "lane": Lane(plain["lane"]),
            "on_uncertain": None if asked is None else OnUncertain(asked),
        }
    )
