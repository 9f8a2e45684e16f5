"""The API as a server: uvicorn, loopback unless told otherwise, behind whatever ends TLS."""

import gc
from typing import TYPE_CHECKING, Final

import uvicorn

from sendline_worker.api.app import create_app
from sendline_worker.api.protocol import ApiProtocol
from sendline_worker.serving import BACKLOG, Server, listening

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from starlette.types import ASGIApp

    from sendline.settings import Settings
    from sendline_worker.api.app import Api

KEEP_ALIVE: Final = 75
"""Seconds for which an idle connection is kept: longer than proxies keep theirs, so that they close first."""
OBJECTS: Final = 10_000
"""New ones, until garbage is looked for: requests leave none behind, and some hundred may wait at a time."""
STOP_SECONDS: Final = 12
"""How long requests that were begun may take to end: longer than accepting may take."""


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
        return _serve(app, listener, on_ready)


def serve_on(
    settings: "Settings", listener: "socket.socket", *, on_ready: "Callable[[int], None]" = lambda _: None
) -> int:
    """Do the same on a socket that listens already; close it at the end."""
    with listener:
        return _serve(create_app(settings), listener, on_ready)


def _serve(app: "Api", listener: "socket.socket", on_ready: "Callable[[int], None]") -> int:
    gc.freeze()  # what is there now stays: no collection need look at it again
    gc.set_threshold(OBJECTS)
    server_of(app, on_ready).run(sockets=[listener])
    return 0


def server_of(app: "Api", on_ready: "Callable[[int], None]" = lambda _: None) -> Server:
    """Return the server of `app`."""
    return Server(configuration(app), on_ready, app.ending.set)


def configuration(app: "ASGIApp") -> uvicorn.Config:
    """Return how uvicorn shall serve `app`."""
    return uvicorn.Config(
        app,
        http=ApiProtocol,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
