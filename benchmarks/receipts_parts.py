"""The running parts of `receipts.py`: the ledger, the receiver, what it is held against, and who posts."""

import itertools
import random
import selectors
import socket
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sendline.contract import ids
from sendline.contract.draft import Draft
from sendline.contract.lane import Lane
from sendline.contract.status import Status
from sendline.ledger import verbs, work
from sendline.ledger.accounts import AccountLimits, Wake, configure
from sendline.ledger.connection import Ledger
from sendline.ledger.limits import Limits
from sendline.settings import AccountSettings, Settings
from sendline_worker.accounts import directory_json, directory_of, load_accounts
from sendline_worker.embedded import EmbeddedServer
from sendline_worker.providers.registry import simulated_account
from sendline_worker.receiver.server import server_of
from sendline_worker.serving import base_url, listening
from sendline_worker.simulator import Shape, SimulatorOptions, create_app
from sendline_worker.simulator.behaviours import Report
from sendline_worker.simulator.entries import Entry
from sendline_worker.stack import Part, targets
from sendline_worker.tokens import CallbackUrls

ACCOUNT, KEY = "bench", SecretStr("a key for this run only")
LIMITS = Limits()
BATCH = 500
TO, SENDER, TEXT = "+13115552367", "+13115552368", "Your code is 314159."
TWICE = 0.1
"""The part of the receipts that repeats an earlier one."""


@dataclass(frozen=True)
class Load:
    """What the load generator saw, from its first request to the last answer."""

    answers: dict[str, int]
    seconds: float
    latencies: list[float]
    own_cpu: float
    """The part of a core that it used itself."""

    @property
    def done(self) -> int:
        return len(self.latencies)


@dataclass(frozen=True)
class House:
    """The running parts."""

    server: EmbeddedServer
    ledger: Ledger
    urls: CallbackUrls
    parts: dict[str, Part]
    ports: dict[str, int]
    pool: ProcessPoolExecutor
    calls: Iterator[int]


@contextmanager
def house(durability: Literal["disk", "memory"]) -> Iterator[House]:
    """Run the server, the receiver and the handlers for the time of a with block."""
    with ExitStack() as exits:
        place = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="sl")))
        server = exits.enter_context(EmbeddedServer(place / "v", durability))
        ledger = exits.enter_context(closing(Ledger(server.url, timeout=60)))
        pool = exits.enter_context(ProcessPoolExecutor(1, mp_context=get_context("spawn")))
        sockets = {
            who: exits.enter_context(listening("127.0.0.1", 0)) for who in ("bare", "route", "receiver")
        }
        settings = settings_of(server.url, base_url(sockets["receiver"]))
        prepare(ledger, settings)
        targets_of = {
            "bare": partial(serve, "bare"),
            "route": partial(serve, "route"),
            "receiver": partial(targets.receiver, settings),
        }
        parts = {
            who: Part(who, targets_of[who], each, log=place / f"{who}.log") for who, each in sockets.items()
        }
        for part in parts.values():
            exits.callback(part.end)
            part.begin()
        for part in parts.values():
            part.await_ready()
        ports = {who: each.getsockname()[1] for who, each in sockets.items()}
        urls = CallbackUrls(settings.public_url, settings.secret_key)
        yield House(server, ledger, urls, parts, ports, pool, itertools.count(1))


def settings_of(redis_url: str, public_url: str) -> Settings:
    """Return the settings of the receiver."""
    account = AccountSettings.model_validate(simulated_account("http://127.0.0.1:1"))
    return Settings.model_construct(
        _fields_set=set(),
        redis_url=SecretStr(redis_url),
        public_url=public_url,
        secret_key=(KEY,),
        accounts={ACCOUNT: account},
    )


def prepare(ledger: Ledger, settings: Settings) -> None:
    """Let the ledger know the account, without a limit that matters."""
    directory = directory_json(directory_of(load_accounts(settings), settings))
    limits = [AccountLimits(ACCOUNT, rate=1_000_000, burst=1_000_000)]
    ledger.run(configure(LIMITS, directory, Wake("wakes", b"envelope"), limits))


def serve(who: Literal["bare", "route"], listener: socket.socket, *, on_ready: Any) -> int:
    """Serve a handler as the receiver is served."""
    routes = [Route("/receipts/{account}/{token}", route_handler, methods=["POST"])]
    with listener:
        server_of(bare_handler if who == "bare" else Starlette(routes=routes), on_ready).run(
            sockets=[listener]
        )
    return 0


async def route_handler(request: Request) -> JSONResponse:
    """Do the same as a route of Starlette's."""
    await request.body()
    return JSONResponse({"status": "ok"}, headers={"cache-control": "no-store"})


async def bare_handler(scope: Any, receive: Any, send: Any) -> None:
    """Read the body and answer what the receiver answers."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    body, more = bytearray(), True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"15"),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"status":"ok"}'})


def receipts(at: House, number: int) -> tuple[list[bytes], list[bytes]]:
    """Return receipts of `number` messages that were sent just now: whom each names, and the requests."""
    told: list[tuple[bytes, bytes]] = []
    rng = random.Random(number)
    for first in range(0, number, BATCH):
        for each in send_batch(at, min(BATCH, number - first)):
            told.append(each)
            if rng.random() < TWICE:
                told.append(rng.choice(told[-BATCH:]))
    return [message_id for message_id, _ in told], [request for _, request in told]


def send_batch(at: House, number: int) -> Iterator[tuple[bytes, bytes]]:
    """Let messages be accepted, claimed and settled as sent; return each id with a request."""
    at.ledger.run(verbs.accept(LIMITS, [draft() for _ in range(number)]))
    asked = work.ClaimRequest("bench", next(at.calls), number, number, 90, 2, 5, may_sign_off=False)
    claims = at.ledger.run(work.claim(LIMITS, asked)).claims
    if len(claims) != number:
        raise SystemExit(f"a claim took {len(claims)} messages of {number}")
    given = [(claim.message_id, str(uuid.uuid4())) for claim in claims]
    settlements = [
        work.Settlement(claim.message_id, claim.token, ACCOUNT, Status.SENT, deadline=3600, provider_id=name)
        for claim, (_, name) in zip(claims, given, strict=True)
    ]
    at.ledger.run(work.settle(LIMITS, "bench", next(at.calls), settlements))
    for place, (message_id, provider_id) in enumerate(given):
        if place % 2:
            yield (
                message_id,
                request_of(str(at.urls.message_url(ACCOUNT, message_id)), provider_id, Shape.DATA),
            )
        else:
            yield message_id, request_of(str(at.urls.account_url(ACCOUNT)), provider_id, Shape.EVENT)


def draft() -> Draft:
    """One message."""
    return Draft(ids.new_id(), TO, TEXT, SENDER, None, (ACCOUNT,), Lane.NORMAL, 1, 0, 3_600_000)


FACES: Final = create_app(SimulatorOptions(port=0)).state.simulation.faces.values()
PROVIDER, REPORTER = next((each.provider, each.reporter) for each in FACES if each.reporter)
"""A provider that calls back, and how."""


def request_of(url: str, provider_id: str, shape: Shape) -> bytes:
    """Return a whole request, as a provider would send it."""
    entry = Entry(time.time(), time.monotonic_ns(), PROVIDER)
    entry.recipient, entry.sender, entry.text, entry.account = TO, SENDER, TEXT, ACCOUNT
    body = REPORTER.receipt(entry, provider_id, Report.DELIVERED, shape, time.time())
    host, _, path = url.removeprefix("http://").partition("/")
    head = (
        f"POST /{path} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\nUser-Agent: provider/1.0\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def load(
    port: int,
    requests: Sequence[bytes],
    connections: int,
    seconds: float,
    again: bool,  # noqa: FBT001
) -> Load:
    """Post `requests` in their order until the `seconds` are over, or they are and shall not come again.

    It runs in a process of its own.
    An answer is taken to be whole at its closing brace: both handlers answer one JSON object.
    """
    waiting = itertools.cycle(requests) if again else iter(requests)
    answers, latencies = Counter[str](), list[float]()
    with selectors.DefaultSelector() as selector:
        clock = time.perf_counter
        began, cpu = clock(), time.process_time()
        last, until = began, began + seconds
        begun: dict[int, float] = {}
        for request in itertools.islice(waiting, connections):
            connection = socket.create_connection(("127.0.0.1", port), timeout=30)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(connection, selectors.EVENT_READ, (connection, bytearray()))
            begun[connection.fileno()] = clock()
            connection.sendall(request)
        while begun:
            for key, _ in selector.select(30):
                connection, got = key.data
                part = connection.recv(65536)
                got += part
                if part and not got.endswith(b"}"):
                    continue
                last = clock()
                latencies.append(last - begun[key.fd])
                answers[got[9:12].decode()] += 1
                got.clear()
                following = next(waiting, None) if part and last < until else None
                if following is None:
                    selector.unregister(connection)
                    connection.close()
                    del begun[key.fd]
                else:
                    begun[key.fd] = last
                    connection.sendall(following)
    return Load(dict(answers), last - began, latencies, (time.process_time() - cpu) / (last - began))
