"""Which faults come when: a pure function of the seed and the duration."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from chaos.kinds import BY_NAME, FIELDS, KINDS, REDIS_LINKS, Field, Kind, Target

CALM: Final = 1.0
"""Seconds without faults at the beginning."""


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One planned fault. Times are seconds since the beginning."""

    at: float
    name: str
    part: int
    """Which part of its target, from 0."""
    lasts: float
    strength: float
    number: int
    """Random; for whatever else the kind has to choose."""

    @property
    def kind(self) -> Kind:
        """What kind it is."""
        return BY_NAME[self.name]

    @property
    def place(self) -> str:
        """Which part it hits."""
        match self.kind.target:
            case Target.REDIS_LINK:
                return f"redis link of {REDIS_LINKS[self.part]}"
            case Target.PROVIDER_LINK:
                return f"provider link of worker {self.part}"
            case Target.WORKER:
                return f"worker {self.part}"
            case target:
                return str(target)

    @property
    def ends(self) -> float:
        """When it is over."""
        return self.at + self.lasts


def plan(seed: int, seconds: float) -> tuple[Fault, ...]:
    """Return all faults of a run of `seconds`, in the order of their beginnings.

    Each part has a timeline of its own: rest, fault, rest, fault. A timeline deals its target's kinds like a
    deck of cards, so that all come before any comes again.
    """
    faults: list[Fault] = []
    for target, field in FIELDS.items():
        for part in range(field.parts):
            rng = random.Random(f"{seed} {target} {part}")
            faults += _timeline(rng, target, field, part, seconds)
    return tuple(sorted(faults))


def _timeline(rng: random.Random, target: Target, field: Field, part: int, seconds: float) -> Iterator[Fault]:
    deck: list[Kind] = []
    at = CALM + rng.random() * field.rest
    while at < seconds:
        if not deck:
            deck = [kind for kind in KINDS if kind.target is target]
            rng.shuffle(deck)
        kind = deck.pop()
        lasts, strength = round(rng.uniform(*kind.lasts), 2), round(rng.uniform(*kind.strength), 3)
        fault = Fault(round(at, 2), kind.name, part, lasts, strength, rng.randrange(2**31))
        if fault.ends <= seconds:
            yield fault
        at = fault.ends + field.rest * rng.uniform(0.5, 1.5)
