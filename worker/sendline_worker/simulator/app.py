"""The simulator as an ASGI application."""

import contextlib
from typing import TYPE_CHECKING

from starlette.applications import Starlette

from sendline_worker.simulator.control import Control
from sendline_worker.simulator.simulation import Simulation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sendline_worker.simulator.options import SimulatorOptions


def create_app(options: "SimulatorOptions") -> Starlette:
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
    app = Starlette(routes=[*faces, *Control(simulation).routes()], lifespan=lifespan)
    app.state.simulation = simulation
    return app
