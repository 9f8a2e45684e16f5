"""What durability costs: "disk" and "memory" side by side, and the fsyncs that strace counts.

    python benchmarks/durability.py
    python benchmarks/durability.py --messages 200 --json

kill -9 shows nothing here, since the kernel keeps what a process wrote; so the fsyncs themselves are counted:
under "disk" there is one before each reply. The counting needs strace, and the right to trace the server.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from sendline import Producer
from sendline.settings import Settings
from sendline_worker.embedded import EmbeddedServer

MODES = ("disk", "memory")
TO, TEXT = "+13115552367", "Your code is 314159."


@dataclass(frozen=True)
class Figures:
    """What one mode came to."""

    durability: str
    send_p50_ms: float
    send_p99_ms: float
    sends_a_second: float
    many_a_second: float
    counted_sends: int
    fsyncs: int | None
    """Of `counted_sends`, one after the other; None without strace."""


def main() -> int:
    """Measure both modes, in turns, and print them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=2000, help="sends that are timed (default 2000)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = parser.parse_args()
    figures = [measure(mode, asked.messages) for mode in MODES]
    if asked.json:
        print(json.dumps([asdict(each) for each in figures]))
        return 0
    print("durability   send() p50     p99   a second   send_many a second   fsyncs")
    for each in figures:
        counted = "no strace" if each.fsyncs is None else f"{each.fsyncs} for {each.counted_sends} sends"
        print(
            f"{each.durability:<10}   {each.send_p50_ms:7.2f} ms {each.send_p99_ms:5.2f}   "
            f"{each.sends_a_second:8.0f}   {each.many_a_second:18.0f}   {counted}"
        )
    return 0


def measure(durability: str, messages: int) -> Figures:
    """Return what `durability` costs on a server of its own."""
    settings = Settings.model_construct(_fields_set=set(), durability=durability)
    with (
        tempfile.TemporaryDirectory(prefix="sl-") as place,
        EmbeddedServer(Path(place), durability) as server,
        Producer(server.url, settings=settings) as producer,
    ):
        producer.send(to=TO, text=TEXT)
        took = [timed(producer) for _ in range(messages)]
        began = time.perf_counter()
        producer.send_many([{"to": TO, "text": TEXT}] * messages * 5)
        many = messages * 5 / (time.perf_counter() - began)
        counted = min(messages, 500)
        fsyncs = count_fsyncs(server.pid, lambda: [timed(producer) for _ in range(counted)])
    cuts = statistics.quantiles(took, n=100)
    return Figures(durability, cuts[49] * 1000, cuts[98] * 1000, len(took) / sum(took), many, counted, fsyncs)


def timed(producer: Producer) -> float:
    """Send once; return the seconds that took."""
    began = time.perf_counter()
    producer.send(to=TO, text=TEXT)
    return time.perf_counter() - began


def count_fsyncs(pid: int, work: Callable[[], object]) -> int | None:
    """Return how many fsyncs the process made while `work` ran; None where that can't be seen."""
    strace = shutil.which("strace")
    if strace is None:
        return None
    with tempfile.NamedTemporaryFile(suffix=".strace") as seen:
        command = [strace, "-f", "-e", "trace=fsync,fdatasync", "-o", seen.name, "-p", str(pid)]
        tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            told = tracer.stderr.readline()
            if "attached" not in told:
                return None
            work()
        finally:
            tracer.terminate()
            tracer.communicate()
        return sum("sync(" in line for line in Path(seen.name).read_text().splitlines())


if __name__ == "__main__":
    sys.exit(main())
