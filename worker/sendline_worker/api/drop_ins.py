"""The faces of providers before the API: each in its provider's own shape, over the same accepting."""

from typing import TYPE_CHECKING, Any, ClassVar, Final

from starlette.responses import Response

from sendline.contract.api_key import Scope
from sendline.contract.errors import LedgerError, LedgerUnavailable, SendlineError
from sendline_worker.api import rates
from sendline_worker.api.auth import Caller, Requires
from sendline_worker.api.bodies import demand_json, parse_json
from sendline_worker.api.bounds import exchange_of
from sendline_worker.api.context import context_of
from sendline_worker.api.messages import idempotency_key
from sendline_worker.api.owning import own_message
from sendline_worker.api.problems import Problem, ProblemError, problem_of
from sendline_worker.api.routing import SECURITY, ApiRoute
from sendline_worker.api.routing import router as make_router
from sendline_worker.api.sending import send_one
from sendline_worker.api.still_admitted import body_of
from sendline_worker.providers.drop_in import Refusal
from sendline_worker.providers.registry import drop_in_faces

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fastapi import APIRouter
    from starlette.requests import Request

    from sendline.contract.message import Message
    from sendline_worker.api.context import Context

_SEND, _READ = Requires(Scope.SEND), Requires(Scope.READ)
_OF_THE_MESSAGE: Final = 400
"""Who calls a provider takes 403 for a word about its account; no provider documents 409 and 422."""
_MEANT: Final = (409, 422)


class FaceOfProvider(ApiRoute):
    """A route in a provider's shape, which has a status of its own for what is wrong with a field."""

    names_fields: ClassVar[bool] = False


class Doorkeeper:
    """The house as faces see it."""

    async def send(self, request: "Request", fields_of: "Callable[[Any], Mapping[str, Any]]") -> "Message":
        """Accept the message of a request; raises Refusal."""
        here = context_of(request)
        try:
            caller, fields, key = await _asked(request, here, fields_of)
            message, _ = await send_one(here, request.scope, caller, fields, key)
        except ProblemError as error:
            raise _refusal(error.problem) from None
        except SendlineError as error:
            raise _refusal_of(error) from None
        finally:
            await rates.tell(here, request.scope)
        return message

    async def find(self, request: "Request", message_id: str) -> "Message":
        """Return a message of who asks; raises Refusal."""
        here = context_of(request)
        try:
            caller = await _READ.admit(request.scope, here.keys)
            return await own_message(here, caller, message_id)
        except ProblemError as error:
            raise _refusal(error.problem) from None
        except LedgerError as error:
            raise _refusal(problem_of(error)) from None
        finally:
            await rates.tell(here, request.scope)


async def _asked(
    request: "Request", here: "Context", fields_of: "Callable[[Any], Mapping[str, Any]]"
) -> "tuple[Caller, dict[str, Any], str | None]":
    """Return who asks, for which message, by which idempotency key; raises Refusal, and ProblemError."""
    try:
        caller = await _SEND.admit(request.scope, here.keys)
        demand_json(request.scope["headers"])
        caller, body = await body_of(exchange_of(request.scope), caller, _SEND, here.keys)
    except LedgerError as error:
        raise _refusal(problem_of(error)) from None  # nothing was accepted so far
    return caller, dict(fields_of(parse_json(body))), idempotency_key(request.scope)


def _refusal_of(error: SendlineError) -> Refusal:
    """Return how a message is refused; where it may have been accepted, that is what the status says."""
    if isinstance(error, LedgerUnavailable):
        return Refusal(504, "it may have been accepted all the same")
    return _refusal(problem_of(error))


def _refusal(told: Problem) -> Refusal:
    reason = told.detail if told.field is None else f"{told.field}: {told.detail}"
    is_of_message = told.status in _MEANT or told.kind.slug == "sender-not-allowed"
    return Refusal(_OF_THE_MESSAGE if is_of_message else told.status, reason, told.headers)


def drop_in_router() -> "APIRouter":
    """Return the router of all faces."""
    router = make_router("drop-in", FaceOfProvider)
    house = Doorkeeper()
    for face in drop_in_faces():
        for each in face(house):
            router.add_api_route(
                each.path,
                each.handle,
                methods=[each.method],
                summary=each.summary,
                description=f"{each.summary}, with an API key of Sendline's and in the provider's own shape.",
                operation_id=each.operation_id,
                status_code=int(next(iter(each.responses))),
                response_class=Response,
                responses=dict(each.responses),
                openapi_extra={"security": SECURITY, **each.extra},
            )
    return router
