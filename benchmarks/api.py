"""What the HTTP API carries, held against a bare handler of the same server that only reads and answers.

    python benchmarks/api.py
    python benchmarks/api.py --seconds 5 --rounds 5 --connections 64 --durability memory --json

Each request to the API is `POST /v1/messages` with one message and a key with the scope send: the key is
checked, the message too, it is accepted into a real server (on disk, unless told otherwise), and told in the
answer. It is held against a route of FastAPI's that reads the body and answers a few bytes (handler); a plain
ASGI function (asgi) shows what the server itself costs. All three are served by the same uvicorn
configuration, each in a process of its own, and take turns. A process of its own posts over kept-alive
connections, each as soon as its last was answered, so that latencies are those under full load. Exits 1 where
the API carries less than 40 % of what the handler does, where an answer was not 202, or where the ledger does
not hold what was answered.
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil  # type: ignore[import-untyped]
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from receipts_parts import (  # type: ignore[import-not-found]  # it is found beside this script
    LIMITS,
    Load,
    load,
    prepare,
    settings_of,
)

from sendline.contract.api_key import Scope, hash_of, new_key, token
from sendline.ledger import verbs
from sendline.ledger.api_keys import create_key
from sendline.ledger.connection import Ledger
from sendline_worker.api import serve_on
from sendline_worker.api.protocol import ApiProtocol
from sendline_worker.embedded import EmbeddedServer
from sendline_worker.serving import Server, configuration, listening
from sendline_worker.stack import Part

if TYPE_CHECKING:
    import socket

LEAST: Final = 0.4
"""The part of the handler's rate that the API must carry."""
BUSY: Final = 0.85
"""The part of a core from which on the load generator may be what is measured."""
REQUESTS: Final = 5000
"""Different ones, to as many recipients; they come again and again."""
HANDLERS: Final = ("asgi", "handler")
WARM_SECONDS: Final = 1.0


@dataclass(frozen=True)
class Round:
    """One turn of one of the three."""

    who: str
    requests: int
    a_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    """Of its process, for each request."""
    server_cpu_us: float
    """Of Valkey, for each request."""
    generator_cpu: float
    refused: int
    """Answers that were not 202."""


@dataclass(frozen=True)
class House:
    """The running parts."""

    server: EmbeddedServer
    ledger: Ledger
    parts: dict[str, Part]
    ports: dict[str, int]
    pool: ProcessPoolExecutor
    requests: list[bytes]


def main() -> int:
    """Measure, print, and say whether the API carries enough."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="of each turn [3]")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each [3]")
    parser.add_argument("--connections", type=int, default=64, help="at the same time [64]")
    parser.add_argument("--durability", choices=("disk", "memory"), default="disk")
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = parser.parse_args()
    rounds, lost = measure(asked)
    told = conclude(asked, rounds, lost)
    if asked.json:
        print(json.dumps({**told, "turns": [asdict(each) for each in rounds]}))
    else:
        show(rounds, told)
    return 0 if told["kept"] else 1


@contextmanager
def house(asked: argparse.Namespace) -> Iterator[House]:
    """Run the server, the API and the handlers for the time of a with block."""
    with ExitStack() as exits:
        place = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="sl")))
        server = exits.enter_context(EmbeddedServer(place / "v", asked.durability))
        ledger = exits.enter_context(closing(Ledger(server.url, timeout=60)))
        pool = exits.enter_context(ProcessPoolExecutor(1, mp_context=get_context("spawn")))
        settings = settings_of(server.url, "http://127.0.0.1:1")
        settings = settings.model_copy(update={"durability": asked.durability})
        prepare(ledger, settings)
        targets: dict[str, Any] = {each: partial(serve, each) for each in HANDLERS}
        targets["api"] = partial(serve_on, settings)
        sockets = {who: exits.enter_context(listening("127.0.0.1", 0)) for who in targets}
        parts = {
            who: Part(who, targets[who], each, log=place / f"{who}.log") for who, each in sockets.items()
        }
        for part in parts.values():
            exits.callback(part.end)
            part.begin()
        for part in parts.values():
            part.await_ready()
        ports = {who: each.getsockname()[1] for who, each in sockets.items()}
        yield House(server, ledger, parts, ports, pool, requests(ledger))


def requests(ledger: Ledger) -> list[bytes]:
    """Return requests for one message each, as an app would write them."""
    key, secret = new_key("bench", [Scope.SEND])
    ledger.run(create_key(LIMITS, key, hash_of(secret)))
    return [request_of(token(key, secret), number) for number in range(REQUESTS)]


def request_of(key: str, number: int) -> bytes:
    """Return a whole request."""
    message = {"to": f"+1311555{number:04d}", "text": f"Your code is {number}.", "sender": "+13115552368"}
    body = json.dumps(message).encode()
    head = (
        "POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\nUser-Agent: app/1.0\r\n"
        f"Authorization: Bearer {key}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def serve(who: str, listener: "socket.socket", *, on_ready: Any) -> int:
    """Serve a handler as the API is served."""
    with listener:
        app = bare_function if who == "asgi" else bare_app()
        Server(configuration(app, ApiProtocol), on_ready).run(sockets=[listener])
    return 0


def bare_app() -> FastAPI:
    """Return an application with one route that reads and answers."""
    app = FastAPI()

    @app.post("/v1/messages", status_code=202)
    async def handler(request: Request) -> JSONResponse:
        await request.body()
        return JSONResponse({"status": "accepted"}, 202)

    return app


async def bare_function(scope: Any, receive: Any, send: Any) -> None:
    """Read the body and answer, without a framework."""
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
    headers = [(b"content-type", b"application/json"), (b"content-length", b"21")]
    await send({"type": "http.response.start", "status": 202, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"status":"accepted"}'})


def measure(asked: argparse.Namespace) -> tuple[list[Round], int]:
    """Let the three take turns; return all turns, and how many answered messages the ledger does not hold."""
    rounds: list[Round] = []
    accepted = 0
    with house(asked) as at:
        for who in at.ports:
            warm = at.pool.submit(
                load, at.ports[who], at.requests, asked.connections, WARM_SECONDS, True
            ).result()
            accepted += warm.answers.get("202", 0) if who == "api" else 0
        for _ in range(asked.rounds):
            rounds += [take_turn(at, who, asked) for who in at.ports]
        held = at.ledger.run(verbs.counts())["accepted"]
    accepted += sum(each.requests - each.refused for each in rounds if each.who == "api")
    return rounds, accepted - held


def take_turn(at: House, who: str, asked: argparse.Namespace) -> Round:
    """Return the figures of one turn."""
    watched = (at.parts[who].pid, at.server.pid)
    before = [spent(pid) for pid in watched]
    seen: Load = at.pool.submit(
        load, at.ports[who], at.requests, asked.connections, asked.seconds, True
    ).result()
    own, server = (spent(pid) - was for pid, was in zip(watched, before, strict=True))
    cuts = statistics.quantiles(seen.latencies, n=100)
    return Round(
        who=who,
        requests=seen.done,
        a_second=seen.done / seen.seconds,
        p50_ms=cuts[49] * 1000,
        p99_ms=cuts[98] * 1000,
        cpu_us=own / seen.done * 1_000_000,
        server_cpu_us=server / seen.done * 1_000_000,
        generator_cpu=seen.own_cpu,
        refused=seen.done - seen.answers.get("202", 0),
    )


def conclude(asked: argparse.Namespace, rounds: Sequence[Round], lost: int) -> dict[str, Any]:
    """Return the figures of all turns: medians, and the ratio of each pair of turns."""
    turns = {who: [each for each in rounds if each.who == who] for who in (*HANDLERS, "api")}
    ratios = {who: ratio(turns[who], turns["api"]) for who in HANDLERS}
    refused = sum(each.refused for each in rounds)
    return {
        "durability": asked.durability,
        "connections": asked.connections,
        **{who: middle(each) for who, each in turns.items()},
        "ratios": ratios,
        "generator_is_the_limit": max(each.generator_cpu for each in rounds) > BUSY,
        "refused": refused,
        "lost": lost,
        "kept": ratios["handler"] >= LEAST and not refused and not lost,
    }


def ratio(handler: Sequence[Round], api: Sequence[Round]) -> float:
    """Return the median of what the API carried for each that the handler did in the same round."""
    return statistics.median(mine.a_second / its.a_second for its, mine in zip(handler, api, strict=True))


def middle(rounds: Sequence[Round]) -> dict[str, float]:
    """Return the median of each figure."""
    names = ("a_second", "p50_ms", "p99_ms", "cpu_us", "server_cpu_us", "generator_cpu")
    return {name: statistics.median(getattr(each, name) for each in rounds) for name in names}


def show(rounds: Iterable[Round], told: dict[str, Any]) -> None:
    """Print the turns and what they come to."""
    print("turn of     requests   a second      p50      p99   CPU us   Valkey us   generator")
    middles = [Round(who=f"= {who}", requests=0, refused=0, **told[who]) for who in (*HANDLERS, "api")]
    for each in (*rounds, *middles):
        print(
            f"{each.who:<10} {each.requests or '':>9} {each.a_second:>10.0f} {each.p50_ms:>5.1f} ms "
            f"{each.p99_ms:>5.1f} ms {each.cpu_us:>8.0f} {each.server_cpu_us:>11.0f} "
            f"{each.generator_cpu:>8.0%} of a core"
        )
    asgi, handler = told["ratios"]["asgi"], told["ratios"]["handler"]
    print(f"of the ASGI function {asgi:.2f}; of the handler {handler:.2f}, at least {LEAST}: ", end="")
    print("kept" if told["kept"] else "NOT kept")
    if told["refused"] or told["lost"]:
        print(
            f"{told['refused']} answers were not 202; {told['lost']} answered messages are not in the ledger"
        )
    if told["generator_is_the_limit"]:
        print("the load generator was near a whole core: the rates are no more than lower bounds")


def spent(pid: int | None) -> float:
    """Return the seconds of CPU that a process has used."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    sys.exit(main())
