"""Whether what reads many rows shall go on: asked between two of them, by threads that can't be canceled."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_stop: ContextVar[threading.Event | None] = ContextVar("sendline_stop", default=None)


class Stopped(Exception):
    """Nobody waits for the result any more."""


@contextmanager
def heeding(stop: threading.Event) -> Iterator[None]:
    """Let heed() end what is done within the block, in this context, once `stop` is set."""
    token = _stop.set(stop)
    try:
        yield
    finally:
        _stop.reset(token)


def heed() -> None:
    """Raise Stopped where nobody waits for the result any more."""
    stop = _stop.get()
    if stop is not None and stop.is_set():
        raise Stopped
