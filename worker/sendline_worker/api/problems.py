"""What went wrong, as RFC 9457 problem details: one table of kinds, one mapping from Sendline's errors.

No problem repeats what a request said: its texts and numbers are nobody else's.
"""

import dataclasses
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from sendline.contract.errors import (
    CampaignConflict,
    EventsLost,
    IdempotencyConflict,
    InvalidCampaign,
    InvalidMessage,
    LedgerRefused,
    LedgerUnavailable,
    RecipientRefused,
    SendlineError,
    UnknownAccount,
    UnknownCampaign,
    UnknownMessage,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

MEDIA_TYPE: Final = "application/problem+json"
RETRY_SECONDS: Final = 2
"""When to try again what the ledger could not take."""
_URN: Final = "urn:sendline:problem:"
_FIELD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.\[\]-]{0,79}")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem: its last word in `type`, the HTTP status, and what it is in short."""

    slug: str
    status: int
    title: str


KINDS: Final = {
    kind.slug: kind
    for kind in (
        Kind("malformed-request", 400, "The request can't be read"),
        Kind("several-keys", 400, "More than one API key was given"),
        Kind("unauthenticated", 401, "A valid API key is needed"),
        Kind("scope-missing", 403, "The API key may not do this"),
        Kind("sender-not-allowed", 403, "The API key may not use this sender"),
        Kind("not-found", 404, "There is nothing here"),
        Kind("method-not-allowed", 405, "The method is not supported here"),
        Kind("request-too-slow", 408, "The request's body did not come in time"),
        Kind("idempotency-conflict", 409, "The idempotency key was used for something else"),
        Kind("conflict", 409, "This can't be done as things stand"),
        Kind("events-lost", 410, "Events are no longer kept"),
        Kind("body-too-large", 413, "The request's body is too large"),
        Kind("unsupported-media-type", 415, "The request's body is not of a type that is taken"),
        Kind("invalid-request", 422, "Something in the request is wrong"),
        Kind("invalid-message", 422, "A field of the message is wrong"),
        Kind("invalid-campaign", 422, "Something about the campaign is wrong"),
        Kind("idempotency-key-reused", 422, "The idempotency key was used for another request"),
        Kind("rate-limited", 429, "The API key's rate is used up"),
        Kind("head-too-large", 431, "The request has too many or too long headers"),
        Kind("fault", 500, "Something is wrong here"),
        Kind("ledger-unavailable", 503, "The ledger can't be reached"),
        Kind("ledger-refused", 503, "The ledger refuses to serve"),
        Kind("busy", 503, "Too much is asked at once"),
        Kind("no-room", 507, "There is no room on the disk"),
    )
}
"""Every kind there is: docs/api.md lists them, and is tested against this table."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """One field that is wrong, and why."""

    field: str
    detail: str


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong with one request, or with one message of it."""

    kind: Kind
    detail: str
    field: str | None = None
    """The field or header that it is about."""
    errors: tuple[Wrong, ...] = ()
    """Every field that is wrong, where several are."""
    headers: "Mapping[str, str]" = dataclasses.field(default_factory=dict)

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.kind.status

    def to_dict(self) -> dict[str, Any]:
        """Return its members as RFC 9457 names them, and ours."""
        told: dict[str, Any] = {
            "type": _URN + self.kind.slug,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
        }
        if self.field is not None:
            told["field"] = self.field
        if self.errors:
            told["errors"] = [{"field": each.field, "detail": each.detail} for each in self.errors]
        return told

    def body(self) -> bytes:
        """Return it as JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False, separators=(",", ":")).encode()

    def response(self) -> Response:
        """Return the answer that tells it."""
        return Response(self.body(), self.status, dict(self.headers), MEDIA_TYPE)


class ProblemError(HTTPException):
    """Ends a request with a problem. FastAPI passes on what is an HTTPException."""

    def __init__(self, told: Problem) -> None:
        super().__init__(told.status, told.detail, dict(told.headers))
        self.problem = told


def problem(slug: str, detail: str, field: str | None = None, **headers: str) -> Problem:
    """Return a problem of the kind `slug`; `headers` are written with _ for -."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Problem(KINDS[slug], detail, field, headers=named)


def refuse(slug: str, detail: str, field: str | None = None, **headers: str) -> ProblemError:
    """Return the error that ends a request with a problem, to be raised."""
    return ProblemError(problem(slug, detail, field, **headers))


def unknown_message() -> Problem:
    """Return what is told of a message that is not there, and of one that the key may not see."""
    return problem("not-found", "no message with this id is known: mistyped, or past its retention")


def unknown_campaign() -> Problem:
    """Return what is told of a campaign that is not there, and of one that the key may not see."""
    return problem("not-found", "no campaign of this name is known")


def problem_of(error: SendlineError) -> Problem:
    """Return the problem that `error` is to who asked; it quotes nothing of the request."""
    match error:
        case UnknownAccount():
            return problem("invalid-message", "is not the name of a configured account", "account")
        case RecipientRefused():
            return problem("invalid-message", "this installation does not send to this recipient", "to")
        case InvalidMessage():
            return problem("invalid-message", error.problem, field_name(error.field))
        case UnknownCampaign():
            return unknown_campaign()
        case CampaignConflict():
            return problem("conflict", error.problem, field_name(error.field))
        case InvalidCampaign():
            return problem("invalid-campaign", error.problem, field_name(error.field))
        case IdempotencyConflict():
            return problem(
                "idempotency-conflict",
                f"the key was used before for other content, by message {error.message_id}; "
                "use a new key for a new message",
                "idempotency_key",
            )
        case UnknownMessage():
            return unknown_message()
        case EventsLost():
            return problem("events-lost", str(error), "after")
    return _of_the_house(error)


def _of_the_house(error: SendlineError) -> Problem:
    """Return the problem that is not of who asked."""
    if isinstance(error, LedgerUnavailable):
        return problem(
            "ledger-unavailable",
            "it may have been done all the same: with an idempotency key it is safe to try again",
            retry_after=str(RETRY_SECONDS),
        )
    if isinstance(error, LedgerRefused):
        why = "it answers, and does not serve: `sendline check` names the fix"
        return problem("ledger-refused", why, retry_after=str(RETRY_SECONDS))
    return problem("fault", "the request could not be carried out")


def field_name(name: str) -> str:
    """Return a field's name where it looks like one; what else was sent as a name is not repeated."""
    if _FIELD.fullmatch(name):
        return name
    outer = name.partition(".")[0]
    return outer if _FIELD.fullmatch(outer) else "body"
