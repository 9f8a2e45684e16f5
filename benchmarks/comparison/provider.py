"""A provider that answers every POST after a while, and costs as little as one in Python can.

    python -m comparison.provider --delay 0.05

It logs when each request had arrived, by the machine's monotonic clock, which all processes share. It prints
its port, and ends at SIGTERM. Anything but a POST is a question: /count, /distinct, /reset, /arrivals/MARK.
"""

import argparse
import asyncio
import gc
import json
import time
from functools import partial
from typing import Any, Final

import uvloop

LENGTH: Final = b"content-length:"
HEAD: Final = b"HTTP/1.1 %d OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
ACCEPTED: Final = '{"success":true,"payload":{"uuid":"%08x-0000-4000-8000-%012x"}}'


class Log:
    """All that arrived: when, and what was said."""

    def __init__(self) -> None:
        self.entries: list[tuple[float, bytes]] = []

    def answer(self, question: str) -> Any:
        """Answer what is asked beside the work."""
        if question == "/reset":
            self.entries = []
        if question == "/distinct":
            return len({body for _, body in self.entries})
        if question.startswith("/arrivals/"):
            mark = b'"' + question.rpartition("/")[2].encode()
            found = ((json.loads(body)["text"], at) for at, body in self.entries if mark in body)
            return [[" ".join(text.split(" ")[:2]), at] for text, at in found]
        return len(self.entries)


class Exchange(asyncio.Protocol):
    """One connection: a request at a time."""

    def __init__(self, log: Log, delay: float) -> None:
        self._log = log
        self._delay = delay
        self._loop = asyncio.get_running_loop()
        self._got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._got += data
        end = self._got.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._got[:end].lower()
        place = head.find(LENGTH)
        length = int(head[place + len(LENGTH) :].split(b"\r\n", 1)[0]) if place >= 0 else 0
        if len(self._got) < end + 4 + length:
            return
        body, self._got = self._got[end + 4 :], b""
        if head.startswith(b"post"):
            self._take(body)
        else:
            told = json.dumps(self._log.answer(head.split(b" ", 2)[1].decode())).encode()
            self._transport.write(HEAD % (200, len(told), told))

    def _take(self, body: bytes) -> None:
        entries = self._log.entries
        entries.append((time.monotonic(), body))
        number = len(entries)
        told = (ACCEPTED % (number, number)).encode()
        self._loop.call_later(self._delay, self._transport.write, HEAD % (201, len(told), told))


async def serve(delay: float) -> None:
    """Serve until the process is ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(partial(Exchange, Log(), delay), "127.0.0.1", 0, backlog=4096)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delay", type=float, default=0.05, help="seconds before each answer [0.05]")
    gc.disable()  # the log only grows
    uvloop.run(serve(parser.parse_args().delay))
