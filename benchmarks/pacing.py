"""Whether limits hold and are used, lanes keep their order, and accounts leave each other alone.

    python benchmarks/pacing.py
    python benchmarks/pacing.py --processes 1 2 4 --seconds 60
    python benchmarks/pacing.py rates urgent --seconds 20 --json

Judged from the log of the provider (the simulator, in a process of its own) and from the ledger's claim
instants. "Over" is how many messages the fullest window of any length holds beyond rate x window: at the
claim instants at most the burst, at the provider at most rate x 50 ms more. Exits 1 where a promise fails.
"""

import argparse
import json
import socket
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from sendline import Producer, Status
from sendline.ledger.accounts import halt, resume
from sendline.ledger.connection import Ledger
from sendline.ledger.limits import Limits
from sendline.settings import AccountSettings, Settings, ledger_url
from sendline_worker.providers.registry import simulated_account
from sendline_worker.serving import base_url, listening
from sendline_worker.simulator.client import SimulatorClient
from sendline_worker.stack import Part, Stack, targets

T = TypeVar("T")

JITTER = 0.05
"""Seconds: at the provider a limit holds within rate x JITTER."""
USED = 0.98
"""The least part of the rate that is used while messages wait."""
PLAIN = 8000
"""Recipients that the simulator treats alike."""
RATES = (1, 10, 100, 1000)


@dataclass(frozen=True)
class Figure:
    """One promise, what was measured, and whether that keeps it."""

    case: str
    what: str
    processes: int
    value: float
    told: str
    kept: bool


@dataclass(frozen=True)
class Asked:
    """What one scenario is asked to measure."""

    processes: int
    seconds: float
    rates: Sequence[int]
    bulk: int


@dataclass(frozen=True)
class House:
    """Everything that runs, and how to look at it."""

    stack: Stack
    producer: Producer
    simulator: SimulatorClient

    def send(self, account: str, number: int, **fields: object) -> list[str]:
        """Send `number` messages by one account; return their ids."""
        ids = []
        for start in range(0, number, 500):
            batch = [
                {"to": f"+1311{500_0000 + place % PLAIN}", "text": account, "account": account, **fields}
                for place in range(start, min(start + 500, number))
            ]
            ids += [message.id for message in self.producer.send_many(batch)]
        return ids

    def arrivals(self, since: float) -> dict[str, list[float]]:
        """Return, by text, when messages arrived at the provider: all that came later than `since`."""
        found = defaultdict(list)
        for entry in self.simulator.whole_log():
            if entry.at >= since:
                found[entry.text].append(entry.at)
        return found

    def claims(self, ids: set[str]) -> list[float]:
        """Return the instants of the claims of messages, by the ledger's events."""
        return sorted(
            event.at.timestamp()
            for event in self.producer.events(after=0, timeout=0.2)
            if event.status is Status.SENDING and event.message_id in ids
        )


@contextmanager
def house(processes: int, accounts: dict[str, dict[str, object]], **changes: object) -> Iterator[House]:
    """Run a server, a simulator and a worker of so many processes, with these accounts."""
    with tempfile.TemporaryDirectory(prefix="sl") as place, listening("127.0.0.1", 0) as listener:
        url = base_url(listener)
        base = simulated_account(url)
        simulator = Part("simulator", targets.simulator, listener, None, log=Path(place) / "simulator.log")
        simulator.begin()
        try:
            simulator.await_ready()
            settings = Settings.model_construct(
                _fields_set=set(),
                durability="memory",
                processes=processes,
                events_kept=1_000_000,
                accounts={
                    name: AccountSettings.model_validate(
                        {**base, "receipts": False, "senders": [], "api_key": f"key-{name}", **limits}
                    )
                    for name, limits in accounts.items()
                },
                **changes,
            )
            logs = Path(place)
            with (
                Stack(settings, logs / "instance", logs=logs) as stack,
                Producer(settings=stack.settings) as producer,
                SimulatorClient(url, timeout=60) as client,
            ):
                yield House(stack, producer, client)
        finally:
            simulator.end()


def over(instants: Sequence[float], rate: float) -> float:
    """Return by how many the fullest window of any length exceeds rate x window."""
    most = least = 0.0
    for place, at in enumerate(sorted(instants)):
        level = place - rate * (at - min(instants))
        least = min(least, level)
        most = max(most, level - least + 1)
    return most


def used(instants: Sequence[float], rate: float, burst: int) -> float:
    """Return the part of the rate that was used between the first and the last instant."""
    ordered = sorted(instants)
    return (len(ordered) - burst) / (ordered[-1] - ordered[0]) / rate


def rate_used(case: str, processes: int, part: float) -> Figure:
    """Tell how much of a rate was used."""
    return Figure(case, "rate used", processes, part, f"{part:.2%}", part >= USED)


def rates(asked: Asked) -> Iterator[Figure]:
    """One account at each rate, and one sender at each rate."""
    for rate in asked.rates:
        for of in ("account", "sender"):
            limits = {"rate": rate, "burst": 1} if of == "account" else {"rate": 10_000, "sender_rate": rate}
            with house(asked.processes, {"main": limits}) as running:
                yield from _rate(running, asked.processes, rate, of, max(asked.seconds, 5 / rate))


def _rate(running: House, processes: int, rate: float, of: str, seconds: float) -> Iterator[Figure]:
    since = time.time()
    with closing(Ledger(ledger_url(running.stack.settings))) as ledger:
        ledger.run(halt(Limits(), "main", "until all wait"))
        ids = running.send(
            "main", int(rate * seconds) + 1, sender="+13115552368", lane="bulk", valid_for=3600
        )
        ledger.run(resume(Limits(), "main"))
    await_sent(running, len(ids), seconds * 1.5 + 20)
    claimed, arrived = running.claims(set(ids)), running.arrivals(since)["main"]
    exact, there, part = over(claimed, rate), over(arrived, rate), used(arrived, rate, 1)
    what = f"{rate} a second, burst 1, by {of}, {seconds:g} s"
    rounding = rate / 1000 if rate > 100 else 0.001  # instants are told in milliseconds
    kept = exact <= 1 + rounding
    yield Figure(what, "over at the claims", processes, exact, f"{exact:.2f}", kept)
    kept = there <= 1 + rate * JITTER
    yield Figure(what, "over at the provider", processes, there, f"{there:.2f}", kept)
    yield rate_used(what, processes, part)


def beside(asked: Asked) -> Iterator[Figure]:
    """An account at 20 a second with burst 1, beside 100 others."""
    accounts = {f"a{number}": {"rate": 20 if not number else 4, "burst": 1} for number in range(101)}
    with house(asked.processes, accounts) as running:
        since = time.time()
        for name, limits in accounts.items():
            running.send(name, int(limits["rate"] * asked.seconds) + 1, sender="+13115552368", valid_for=3600)
        began = time.time()
        wait(
            lambda: len(running.arrivals(began)["a0"]) > 20 * (asked.seconds - (began - since) - 1),
            asked.seconds + 30,
        )
        inside = running.arrivals(began)["a0"]
        part = used(inside, 20, 1)
        yield rate_used("20 a second, burst 1, beside 100 others", asked.processes, part)


def many(asked: Asked) -> Iterator[Figure]:
    """1,000 accounts at half a message a second each."""
    accounts = {f"a{number}": {"rate": 0.5, "burst": 1} for number in range(1000)}
    with house(asked.processes, accounts) as running:
        for name in accounts:
            running.send(name, int(0.5 * asked.seconds) + 10, sender="+13115552368", valid_for=3600)
        began = time.time()
        time.sleep(asked.seconds)
        ended = time.time()
        counts = [
            sum(1 for at in found if at < ended)
            for found in running.arrivals(began).values()
            if len(found) > 1
        ]
        least = sorted(counts)[10] / (
            0.5 * asked.seconds
        )  # the slowest but ten: windows begin between messages
        part = sum(counts) / (500 * asked.seconds)
        yield rate_used("1,000 accounts at 0.5 a second", asked.processes, part)
        yield Figure(
            "1,000 accounts at 0.5 a second",
            "rate used by the slowest",
            asked.processes,
            least,
            f"{least:.1%}",
            least >= USED - 2 / asked.seconds,
        )


def urgent(asked: Asked) -> Iterator[Figure]:
    """Urgent messages while 50,000 bulk messages wait at 50 a second; then urgent ones that saturate."""
    with house(asked.processes, {"main": {"rate": 50}}) as running:
        running.send("main", asked.bulk, sender="+13115552368", lane="bulk", valid_for=86_400)
        took = []
        for number in range(int(asked.seconds)):
            at = time.time()
            text = f"urgent {number}"
            running.producer.send(
                to="+13115550000", text=text, account="main", sender="+13115552368", lane="urgent"
            )
            arrived = wait(lambda text=text, at=at: running.arrivals(at).get(text), 10)
            took.append(arrived[0] - at)
            time.sleep(0.1)
        cuts = sorted(took)
        median, late = statistics.median(cuts), cuts[min(len(cuts) - 1, int(len(cuts) * 0.99))]
        what = f"urgent over {asked.bulk:,} bulk messages"
        yield Figure(what, "median", asked.processes, median, f"{median * 1000:.0f} ms", median <= 0.2)
        yield Figure(what, "99th percentile", asked.processes, late, f"{late * 1000:.0f} ms", late <= 0.5)
        since = time.time()
        running.send(
            "main", int(50 * asked.seconds) + 100, sender="+13115552369", lane="urgent", text="flood"
        )
        time.sleep(asked.seconds)
        found = running.arrivals(since)
        bulk, flood = len(found["main"]), len(found["flood"])
        share = bulk / (bulk + flood)
        kept = 0.045 <= share <= 0.07
        yield Figure(
            "urgent messages without end", "bulk's share", asked.processes, share, f"{share:.1%}", kept
        )


def throttled(asked: Asked) -> Iterator[Figure]:
    """One 429 with Retry-After: 2, at 50 a second."""
    with house(asked.processes, {"main": {"rate": 50}}) as running:
        ids = running.send("main", 50 * 100, sender="+13115552368", lane="bulk", valid_for=86_400)
        wait(lambda: len(running.arrivals(0)["main"]) > 100, 20)
        running.simulator.behave("throttled", count=1, retry_after=2)
        at = wait(lambda: throttle_settled(running), 20)
        time.sleep(62)
        claims = running.claims(set(ids))
        early = sum(1 for each in claims if at < each < at + 2)
        last = [each for each in claims if each > at + 52]
        back = (len(last) - 1) / (last[-1] - last[0])
        what = "50 a second, 429 with Retry-After: 2"
        yield Figure(what, "claims within 2 s", asked.processes, early, str(early), early == 0)
        yield Figure(
            what, "a second, a minute later", asked.processes, back, f"{back:.1f}", back >= 50 * USED
        )


def throttle_settled(running: House) -> float | None:
    """Return when the ledger wrote down a 429."""
    return next(
        (e.at.timestamp() for e in running.producer.events(after=0, timeout=0.1) if e.code == "throttled"),
        None,
    )


def hanging(asked: Asked) -> Iterator[Figure]:
    """One account whose provider takes every call and never answers, beside one that works."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as hole:
        hung = {"rate": 50, "base_url": f"http://127.0.0.1:{hole.getsockname()[1]}"}
        with house(asked.processes, {"hung": hung, "main": {"rate": 20, "burst": 1}}) as running:
            since = time.time()
            running.send("hung", int(50 * asked.seconds) + 100, sender="+13115552368", valid_for=3600)
            running.send("main", int(20 * asked.seconds), sender="+13115552368", valid_for=3600)
            wait(lambda: len(running.arrivals(since)["main"]) >= 20 * asked.seconds, asked.seconds * 1.5 + 20)
            part = used(running.arrivals(since)["main"], 20, 1)
            yield rate_used("20 a second, burst 1, beside a provider that hangs", asked.processes, part)


SCENARIOS: dict[str, Callable[[Asked], Iterator[Figure]]] = {
    "rates": rates,
    "beside": beside,
    "many": many,
    "urgent": urgent,
    "throttled": throttled,
    "hanging": hanging,
}


def await_sent(running: House, number: int, timeout: float) -> None:
    """Return when so many messages are `sent`."""
    wait(lambda: running.producer.counts()["sent"] >= number, timeout, every=0.25)


def wait(condition: "Callable[[], T]", timeout: float, every: float = 0.02) -> "T":
    """Return the first true answer of `condition`."""
    deadline = time.monotonic() + timeout
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {timeout:g} s")
        time.sleep(every)
    return answer


def main() -> int:
    """Run what is asked for and print what was measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenarios", nargs="*", default=list(SCENARIOS), help=", ".join(SCENARIOS))
    parser.add_argument("--processes", type=int, nargs="+", default=[2], help="worker processes (default 2)")
    parser.add_argument("--seconds", type=float, default=60, help="of each measurement (default 60)")
    parser.add_argument(
        "--rates", type=int, nargs="+", default=RATES, help="of `rates` (default 1 10 100 1000)"
    )
    parser.add_argument("--bulk", type=int, default=50_000, help="of `urgent`: what waits (default 50000)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = parser.parse_args()
    figures = []
    for processes in asked.processes:
        for name in asked.scenarios:
            for figure in SCENARIOS[name](Asked(processes, asked.seconds, asked.rates, asked.bulk)):
                figures.append(figure)
                if not asked.json:
                    sign = "ok " if figure.kept else "NOT"
                    told = f"{figure.case}: {figure.what}"
                    print(f"{sign} {figure.processes} proc  {told:<66} {figure.told}", flush=True)
    if asked.json:
        print(json.dumps([asdict(figure) for figure in figures]))
    return 0 if all(figure.kept for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
