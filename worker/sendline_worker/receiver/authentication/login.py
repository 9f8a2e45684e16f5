"""HTTP Basic: the user and the password that an account's provider reports with."""

import hmac
import secrets
from typing import TYPE_CHECKING, Final

from sendline_worker.receiver.authentication.encodings import from_base64
from sendline_worker.receiver.authentication.facts import Unfit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import SecretStr

    from sendline_worker.receiver.authentication.facts import Facts

HEADER: Final = "authorization"


class Login:
    """Demands one of several logins, each user:password.

    All are compared, by digests of one length under a key of this process's own: how long it takes says
    nothing about any of them.
    """

    challenge: bytes | None = b'Basic realm="receipts", charset="UTF-8"'

    def __init__(self, logins: "Iterable[SecretStr]") -> None:
        self._key = secrets.token_bytes(32)
        self._digests = tuple(self._digest(login.get_secret_value().strip().encode()) for login in logins)

    def check(self, facts: "Facts", body: bytes, now: float) -> str | None:
        """Return why the request is refused, or None."""
        try:
            given = self._digest(_login(facts.single(HEADER)))
        except Unfit as unfit:
            return str(unfit)
        right = False
        for digest in self._digests:
            right |= hmac.compare_digest(digest, given)
        return None if right else "wrong user or password"

    def _digest(self, login: bytes) -> bytes:
        return hmac.digest(self._key, login, "sha256")


def _login(value: bytes) -> bytes:
    """Return user:password of an Authorization header; raises Unfit."""
    scheme, _, rest = value.partition(b" ")
    if scheme.lower() != b"basic":
        raise Unfit(f"{HEADER}: not HTTP Basic")
    login = from_base64(rest.strip(b" "))
    if login is None:
        raise Unfit(f"{HEADER}: not base64")
    return login
