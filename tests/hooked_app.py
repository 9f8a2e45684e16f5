"""An app that is told by webhooks: a real server, which records what it hears, and misbehaves when asked."""

import contextlib
import json
import socket
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Literal, Self

from standardwebhooks import Webhook

from sendline import Event
from sendline_worker.webhooks import backoff
from sendline_worker.webhooks.teller import Teller

if TYPE_CHECKING:
    from sendline.settings import Settings

Answer = Literal["take", "fail", "hang", "reset", "gone", "slow"]
STATUSES: dict[Answer, int] = {"take": 200, "slow": 204, "fail": 500, "gone": 410}
SECRETS = ("whsec_" + "A" * 43 + "=", "whsec_" + "B" * 42 + "A=")
SLOW = 0.2
"""Seconds that a slow answer takes."""
WITHIN = 1.0
"""Seconds that a hurried teller gives to a call."""
LEASE = 3.0
"""Seconds for which a hurried teller claims a parcel: longer than a call and the notices begun before it."""


def hurry(patch: Callable[[Any, str, Any], None] = setattr) -> None:
    """Let tellers of this process wait for less; `patch` is called as setattr is."""
    ordinary = backoff.seconds
    patch(backoff, "seconds", lambda *given: ordinary(*given) / 100)
    patch(Teller, "lease", LEASE)
    patch(Teller, "carried_for", LEASE / 2)
    patch(Teller, "call_within", WITHIN)


def hurried_worker(settings: "Settings", *, on_ready: Callable[..., None]) -> int:
    """Run a worker whose teller waits for less."""
    hurry()
    from sendline_worker.stack.targets import worker

    return worker(settings, on_ready=on_ready)


@dataclass
class Call:
    """One webhook that arrived."""

    id: str
    headers: dict[str, str]
    raw: bytes
    at: float
    answered: int | None = None
    """The status of the answer, once it was sent."""

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    @property
    def message_id(self) -> str:
        return self.body["data"]["id"]

    def verify(self, secret: str) -> None:
        """Raise where the public library does not believe it."""
        Webhook(secret).verify(self.raw, self.headers)


@dataclass
class HookedApp:
    """A context manager: a server at `url`. `behave` says what becomes of each call; it may be replaced."""

    behave: Callable[[Call], Answer] = lambda _: "take"
    calls: list[Call] = field(default_factory=list)
    """In the order in which they arrived."""
    connections: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._sockets: set[socket.socket] = set()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook?key=hidden"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self.release()
        with self._lock:
            for each in self._sockets:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        self._server.server_close()

    @property
    def taken(self) -> list[Call]:
        """The calls that were answered 2xx, in the order of their arrival."""
        return [each for each in list(self.calls) if each.answered in (200, 204)]

    def release(self) -> None:
        """Let the calls that hang now, and those that would, be cut off."""
        self._over.set()

    def hears(self, call: Call) -> Answer:
        with self._lock:
            self.calls.append(call)
            return self.behave(call)

    def meet(self, connection: socket.socket) -> None:
        with self._lock:
            self.connections += 1
            self._sockets.add(connection)

    def part(self, connection: socket.socket) -> None:
        with self._lock:
            self._sockets.discard(connection)

    def hang(self, connection: socket.socket) -> None:
        """Return when the caller has hung up, or all are released."""
        connection.settimeout(0.02)
        while not self._over.is_set():
            try:
                if connection.recv(1) == b"":
                    return
            except TimeoutError:
                continue
            except OSError:
                return


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 100

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: callers are killed, and cut off."""


def _handler(app: HookedApp) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            app.meet(self.connection)

        def finish(self) -> None:
            app.part(self.connection)
            super().finish()

        def do_POST(self) -> None:
            at = time.monotonic()
            raw = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            call = Call(headers["webhook-id"], headers, raw, at)
            answer = app.hears(call)
            if answer == "reset":
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.close_connection = True
            elif answer == "hang":
                app.hang(self.connection)
                self.close_connection = True
            else:
                if answer == "slow":
                    app._over.wait(SLOW)
                self._answer(call, STATUSES[answer])

        def _answer(self, call: Call, status: int) -> None:
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()
            self.wfile.flush()
            call.answered = status

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def told(calls: Iterable[Call]) -> dict[str, list[tuple[int, str]]]:
    """What an app knows of each message: number and status of each event, by its first arrival in `calls`."""
    known: dict[str, dict[str, tuple[int, str]]] = defaultdict(dict)
    for call in calls:
        number = int(call.id.split("_")[2], 16)
        known[call.message_id].setdefault(call.id, (number, call.body["data"]["status"]))
    return {message: list(events.values()) for message, events in known.items()}


def happened(events: Iterable[Event]) -> dict[str, list[tuple[int, str]]]:
    """What happened to each message, as `told` has it."""
    history: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for event in events:
        history[event.message_id].append((event.seq, str(event.status)))
    return dict(history)
