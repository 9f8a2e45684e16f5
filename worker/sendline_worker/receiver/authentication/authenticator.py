"""The one interface of all that authenticates a request, and the verdict of several together."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sendline_worker.receiver.authentication.facts import Facts

UNAUTHORIZED: Final = 401
FORBIDDEN: Final = 403
INTERNAL: Final = 500
TOO_LARGE: Final = 413
UNSUPPORTED: Final = 415
_WORDS: Final = {
    UNAUTHORIZED: "unauthorized",
    FORBIDDEN: "forbidden",
    INTERNAL: "internal",
    TOO_LARGE: "too large",
    UNSUPPORTED: "unsupported encoding",
}


class Authenticator(Protocol):
    """Tells whether a request is its provider's. Pure: it reads no clock and keeps nothing between requests.

    An adapter that knows how its provider signs may make one too; nothing here has to be inherited.
    """

    @property
    def challenge(self) -> bytes | None:
        """What WWW-Authenticate says to whom it refuses: the answer is 401 then, and 403 where it is None."""
        ...

    def check(self, facts: "Facts", body: bytes, now: float) -> str | None:
        """Return None for an authentic request, else why it is refused, for the log.

        `now` is seconds since 1970. The reason holds nothing that came with the request, and no secret.
        """
        ...


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a refused request is answered, and the reason, which only the log gets."""

    status: int
    reason: str
    headers: "Mapping[bytes, bytes]" = field(default_factory=dict[bytes, bytes])

    @property
    def word(self) -> str:
        """What the answer says: no more than its status."""
        return _WORDS[self.status]


def refusal(
    authenticators: "Iterable[Authenticator]", facts: "Facts", body: bytes, now: float
) -> Refusal | None:
    """Return None where all of `authenticators` are content, else what the first that is not leads to.

    One that has a fault refuses, with a 500, so that its provider comes again once the fault is mended.
    """
    for each in authenticators:
        try:
            reason = each.check(facts, body, now)
        except Exception as error:  # noqa: BLE001 - any fault of an adapter
            return Refusal(INTERNAL, f"its check failed: {type(error).__name__}")
        if reason is None:
            continue
        if each.challenge is None:
            return Refusal(FORBIDDEN, reason)
        return Refusal(UNAUTHORIZED, reason, {b"www-authenticate": each.challenge})
    return None
