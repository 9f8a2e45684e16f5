"""What a claim costs the server, by what waits: messages, campaigns, accounts.

    python benchmarks/claims.py
    python benchmarks/claims.py --most 100000 --json

Each claim takes 50 messages. What is counted is the CPU time of the server's main thread, the median of 100
claims. Each case is compared with the first of its kind, which has a server of its own; claims of the two
take turns, so that a machine that slows down slows both. The cost shall depend on what a claim takes, not on
what waits.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import redis

from sendline.contract import ids
from sendline.contract.draft import Draft
from sendline.contract.lane import Lane
from sendline.ledger import verbs, work
from sendline.ledger.accounts import AccountLimits, Wake, configure
from sendline.ledger.connection import Ledger
from sendline.ledger.limits import Limits
from sendline_worker.embedded import EmbeddedServer

LIMITS = Limits()
TAKEN = 50
"""Messages a claim."""
CLAIMS = 100
"""Claims of one measurement."""
BATCH = 500
TO, SENDER, TEXT = "+13115552367", "+13115552368", "Your code is 314159."


@dataclass(frozen=True)
class Case:
    """What waits, over how many accounts and campaigns."""

    waiting: int
    campaigns: int = 1
    accounts: int = 1


@dataclass(frozen=True)
class Figure:
    """What claims cost in one case."""

    kind: str
    case: Case
    us_a_claim: float
    us_a_message: float
    ratio: float
    """Against the first case of its kind."""


def main() -> int:
    """Measure every case and print them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--most", type=int, default=1_000_000, help="messages of the largest case")
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = parser.parse_args()
    least, middle = TAKEN * CLAIMS + 1000, max(asked.most // 10, 20_000)
    kinds = {
        "waiting": (Case(least), Case(asked.most)),
        "campaigns": (Case(middle), Case(middle, campaigns=1000)),
        "accounts": (Case(middle), Case(middle, accounts=1000)),
    }
    figures = []
    for kind, cases in kinds.items():
        costs = measure(cases)
        figures += [
            Figure(kind, case, cost, cost / TAKEN, cost / costs[0])
            for case, cost in zip(cases, costs, strict=True)
        ]
    if asked.json:
        print(json.dumps([asdict(each) for each in figures]))
        return 0
    print("case        waiting   campaigns   accounts   us a claim   us a message   ratio")
    for each in figures:
        case = each.case
        print(
            f"{each.kind:<10} {case.waiting:>8} {case.campaigns:>11} {case.accounts:>10} "
            f"{each.us_a_claim:>12.0f} {each.us_a_message:>14.1f} {each.ratio:>7.2f}"
        )
    return 0


def measure(cases: Sequence[Case]) -> list[float]:
    """Return for each case the microseconds that its server spends on one claim of TAKEN messages."""
    with ExitStack() as stack:
        servers = [stack.enter_context(house()) for _ in cases]
        for case, (ledger, raw) in zip(cases, servers, strict=True):
            prepare(case, ledger)
            await_quiet(raw)
        costs: list[list[float]] = [[] for _ in cases]
        for number in range(1, CLAIMS + 1):
            request = work.ClaimRequest("bench", number, TAKEN, TAKEN, 90, 2, 5, may_sign_off=False)
            for (ledger, raw), spent_so_far in zip(servers, costs, strict=True):
                before = spent(raw)
                claimed = ledger.run(work.claim(LIMITS, request))
                spent_so_far.append(spent(raw) - before)
                if len(claimed.claims) != TAKEN:
                    raise SystemExit(f"claim {number} took {len(claimed.claims)} messages")
    return [statistics.median(each) for each in costs]


def prepare(case: Case, ledger: Ledger) -> None:
    """Make what the case asks for wait."""
    names = [f"a{number}" for number in range(case.accounts)]
    limits = [AccountLimits(name, rate=10_000, burst=1_000_000) for name in names]
    directory = json.dumps({"accounts": [{"name": name} for name in names], "routes": []})
    ledger.run(configure(LIMITS, directory, Wake("wakes", b"envelope"), limits))
    fill(ledger, case, names)


@contextmanager
def house() -> Iterator[tuple[Ledger, "redis.Redis[bytes]"]]:
    """An empty ledger on a server of its own, in memory."""
    with (
        tempfile.TemporaryDirectory(prefix="sl") as folder,
        EmbeddedServer(Path(folder), "memory") as server,
        closing(Ledger(server.url, timeout=60)) as ledger,
        closing(redis.Redis.from_url(server.url)) as raw,
    ):
        yield ledger, raw


def fill(ledger: Ledger, case: Case, names: list[str]) -> None:
    """Accept what shall wait."""
    batch: list[Draft] = []
    for number in range(case.waiting):
        campaign = f"c{number % case.campaigns}" if case.campaigns > 1 else "c"
        batch.append(draft(names[number % len(names)], campaign))
        if len(batch) == BATCH or number == case.waiting - 1:
            ledger.run(verbs.accept(LIMITS, batch))
            batch = []


def draft(account: str, campaign: str) -> Draft:
    """One message of a campaign."""
    return Draft(
        id=ids.new_id(),
        to=TO,
        text=TEXT,
        sender=SENDER,
        account=None,
        route=(account,),
        lane=Lane.BULK,
        segments=1,
        not_before_ms=0,
        valid_for_ms=3_600_000,
        campaign=campaign,
    )


def await_quiet(raw: "redis.Redis[bytes]") -> None:
    """Return when the server has done what the filling left to do, such as growing its tables."""
    for _ in range(100):
        before = spent(raw)
        time.sleep(0.25)
        if spent(raw) - before < 5000:
            return


def spent(raw: "redis.Redis[bytes]") -> float:
    """Return the microseconds of CPU that the server's main thread has used."""
    found = raw.info("cpu")
    return 1_000_000 * (found["used_cpu_user_main_thread"] + found["used_cpu_sys_main_thread"])


if __name__ == "__main__":
    sys.exit(main())
