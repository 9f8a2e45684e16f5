"""The API as a server: uvicorn, loopback unless told otherwise, behind whatever ends TLS."""

from typing import TYPE_CHECKING

from sendline_worker.api.app import create_app
from sendline_worker.api.protocol import ApiProtocol
from sendline_worker.serving import Server, configuration, listening, run

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from sendline.settings import Settings
    from sendline_worker.api.app import Api


def serve(
    settings: "Settings",
    *,
    host: str | None = None,
    port: int | None = None,
    on_ready: "Callable[[int], None]" = lambda _: None,
) -> int:
    """Serve until SIGINT or SIGTERM, finish what was begun, and return 0.

    `host` and `port` are the settings' where None; `on_ready` gets the port once it listens. Raises
    ConfigurationError before anything is started.
    """
    app = create_app(settings)
    host = settings.api_host if host is None else host
    with listening(host, settings.api_port if port is None else port) as listener:
        return run(server_of(app, on_ready), listener)


def serve_on(
    settings: "Settings", listener: "socket.socket", *, on_ready: "Callable[[int], None]" = lambda _: None
) -> int:
    """Do the same on a socket that listens already; close it at the end."""
    with listener:
        return run(server_of(create_app(settings), on_ready), listener)


def server_of(app: "Api", on_ready: "Callable[[int], None]" = lambda _: None) -> Server:
    """Return the server of `app`."""
    return Server(configuration(app, ApiProtocol), on_ready, app.ending.set)
