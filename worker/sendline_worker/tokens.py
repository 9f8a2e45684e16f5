"""The signed tokens in the URLs that providers report to.

A token names an account, or one message of an account. It holds as long as one of the keys is configured.
"""

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from itsdangerous import Signer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import SecretStr

PATH: Final = "/receipts"
LONGEST_URL: Final = 255
"""The longest URL that is handed out: no provider is known to take a longer one."""

_FOR_ACCOUNTS: Final = b"sendline.receipts.account"
_FOR_MESSAGES: Final = b"sendline.receipts.message"
_LONGEST_ACCOUNT: Final = 32
_TOKEN: Final = re.compile(r"(?:([A-Za-z0-9_-]{22})\.)?([A-Za-z0-9_-]{43})")
"""The 16 bytes of a message's id, if it names one, and the 32 of the signature."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What a token of ours says. `message_id` is None where it names only its account."""

    message_id: bytes | None


_OF_ACCOUNT: Final = Verified(None)


class CallbackUrls:
    """Makes and reads the URLs at which providers report. Safe across threads."""

    def __init__(self, public_url: str | None, keys: "Sequence[SecretStr]") -> None:
        """`public_url` is where the receiver is reached; the first of `keys` signs, all verify."""
        secrets = [key.get_secret_value().strip() for key in reversed(keys)]
        self._base = f"{public_url.rstrip('/')}{PATH}" if public_url and secrets else None
        self._accounts = _signer(secrets, _FOR_ACCOUNTS)
        self._messages = _signer(secrets, _FOR_MESSAGES)
        self._account_seals = _seals(self._accounts)
        self._message_seals = _seals(self._messages)
        self._known: dict[str, bytes] = {}
        """The signatures of accounts that were read last: the same one comes with most receipts."""

    def account_url(self, account: str) -> str | None:
        """Return what is entered in the account's profile at its provider.

        None where public_url or the keys are missing.
        """
        if self._base is None or self._accounts is None:
            return None
        return f"{self._base}/{account}/{self._accounts.get_signature(account).decode()}"

    def message_url(self, account: str, message_id: bytes) -> str | None:
        """Return where the provider shall report the message; its token holds for no other.

        None where public_url or the keys are missing, or where the URL would be longer than 255 characters.
        """
        if self._base is None or self._messages is None:
            return None
        named = _encoded(message_id).decode()
        signature = self._messages.get_signature(f"{account}.{named}").decode()
        url = f"{self._base}/{account}/{named}.{signature}"
        return url if len(url) <= LONGEST_URL else None

    def read(self, account: str, token: str) -> Verified | None:
        """Return what `token` says of `account`; None where no key of ours signed that, or there is none."""
        found = _TOKEN.fullmatch(token)
        if found is None or len(account) > _LONGEST_ACCOUNT or not account.isascii():
            return None
        named, signature = found.groups()
        given: bytes = signature.encode()
        if named is None:
            return _OF_ACCOUNT if self._is_of_account(account, given) else None
        if not _is_signed(self._message_seals, f"{account}.{named}", given):
            return None
        return Verified(urlsafe_b64decode(f"{named}=="))

    def _is_of_account(self, account: str, given: bytes) -> bool:
        if hmac.compare_digest(self._known.get(account, b""), given):
            return True
        if not _is_signed(self._account_seals, account, given):
            return False
        self._known[account] = given  # only what was verified: nobody can fill it with names
        return True


def _signer(secrets: "Sequence[str]", purpose: bytes) -> Signer | None:
    """Return what signs for `purpose`, its keys derived once; `secrets` are ordered oldest to newest."""
    if not secrets:
        return None
    deriving = Signer(secrets, salt=purpose, key_derivation="hmac", digest_method=sha256)
    derived = [deriving.derive_key(secret) for secret in secrets]
    return Signer(derived, salt=purpose, key_derivation="none", digest_method=sha256)


def _seals(signer: Signer | None) -> "tuple[hmac.HMAC, ...]":
    """Return what `signer` signs with, the newest key first: to be copied, never to be updated."""
    return (
        ()
        if signer is None
        else tuple(hmac.new(key, digestmod=sha256) for key in reversed(signer.secret_keys))
    )


def _encoded(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def _is_signed(seals: "Sequence[hmac.HMAC]", value: str, given: bytes) -> bool:
    """Return whether `given` is what one of `seals` makes of `value`, in its one canonical spelling.

    A copy, since each receipt pays for it, and a new HMAC costs three times as much.
    """
    signed = value.encode()
    for seal in seals:
        made = seal.copy()
        made.update(signed)
        if hmac.compare_digest(_encoded(made.digest()), given):
            return True
    return False
