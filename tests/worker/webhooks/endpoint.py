"""An endpoint that tests post to, with its behaviour in the test's hand, and a resolver likewise."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp.abc import AbstractResolver, ResolveResult


@dataclass
class Request:
    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Endpoint:
    """A server on a free port of this machine, and what it saw."""

    host: str = "127.0.0.1"
    port: int = 0
    scheme: str = "http"
    connections: int = 0
    requests: list[Request] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return self.at(self.host)

    def at(self, host: str) -> str:
        return f"{self.scheme}://{host}:{self.port}/hook?key=hidden"

    async def read(self, reader: asyncio.StreamReader) -> Request:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {
            line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in head[1:] if line
        }
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        request = Request(head[0], headers, body)
        self.requests.append(request)
        self.asked.set()
        return request


Behaviour = Callable[[Endpoint, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(
    behave: Behaviour, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Endpoint]:
    endpoint = Endpoint(host, scheme="https" if tls else "http")
    tasks = set()

    async def connected(reader, writer):
        endpoint.connections += 1
        tasks.add(asyncio.current_task())
        try:
            await behave(endpoint, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        except asyncio.CancelledError:
            return  # the test is over
        finally:
            writer.close()
        endpoint.hung_up.set()

    listening = await asyncio.start_server(connected, host, port, ssl=tls)
    endpoint.port = listening.sockets[0].getsockname()[1]
    try:
        yield endpoint
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answering(status: str = "200 OK", *headers: str, body: bytes = b"") -> Behaviour:
    """Answer every request of a connection, until it is closed."""
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]

    async def behave(endpoint, reader, writer):
        while True:
            await endpoint.read(reader)
            writer.write("\r\n".join(lines).encode() + body)
            await writer.drain()

    return behave


def then_closing(*parts: bytes) -> Behaviour:
    async def behave(endpoint, reader, writer):
        await endpoint.read(reader)
        writer.writelines(parts)
        await writer.drain()

    return behave


async def never_answer(endpoint, reader, writer):
    await endpoint.read(reader)
    await reader.read()


class Answers(AbstractResolver):
    """Answers each look-up with the next of `answers`, the last one for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.closed = False

    async def resolve(self, host, port=0, family=socket.AF_INET):
        self.asked.append(host)
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            ResolveResult(hostname=host, host=each, port=port, family=0, proto=0, flags=0) for each in found
        ]

    async def close(self):
        self.closed = True
