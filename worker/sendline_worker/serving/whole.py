"""What our servers do beyond ASGI: a body that came whole, and its answer, pass in one piece.

By ASGI alone they cost a request a timer, some waiting for nothing, and a second write to its socket.
Nothing depends on it: what does not come whole goes by ASGI.
"""

from typing import TYPE_CHECKING, Any, Final
from weakref import ref

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from sendline_worker.serving.bounded import BoundedProtocol

if TYPE_CHECKING:
    from starlette.types import Scope

_CYCLE: Final = "sendline.cycle"
"""In the scope of a request of which nothing is still to come: how the server answers it."""


class WholeProtocol(BoundedProtocol):
    """The server's HTTP protocol, which tells the application that all of a request has come."""

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
    own = [b"%b: %b\r\n" % header for header in cycle.default_headers]
    cycle.response_started = cycle.response_complete = True
    cycle.transport.write(b"".join([STATUS_LINE[status], *own, rest]))
    cycle.message_event.set()
    cycle.on_response()
    return True


def abort(scope: "Scope") -> None:
    """Drop the connection, with what its client did not take."""
    cycle = _cycle(scope)
    if cycle is not None:
        cycle.response_complete = True
        cycle.transport.abort()


def _cycle(scope: "Scope") -> Any:
    return scope[_CYCLE]() if _CYCLE in scope else None
