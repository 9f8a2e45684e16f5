"""Runs the demo: starts everything, sends, watches, checks."""

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sendline import Message, Producer, Status
from sendline.contract.lane import Lane
from sendline.ledger.account_state import account_state
from sendline.ledger.connection import Ledger
from sendline.ledger.limits import Limits
from sendline.settings import Settings, ledger_url
from sendline_worker.accounts import load_accounts
from sendline_worker.audit import Audit
from sendline_worker.demo.people import URGENT_TO, Person
from sendline_worker.demo.verdict import Verdict, judge
from sendline_worker.simulator.client import SimulatorClient
from sendline_worker.stack import PartFailed, Stack
from sendline_worker.stack.stack import SIMULATED

PATIENCE: Final = 75.0
"""Seconds within which every message must be where it belongs."""
LOOK: Final = 0.1
"""Seconds between two looks at the counts."""
JITTER: Final = 0.1
"""Seconds by which a busy machine may delay what was claimed in time: so much of the rate may bunch up."""
QUIET: Final = 1.0
"""Seconds for which nothing may change before the end is believed."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is."""

    seconds: float
    counts: Mapping[str, int]
    total: int

    @property
    def done(self) -> int:
        """Messages that will not be sent any more."""
        waiting = ("created", "sending", "retrying")
        return self.total - sum(self.counts[status] for status in waiting)


@dataclass(frozen=True, slots=True)
class Result:
    """What a run came to."""

    urgent: Message
    counts: Mapping[str, int]
    verdict: Verdict
    audit_problems: tuple[str, ...]
    rate: float
    """Configured, messages a second."""
    rate_used: float
    """What the provider saw while messages waited, a second."""
    rate_peak: int
    """The most the provider saw in any one second."""
    burst: int
    seconds: float
    pauses: int = 0
    """How often the provider asked for a pause of the whole account, a second each."""

    @property
    def problems(self) -> tuple[str, ...]:
        """Everything that is not as it must be."""
        found = [*self.verdict.problems, *self.audit_problems]
        if self.rate_peak > self.rate * (1 + JITTER) + self.burst:
            found.append(f"the provider saw {self.rate_peak} in one second; {self.rate:g} are allowed")
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "ok": not self.problems,
            "problems": list(self.problems),
            "accepted": self.counts["accepted"],
            "counts": {name: n for name, n in self.counts.items() if name != "accepted"},
            "urgent": self.urgent.to_dict(),
            "rate": {
                "configured": self.rate,
                "used": round(self.rate_used, 1),
                "peak": self.rate_peak,
                "pauses": self.pauses,
            },
            "provider": {
                "requests": self.verdict.requests,
                "accepted_once": self.verdict.accepted_once,
                "accepted_twice": self.verdict.accepted_twice,
                "never_accepted": self.verdict.refused,
            },
            "audit": {"ok": not self.audit_problems, "problems": list(self.audit_problems)},
            "seconds": round(self.seconds, 1),
        }


def demo_settings() -> Settings:
    """Return the demo's own settings: nothing of the user's environment, least of all real accounts."""
    return Settings.model_construct(
        _fields_set=set(), retry_base=1.0, retry_max=4.0, max_attempts=5, call_timeout=3.0, processes=2
    )


def run_demo(
    people: Sequence[Person],
    say: Callable[[str], None],
    watch: Callable[[Progress], None],
) -> Result:
    """Run it. `say` hears of each step, `watch` of the progress. Raises SendlineError.

    Everything lives in a temporary directory, which is removed at the end.
    """
    with tempfile.TemporaryDirectory(prefix="sendline-demo-") as place:
        directory = Path(place)
        with Stack(demo_settings(), directory / "instance", logs=_made(directory / "logs"), say=say) as stack:
            return _run(stack, people, say, watch)


def _run(
    stack: Stack,
    people: Sequence[Person],
    say: Callable[[str], None],
    watch: Callable[[Progress], None],
) -> Result:
    began = time.monotonic()
    with (
        Producer(settings=stack.settings) as producer,
        SimulatorClient(stack.simulator_url or "") as simulator,
    ):
        say(f"sending {len(people):,} messages from the file, then one urgent one")
        batch = producer.send_many([person.fields for person in people])
        urgent = producer.send(to=URGENT_TO, text="Your code is 314159.", lane=Lane.URGENT)
        must = {m.id: person.status for m, person in zip(batch, people, strict=True)}
        must[urgent.id] = Status.DELIVERED
        _await_end(stack, producer, must, watch)
        say("checking against the provider's own log, and the ledger against itself")
        messages = [producer.get(message_id) for message_id in must]
        log = list(simulator.whole_log())
        summary = simulator.summary()
        limits = load_accounts(stack.settings)[SIMULATED].limits
        return Result(
            urgent=messages[-1],
            counts=producer.counts(),
            verdict=judge(messages, must, log),
            audit_problems=_audit_problems(stack.settings),
            rate=limits.rate,
            rate_used=_rate_used([entry.at for entry in log], len(people)),
            rate_peak=summary.max_per_second,
            pauses=summary.by_answer.get("429", 0),
            burst=_burst_in_force(stack.settings),
            seconds=time.monotonic() - began,
        )


def _burst_in_force(settings: Settings) -> int:
    with closing(Ledger(ledger_url(settings))) as ledger:
        return ledger.run(account_state(SIMULATED)).burst


def _await_end(
    stack: Stack,
    producer: Producer,
    must: Mapping[str, Status],
    watch: Callable[[Progress], None],
) -> None:
    """Return when the counts are as they must be and stay so, or when patience ends."""
    wanted = Counter(str(status) for status in must.values())
    began = time.monotonic()
    since: float | None = None
    while (now := time.monotonic()) - began < PATIENCE:
        counts = producer.counts()
        watch(Progress(now - began, counts, len(must)))
        if failed := stack.failed():
            raise PartFailed(f"{failed} ended by itself")
        if all(counts[status] == wanted[status] for status in Status):
            since = since or now
            if now - since >= QUIET:
                return
        else:
            since = None
        time.sleep(LOOK)


def _rate_used(arrivals: Sequence[float], messages: int) -> float:
    """Return the arrivals a second over the time in which the first `messages` came: while some waited."""
    first = sorted(arrivals)[:messages]
    return (len(first) - 1) / (first[-1] - first[0]) if len(first) > 1 else 0.0


def _audit_problems(settings: Settings) -> tuple[str, ...]:
    with closing(Ledger(ledger_url(settings))) as ledger:
        report = Audit(ledger, Limits.of(settings)).run()
    found = [f"audit: {finding.what} ({finding.number})" for finding in report.findings]
    if not report.compared:
        found.append("audit: messages still moved, so counts and records were not compared")
    return tuple(found)


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True)
    return directory
