"""Runs a campaign under its plan of faults, waits until all is quiet, and asks the witnesses."""

import json
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from chaos.faults import Missed, inject
from chaos.ground import Ground
from chaos.messages import Campaign, number_of
from chaos.plan import Fault, plan
from chaos.sending import read_acknowledged
from chaos.verdict import UNDER_WAY, Verdict, Witnesses, judge
from sendline import Message
from sendline.contract import ids
from sendline.contract.errors import LedgerError
from sendline.ledger import verbs
from sendline.ledger.connection import Ledger
from sendline.ledger.limits import Limits
from sendline.settings import Settings, ledger_url
from sendline_worker.audit import Audit

STEP: Final = 0.02
STORIES: Final = 200
"""Messages whose stories are written down."""
STILL: Final = 4.0
"""Seconds for which nothing may change before the end is believed."""
QUIET_MOST: Final = 150.0
"""Seconds within which all must have settled after the last fault."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is."""

    seconds: float
    of: float
    counts: Mapping[str, int]
    total: int
    faults: int
    now: tuple[str, ...]
    """Faults in force."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a run came to."""

    campaign: Campaign
    verdict: Verdict
    faults: Mapping[str, int]
    """How many of each kind."""
    missed: int
    """Faults that had nothing to hit."""
    settled_after: float
    """Seconds from the last fault until nothing moved any more."""
    seconds: float
    notes: tuple[str, ...]
    directory: Path

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "seed": self.campaign.seed,
            **self.verdict.to_dict(),
            "faults": dict(self.faults),
            "faults_missed": self.missed,
            "seconds": round(self.seconds, 1),
            "settled_after": round(self.settled_after, 1),
            "notes": list(self.notes),
            "directory": str(self.directory),
        }


class Injector:
    """Lets the faults of a plan come and go, in the thread that calls `step`."""

    def __init__(self, ground: Ground, faults: tuple[Fault, ...]) -> None:
        self._ground = ground
        self._waiting = deque(faults)
        self._active: list[tuple[Fault, ExitStack]] = []
        self.injected: Counter[str] = Counter()
        self.missed = 0

    @property
    def is_over(self) -> bool:
        """Whether no fault is in force or to come."""
        return not self._waiting and not self._active

    @property
    def in_force(self) -> tuple[str, ...]:
        """The faults in force."""
        return tuple(f"{fault.name} ({fault.place})" for fault, _ in self._active)

    def step(self, seconds: float) -> None:
        """End and begin what is due `seconds` after the beginning."""
        for fault, effect in [each for each in self._active if each[0].ends <= seconds]:
            self._active.remove((fault, effect))
            self._end(fault, effect)
        while self._waiting and self._waiting[0].at <= seconds:
            self._begin(self._waiting.popleft())

    def end_all(self) -> None:
        """End what is in force."""
        for fault, effect in self._active:
            self._end(fault, effect)
        self._active.clear()

    def _begin(self, fault: Fault) -> None:
        effect = ExitStack()
        try:
            self._ground.doubts += effect.enter_context(inject(self._ground, fault))
        except Missed:
            self.missed += 1
            self._ground.tell(f"{fault.name} ({fault.place}) had nothing to hit")
            return
        self._ground.tell(f"{fault.name} ({fault.place})")
        self.injected[fault.name] += 1
        self._active.append((fault, effect))

    def _end(self, fault: Fault, effect: ExitStack) -> None:
        effect.close()
        if fault.lasts:
            self._ground.tell(f"{fault.name} ({fault.place}) is over")


def run(campaign: Campaign, policy: str, directory: Path, watch: Callable[[Progress], None]) -> Result:
    """Run it; everything that it starts has ended when it returns, and when it is interrupted."""
    began = time.monotonic()
    with Ground(campaign, policy, directory) as ground:
        injector = Injector(ground, plan(campaign.seed, campaign.seconds))
        ground.begin_sending()
        try:
            for seconds in _steps(ground, campaign.seconds):
                injector.step(seconds)
                watch(_progress(ground, injector))
                if injector.is_over:
                    break
        finally:
            injector.end_all()
        settled_after = _await_quiet(ground, lambda: watch(_progress(ground, injector)))
        seen = witnesses(ground)
        orphans = sum(part.orphans() for part in ground.workers)
    verdict = judge(seen, policy, ground.doubts)
    write_stories(directory / "stories.json", seen, verdict)
    notes = [note for part in ground.parts for note in part.notes]
    if orphans:
        notes.append(f"{orphans} children of killed workers still ran at the end")
    if not ground.producer.done:
        notes.append("the producer was not done at the end")
    return Result(
        campaign=campaign,
        verdict=verdict,
        faults=injector.injected,
        missed=injector.missed,
        settled_after=settled_after,
        seconds=time.monotonic() - began,
        notes=tuple(notes),
        directory=directory,
    )


def _steps(ground: Ground, seconds: float) -> Iterator[float]:
    while (now := time.monotonic() - ground.began) < seconds + 1:
        ground.tend()
        yield now
        time.sleep(STEP)


def _progress(ground: Ground, injector: Injector) -> Progress:
    return Progress(
        seconds=time.monotonic() - ground.began,
        of=ground.campaign.seconds,
        counts=ground.watch.counts,
        total=ground.campaign.total,
        faults=injector.injected.total(),
        now=injector.in_force,
    )


def _await_quiet(ground: Ground, watch: Callable[[], None]) -> float:
    """Return once nothing moves any more, or when patience ends; and after how many seconds that was."""
    began = since = time.monotonic()
    before: Mapping[str, int] = {}
    while (now := time.monotonic()) - began < QUIET_MOST:
        ground.tend()
        watch()
        counts = ground.watch.counts
        under_way = not counts or any(counts[status] for status in UNDER_WAY)
        if counts != before or under_way or not ground.producer.done or _receipts_pending(ground):
            before, since = counts, now
        if now - since > STILL:
            break
        time.sleep(0.1)
    return since - began


def _receipts_pending(ground: Ground) -> bool:
    return ground.simulator.summary().receipts_pending > 0


def witnesses(ground: Ground) -> Witnesses:
    """Ask the three."""
    acknowledged = tuple(read_acknowledged(ground.acknowledged))
    with closing(Ledger(ledger_url(ground.settings), timeout=10)) as ledger:
        return Witnesses(
            total=ground.campaign.total,
            acknowledged=acknowledged,
            held=_held(ledger, [message_id for _, message_id in acknowledged]),
            counts=ledger.run(verbs.counts()),
            audit=_audit(ledger, ground.settings),
            log=list(ground.simulator.whole_log()),
        )


def write_stories(path: Path, seen: Witnesses, verdict: Verdict) -> None:
    """Write what ledger and provider have of the messages that broke a promise."""
    concerned = {offender.number for offender in verdict.offenders if offender.number is not None}
    if not concerned:
        return
    ids_of = dict(seen.acknowledged)
    stories: dict[int, Any] = {}
    for number in sorted(concerned)[:STORIES]:
        message = seen.held.get(ids_of.get(number, ""))
        stories[number] = {"ledger": message and message.to_dict(), "provider": []}
    for received in seen.log:
        if (number := number_of(received.text)) in stories:
            stories[number]["provider"].append(asdict(received))
    path.write_text(json.dumps(stories, indent=1, default=str) + "\n")


def _held(ledger: Ledger, message_ids: list[str]) -> dict[str, Message | None]:
    return {each: ledger.run(verbs.get(ids.to_bytes(each) or b"")) for each in message_ids}


def _audit(ledger: Ledger, settings: Settings) -> tuple[str, ...]:
    try:
        report = Audit(ledger, Limits.of(settings)).run()
    except LedgerError as error:
        return (f"it could not be run: {error}",)
    found = [f"{f.what} ({f.number}: {', '.join(f.ids)})" for f in report.findings]
    if not report.compared:
        found.append("messages still moved, so counts and records were not compared")
    return tuple(found)
