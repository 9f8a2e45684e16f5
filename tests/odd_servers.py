"""Servers that answer as no Redis should, to see what becomes of those who ask them."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

EVERY = 0.05
"""Seconds between two bytes of one that trickles."""

Behaviour = Callable[[socket.socket, threading.Event], None]


def deaf(connection: socket.socket, over: threading.Event) -> None:
    """Take everything and answer nothing."""
    over.wait()


def trickling(connection: socket.socket, over: threading.Event) -> None:
    """Answer a byte at a time, and never come to an end."""
    connection.sendall(b"+")
    while not over.wait(EVERY):
        connection.sendall(b"O")


def closing_in_the_middle(connection: socket.socket, over: threading.Event) -> None:
    """Begin an answer, and hang up."""
    connection.recv(1)
    connection.sendall(b"$100\r\nabc")


def speaking_http(connection: socket.socket, over: threading.Event) -> None:
    """Answer as a web server does."""
    connection.recv(1)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    over.wait()


def babbling(connection: socket.socket, over: threading.Event) -> None:
    """Answer more than was asked for."""
    connection.recv(1)
    connection.sendall(b"+OK\r\n+OK\r\n")
    over.wait()


def hanging_up(connection: socket.socket, over: threading.Event) -> None:
    """Hang up at once."""


@contextlib.contextmanager
def odd_server(behave: Behaviour) -> Iterator[str]:
    """Serve on 127.0.0.1, each connection in a thread, as `behave` does; yield the URL."""
    over = threading.Event()

    def attend(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            behave(connection, over)

    def listen() -> None:
        with contextlib.suppress(OSError):
            while True:
                thread = threading.Thread(target=attend, args=(listener.accept()[0],), daemon=True)
                thread.start()
                attending.append(thread)

    attending: list[threading.Thread] = []
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    listening = threading.Thread(target=listen, daemon=True)
    listening.start()
    try:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listening.join()
        listener.close()
        for thread in attending:
            thread.join()


@contextlib.contextmanager
def black_hole() -> Iterator[str]:
    """A port whose queue of connections is full: what would connect waits, and is told nothing."""
    with socket.socket() as listener, contextlib.ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        place = listener.getsockname()
        for _ in range(4):
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(place)
        yield f"redis://127.0.0.1:{place[1]}/0"
