"""A real callback server, and a caller of the simulator's faces that keeps what came back."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

KEY = "key-of-the-account"
SENDER = "+13115552368"
ORDINARY = "+13115552367"


class Callbacks:
    """Takes receipts at `url`; answers with the statuses in `answers`, then with 204."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.bodies: list[dict[str, Any]] = []
        self.answers: list[int] = []
        self.changed = threading.Condition()

    def take(self, path: str, body: bytes) -> int:
        with self.changed:
            self.bodies.append({"path": path, **json.loads(body)})
            self.changed.notify_all()
            return self.answers.pop(0) if self.answers else 204

    def wait_for(self, number: int, seconds: float = 10) -> list[dict[str, Any]]:
        return self.wait(lambda bodies: len(bodies) >= number, seconds)

    def wait(self, enough: Callable[[list], bool], seconds: float = 10) -> list[dict[str, Any]]:
        with self.changed:
            assert self.changed.wait_for(lambda: enough(self.bodies), seconds), len(self.bodies)
            return list(self.bodies)


@contextmanager
def callback_server() -> Iterator[Callbacks]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            self.send_response(callbacks.take(self.path, body))
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        callbacks = Callbacks(f"http://127.0.0.1:{server.server_address[1]}/receipts")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield callbacks
        finally:
            server.shutdown()
            thread.join()


def send(
    base_url: str, to: str = ORDINARY, *, text: str = "Hello, world!", timeout: float = 10, **more: Any
) -> httpx.Response:
    """Send one message as OpenTact's generation C takes it."""
    body = {"from": SENDER, "to": to, "text": text, **more}
    headers = {"authorization": f"Bearer {KEY}"}
    return httpx.post(f"{base_url}/sms/o", json=body, headers=headers, timeout=timeout, trust_env=False)


def raw(base_url: str, body: bytes, *, length: int | None = None) -> bytes:
    """Write a request by hand and read until the end; a TCP reset raises ConnectionResetError."""
    url = httpx.URL(base_url)
    size = len(body) if length is None else length
    head = (
        f"POST /sms/o HTTP/1.1\r\nHost: {url.host}\r\nAuthorization: Bearer {KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
    )
    answer = b""
    with socket.create_connection((url.host, url.port or 80), timeout=10) as connection:
        connection.sendall(head.encode() + body)
        while part := connection.recv(65536):
            answer += part
    return answer


def message_body(to: str) -> bytes:
    return json.dumps({"from": SENDER, "to": to, "text": "Hello, world!"}).encode()
