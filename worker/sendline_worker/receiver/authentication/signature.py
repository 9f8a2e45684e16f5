"""An HMAC in a header, made as the provider documents it and the account configures it."""

import hmac
import re
from typing import TYPE_CHECKING, Final

from sendline.contract.errors import ConfigurationError
from sendline_worker.receiver.authentication.encodings import from_base64, from_hex
from sendline_worker.receiver.authentication.facts import Unfit

if TYPE_CHECKING:
    from sendline.settings.accounts import SignatureSettings
    from sendline_worker.receiver.authentication.facts import Facts

SIGNATURES_MOST: Final = 8
"""Signatures in one header; a provider that rotates its secret sends two."""
NONCE_LENGTH: Final = 256
MILLISECONDS_FROM: Final = 10**11
"""A time of at least this is in ms: as seconds it would be after the year 5000, as ms it is 1973."""

_DECODE: Final = {"hex": from_hex, "base64": from_base64}
_PART: Final = re.compile(r"\{(body|timestamp|nonce|url)\}")
_TIMESTAMP: Final = re.compile(rb"[0-9]{1,16}")
_NONCE: Final = re.compile(rb"[!-~]+")


class Signature:
    """Demands a signature by one of the account's secrets, and a signed time near enough to now.

    The same request is taken again as often as it comes: there is no memory of signatures or nonces.
    Duplicates change nothing in the ledger, providers repeat what we answered too late, and what was signed
    longer ago than the tolerance is refused. Where no {timestamp} is signed there is no such window.
    """

    challenge: bytes | None = None

    def __init__(self, settings: "SignatureSettings", public_url: str | None) -> None:
        """`public_url` is what {url} begins with. Raises ConfigurationError for what could never hold."""
        self._settings = settings
        secrets = [secret.get_secret_value().strip() for secret in settings.secret]
        self._keys = tuple(secret.encode(errors="surrogateescape") for secret in secrets)
        self._prefix = settings.prefix.encode()
        self._template = _PART.split(settings.signs)  # what is odd in it names a part
        self._public_url = (public_url or "").rstrip("/").encode()
        if not all(self._keys):
            raise ConfigurationError(
                "receipts_signature.secret: one of them is empty, so anybody could sign; remove it"
            )
        if b"," in self._prefix:
            raise ConfigurationError(
                "receipts_signature.prefix: holds a comma, which stands between signatures; leave it out"
            )
        if "url" in self._template[1::2] and not public_url:
            raise ConfigurationError(
                "receipts_signature.signs: has {url}, which begins with public_url; set SENDLINE_PUBLIC_URL"
            )

    def check(self, facts: "Facts", body: bytes, now: float) -> str | None:
        """Return why the request is refused, or None."""
        try:
            given = self._given(facts)
            signed = self._signed(facts, body, now)
        except Unfit as unfit:
            return str(unfit)
        right = False
        for key in self._keys:
            made = hmac.digest(key, signed, self._settings.algorithm)
            for signature in given:
                right |= hmac.compare_digest(made, signature)
        return None if right else f"{self._settings.header}: wrong signature"

    def _given(self, facts: "Facts") -> list[bytes]:
        """Return the signatures of the header; what has another prefix is of another scheme."""
        name = self._settings.header
        parts = [part.strip(b" \t") for part in facts.single(name).split(b",")]
        if len(parts) > SIGNATURES_MOST:
            raise Unfit(f"{name}: more than {SIGNATURES_MOST} signatures")
        decode = _DECODE[self._settings.encoding]
        written = [part.removeprefix(self._prefix) for part in parts if part.startswith(self._prefix)]
        given = [decoded for decoded in map(decode, written) if decoded is not None]
        if not given:
            raise Unfit(f"{name}: no signature that can be read")
        return given

    def _signed(self, facts: "Facts", body: bytes, now: float) -> bytes:
        """Return the bytes that must have been signed."""
        return b"".join(
            self._part(piece, facts, body, now) if place % 2 else piece.encode()
            for place, piece in enumerate(self._template)
        )

    def _part(self, name: str, facts: "Facts", body: bytes, now: float) -> bytes:
        if name == "timestamp":
            return self._timestamp(facts, now)
        if name == "nonce":
            return self._nonce(facts)
        if name == "url":
            query = b"?" + facts.query if facts.query else b""
            return self._public_url + facts.path + query
        return body

    def _timestamp(self, facts: "Facts", now: float) -> bytes:
        """Return the signed time as it was written; raises Unfit where it is not about now."""
        name = self._settings.timestamp_header or ""
        text = facts.single(name)
        if not _TIMESTAMP.fullmatch(text):
            raise Unfit(f"{name}: not a time")
        seconds = int(text) / 1000 if int(text) >= MILLISECONDS_FROM else int(text)
        if seconds < now - self._settings.tolerance:
            raise Unfit(f"{name}: too old")
        if seconds > now + self._settings.tolerance:
            raise Unfit(f"{name}: too far ahead")
        return text

    def _nonce(self, facts: "Facts") -> bytes:
        name = self._settings.nonce_header or ""
        nonce = facts.single(name)
        if len(nonce) > NONCE_LENGTH or not _NONCE.fullmatch(nonce):
            raise Unfit(f"{name}: not 1 to {NONCE_LENGTH} printable characters")
        return nonce
