"""The simulator as a server: uvicorn, on the machine's own address, with one clear line where it can't."""

import contextlib
import errno
import signal
import socket
import threading
from typing import TYPE_CHECKING

import uvicorn

from sendline.contract.errors import ConfigurationError
from sendline_worker.simulator.app import create_app
from sendline_worker.simulator.connection import DroppableProtocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from sendline_worker.simulator.options import SimulatorOptions
    from sendline_worker.simulator.simulation import Simulation

BACKLOG = 2048


class Server(uvicorn.Server):
    """uvicorn's server, which says when it listens and ends by a signal without raising it again."""

    def __init__(self, options: "SimulatorOptions", on_ready: "Callable[[int], None]") -> None:
        try:
            app = create_app(options)
        except OSError as error:
            raise ConfigurationError(f"log file {options.log_file}: {error.strerror}") from None
        super().__init__(
            uvicorn.Config(
                app,
                http=DroppableProtocol,
                ws="none",
                access_log=False,
                log_config=None,
                server_header=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=1,
            )
        )
        self._simulation: Simulation = app.state.simulation
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        if sockets:
            self._on_ready(sockets[0].getsockname()[1])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let go of requests that hang, then end in order."""
        self._simulation.stopping.set()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> "Iterator[None]":
        """End in order on SIGINT and SIGTERM, where this is the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def end(_number: int, _frame: "FrameType | None") -> None:
            self.should_exit = True

        before = {each: signal.signal(each, end) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


def serve(options: "SimulatorOptions", *, on_ready: "Callable[[int], None]" = lambda _: None) -> int:
    """Serve until SIGINT or SIGTERM, then return 0. `on_ready` gets the port once it listens.

    Raises ConfigurationError, before anything is started, where it can't listen or can't open its log file.
    """
    with listening(options.host, options.port) as listener:
        Server(options, on_ready).run(sockets=[listener])
    return 0


@contextlib.contextmanager
def running(options: "SimulatorOptions") -> "Iterator[str]":
    """Serve in a thread of this process for the time of a with block; yields the base URL."""
    ready = threading.Event()
    with listening(options.host, options.port) as listener:
        server = Server(options, lambda _: ready.set())
        port = listener.getsockname()[1]
        thread = threading.Thread(target=server.run, args=([listener],), name="simulator", daemon=True)
        thread.start()
        try:
            if not ready.wait(10):
                raise TimeoutError("the simulator did not start within 10 s")
            host = f"[{options.host}]" if ":" in options.host else options.host
            yield f"http://{host}:{port}"
        finally:
            server.should_exit = True
            thread.join(10)


def listening(host: str, port: int) -> socket.socket:
    """Return a listening socket; raises ConfigurationError with the fix."""
    if port not in range(65536):
        raise ConfigurationError(f"port {port} does not exist: choose one from 1 to 65535")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            line = f"port {port} on {host} is taken: choose another with --port"
        else:
            why = error.strerror or "unknown host"
            line = f"port {port} on {host} can't be used ({why}): choose another with --port or --host"
        raise ConfigurationError(line) from None
