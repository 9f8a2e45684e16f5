"""What send() costs a web request, beside what it is measured by, in one run.

    python benchmarks/producer.py
    python benchmarks/producer.py --rounds 500 --json

Latency beside a bare PING (and an fsync of the same disk); CPU, of this process and of the server, beside
Celery's apply_async and a status write; `import sendline` beside `import redis, pydantic`. What is compared
takes turns, so that a busy machine is as busy for both.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import redis
import redis.asyncio
from celery import Celery

from sendline import AsyncProducer, Producer
from sendline.settings import Settings
from sendline_worker.embedded import EmbeddedServer

TO, SENDER, TEXT = "+13115552367", "+13115552368", "Your code is 314159."
PINGS_OF_A_SEND = 3
SHARE_OF_CELERY = 1 / 3
IMPORT_MS = 120
BLOCK = 50
"""Calls between two looks at the CPU times."""
WARM = 200
"""Calls that are not counted."""
BYTES_OF_A_SEND = 1000
"""About what one accepted message adds to the server's append-only file."""
PING, SEND, FSYNC, CELERY = "PING", "send()", "fsync", "apply_async + HSET"


@dataclass(frozen=True)
class Row:
    """One figure, and what it may be."""

    what: str
    figure: float
    allowed: float | None
    unit: str
    also: str = ""

    def line(self) -> str:
        """Return it for people."""
        verdict = "" if self.allowed is None else "held" if self.figure <= self.allowed else "MISSED"
        allowed = "" if self.allowed is None else f"{self.allowed:9.0f} {self.unit}"
        return f"{self.what:<52} {self.figure:8.0f} {self.unit} {allowed:>12}  {verdict:<6} {self.also}"


def main() -> int:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=2000, help="calls of each kind (default 2000)")
    parser.add_argument("--imports", type=int, default=15, help="fresh processes of each kind (default 15)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = parser.parse_args()
    rows = [
        *latency("memory", asked.rounds),
        *latency("disk", asked.rounds),
        *asyncio.run(latency_awaited(asked.rounds)),
        *cpu(asked.rounds),
        *imports(asked.imports),
    ]
    if asked.json:
        print(json.dumps([asdict(row) for row in rows]))
        return 0
    print(f"{'':52} {'measured':>11} {'allowed':>12}")
    for row in rows:
        print(row.line())
    return 0


@contextmanager
def house(durability: str) -> Iterator[tuple[EmbeddedServer, Settings, Path]]:
    """Start a server of its own; yield it, the settings, and a directory on its disk."""
    settings = Settings.model_construct(_fields_set=set(), durability=durability)
    with (
        tempfile.TemporaryDirectory(prefix="sl-") as place,
        EmbeddedServer(Path(place), durability) as server,
    ):
        yield server, settings, Path(place)


def latency(durability: str, rounds: int) -> list[Row]:
    """Return how long a send() takes, beside a PING; where it is on disk, beside an fsync, too."""
    with (
        house(durability) as (server, settings, place),
        Producer(server.url, settings=settings) as producer,
        redis.Redis.from_url(server.url) as client,
        (place / "probe").open("ab", buffering=0) as probe,
    ):

        def fsync() -> None:
            probe.write(b"x" * BYTES_OF_A_SEND)
            os.fdatasync(probe.fileno())

        kinds: dict[str, Callable[[], object]] = {
            PING: client.ping,
            SEND: lambda: producer.send(to=TO, text=TEXT, sender=SENDER, lane="urgent"),
        }
        if durability == "disk":
            kinds[FSYNC] = fsync
        took: dict[str, list[float]] = {kind: [] for kind in kinds}
        for _ in range(WARM + rounds):
            for kind, call in kinds.items():
                began = time.perf_counter()
                call()
                took[kind].append((time.perf_counter() - began) * 1e6)
    return latency_rows(f'durability "{durability}"', took)


async def latency_awaited(rounds: int) -> list[Row]:
    """Return the same of the producer of event loops, beside an awaited PING."""
    with house("memory") as (server, settings, _):
        async with (
            AsyncProducer(server.url, settings=settings) as producer,
            redis.asyncio.Redis.from_url(server.url) as client,
        ):
            kinds: dict[str, Callable[[], Awaitable[object]]] = {
                PING: client.ping,
                SEND: lambda: producer.send(to=TO, text=TEXT, sender=SENDER, lane="urgent"),
            }
            took: dict[str, list[float]] = {kind: [] for kind in kinds}
            for _ in range(WARM + rounds):
                for kind, call in kinds.items():
                    began = time.perf_counter()
                    await call()
                    took[kind].append((time.perf_counter() - began) * 1e6)
    return latency_rows('awaited, durability "memory"', took)


def latency_rows(where: str, took: Mapping[str, list[float]]) -> list[Row]:
    """Return the percentiles of each kind, and what those of send() may be."""
    cuts = {kind: statistics.quantiles(each[WARM:], n=100) for kind, each in took.items()}
    rows = []
    for kind, of_kind in cuts.items():
        middle, allowed, also = of_kind[49], None, f"p99 {of_kind[98]:.0f} us"
        if kind == SEND:
            ping, fsync = cuts[PING][49], cuts[FSYNC][49] if FSYNC in cuts else 0
            allowed = PINGS_OF_A_SEND * ping + fsync
            also += f"; {(middle - fsync) / ping:.1f} x PING{', and one fsync' if fsync else ''}"
        rows.append(Row(f"{kind}, p50, {where}", middle, allowed, "us", also))
    return rows


def cpu(rounds: int) -> list[Row]:
    """Return the CPU of one send(), of both processes, beside Celery's way."""
    with (
        house("memory") as (server, settings, _),
        Producer(server.url, settings=settings) as producer,
        redis.Redis.from_url(server.url) as client,
        Celery(broker=server.url.replace("unix://", "redis+socket://")) as app,
    ):

        @app.task(name="sms.send", ignore_result=True)  # type: ignore[untyped-decorator,unused-ignore]
        def sms(to: str, text: str, sender: str) -> None:
            """Stand for what a house without Sendline would run."""

        def by_celery() -> None:
            made: Any = sms.apply_async((TO, TEXT, SENDER))
            client.hset(
                f"sms:{made.id}", mapping={"status": "created", "to": TO, "sender": SENDER, "text": TEXT}
            )

        kinds: dict[str, Callable[[], object]] = {
            SEND: lambda: producer.send(to=TO, text=TEXT, sender=SENDER, lane="urgent"),
            CELERY: by_celery,
        }
        spent = {kind: [0.0, 0.0] for kind in kinds}
        blocks = max(1, rounds // BLOCK)
        for block in range(blocks + 1):
            for kind, call in kinds.items():
                before = time.process_time(), on_cpu(server.pid)
                for _ in range(BLOCK):
                    call()
                after = time.process_time(), on_cpu(server.pid)
                if block:  # the first one is to get warm
                    spent[kind] = [s + a - b for s, a, b in zip(spent[kind], after, before, strict=True)]
    each = {kind: [seconds / blocks / BLOCK * 1e6 for seconds in both] for kind, both in spent.items()}
    rows = []
    for kind, (client_us, server_us) in each.items():
        allowed = sum(each[CELERY]) * SHARE_OF_CELERY if kind == SEND else None
        also = f"client {client_us:.0f}, server {server_us:.0f} us"
        if kind == SEND:
            also += f"; {sum(each[SEND]) / sum(each[CELERY]):.2f} of Celery's"
        rows.append(Row(f"{kind}, CPU of both processes", client_us + server_us, allowed, "us", also))
    return rows


def on_cpu(pid: int) -> float:
    """Return the seconds that the threads of a process were on a CPU."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def imports(times: int) -> list[Row]:
    """Return how long `import sendline` takes beside what it is made of, in fresh processes."""
    statements = ("import redis, pydantic", "import sendline")
    took: dict[str, list[float]] = {statement: [] for statement in statements}
    for _ in range(times + 1):
        for statement in statements:
            took[statement].append(fresh(statement))
    base, ours = (statistics.median(took[statement][1:]) for statement in statements)
    return [
        Row(f"{statements[0]}, median", base, None, "ms"),
        Row(f"{statements[1]}, median", ours, base + IMPORT_MS, "ms"),
    ]


def fresh(statement: str) -> float:
    """Return the milliseconds that a statement takes in a fresh interpreter."""
    code = f"import time; b = time.perf_counter()\n{statement}\nprint((time.perf_counter() - b) * 1000)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    return float(done.stdout)


if __name__ == "__main__":
    sys.exit(main())
