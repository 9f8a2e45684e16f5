"""Log in with a one-time code by SMS, and watch on the page how the message travels.

Run it, from this folder, with `sendline up` in another terminal (it sends to a simulated provider):

    pip install 'sendline[worker,api,embedded]'
    export LOGIN_SECRET=$(python -c 'import secrets; print(secrets.token_hex(32))')
    uvicorn app:app --timeout-graceful-shutdown 5

Then open http://127.0.0.1:8000 and enter +13115552367. There is no phone: the simulator's log has the code
(`sendline up` says where it listens): curl http://127.0.0.1:8710/_simulator/log

Add `--workers 4` as you like: what must be shared is in the ledger and in LOGIN_DB (codes.db). In production
an HTTPS proxy stands in front, and bounds how often one address may ask.
"""

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

from codes import VALID_FOR, Codes, TooMany
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, Field
from starlette.middleware.sessions import SessionMiddleware

from sendline import (
    AsyncProducer,
    IdempotencyConflict,
    InvalidMessage,
    LedgerError,
    Message,
    TimelineEntry,
    UnknownMessage,
)

LOOK_EVERY = 0.3
SECRET = os.environ["LOGIN_SECRET"]
PAGE = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
CODES = Codes(Path(os.environ.get("LOGIN_DB", "codes.db")), SECRET.encode())


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Make one producer for the whole process; every request shares its connections."""
    async with AsyncProducer() as producer:
        yield {"producer": producer}


app = FastAPI(lifespan=lifespan)
app.add_middleware(SessionMiddleware, secret_key=SECRET, https_only=True)  # browsers take 127.0.0.1 for safe


def producer_of(request: Request) -> AsyncProducer:
    """Return the process's producer. Tests put another in its place: app.dependency_overrides."""
    producer: AsyncProducer = request.state.producer
    return producer


Sendline = Annotated[AsyncProducer, Depends(producer_of)]


class Asked(BaseModel):
    """Somebody wants to log in. `login` is made up by the page, so that asking twice is the same login."""

    login: UUID
    number: Annotated[str, Field(pattern=r"^\+?[0-9 ()./-]{1,31}$")]


class Given(BaseModel):
    """A code that somebody typed."""

    code: Annotated[str, Field(max_length=16)]


@app.post("/login", status_code=202)
async def ask(asked: Asked, producer: Sendline) -> dict[str, str]:
    """Send the code. Asked again, after a 503 or by a second click, it is the same message, sent once."""
    login = str(asked.login)
    code = await asyncio.to_thread(CODES.begin, login, asked.number)
    message = await producer.send(
        to=asked.number,
        text=f"Your code is {code}. Nobody of us will ever ask you for it.",
        lane="urgent",
        idempotency_key=f"login-{login}",
        valid_for=VALID_FOR,
    )
    await asyncio.to_thread(CODES.sent, login, message.id, message.to)
    return {"status": message.status}


async def message_of(login: UUID, producer: Sendline) -> Message:
    """Return the message of a login. Only who asked knows the login's id."""
    message_id = await asyncio.to_thread(CODES.message_of, str(login))
    if message_id is None:
        raise HTTPException(404, "There is no such login.")
    return await producer.get(message_id)


@app.get("/login/{login}/status", response_class=EventSourceResponse)
async def follow(
    message: Annotated[Message, Depends(message_of)], producer: Sendline
) -> AsyncIterator[ServerSentEvent]:
    """Tell the message's whole timeline whenever it grows, until it is final or the code is of no use.

    Each viewer costs a few small reads a second. For thousands of them, let one task read producer.events().
    """
    told: Sequence[TimelineEntry] = ()
    until = time.monotonic() + VALID_FOR
    while True:
        if message.timeline != told:
            told = message.timeline
            yield ServerSentEvent(event="status", data=timeline(message))
        if message.final or time.monotonic() > until:
            break
        await asyncio.sleep(LOOK_EVERY)
        try:
            message = await producer.get(message.id)
        except LedgerError:
            continue  # the stream outlasts an outage
    yield ServerSentEvent(event="end", data=message.status)


def timeline(message: Message) -> list[dict[str, str]]:
    """Return what a page shows of a message."""
    return [
        {"at": f"{entry.at:%H:%M:%S}", "status": entry.status, "why": entry.code or ""}
        for entry in message.timeline
    ]


@app.post("/login/{login}/code")
async def enter(login: UUID, given: Given, request: Request) -> dict[str, str]:
    """Log in where the code is right. It works once, for five minutes, and five tries."""
    number = await asyncio.to_thread(CODES.take, str(login), given.code)
    if number is None:
        raise HTTPException(403, "That is not the code, or it is too late. Ask for a new one.")
    request.session.clear()
    request.session["number"] = number
    return {"number": number}


@app.get("/me")
async def me(request: Request) -> dict[str, str]:
    """Return who is logged in."""
    if "number" not in request.session:
        raise HTTPException(401, "Nobody is logged in.")
    return {"number": request.session["number"]}


@app.get("/")
async def page() -> HTMLResponse:
    """Return the page: no outside resources, and no script but its own."""
    nonce = secrets.token_urlsafe(16)
    policy = f"default-src 'none'; connect-src 'self'; script-src 'nonce-{nonce}'; frame-ancestors 'none'"
    return HTMLResponse(PAGE.replace("{{ nonce }}", nonce), headers={"Content-Security-Policy": policy})


@app.exception_handler(LedgerError)
async def away(_: Request, __: Exception) -> JSONResponse:
    """Redis can't be reached, or refuses. Asking again is safe: the login's id makes it the same message."""
    return _problem(
        503, "We can't send text messages right now. Try again in a moment.", {"Retry-After": "5"}
    )


@app.exception_handler(InvalidMessage)
async def invalid(_: Request, error: InvalidMessage) -> JSONResponse:
    """The number is wrong: it says how to write one, and doesn't quote it."""
    return _problem(422, f"Your number: {error.problem}." if error.field == "to" else str(error))


@app.exception_handler(IdempotencyConflict)
async def conflict(_: Request, __: Exception) -> JSONResponse:
    """This login's code went to another number."""
    return _problem(409, "A code for this login went to another number. Load the page again.")


@app.exception_handler(UnknownMessage)
async def unknown(_: Request, __: Exception) -> JSONResponse:
    """The message is past its retention."""
    return _problem(404, "There is no such login.")


@app.exception_handler(TooMany)
async def too_many(_: Request, error: TooMany) -> JSONResponse:
    """Each SMS costs, and annoys who did not ask for it."""
    return _problem(429, "That number got several codes just now. Wait.", {"Retry-After": str(error.wait)})


def _problem(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"detail": detail}, status, headers)
