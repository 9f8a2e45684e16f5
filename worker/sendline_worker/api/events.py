"""Every change of status as server-sent events, which resume where they were cut off."""

import asyncio
import contextlib
import time
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Depends, Header, Query, Request
from starlette.responses import Response

from sendline.contract.errors import LedgerError, SendlineError
from sendline.contract.message import stamp
from sendline.ledger.api_keys import KEY_AGE
from sendline_worker.api.auth import Caller, Reading, token_of
from sendline_worker.api.context import Context, Here
from sendline_worker.api.documented import answers
from sendline_worker.api.feed import AT_ONCE, Feed, Told
from sendline_worker.api.problems import problem_of, refuse
from sendline_worker.api.rendering import to_json
from sendline_worker.api.routing import router as make_router
from sendline_worker.serving import abort

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.types import Receive, Scope, Send

MOST: Final = 100
"""Streams of one process."""
MOST_OF_ONE: Final = 25
"""Of them, those of keys of one name."""
KEEP_ALIVE: Final = 15.0
"""Seconds after which a stream that is quiet says that it lives."""
SLOW: Final = 30.0
"""Seconds for which a reader may take nothing."""
RETRY_MS: Final = 2000
"""After which a client shall connect again."""
_DIGITS: Final = r"^([0-9]{1,15})?$"
_EXAMPLE: Final = (
    "retry: 2000\nid: 41\n\n"
    'id: 42\nevent: status\ndata: {"message_id":"019aab1c-24d4-7c32-9de0-0d6f1e6a4b7a","status":"delivered",'
    '"at":"2026-11-22T12:00:04.250Z","error":null,"reason":"","campaign":null}\n\n'
    ": keep-alive\nid: 42\n\n"
)


def _item(event: str, schema: str, **properties: "Mapping[str, object]") -> dict[str, Any]:
    """Return the schema of one event, whose data is JSON."""
    data = {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": {"$ref": f"#/components/schemas/{schema}"},
    }
    return {
        "type": "object",
        "required": [*properties, "event", "data"],
        "properties": {**properties, "event": {"const": event}, "data": data},
    }


_ITEM: Final = {
    "oneOf": [
        _item("status", "Change", id={"type": "string", "pattern": "^[0-9]+$"}),
        _item("problem", "Problem"),
    ]
}
"""As OpenAPI 3.2 describes what a stream consists of; readers of 3.1 pass it over."""

router = make_router("events")


class Streams:
    """The streams of one process, over one feed. For one event loop."""

    def __init__(self, context: Context) -> None:
        self.feed = Feed(context.ledger)
        self._open: Counter[str] = Counter()

    def take(self, name: str) -> None:
        """Take room for a stream of a key of this name; give() returns it. Raises ProblemError."""
        if self._open.total() >= MOST:
            raise refuse("busy", f"{MOST} streams are open: try again later", retry_after="10")
        if self._open[name] >= MOST_OF_ONE:
            raise refuse("busy", f"{MOST_OF_ONE} streams of this name are open", retry_after="10")
        self._open[name] += 1

    def give(self, name: str) -> None:
        """Return what take() took."""
        self._open[name] -= 1
        if not self._open[name]:
            del self._open[name]

    async def aclose(self) -> None:
        """End the reading."""
        await self.feed.aclose()


async def _streams(request: Request) -> Streams:
    found: Streams = request.scope["state"]["streams"]
    return found


@router.get(
    "/v1/events",
    summary="Follow what becomes of messages",
    operation_id="followEvents",
    response_class=Response,
    responses={
        200: {
            "description": "Events without end. `id` is the number of the newest event that was looked at.",
            "content": {"text/event-stream": {"itemSchema": _ITEM, "example": _EXAMPLE}},
        },
        **answers(410),
    },
)
async def events(
    *,
    request: Request,
    caller: Reading,
    here: Here,
    streams: Annotated[Streams, Depends(_streams)],
    after: Annotated[
        int | None, Query(ge=0, lt=10**15, description="Begin behind the event of this number; 0: with all.")
    ] = None,
    last_event_id: Annotated[
        str | None,
        Header(pattern=_DIGITS, description="The same, as clients say it that resume; it wins over `after`."),
    ] = None,
) -> Any:
    """Tell every change of status, in order, as it happens: of what the key's name sent; to an admin, of all.

    A stream ends when the server ends, the ledger is away or the key is revoked. Connect again with the last
    `id`, as EventSource does by itself: nothing is lost or told twice. 410 says that what follows it is no
    longer kept: read the messages anew, and begin without a number.
    """
    streams.take(caller.name)
    begin = int(last_event_id) if last_event_id else after
    try:
        seq = await streams.feed.begin(begin)
    except BaseException:
        streams.give(caller.name)
        raise
    return EventStream(here, caller, streams, seq, token_of(request.scope["headers"]) or "")


class EventStream(Response):
    """The answer that has no end of its own."""

    def __init__(self, here: Context, caller: Caller, streams: Streams, seq: int, token: str) -> None:
        """Begin behind number `seq`; `token` is what the caller is known by. It gives back its room."""
        super().__init__(headers={"x-accel-buffering": "no"}, media_type="text/event-stream")
        self._here, self._caller, self._streams = here, caller, streams
        self._seq, self._token = seq, token
        self._quiet_since = time.monotonic()

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Send events until the client, the key, the ledger or the server goes."""
        try:
            await self._serve(scope, receive, send)
        finally:
            self._streams.give(self._caller.name)

    async def _serve(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        headers = [each for each in self.raw_headers if each[0] != b"content-length"]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        doings = (self._tell(send), _gone(receive), self._here.ending.wait(), self._revoked())
        tasks = [asyncio.ensure_future(each) for each in doings]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in tasks:
                each.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        if isinstance(ended[0], TimeoutError):
            abort(scope)
        elif isinstance(ended[0], Exception):
            raise ended[0]
        else:
            await self._end(scope, send)

    async def _end(self, scope: "Scope", send: "Send") -> None:
        try:
            async with asyncio.timeout(1):
                await send({"type": "http.response.body", "body": b""})
        except TimeoutError:
            abort(scope)

    async def _tell(self, send: "Send") -> None:
        """Send events until there can be none; raises TimeoutError where nobody takes them."""
        await self._write(send, f"retry: {RETRY_MS}\nid: {self._seq}\n\n".encode())
        try:
            while True:
                await self._some(send)
        except SendlineError as error:
            told = to_json(problem_of(error).to_dict())
            await self._write(send, b"event: problem\ndata: " + told + b"\n\n")

    async def _some(self, send: "Send") -> None:
        """Send what is new, or once in a while that nothing is; raises SendlineError."""
        quiet = self._quiet_since + KEEP_ALIVE - time.monotonic()
        new: Sequence[Told] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(quiet):
                new = await self._streams.feed.behind(self._seq)
        for start in range(0, len(new), AT_ONCE):
            piece = new[start : start + AT_ONCE]
            self._seq = piece[-1].seq
            text = b"".join(_event(each) for each in piece if self._caller.sees(each.owner))
            if text:
                await self._write(send, text)
        if time.monotonic() - self._quiet_since >= KEEP_ALIVE:
            await self._write(send, f": keep-alive\nid: {self._seq}\n\n".encode())

    async def _write(self, send: "Send", text: bytes) -> None:
        async with asyncio.timeout(SLOW):
            await send({"type": "http.response.body", "body": text, "more_body": True})
        self._quiet_since = time.monotonic()

    async def _revoked(self) -> None:
        """Return once the key is no longer in force."""
        key: Any = self._caller.key
        while key is not None and key.revoked_at is None:
            await asyncio.sleep(KEY_AGE)
            with contextlib.suppress(LedgerError):
                key = await self._here.keys.find(self._token)


async def _gone(receive: "Receive") -> None:
    """Return once the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _event(told: Told) -> bytes:
    event = told.event
    data = {
        "message_id": event.message_id,
        "status": event.status,
        "at": stamp(event.at),
        "error": event.code,
        "reason": event.reason,
        "campaign": told.campaign,
    }
    return b"id: %d\nevent: status\ndata: %b\n\n" % (event.seq, to_json(data))
