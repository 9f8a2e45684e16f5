"""Kore.ai's Send Outbound SMS as the simulator plays it: no text, no message id, no receipts.

Not documented, so made up here: the HTTP statuses and, but for bad credentials and the rate limit, the
texts of refusals.
"""

import functools
import json
from typing import TYPE_CHECKING, Any

import jwt
from starlette.routing import Route

from sendline_worker.simulator.face import RequestRefused, Submission, fingerprint
from sendline_worker.simulator.reading import header, json_object, phone

if TYPE_CHECKING:
    from starlette.requests import Request

    from sendline_worker.simulator.entries import Entry
    from sendline_worker.simulator.simulation import Simulation

PROVIDER = "kore"
ALGORITHMS = ["HS256", "HS384", "HS512"]
ACCEPTED = b'{"message":"Triggered the configured Experience flow to deliver message via SMS channel"}'
TEXTS = {
    401: {"errors": [{"msg": "Invalid SDK credentials", "code": 4002}]},
    429: {
        "errors": [{"msg": "Rate limit for this API has been reached. Please try again later", "code": 429}]
    },
}


class KoreFace:
    """`POST /api/public/bot/{BotId}/outboundsms`: header auth, JSON fromNo and toNo and nothing else."""

    provider = PROVIDER
    reporter = None

    def __init__(self, simulation: "Simulation") -> None:
        self._secrets = simulation.options.client_secrets

    def account(self, request: "Request") -> str:
        """Return the fingerprint of the client id in the token; raises RequestRefused with 401."""
        try:
            return fingerprint(self._client_id(header(request, b"auth")))
        except jwt.PyJWTError:
            raise RequestRefused(401, "no valid token") from None

    def read(self, request: "Request", body: bytes) -> Submission:
        """Return what is asked for."""
        data = json_object(body)
        unknown = sorted(set(data) - {"fromNo", "toNo"})
        if unknown:
            raise RequestRefused(400, f"{unknown[0]}: not a field of this API")
        return Submission(phone(data, "toNo"), phone(data, "fromNo"), None)

    def accepted(self, entry: "Entry", provider_id: str) -> tuple[int, bytes]:
        """Return the sample response."""
        return 200, ACCEPTED

    def refused(self, status: int, reason: str) -> bytes:
        """Return the body of a refusal."""
        return json.dumps(TEXTS.get(status, {"errors": [{"msg": reason, "code": status}]})).encode()

    def _client_id(self, token: str) -> str:
        """Return the client id in the token, whose signature holds where a secret is configured."""
        client_id = _named(token)
        if self._secrets:
            secret = self._secrets.get(client_id)
            if secret is None:
                raise RequestRefused(401, "unknown appId")
            jwt.decode(token, secret.get_secret_value(), algorithms=ALGORITHMS)
        return client_id


@functools.lru_cache
def _named(token: str) -> str:
    """Return the client id that the token names, whoever signed it. The same token comes time and again."""
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    client_id = claims.get("appId")
    if not isinstance(client_id, str) or not client_id:
        raise RequestRefused(401, "no appId")
    return client_id


def routes(simulation: "Simulation") -> list[Route]:
    """Return Kore.ai's part of the simulator."""
    face = KoreFace(simulation)
    simulation.faces[PROVIDER] = face
    send = functools.partial(simulation.submit, face=face)
    return [Route("/api/public/bot/{bot_id}/outboundsms", send, methods=["POST"])]
