"""The API's HTTP protocol: what the server itself refuses is told as a problem, too."""

from typing import TYPE_CHECKING, Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from sendline_worker.api.problems import MEDIA_TYPE, Problem, problem
from sendline_worker.serving import WholeProtocol
from sendline_worker.serving.bounded import TooManyHeaders

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

CONNECTIONS: Final = 1000
"""At the same time; what comes beyond is answered 503."""
UPLOAD_MOST: Final = 2 * 1024**3
"""Bytes of a request on the wire, chunk sizes and trailers included; routes have bounds of their own."""


class ApiProtocol(WholeProtocol):
    """The server's protocol, whose refusals are problems."""

    request_bytes: ClassVar[int] = UPLOAD_MOST
    _refused: Problem | None = None

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._served = self.app

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take in a header."""
        try:
            super().on_header(name, value)
        except TooManyHeaders:
            self._refused = self._head_too_large()
            raise

    def on_headers_complete(self) -> None:
        """End the head of a request: it is served, unless there are too many."""
        self.app = _busy if len(self.connections) > CONNECTIONS else self._served
        super().on_headers_complete()

    def head_too_long(self) -> None:
        """Refuse a head that is too long."""
        self._write(self._head_too_large())

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, or has too many headers."""
        self._write(self._refused or problem("malformed-request", "this is not HTTP as we know it"))

    def _head_too_large(self) -> Problem:
        return problem(
            "head-too-large", f"at most {self.headers_most} headers, of {self.head_bytes} bytes together"
        )

    def _write(self, told: Problem) -> None:
        if not self.may_refuse():
            self.transport.close()
            return
        body = told.body()
        head = f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(b"".join([STATUS_LINE[told.status], head.encode(), body]))
        self.transport.close()


async def _busy(_scope: "Scope", _receive: "Receive", send: "Send") -> None:
    told = problem("busy", "too many connections at once", retry_after="1")
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(told.body())).encode()),
        (b"retry-after", b"1"),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": told.status, "headers": headers})
    await send({"type": "http.response.body", "body": told.body()})
