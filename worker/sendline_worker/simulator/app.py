"""The simulator as an ASGI application."""

import contextlib
import functools
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Match, Route

from sendline_worker.simulator.control import Control
from sendline_worker.simulator.simulation import Simulation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from starlette.responses import Response
    from starlette.types import Lifespan, Receive, Scope, Send

    from sendline_worker.simulator.options import SimulatorOptions

    Endpoint = Callable[[Request], Awaitable[Response]]


class Simulator(Starlette):
    """Starlette, but a provider's requests go straight to their endpoints: routing costs more than those."""

    def __init__(
        self, faces: "Sequence[Route]", others: "Sequence[Route]", lifespan: "Lifespan[Simulator]"
    ) -> None:
        super().__init__(routes=[*faces, *others], lifespan=lifespan)
        self._found = functools.lru_cache(functools.partial(_found, faces))

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Serve the providers' faces, and leave the rest to Starlette."""
        found = self._found(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if found is None:
            return await super().__call__(scope, receive, send)
        endpoint, scope["path_params"] = found
        answer = await endpoint(Request(scope, receive))
        return await answer(scope, receive, send)


def _found(faces: "Sequence[Route]", method: str, path: str) -> "tuple[Endpoint, dict[str, Any]] | None":
    """Return the endpoint for a request, and what its path holds; None where it is no provider's."""
    for route in faces:
        match, found = route.matches({"type": "http", "method": method, "path": path})
        if match is Match.FULL:
            return route.endpoint, found["path_params"]
    return None


def create_app(options: "SimulatorOptions") -> Simulator:
    """Return the application; serve it with `sendline_worker.simulator.server`, which can drop connections.

    Its `state.simulation` is the Simulation. Raises OSError where the log file can't be opened.
    """
    from sendline_worker.providers.registry import simulated_faces  # the faces import us  # noqa: PLC0415

    simulation = Simulation(options)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> "AsyncIterator[None]":
        await simulation.receipts.start()
        try:
            yield
        finally:
            await simulation.receipts.stop()
            simulation.log.close()

    faces = [route for routes in simulated_faces() for route in routes(simulation)]
    app = Simulator(faces, Control(simulation).routes(), lifespan)
    app.state.simulation = simulation
    return app
