"""Messages a second, and what each costs: everybody's turn, over and over."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from comparison.contestants import Contestant, Run, Stage
from comparison.places import Provider, Server, server
from comparison.processes import Late, resident_mb, spent, wait
from comparison.work import Request

FROM, TO = 0.2, 0.8
"""The part of the messages between whose arrivals it is measured: neither the start nor the end."""
BUSY: Final = 0.85
"""The part of a core from which on the provider may be what is measured."""
WARM: Final = 100
"""Messages that are handed in before memory is weighed."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one contestant did in one turn."""

    a_second: float
    cpu_us: float
    redis_cpu_us: float
    provider_cpu: float
    resident_mb: float
    accept_cpu_us: float
    accept_redis_us: float
    waiting_bytes: float
    final_bytes: float
    scripts: float
    script_us: float


@dataclass(frozen=True, slots=True)
class Instant:
    """Where everything stood."""

    at: float
    arrived: int
    workers: float
    redis: float
    provider: float
    scripts: tuple[int, float]


def take_turn(who: Contestant, provider: Provider, at: Request, processes: int, messages: int) -> Turn:
    """Let a contestant send so many messages over a server of its own."""
    provider.reset()
    with tempfile.TemporaryDirectory(prefix="sl") as folder, server(Path(folder), "v") as valkey:
        stage = Stage(Path(folder), provider, at, valkey)
        with who.running(stage, processes) as run:
            run.fill(0, WARM)
            empty = valkey.weight()
            own, redis = time.process_time(), valkey.spent()
            run.fill(WARM, messages - WARM)
            own, redis = time.process_time() - own, valkey.spent() - redis
            rows = messages - WARM
            waiting = (valkey.weight() - empty) / rows
            run.release()
            first, last, resident = watch(run, valkey, provider, messages)
            wait(lambda: provider.count() >= messages, 60, f"all messages of {who.name}")
            wait(lambda: run.kept() >= messages, 20, f"all statuses of {who.name}")
            if (distinct := provider.distinct()) != messages or provider.count() != messages:
                raise RuntimeError(f"{who.name}: {provider.count()} arrived, {distinct} different ones")
            final = (valkey.weight() - empty + WARM * waiting) / messages
    done = last.arrived - first.arrived
    if done < 1:
        raise Late(f"{who.name} had sent all before it could be looked at: too few messages")
    return Turn(
        a_second=done / (last.at - first.at),
        cpu_us=(last.workers - first.workers) / done * 1e6,
        redis_cpu_us=(last.redis - first.redis) / done * 1e6,
        provider_cpu=(last.provider - first.provider) / (last.at - first.at),
        resident_mb=resident,
        accept_cpu_us=own / rows * 1e6,
        accept_redis_us=redis / rows * 1e6,
        waiting_bytes=waiting,
        final_bytes=final,
        scripts=(last.scripts[0] - first.scripts[0]) / done,
        script_us=(last.scripts[1] - first.scripts[1]) / done * 1e6,
    )


def watch(run: Run, valkey: Server, provider: Provider, messages: int) -> tuple[Instant, Instant, float]:
    """Return where everything stood at the two ends of what is measured, and the memory at the second."""
    wait(lambda: provider.count() >= messages * FROM, 120, "the first messages", every=0.02)
    first = look(run, valkey, provider)
    wait(lambda: provider.count() >= messages * TO, 180, "the last messages", every=0.02)
    last = look(run, valkey, provider)
    return first, last, resident_mb(run.commands)


def look(run: Run, valkey: Server, provider: Provider) -> Instant:
    """Return where everything stands."""
    now, arrived = time.monotonic(), provider.count()
    workers = spent(run.commands)
    return Instant(now, arrived, workers, valkey.spent(), provider.spent(), valkey.scripts())
