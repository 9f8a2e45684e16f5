"""What our servers do beyond ASGI: a body that came whole, and its answer, pass in one piece.

By ASGI alone they cost a request a task, a timer, some waiting for nothing, and a second write to its socket.
Nothing depends on it: what does not come whole goes by ASGI.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final, Protocol
from weakref import ref

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from sendline_worker.serving.bounded import BoundedProtocol

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Scope

GoOn = Callable[["ASGIApp"], None]
"""Lets an application carry on with a request, in a task of its own; to be called once at most."""

_CYCLE: Final = "sendline.cycle"
"""In the scope of a request of which nothing is still to come: how the server answers it."""


class Beginner(Protocol):
    """An application that needs no task for most requests that come whole."""

    def begin(self, scope: "Scope", go_on: GoOn) -> None:
        """Begin with a request that is whole; later, `write_answer` ends it, or `go_on` has it carried on."""
        ...


class WholeProtocol(BoundedProtocol):
    """The server's HTTP protocol, which tells the application that all of a request has come.

    An application that is a Beginner is not run until what was read is parsed: then it is mostly whole.
    """

    _held: tuple[Any, Any] | None = None
    """A request that waits for that, and who serves it."""

    def data_received(self, data: bytes) -> None:
        """Take in what was read, and begin with the request that it may have begun."""
        super().data_received(data)
        if self._held is None:
            return
        (cycle, app), self._held = self._held, None
        go_on = partial(super()._start_asgi_task, cycle)
        if _CYCLE in cycle.scope:
            app.begin(cycle.scope, go_on)
        else:
            go_on(app)

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if self._read and hasattr(app, "begin"):  # else it waited in the pipeline, and came long ago
            self._running, self._held = cycle, (cycle, app)
        else:
            super()._start_asgi_task(cycle, app)

    def on_message_complete(self) -> None:
        """End a request."""
        super().on_message_complete()
        if self.is_offer():
            return
        scope: Any = self.scope
        scope[_CYCLE] = ref(self.cycle)  # which holds the scope: both shall go without a garbage collection


def whole_body(scope: "Scope") -> bytes | None:
    """Return the body, unread so far; None where it has not come whole, or its sender is gone."""
    cycle = _cycle(scope)
    return None if cycle is None or cycle.disconnected else bytes(cycle.body)


def write_answer(scope: "Scope", status: int, rest: bytes) -> bool:
    """Answer with `rest`, the headers and the body as they go over the wire; False where ASGI must do it.

    By ASGI it would be two writes, its headers checked one by one.
    """
    cycle = _cycle(scope)
    if cycle is None or cycle.response_started or cycle.disconnected:
        return False
    if not cycle.keep_alive or cycle.flow.write_paused:
        return False
    cycle.response_started = cycle.response_complete = True
    cycle.transport.write(_begin(status, tuple(cycle.default_headers)) + rest)
    cycle.message_event.set()
    cycle.on_response()
    cycle.on_response = _nothing  # it holds the connection, which holds the cycle
    return True


def abort(scope: "Scope") -> None:
    """Drop the connection, with what its client did not take."""
    cycle = _cycle(scope)
    if cycle is not None:
        cycle.response_complete = True
        cycle.transport.abort()


def _cycle(scope: "Scope") -> Any:
    return scope[_CYCLE]() if _CYCLE in scope else None


@lru_cache(maxsize=32)
def _begin(status: int, headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """Return how answers begin; they change with the date, once a second."""
    return b"".join([STATUS_LINE[status], *(b"%b: %b\r\n" % each for each in headers)])


def _nothing() -> None:
    pass
