"""Who asks: an API key in `Authorization: Bearer` or `X-API-Key`, held to its scopes."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Depends, Request

from sendline.contract.api_key import ApiKey, Scope, StoredKey, parse_token
from sendline.ledger.api_keys import KEY_AGE, read_key
from sendline_worker.api.problems import refuse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sendline.ledger.connection import AsyncLedger

MOST_REMEMBERED: Final = 10_000
"""Ids, known and unknown ones, that a process remembers at a time."""
CALLER: Final = "sendline.caller"
"""In the scope of a request: who asks, once that is known."""
_BEARER: Final = b"bearer "
_CHALLENGE: Final = 'Bearer realm="sendline"'


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a key that is in force and has the scope that was needed."""

    key: ApiKey

    @property
    def name(self) -> str:
        """The owner of what it sends."""
        return self.key.name

    @property
    def is_admin(self) -> bool:
        """Whether it sees and touches what others own."""
        return self.key.may(Scope.ADMIN)

    @property
    def owner(self) -> str | None:
        """By whose things a search is bounded; None: everybody's."""
        return None if self.is_admin else self.key.name

    def sees(self, owner: str | None) -> bool:
        """Return whether it sees what `owner`, a key's name, has sent; None: an app of the house did."""
        return self.key.sees(owner)


class Keys:
    """The keys as the ledger holds them, each remembered for KEY_AGE seconds. For one event loop."""

    def __init__(self, ledger: "AsyncLedger") -> None:
        self._ledger = ledger
        self._remembered: dict[str, tuple[float, asyncio.Task[StoredKey | None]]] = {}

    async def find(self, token: str) -> ApiKey | None:
        """Return the key that `token` opens, a revoked one too; None where there is none.

        Raises LedgerError.
        """
        parsed = parse_token(token)
        if parsed is None:
            return None
        key_id, secret = parsed
        stored = await self._read(key_id)
        return stored.key if stored is not None and stored.opens(secret) else None

    async def _read(self, key_id: str) -> StoredKey | None:
        """Return the key; those who ask for it at the same time share one reading."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        until, reading = self._remembered.get(key_id, (0.0, None))
        if reading is None or until <= now or (reading.done() and reading.exception() is not None):
            if len(self._remembered) >= MOST_REMEMBERED:
                self._remembered.clear()
            reading = loop.create_task(self._ledger.run(read_key(key_id)))
            self._remembered[key_id] = (now + KEY_AGE, reading)
        return reading.result() if reading.done() else await asyncio.shield(reading)


class Requires:
    """A dependency that lets in only keys with a scope; ApiRoute asks it before the body is read."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, request: Request) -> Caller:
        """Return who asks, as the route has found out."""
        caller: Caller = request.scope[CALLER]
        return caller

    async def admit(self, scope: Any, keys: Keys) -> Caller:
        """Find out who asks, and note it in the `scope` of the request; raises ProblemError, LedgerError."""
        token = token_of(scope["headers"])
        if token is None:
            raise refuse(
                "unauthenticated",
                "give your API key: Authorization: Bearer sl_..., or X-API-Key",
                www_authenticate=_CHALLENGE,
            )
        key = await keys.find(token)
        if key is None or key.revoked_at is not None:
            raise refuse(
                "unauthenticated",
                "this API key is not known, or was revoked",
                www_authenticate=f'{_CHALLENGE}, error="invalid_token"',
            )
        caller = scope[CALLER] = Caller(key)
        if not key.may(self.scope):
            raise refuse("scope-missing", f"the key needs the scope {self.scope}")
        return caller


def token_of(headers: "Sequence[tuple[bytes, bytes]]") -> str | None:
    """Return the token in the headers; None where there is none. Raises ProblemError for several."""
    found: list[bytes] = []
    for name, value in headers:
        if name == b"x-api-key":
            found.append(value.strip())
        elif name == b"authorization":
            is_bearer = value[: len(_BEARER)].lower() == _BEARER
            found.append(value[len(_BEARER) :].strip() if is_bearer else b"?")
    if len(found) > 1:
        raise refuse("several-keys", "give the API key once: in Authorization, or in X-API-Key")
    return found[0].decode("latin-1") if found else None


def requires(scope: Scope) -> Requires:
    """Return the dependency that demands a scope: `Depends(requires(Scope.SEND))`."""
    return Requires(scope)


Sending = Annotated[Caller, Depends(requires(Scope.SEND))]
"""Who asks, with the scope send."""
Reading = Annotated[Caller, Depends(requires(Scope.READ))]
"""Who asks, with the scope read."""
Admin = Annotated[Caller, Depends(requires(Scope.ADMIN))]
"""Who asks, with the scope admin."""
