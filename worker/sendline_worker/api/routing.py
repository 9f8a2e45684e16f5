"""The routes of the API: who asks is known before a body is read; bodies are clear; answers documented."""

from typing import TYPE_CHECKING, Any, ClassVar, Final

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute

from sendline_worker.api import rates
from sendline_worker.api.auth import Requires
from sendline_worker.api.bodies import demand_json, parse_json
from sendline_worker.api.bounds import BODY_MOST, BODY_SECONDS, exchange_of
from sendline_worker.api.context import context_of
from sendline_worker.api.documented import answers
from sendline_worker.serving import whole_body

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from starlette.responses import Response

SECURITY: Final[list[dict[str, list[str]]]] = [{"Bearer": []}, {"X-API-Key": []}]
NO_CONTENT: Final = 204
_ALWAYS: Final = (400, 431, 503)
"""What every route may answer."""
_GATED: Final = (401, 403)
_WITH_BODY: Final = (408, 413, 415)


class StrictRequest(Request):
    """A request whose body is read as clear JSON only."""

    async def json(self) -> Any:
        """Return the body as JSON; raises ProblemError."""
        if not hasattr(self, "_json"):
            self._json = parse_json(await self.body())
        return self._json


class ApiRoute(APIRoute):
    """A route of the API.

    A parameter of the type `Sending`, `Reading` or `Admin` says who may ask. What every such route may answer
    is documented by itself; `responses` adds its own.
    """

    body_most: ClassVar[int] = BODY_MOST
    """Bytes of a body; a subclass may take more."""
    body_seconds: ClassVar[float] = BODY_SECONDS
    """How long a body may take."""
    names_fields: ClassVar[bool] = True
    """Whether what is wrong with a field is answered by 422."""

    def __init__(self, path: str, endpoint: "Callable[..., Any]", **named: Any) -> None:
        if named.get("status_code") == NO_CONTENT:
            named["response_model"] = None  # whatever its endpoint is said to return
        super().__init__(path, endpoint, **named)
        self.responses = {**answers(*self._usual()), **self.responses}
        if self._gate() is not None:
            self.openapi_extra = {"security": SECURITY, **(self.openapi_extra or {})}

    def _gate(self) -> Requires | None:
        return next(
            (each.call for each in self.dependant.dependencies if isinstance(each.call, Requires)), None
        )

    def _usual(self) -> list[int]:
        asks = self.dependant
        documented = (self.openapi_extra or {}).get("requestBody")
        with_body = self.body_field is not None or documented is not None
        with_fields = with_body or asks.path_params or asks.query_params or asks.header_params
        return [
            *_ALWAYS,
            *(_GATED if self._gate() else ()),
            *(_WITH_BODY if with_body else ()),
            *((422,) if with_fields and self.names_fields else ()),
        ]

    def get_route_handler(self) -> "Callable[[Request], Coroutine[Any, Any, Response]]":
        """Return how a request is handled."""
        gate, takes_json = self._gate(), self.body_field is not None
        handle = super().get_route_handler()

        async def guarded(request: Request) -> "Response":
            exchange = exchange_of(request.scope)
            exchange.most, exchange.seconds = self.body_most, self.body_seconds
            strict = StrictRequest(request.scope, request.receive)
            if gate is not None:
                await gate.admit(request.scope, context_of(request).keys)
            if takes_json:
                demand_json(request.scope["headers"])
            if gate is not None and takes_json and whole_body(request.scope) is None:
                await strict.body()
                await gate.admit(request.scope, context_of(request).keys)  # it may be revoked meanwhile
            return await handle(strict)

        async def told(request: Request) -> "Response":
            try:
                return await guarded(request)
            finally:
                await rates.tell(context_of(request), request.scope)

        return guarded if gate is None else told


def router(tag: str, route_class: type[ApiRoute] = ApiRoute) -> APIRouter:
    """Return a router of the API; `tag` is its chapter in the documentation."""
    return APIRouter(route_class=route_class, tags=[tag], redirect_slashes=False)
