"""What the settings of an account demand of who reports to it."""

from typing import TYPE_CHECKING, Protocol

from sendline_worker.receiver.authentication.addresses import Addresses
from sendline_worker.receiver.authentication.login import Login
from sendline_worker.receiver.authentication.signature import Signature

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import SecretStr

    from sendline.settings.accounts import SignatureSettings
    from sendline_worker.receiver.authentication.authenticator import Authenticator


class Demanding(Protocol):
    """The settings of an account, as far as they say who may report to it."""

    @property
    def receipts_from(self) -> "tuple[str, ...]":
        """The networks that its provider reports from; empty: any."""
        ...

    @property
    def receipts_login(self) -> "tuple[SecretStr, ...]":
        """The logins of which its provider has one; empty: none is asked for."""
        ...

    @property
    def receipts_signature(self) -> "SignatureSettings | None":
        """How its provider signs; None: it does not."""
        ...


def authenticators_of(
    account: Demanding, *, trusted_proxies: "Sequence[str]", public_url: str | None
) -> "tuple[Authenticator, ...]":
    """Return what `account` demands besides the token in the path, the cheapest first; all must hold.

    Raises ConfigurationError, whose text begins with the name of the account's field, where a signature
    could never hold or would hold for anybody.
    """
    made: list[Authenticator] = []
    if account.receipts_from:
        made.append(Addresses(account.receipts_from, trusted_proxies))
    if account.receipts_login:
        made.append(Login(account.receipts_login))
    if account.receipts_signature is not None:
        made.append(Signature(account.receipts_signature, public_url))
    return tuple(made)
