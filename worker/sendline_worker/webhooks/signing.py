"""The headers of a webhook, by the Standard Webhooks specification."""

from datetime import UTC
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from standardwebhooks import Webhook

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pydantic import SecretStr


class Signer:
    """Signs with every secret, in their order, so that the app may know either while one is replaced.

    Without a secret there is no signature, and the app can't tell who called.
    """

    def __init__(self, secrets: "Sequence[SecretStr]") -> None:
        self._keys = [Webhook(secret.get_secret_value()) for secret in secrets]
        self._agent = f"Sendline/{_version()}"

    def headers(self, event_id: str, body: bytes, now: "datetime") -> dict[str, str]:
        """Return the headers of one try. `now` is the try's time, with a time zone; `body` is UTF-8."""
        made = {
            "content-type": "application/json",
            "user-agent": self._agent,
            "webhook-id": event_id,
            "webhook-timestamp": str(int(now.timestamp())),
        }
        if self._keys:
            at, text = now.astimezone(UTC), body.decode()
            made["webhook-signature"] = " ".join(key.sign(event_id, at, text) for key in self._keys)
        return made


def _version() -> str:
    try:
        return version("sendline")
    except PackageNotFoundError:
        return "0"
