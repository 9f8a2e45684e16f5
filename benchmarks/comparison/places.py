"""What every contestant meets: the provider, and a Valkey of its own with the settings of Sendline's."""

import http.client
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from comparison.processes import Command, spent
from comparison.work import DELAY
from sendline.ledger.keys import KEYS
from sendline_worker.embedded import EmbeddedServer


class Provider:
    """The provider, running, and what it tells of what arrived."""

    def __init__(self, command: Command, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.port = port
        self._command = command
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def reset(self) -> None:
        """Forget what has arrived."""
        self._ask("/reset")

    def count(self) -> int:
        """Return how many requests have arrived."""
        return int(self._ask("/count"))

    def distinct(self) -> int:
        """Return how many different ones."""
        return int(self._ask("/distinct"))

    def arrivals(self, mark: str) -> dict[str, float]:
        """Return when each message of a mark had arrived, by `mark number`, on the monotonic clock."""
        return dict(self._ask(f"/arrivals/{mark}"))

    def spent(self) -> float:
        """Return the seconds of CPU it has used."""
        return spent([self._command])

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def _ask(self, question: str) -> Any:
        self._connection.request("GET", question)
        return json.loads(self._connection.getresponse().read())


@contextmanager
def provider(place: Path) -> Iterator[Provider]:
    """Run the provider."""
    arguments = [sys.executable, "-m", "comparison.provider", "--delay", str(DELAY)]
    with Command(arguments, place / "provider.log") as command:
        running = Provider(command, int(command.wait_for("port").split()[1]))
        try:
            yield running
        finally:
            running.close()


@dataclass(frozen=True, slots=True)
class Server:
    """A Valkey, empty at first."""

    url: str
    raw: "redis.Redis"
    embedded: EmbeddedServer

    def spent(self) -> float:
        """Return the seconds of CPU it has used; rewriting its file in a child of its own is not in it."""
        used = self.raw.info("cpu")
        return float(used["used_cpu_user"] + used["used_cpu_sys"])

    def weight(self) -> int:
        """Return the bytes it uses, without functions, clients' buffers and the events: all bounded apart."""
        self.raw.memory_purge()
        events = self.raw.memory_usage(KEYS["events"], samples=0) or 0
        told = self.raw.info("memory")
        passing = told["mem_clients_normal"] + told["mem_aof_buffer"] + told["used_memory_functions"]
        return int(told["used_memory"]) - int(passing) - int(events)

    def scripts(self) -> tuple[int, float]:
        """Return how many scripts were run, and the seconds of time that took."""
        told = self.raw.info("commandstats").get("cmdstat_fcall", {"calls": 0, "usec": 0})
        return int(told["calls"]), float(told["usec"]) / 1e6

    def settings(self) -> str:
        """Return what it is, and how it keeps what it is told."""
        about, how = self.raw.info("server"), self.raw.config_get("append*")
        name = about.get("server_name", "redis")
        version = about.get(f"{name}_version", about["redis_version"])
        return f"{name} {version}, appendonly {how['appendonly']}, appendfsync {how['appendfsync']}"


@contextmanager
def server(place: Path, name: str) -> Iterator[Server]:
    """Run a Valkey as Sendline starts it: on a Unix socket, every change on disk before it answers."""
    with (
        EmbeddedServer(place / name, "disk") as embedded,
        redis.Redis.from_url(embedded.url, decode_responses=True) as raw,
    ):
        yield Server(embedded.url, raw, embedded)
