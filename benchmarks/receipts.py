"""What the receiver carries, held against bare handlers of the same server that only read and answer.

    python benchmarks/receipts.py
    python benchmarks/receipts.py --seconds 5 --rounds 5 --connections 256 --durability memory --json

One handler is a plain ASGI function (bare), less than which nothing can be; the other a route of Starlette's
(route), as a team would write it. All three are served by the same uvicorn configuration, each in a process
of its own, and take turns. The receiver writes into a real server; its receipts tell of messages that the
ledger holds as sent, half of them by a URL with a signed token of the message, half by the provider's id at
the account's own URL, and one in ten comes twice. A process of its own posts them over kept-alive
connections, each as soon as its last was answered, so that latencies are those under full load. Exits 1 where
the receiver carries less than half of what the bare one does, where an answer was not 200, or where the
ledger does not hold as delivered what was answered.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import psutil  # type: ignore[import-untyped]
from receipts_parts import (  # type: ignore[import-not-found]  # it is found beside this script
    House,
    Load,
    house,
    load,
    receipts,
)

from sendline.ledger import verbs

LEAST: Final = 0.5
"""The part of the bare handler's rate that the receiver must carry."""
BUSY: Final = 0.85
"""The part of a core from which on the load generator may be what is measured."""
WARM: Final = 2000
"""Receipts of the first turns, which are not counted."""
HANDLERS: Final = ("bare", "route")


@dataclass(frozen=True)
class Round:
    """One turn of one of the three."""

    who: str
    receipts: int
    a_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    """Of its process, for each receipt."""
    server_cpu_us: float
    """Of Valkey, for each receipt."""
    generator_cpu: float
    refused: int
    """Answers that were not 200."""


def main() -> int:
    """Measure, print, and say whether the receiver carries enough."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="of each turn [3]")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each [3]")
    parser.add_argument("--connections", type=int, default=128, help="at the same time [128]")
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


def measure(asked: argparse.Namespace) -> tuple[list[Round], int]:
    """Let the three take turns; return all turns, and how many answered receipts the ledger does not hold."""
    rounds: list[Round] = []
    posted: set[bytes] = set()
    with house(asked.durability) as at:
        named, warm = receipts(at, WARM)
        for who in HANDLERS:
            take_turn(at, who, warm, asked)
        done, turn = take_turn(at, "receiver", warm, asked)
        posted.update(named[:done])
        wanted = round(1.5 * turn.a_second * asked.seconds)
        for _ in range(asked.rounds):
            rounds.extend(take_turn(at, who, warm, asked)[1] for who in HANDLERS)
            named, requests = receipts(at, wanted)
            done, turn = take_turn(at, "receiver", requests, asked)
            rounds.append(turn)
            posted.update(named[:done])
            wanted = round(1.5 * turn.a_second * asked.seconds)
        delivered = at.ledger.run(verbs.counts())["delivered"]
    return rounds, len(posted) - delivered


def take_turn(at: "House", who: str, requests: list[bytes], asked: argparse.Namespace) -> tuple[int, Round]:
    """Return how many receipts one of them answered, and the figures; a handler gets the same again."""
    watched = (at.parts[who].pid, at.server.pid)
    before = [spent(pid) for pid in watched]
    many = (asked.connections, asked.seconds, who in HANDLERS)
    seen: Load = at.pool.submit(load, at.ports[who], requests, *many).result()
    own, server = (spent(pid) - was for pid, was in zip(watched, before, strict=True))
    cuts = statistics.quantiles(seen.latencies, n=100)
    return seen.done, Round(
        who=who,
        receipts=seen.done,
        a_second=seen.done / seen.seconds,
        p50_ms=cuts[49] * 1000,
        p99_ms=cuts[98] * 1000,
        cpu_us=own / seen.done * 1_000_000,
        server_cpu_us=server / seen.done * 1_000_000,
        generator_cpu=seen.own_cpu,
        refused=seen.done - seen.answers.get("200", 0),
    )


def conclude(asked: argparse.Namespace, rounds: Sequence[Round], lost: int) -> dict[str, Any]:
    """Return the figures of all turns: medians, and the ratio of each pair of turns."""
    turns = {who: [each for each in rounds if each.who == who] for who in (*HANDLERS, "receiver")}
    ratios = {who: ratio(turns[who], turns["receiver"]) for who in HANDLERS}
    refused = sum(each.refused for each in rounds)
    return {
        "durability": asked.durability,
        "connections": asked.connections,
        **{who: middle(each) for who, each in turns.items()},
        "ratios": ratios,
        "generator_is_the_limit": max(each.generator_cpu for each in rounds) > BUSY,
        "refused": refused,
        "lost": lost,
        "kept": ratios["bare"] >= LEAST and not refused and not lost,
    }


def ratio(handler: Sequence[Round], receiver: Sequence[Round]) -> float:
    """Return the median of what the receiver carried for each that the handler did in the same round."""
    pairs = zip(handler, receiver, strict=True)
    return statistics.median(mine.a_second / its.a_second for its, mine in pairs)


def middle(rounds: Sequence[Round]) -> dict[str, float]:
    """Return the median of each figure."""
    names = ("a_second", "p50_ms", "p99_ms", "cpu_us", "server_cpu_us", "generator_cpu")
    return {name: statistics.median(getattr(each, name) for each in rounds) for name in names}


def show(rounds: Iterable[Round], told: dict[str, Any]) -> None:
    """Print the turns and what they come to."""
    print("turn of     receipts   a second      p50      p99   CPU us   Valkey us   generator")
    middles = [Round(who=f"= {who}", receipts=0, refused=0, **told[who]) for who in (*HANDLERS, "receiver")]
    for each in (*rounds, *middles):
        print(
            f"{each.who:<10} {each.receipts or '':>9} {each.a_second:>10.0f} {each.p50_ms:>5.1f} ms "
            f"{each.p99_ms:>5.1f} ms {each.cpu_us:>8.0f} {each.server_cpu_us:>11.0f} "
            f"{each.generator_cpu:>8.0%} of a core"
        )
    bare, route = told["ratios"]["bare"], told["ratios"]["route"]
    print(f"of the route {route:.2f}; of the bare handler {bare:.2f}, at least {LEAST}: ", end="")
    print("kept" if told["kept"] else "NOT kept")
    if told["refused"] or told["lost"]:
        print(
            f"{told['refused']} answers were not 200; {told['lost']} answered receipts are not in the ledger"
        )
    if told["generator_is_the_limit"]:
        print("the load generator was near a whole core: the rates are no more than lower bounds")


def spent(pid: int | None) -> float:
    """Return the seconds of CPU that a process has used."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    sys.exit(main())
