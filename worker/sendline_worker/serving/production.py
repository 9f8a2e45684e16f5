"""How the servers that face providers and apps are run: settings, and when garbage is looked for."""

import gc
from typing import TYPE_CHECKING, Final

import uvicorn

from sendline_worker.serving.server import BACKLOG

if TYPE_CHECKING:
    import asyncio
    import socket

    from starlette.types import ASGIApp

    from sendline_worker.serving.server import Server

KEEP_ALIVE: Final = 75
"""Seconds for which an idle connection is kept: longer than proxies keep theirs, so that they close first."""
OBJECTS: Final = 10_000
"""New ones, until garbage is looked for: requests leave none behind, and some hundred may wait at a time."""
STOP_SECONDS: Final = 12
"""How long requests that were begun may take to end: longer than a request may take."""


def configuration(
    app: "ASGIApp", protocol: "type[asyncio.Protocol]", *, connections: int | None = None
) -> uvicorn.Config:
    """Return how uvicorn shall serve `app`; what comes beyond `connections` at a time is answered 503."""
    return uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=connections,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=STOP_SECONDS,
    )


def run(server: "Server", listener: "socket.socket") -> int:
    """Serve until SIGINT or SIGTERM, finish what was begun, and return 0. For a process of its own."""
    gc.freeze()  # what is there now stays: no collection need look at it again
    gc.set_threshold(OBJECTS)
    server.run(sockets=[listener])
    return 0
