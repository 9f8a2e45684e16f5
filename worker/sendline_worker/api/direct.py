"""The straight way for what is asked most: POST /v1/messages.

FastAPI's routing and dependencies cost several times what accepting a message does. The same functions check,
accept and answer on both ways. The route is there for the document; whatever else is asked goes by FastAPI.
"""

from typing import TYPE_CHECKING, Final

from starlette.requests import ClientDisconnect

from sendline.contract.api_key import Scope as KeyScope
from sendline.contract.errors import SendlineError
from sendline_worker.api import messages, rates
from sendline_worker.api.auth import Requires
from sendline_worker.api.bodies import demand_json
from sendline_worker.api.problems import ProblemError, problem_of
from sendline_worker.api.still_admitted import body_of
from sendline_worker.serving import write_answer

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import Scope

    from sendline_worker.api.bounds import Exchange
    from sendline_worker.api.context import Context

_GATE: Final = Requires(KeyScope.SEND)


def is_direct(scope: "Scope") -> bool:
    """Return whether a request goes the straight way."""
    return bool(scope["path"] == messages.PATH and scope["method"] == "POST")


async def serve(exchange: "Exchange") -> None:
    """Answer a request; raises nothing that a client can cause."""
    scope = exchange.scope
    scope["route"] = messages.ROUTE
    context: Context = scope["state"]["context"]
    try:
        response = await _answer(context, exchange)
    except ClientDisconnect:
        return
    await rates.tell(context, scope)
    headers = [*response.raw_headers, *exchange.headers]
    lines = b"".join([b"%b: %b\r\n" % header for header in headers])
    if write_answer(scope, response.status_code, b"".join((lines, b"\r\n", response.body))):
        exchange.status = response.status_code
    else:
        await response(scope, exchange.receive, exchange.send)


async def _answer(context: "Context", exchange: "Exchange") -> "Response":
    try:
        caller = await _GATE.admit(exchange.scope, context.keys)
        demand_json(exchange.scope["headers"])
        caller, body = await body_of(exchange, caller, _GATE, context.keys)
        return await messages.answer(context, exchange.scope, caller, body)
    except ProblemError as error:
        return error.problem.response()
    except SendlineError as error:
        return problem_of(error).response()
