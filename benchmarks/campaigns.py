"""What a large campaign costs: from its file into the ledger, while it waits, and when it is over.

    python benchmarks/campaigns.py
    python benchmarks/campaigns.py --recipients 100000 --json

Two campaigns are imported side by side, each from a file of 60 bytes a row. CPU time is that of this process,
and of the server; memory of Redis is all that it uses more than before, the stream of events included. Then
both are sent by hand: claims, settles and receipts in large calls, without any worker or provider.
"""

import argparse
import json
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

import redis

from sendline import Producer, Status
from sendline.contract.accounts import AccountCard, Capabilities
from sendline.contract.campaign import CampaignState
from sendline.ledger import work
from sendline.ledger.accounts import AccountLimits, Wake, configure
from sendline.ledger.connection import Ledger
from sendline.ledger.directory import Directory
from sendline.ledger.limits import Limits
from sendline.producer.campaign import Campaign
from sendline.settings import Settings
from sendline_worker.embedded import EmbeddedServer

TEXT = "Hi {{ name }}, your plan {{ plan }} ends on Friday. Reply STOP to end."
SENDER = "+13115552368"
LIMITS = Limits()
TAKEN = 500
"""Messages a claim."""


@dataclass(frozen=True)
class Figure:
    """One thing that was measured, and what was asked of it."""

    what: str
    value: float
    unit: str
    asked: float | None = None

    @property
    def kept(self) -> bool:
        return self.asked is None or self.value <= self.asked


@dataclass(frozen=True)
class House:
    """A server, and the ways to it."""

    raw: redis.Redis
    ledger: Ledger
    producer: Producer

    def server_cpu(self) -> float:
        """Return the seconds of CPU that the server has used."""
        used = self.raw.info("cpu")
        return float(used["used_cpu_user"] + used["used_cpu_sys"])

    def memory(self) -> int:
        """Return the bytes that the server uses."""
        return int(self.raw.info("memory")["used_memory"])


@contextmanager
def house() -> Iterator[House]:
    """Run an empty server that knows one account."""
    with tempfile.TemporaryDirectory(prefix="sl-") as place, EmbeddedServer(Path(place)) as server:
        settings = Settings.model_validate({"redis_url": server.url, "durability": "memory"})
        with (
            redis.Redis.from_url(server.url) as raw,
            closing(Ledger(server.url, timeout=30)) as ledger,
            Producer(settings=settings) as producer,
        ):
            card = AccountCard("main", Capabilities(), (SENDER,))
            known = json.dumps(Directory({"main": card}, ()).to_plain())
            limits = AccountLimits("main", 1_000_000.0, 1_000_000)
            ledger.run(configure(LIMITS, known, Wake("wakes", b"envelope"), [limits]))
            yield House(raw, ledger, producer)


def write_file(path: Path, number: int, first: int) -> None:
    """Write recipients, 60 bytes a row."""
    chance = random.Random(first)
    with path.open("w") as file:
        file.write("to,name,city,plan\n")
        for place in range(first, first + number):
            name, city = f"Firstname{chance.randrange(1000):03}", f"Springfield{chance.randrange(100):02}"
            file.write(f"+1{3_110_000_000 + place},{name},{city},premium plus one\n")


def imported(running: House, path: Path, names: tuple[str, ...], number: int) -> Iterator[Figure]:
    """Import one campaign after the other."""
    before, resident = running.memory(), _resident()
    ours, servers, began = time.process_time(), running.server_cpu(), time.perf_counter()
    for place, name in enumerate(names):
        write_file(path, number, place * number)
        size = path.stat().st_size / number
        running.producer.campaign(name, text=TEXT, sender=SENDER, recipients=path)
    rows = number * len(names)
    ours, servers = time.process_time() - ours, running.server_cpu() - servers
    yield Figure("size of a row", size, "B")
    yield Figure("CPU a row, producer (with the writing of the file)", ours / rows * 1e6, "us")
    yield Figure("CPU a row, server", servers / rows * 1e6, "us")
    yield Figure("CPU a row, together", (ours + servers) / rows * 1e6, "us", 80)
    yield Figure("rows a second", rows / (time.perf_counter() - began), "")
    yield Figure("resident memory of the producer", _resident() / 1024, "MB", 150)
    yield Figure("of which grown meanwhile", (_resident() - resident) / 1024, "MB")
    yield Figure("Redis memory a recipient, waiting", (running.memory() - before) / rows, "B", 250)


def steered(campaign: Campaign) -> Iterator[Figure]:
    """Ask where a campaign stands, start it and pause it."""
    yield Figure("progress()", _median_ms(campaign.progress), "ms", 5)
    yield Figure("start()", _median_ms(campaign.start, 1), "ms")
    yield Figure("pause()", _median_ms(campaign.pause, 1), "ms", 1000)
    campaign.resume()


def sent(running: House, campaigns: list[Campaign], before: int, rows: int) -> Iterator[Figure]:
    """Send all by hand, and let all be delivered."""
    number, servers = 0, running.server_cpu()
    while not all(campaign.progress().state is CampaignState.FINISHED for campaign in campaigns):
        number += 1
        request = work.ClaimRequest("bench", number, TAKEN, TAKEN, 90, 2, 3, may_sign_off=False)
        claims = running.ledger.run(work.claim(LIMITS, request)).claims
        if not claims:
            running.ledger.run(work.tick(LIMITS, "bench", lock=2.5, most=500))
            continue
        ids = [str(uuid4()) for _ in claims]
        settlements = [
            work.Settlement(
                each.message_id, each.token, "main", Status.SENT, deadline=259200, provider_id=pid
            )
            for each, pid in zip(claims, ids, strict=True)
        ]
        running.ledger.run(work.settle(LIMITS, "bench", number, settlements))
        reports = [work.Reported("main", Status.DELIVERED, provider_id=pid) for pid in ids]
        running.ledger.run(work.receive(LIMITS, reports))
    spent = (running.server_cpu() - servers) / rows * 1e6
    delivered = sum(campaign.progress().statuses[Status.DELIVERED] for campaign in campaigns)
    yield Figure("delivered, of all", delivered / rows * 100, "%")
    yield Figure("CPU a message, server, claim to delivered", spent, "us")
    yield Figure("Redis memory a recipient, final", (running.memory() - before) / rows, "B", 200)


def reported(running: House, campaign: Campaign, path: Path) -> Iterator[Figure]:
    """Write the report of a campaign."""
    ours, servers = time.process_time(), running.server_cpu()
    rows = campaign.report(path)
    yield Figure("CPU a row of report()", (time.process_time() - ours) / rows * 1e6, "us")
    yield Figure("CPU a row of report(), server", (running.server_cpu() - servers) / rows * 1e6, "us")


def _resident() -> float:
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def _median_ms(call: Callable[[], object], times: int = 21) -> float:
    took = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        took.append(time.perf_counter() - began)
    return statistics.median(took) * 1000


def main() -> int:
    """Measure and print; exit 1 where something is above what is asked of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipients", type=int, default=1_000_000, help="of each of the two campaigns")
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = parser.parse_args()
    figures: list[Figure] = []

    def note(found: Iterator[Figure]) -> None:
        for each in found:
            figures.append(each)
            if not asked.json:
                sign = "   " if each.asked is None else "ok " if each.kept else "NOT"
                most = "" if each.asked is None else f"   at most {each.asked:g}"
                print(f"{sign} {each.what:<52} {each.value:>10.1f} {each.unit:<3}{most}", flush=True)

    with house() as running, tempfile.TemporaryDirectory() as place:
        before, names = running.memory(), ("spring", "autumn")
        note(imported(running, Path(place) / "people.csv", names, asked.recipients))
        campaigns = [running.producer.campaign(name) for name in names]
        for campaign in campaigns:
            note(steered(campaign))
        note(sent(running, campaigns, before, 2 * asked.recipients))
        note(reported(running, campaigns[0], Path(place) / "report.csv"))
    if asked.json:
        print(json.dumps([asdict(each) for each in figures]))
    return 0 if all(each.kept for each in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
