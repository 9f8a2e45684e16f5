"""The bare client: it only posts, without any queue, status or retry. The least that calls cost in Python.

    python -m comparison.bare client --url URL --headers JSON --messages 10000

`client` is httpx's client over aiohttp, as its documentation shows it; `transport` is the same transport
without the client; `aiohttp` is aiohttp alone; `wire` is Sendline's own transport.
"""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport, HttpxAiohttpClient

from comparison.work import CONNECTIONS, SENDER, Request, numbered

Post = Callable[[dict[str, str]], Awaitable[int]]

LIMITS: Final = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)


@asynccontextmanager
async def over_client(at: Request) -> AsyncIterator[Post]:
    """Post by httpx's client over aiohttp."""
    async with HttpxAiohttpClient(limits=LIMITS, headers=at.headers, timeout=20) as client:

        async def post(body: dict[str, str]) -> int:
            return (await client.post(at.url, json=body)).status_code

        yield post


@asynccontextmanager
async def over_transport(at: Request) -> AsyncIterator[Post]:
    """Post by httpx's request, response and a transport over aiohttp, without a client."""
    async with AiohttpTransport(limits=LIMITS) as transport:
        yield over(transport, at)


@asynccontextmanager
async def over_wire(at: Request) -> AsyncIterator[Post]:
    """Post by Sendline's transport."""
    from sendline_worker.wire.wire import Wire  # noqa: PLC0415 - the others shall not hold it in memory

    async with Wire(connections=CONNECTIONS) as transport:
        yield over(transport, at)


@asynccontextmanager
async def over_aiohttp(at: Request) -> AsyncIterator[Post]:
    """Post by aiohttp alone."""
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(connector=connector, headers=at.headers) as session:

        async def post(body: dict[str, str]) -> int:
            async with session.post(at.url, data=json.dumps(body).encode()) as answer:
                await answer.read()
                return answer.status

        yield post


def over(transport: httpx.AsyncBaseTransport, at: Request) -> Post:
    """Return how to post by a transport of httpx's."""
    url = httpx.URL(at.url)

    async def post(body: dict[str, str]) -> int:
        content = json.dumps(body).encode()
        request = httpx.Request("POST", url, headers=at.headers, content=content)
        answer = await transport.handle_async_request(request)
        await answer.aread()
        return answer.status_code

    return post


MODES: Final[dict[str, Callable[[Request], Any]]] = {
    "client": over_client,
    "transport": over_transport,
    "aiohttp": over_aiohttp,
    "wire": over_wire,
}


async def post_all(mode: str, at: Request, first: int, messages: int) -> None:
    """Post them, as many at a time as there are connections."""
    waiting: Iterator[tuple[str, str]] = numbered("m", first, messages)

    async def post_some(post: Post) -> None:
        for to, text in waiting:
            status = await post({"from": SENDER, "to": to, "text": text})
            if status != 201:
                raise SystemExit(f"answered {status}")

    async with MODES[mode](at) as post, asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(post_some(post))


def main() -> None:
    """Post, and say when all is done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("--url", required=True)
    parser.add_argument("--headers", type=json.loads, required=True)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--messages", type=int, required=True)
    asked = parser.parse_args()
    asyncio.run(post_all(asked.mode, Request(asked.url, asked.headers), asked.first, asked.messages))
    print("done", flush=True)


if __name__ == "__main__":
    main()
