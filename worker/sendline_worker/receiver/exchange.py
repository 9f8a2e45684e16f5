"""The two ends of a request: its body, read up to a bound, and an answer of a few bytes."""

import asyncio
import contextlib
import functools
import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from starlette.requests import ClientDisconnect

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

OK: Final = 200
BODY_MOST: Final = 256 * 1024
"""Bytes of a body; the documented receipts have less than 4 KiB."""
LINGER_MOST: Final = 1024 * 1024
LINGER_SECONDS: Final = 1.0
"""How much of a refused body, and how long, is read and dropped, so that its sender can read our answer."""


class BodyTooLarge(Exception):
    """The body has more bytes than we take."""


class Lazy(Mapping[str, str]):
    """A mapping that is made when something in it is looked for: most adapters go by the body alone."""

    def __init__(self, make: Callable[[], dict[str, str]]) -> None:
        self._make = make

    @functools.cached_property
    def _made(self) -> dict[str, str]:
        return self._make()

    def __getitem__(self, name: str) -> str:
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)


async def read_body(scope: "Scope", receive: "Receive") -> bytes:
    """Return the body; raises BodyTooLarge, and ClientDisconnect where its sender went away."""
    length = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    if length.isdigit() and int(length) > BODY_MOST:
        raise BodyTooLarge
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > BODY_MOST:
            raise BodyTooLarge
    return bytes(body)


async def answer(
    send: "Send", status: int, word: str, *, headers: "dict[bytes, bytes] | None" = None, more: bool = False
) -> None:
    """Send an answer that holds `word`. `more`: it is left open, for `refuse`."""
    body, own = _encoded(status, word)
    fields = list({**own, **headers}.items()) if headers else own.items()
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body, "more_body": more})


@functools.cache
def _encoded(status: int, word: str) -> tuple[bytes, "Mapping[bytes, bytes]"]:
    """Return the body and the headers of an answer; there are few, and they are not to be changed."""
    body = json.dumps({"status" if status == OK else "error": word}, separators=(",", ":")).encode()
    return body, {
        b"content-type": b"application/json",
        b"content-length": str(len(body)).encode(),
        b"cache-control": b"no-store",
    }


async def refuse(receive: "Receive", send: "Send", status: int, word: str) -> None:
    """Answer a request whose body was not read to its end, and close the connection."""
    await answer(send, status, word, headers={b"connection": b"close"}, more=True)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            await _drop(receive)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _drop(receive: "Receive") -> None:
    dropped = 0
    more = True
    while more and dropped <= LINGER_MOST:
        message = await receive()
        dropped += len(message.get("body", b""))
        more = message.get("more_body", False)
