"""What was measured: a value a round for each thing, and what the rounds come to."""

import statistics
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Key:
    """Which figure of whom."""

    part: str
    who: str
    what: str
    unit: str


@dataclass(frozen=True, slots=True)
class Middle:
    """The median of the rounds, and the least and the most."""

    median: float
    low: float
    high: float


@dataclass(slots=True)
class Book:
    """All figures of a session, with the conditions of its parts, and what makes them doubtful."""

    figures: dict[Key, list[float]] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def add(self, part: str, who: str, what: str, unit: str, value: float) -> None:
        """Write down a value of one round."""
        self.figures.setdefault(Key(part, who, what, unit), []).append(value)

    def note(self, part: str, line: str) -> None:
        """Tell a command or a condition, once."""
        lines = self.notes.setdefault(part, [])
        if line not in lines:
            lines.append(line)

    def doubt(self, line: str) -> None:
        """Tell why a figure may be less than it could be."""
        if line not in self.doubts:
            self.doubts.append(line)

    def fail(self, line: str) -> None:
        """Tell that a part could not be measured."""
        self.failures.append(line)

    def values(self, part: str, who: str, what: str) -> list[float]:
        """Return the values of all rounds; empty where it was not measured."""
        return next(
            (
                values
                for key, values in self.figures.items()
                if (key.part, key.who, key.what) == (part, who, what)
            ),
            [],
        )

    def middle(self, part: str, who: str, what: str) -> Middle | None:
        """Return what the rounds come to."""
        values = self.values(part, who, what)
        return middle(values) if values else None

    def ratio(self, part: str, what: str, who: str, other: str) -> Middle | None:
        """Return what `who` has for each of `other`'s, compared round by round."""
        mine, its = self.values(part, who, what), self.values(part, other, what)
        pairs = [a / b for a, b in zip(mine, its, strict=False) if b]
        return middle(pairs) if pairs else None

    def whos(self, part: str) -> list[str]:
        """Return who was measured in a part, in their order."""
        return list(dict.fromkeys(key.who for key in self.figures if key.part == part))

    def whats(self, part: str) -> list[tuple[str, str]]:
        """Return what was measured in a part, with its unit."""
        return list(dict.fromkeys((key.what, key.unit) for key in self.figures if key.part == part))

    def parts(self) -> list[str]:
        """Return the parts."""
        return list(dict.fromkeys(key.part for key in self.figures))


def middle(values: list[float]) -> Middle:
    """Return the median and the spread of `values`."""
    return Middle(statistics.median(values), min(values), max(values))


def percentile(values: list[float], part: float) -> float:
    """Return the value below which lies `part` of them."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]
