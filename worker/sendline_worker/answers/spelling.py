"""Lengths of time, rates and numbers of things, as people are told them."""

from typing import Final

_UNITS: Final = (("day", 86400), ("h", 3600), ("min", 60))


def spell(seconds: float) -> str:
    """Return a length of time for people: 80 ms, 1.5 s, 12 s, 3 min 20 s, 2 h 5 min, 3 days."""
    ms = round(max(seconds, 0) * 1000)
    if ms < 1000:  # noqa: PLR2004 - a second
        return f"{ms} ms"
    if seconds < 10:  # noqa: PLR2004 - from here on tenths say nothing
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    left = round(seconds)
    words = []
    for unit, size in _UNITS:
        number, left = divmod(left, size)
        if number:
            words.append(f"{number} {unit}{'s' if unit == 'day' and number > 1 else ''}")
    if left and seconds < 3600:  # noqa: PLR2004 - an hour
        words.append(f"{left} s")
    return " ".join(words[:2])


def rounded(rate: float) -> float:
    """Return a rate as a person configured it: the ledger keeps whole microseconds between two units."""
    return float(f"{rate:.4g}")


def a_second(rate: float, unit: str = "messages") -> str:
    """Return a rate in an account's unit, for people: 20 a second, 20 segments a second."""
    return f"{rate:g} a second" if unit == "messages" else f"{rate:g} {unit} a second"


def counted(number: int, thing: str) -> str:
    """Return how many there are of a thing: 1 message, 2 messages."""
    return f"{number} {thing}{'' if number == 1 else 's'}"
