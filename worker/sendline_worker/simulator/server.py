"""The simulator as a server: uvicorn, on the machine's own address, with one clear line where it can't."""

import contextlib
import gc
from typing import TYPE_CHECKING, Final

import uvicorn

from sendline.contract.errors import ConfigurationError
from sendline_worker import serving
from sendline_worker.simulator.app import create_app
from sendline_worker.simulator.connection import DroppableProtocol

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from sendline_worker.simulator.options import SimulatorOptions
    from sendline_worker.simulator.simulation import Simulation

COLLECTED: Final = (50_000, 20, 1_000)
"""When garbage is collected: seldom all of it, for the log grows, and requests would wait meanwhile."""


class Server(serving.Server):
    """The simulator's server, which lets go of requests that hang before it ends."""

    def __init__(
        self, options: "SimulatorOptions", on_ready: "Callable[[int], None]" = lambda _: None
    ) -> None:
        """Make it; raises ConfigurationError where the log file can't be opened."""
        try:
            app = create_app(options)
        except OSError as error:
            raise ConfigurationError(f"log file {options.log_file}: {error.strerror}") from None
        config = uvicorn.Config(
            app,
            http=DroppableProtocol,
            ws="none",
            access_log=False,
            log_config=None,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        )
        super().__init__(config, on_ready)
        self._simulation: Simulation = app.state.simulation

    async def shutdown(self, sockets: "list[socket.socket] | None" = None) -> None:
        """Let go of requests that hang, then end in order."""
        self._simulation.stopping.set()
        await super().shutdown(sockets)


def serve(options: "SimulatorOptions", *, on_ready: "Callable[[int], None]" = lambda _: None) -> int:
    """Serve until SIGINT or SIGTERM, then return 0. `on_ready` gets the port once it listens.

    Raises ConfigurationError, before anything is started, where it can't listen or can't open its log file.
    """
    return serve_on(options, serving.listening(options.host, options.port), on_ready=on_ready)


def serve_on(
    options: "SimulatorOptions",
    listener: "socket.socket",
    *,
    on_ready: "Callable[[int], None]" = lambda _: None,
) -> int:
    """Do the same on a socket that listens already; close it at the end."""
    gc.freeze()
    gc.set_threshold(*COLLECTED)
    with listener:
        Server(options, on_ready).run(sockets=[listener])
    return 0


@contextlib.contextmanager
def running(options: "SimulatorOptions") -> "Iterator[str]":
    """Serve in a thread of this process for the time of a with block; yields the base URL."""
    with (
        serving.listening(options.host, options.port) as listener,
        serving.running(Server(options), listener) as url,
    ):
        yield url
