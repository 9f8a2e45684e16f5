"""The kinds of faults: what each hits, for how long, and what it leaves in doubt. Data."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Target(StrEnum):
    """What a fault hits. At any instant each part of each target has one fault at most."""

    WORKER = "worker"
    RECEIVER = "receiver"
    PRODUCER = "producer"
    SERVER = "server"
    REDIS_LINK = "redis link"
    PROVIDER_LINK = "provider link"
    PROVIDER = "provider"


@dataclass(frozen=True, slots=True)
class Field:
    """How many parts a target has, and how long each is left alone between two faults."""

    parts: int
    rest: float
    """Seconds, on average."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault. `lasts` and `strength` are the least and the most; durations are seconds."""

    name: str
    target: Target
    what: str
    lasts: tuple[float, float] = (0.0, 0.0)
    strength: tuple[float, float] = (0.0, 0.0)
    """A number of the kind's own: a delay, a chance, a number of replies."""
    doubts: bool = False
    """Leaves in doubt what is on the wire as it begins."""


FIELDS: Final = {
    Target.WORKER: Field(2, 10.0),
    Target.RECEIVER: Field(1, 15.0),
    Target.PRODUCER: Field(1, 10.0),
    Target.SERVER: Field(1, 10.0),
    Target.REDIS_LINK: Field(4, 20.0),
    Target.PROVIDER_LINK: Field(2, 16.0),
    Target.PROVIDER: Field(1, 6.0),
}

REDIS_LINKS: Final = ("worker 0", "worker 1", "receiver", "producer")
"""Whose way to Redis each link is."""

LEASE: Final = 12.0
"""The lease of the run, in seconds: a freeze is longer."""
CALL: Final = 2.0
"""The longest call to the provider."""

_W, _S, _R, _L, _P = Target.WORKER, Target.SERVER, Target.REDIS_LINK, Target.PROVIDER_LINK, Target.PROVIDER

KINDS: Final[tuple[Kind, ...]] = (
    Kind("child killed", _W, "kill -9 of one of a worker's children", doubts=True),
    Kind("parent killed", _W, "kill -9 of a worker's parent, alone", (0.5, 3), doubts=True),
    Kind("worker killed", _W, "kill -9 of a worker and its children", (0.5, 3), doubts=True),
    Kind("worker frozen", _W, "SIGSTOP of a worker past its lease, then SIGCONT", (13, 17), doubts=True),
    Kind("rolling restart", _W, "SIGTERM of a worker, which is started again", (6, 8)),
    Kind("receiver killed", Target.RECEIVER, "kill -9 of the receiver", (0.5, 4)),
    Kind("producer killed", Target.PRODUCER, "kill -9 of the producer in a call, or behind it", (1, 4)),
    Kind("server killed", _S, "kill -9 of the Redis server, restart from its file", (0.3, 3), doubts=True),
    Kind("server restarted", _S, "SIGTERM of the Redis server, and a new start", (0.3, 2), doubts=True),
    Kind("server frozen", _S, "SIGSTOP of the Redis server, then SIGCONT", (1, 12), doubts=True),
    Kind("disk full", _S, "the Redis server can't write its file, and ends", (2, 5), doubts=True),
    Kind("clients killed", _S, "CLIENT KILL of every connection"),
    Kind("out of memory", _S, "maxmemory just above what is used", (2, 5)),
    Kind("redis black hole", _R, "open connections to Redis carry nothing any more", doubts=True),
    Kind("redis cut", _R, "the connections to Redis are cut"),
    Kind("redis refused", _R, "nobody takes connections to Redis", (1, 4)),
    Kind("reply dropped", _R, "Redis executes, and its replies are lost", (1, 2), (1, 3)),
    Kind("redis far", _R, "what Redis answers comes late", (2, 5), (0.02, 0.3)),
    Kind("provider black hole", _L, "open connections to the provider carry nothing any more", doubts=True),
    Kind("provider cut", _L, "the connections to the provider are cut", doubts=True),
    Kind("provider refused", _L, "nobody takes connections to the provider", (1, 6)),
    Kind("answer dropped", _L, "the provider takes requests, and its answers are lost", (1, 2), (1, 5)),
    Kind("idle closed", _L, "kept connections are closed as the next request comes", (2, 5), (0.02, 0.2)),
    Kind("provider far", _L, "what the provider answers comes late", (2, 5), (0.05, 0.6)),
    Kind("provider down", _P, "the provider answers 503", (2, 8), (1, 1)),
    Kind("provider throttles", _P, "the provider answers 429 with Retry-After: 1", (0.5, 2), (0.05, 0.3)),
    Kind("provider slow", _P, "the provider answers late, some answers too late", (2, 5), (0.5, 3)),
    Kind("provider hangs", _P, "the provider reads, and never answers", (1, 3), (0.1, 0.5)),
    Kind("provider accepts and hangs", _P, "the provider accepts, and never answers", (1, 3), (0.1, 0.5)),
    Kind("provider resets", _P, "the provider resets connections before it reads", (1, 4), (0.05, 0.3)),
    Kind("provider drops", _P, "the provider accepts, then resets the connection", (1, 4), (0.05, 0.3)),
    Kind("provider errs", _P, "the provider accepts, and answers 500", (1, 4), (0.05, 0.3)),
    Kind("provider garbles", _P, "the provider accepts, and answers garbage", (1, 4), (0.05, 0.3)),
    Kind("provider breaks off", _P, "the provider breaks off its answers", (1, 4), (0.05, 0.3)),
)
BY_NAME: Final = {kind.name: kind for kind in KINDS}
