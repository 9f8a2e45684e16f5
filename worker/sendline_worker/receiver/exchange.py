"""The two ends of a request: its body, read up to a bound, and an answer of a few bytes."""

import asyncio
import functools
import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from starlette.requests import ClientDisconnect

from sendline_worker.serving import linger, whole_body, write_answer

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

OK: Final = 200
BODY_MOST: Final = 256 * 1024
"""Bytes of a body; the documented receipts have less than 4 KiB."""


class BodyTooLarge(Exception):
    """The body has more bytes than we take."""


class Lazy(Mapping[str, str]):
    """A mapping that is made when something in it is looked for: most adapters go by the body alone."""

    def __init__(self, make: "Callable[[Scope], dict[str, str]]", scope: "Scope") -> None:
        self._make = make
        self._scope = scope

    @functools.cached_property
    def _made(self) -> dict[str, str]:
        return self._make(self._scope)

    def __getitem__(self, name: str) -> str:
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)


async def read_body(scope: "Scope", receive: "Receive", until: float) -> bytes:
    """Return the body.

    Raises BodyTooLarge; TimeoutError where it is not there at `until`, by the loop's clock; ClientDisconnect
    where its sender went away.
    """
    body = whole_body(scope)  # most are, and a timer would cost more than their reading
    if body is None:
        return await _read(scope, receive, until)
    if len(body) > BODY_MOST:
        raise BodyTooLarge
    return body


def body_at_hand(scope: "Scope") -> bytes | None:
    """Return the body; None where it has not come whole, or is too large."""
    body = whole_body(scope)
    return None if body is None or len(body) > BODY_MOST else body


async def _read(scope: "Scope", receive: "Receive", until: float) -> bytes:
    length = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    if length.isdigit() and int(length) > BODY_MOST:
        raise BodyTooLarge
    async with asyncio.timeout_at(until):
        return await _read_parts(receive)


async def _read_parts(receive: "Receive") -> bytes:
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


async def answer_ok(scope: "Scope", send: "Send") -> None:
    """Answer that all is well."""
    if not write_ok(scope):
        await answer(send, OK, "ok")


def write_ok(scope: "Scope") -> bool:
    """Do the same at once; False where that can't be."""
    return write_answer(scope, OK, _WELL)


@functools.cache
def _encoded(status: int, word: str) -> tuple[bytes, "Mapping[bytes, bytes]"]:
    """Return the body and the headers of an answer; there are few, and they are not to be changed."""
    body = json.dumps({"status" if status == OK else "error": word}, separators=(",", ":")).encode()
    return body, {
        b"content-type": b"application/json",
        b"content-length": str(len(body)).encode(),
        b"cache-control": b"no-store",
    }


def _on_the_wire(body: bytes, headers: "Mapping[bytes, bytes]") -> bytes:
    return b"".join([*(b"%b: %b\r\n" % each for each in headers.items()), b"\r\n", body])


_WELL: Final = _on_the_wire(*_encoded(OK, "ok"))


async def refuse(receive: "Receive", send: "Send", status: int, word: str) -> None:
    """Answer a request whose body was not read to its end, and close the connection."""
    await answer(send, status, word, headers={b"connection": b"close"}, more=True)
    await linger(receive)
    await send({"type": "http.response.body", "body": b"", "more_body": False})
