"""Our HTTP servers: a port of their own or one clear line, and an orderly end."""

import asyncio
import contextlib
import errno
import signal
import socket
import threading
from typing import TYPE_CHECKING, Final

import uvicorn

from sendline.contract.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

BACKLOG: Final = 2048
PORTS: Final = range(65536)
START_SECONDS: Final = 10.0


class Server(uvicorn.Server):
    """uvicorn's server, which says when it listens and ends by a signal without raising it again."""

    def __init__(
        self,
        config: uvicorn.Config,
        on_ready: "Callable[[int], None]" = lambda _: None,
        on_end: "Callable[[], None]" = lambda: None,
    ) -> None:
        """`on_ready` gets the port once it listens; `on_end` is called before it waits for what was begun."""
        super().__init__(config)
        self._on_ready = on_ready
        self._on_end = on_end
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        self.ready.set()
        if sockets:
            self._on_ready(sockets[0].getsockname()[1])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Say so, then end. Connections whose other side takes nothing any more are cut."""
        self._on_end()
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()
        await asyncio.sleep(0)  # what was cut is closed

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


@contextlib.contextmanager
def running(server: Server, listener: socket.socket) -> "Iterator[str]":
    """Serve in a thread of this process for the time of a with block; yields the base URL."""
    thread = threading.Thread(target=server.run, args=([listener],), name="serving", daemon=True)
    thread.start()
    try:
        if not server.ready.wait(START_SECONDS):
            raise TimeoutError(f"the server did not start within {START_SECONDS:g} s")
        yield base_url(listener)
    finally:
        server.should_exit = True
        thread.join()


def base_url(listener: socket.socket) -> str:
    """Return the http URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def listening(host: str, port: int) -> socket.socket:
    """Return a listening socket; raises ConfigurationError with the fix. Port 0 takes a free one."""
    if port not in PORTS:
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
