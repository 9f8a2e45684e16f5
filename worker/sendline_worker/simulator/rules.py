"""Behaviours set through the control endpoint: for a recipient, a number of requests, a chance, or all."""

import random
from dataclasses import dataclass, field, replace
from typing import Any

from sendline_worker.simulator.behaviours import BY_NAME, Act, Behaviour
from sendline_worker.simulator.options import seconds_between

_FIELDS = (
    "behaviour", "count", "recipient", "provider", "probability", "seed", "delay", "retry_after", "late",
    "asking",
)  # fmt: skip


@dataclass(slots=True)
class Rule:
    """One behaviour and the requests that shall meet it."""

    behaviour: Behaviour
    count: int | None = None
    """How many requests it is for; None: until cleared."""
    recipient: str | None = None
    provider: str | None = None
    probability: float = 1.0
    rng: random.Random = field(default_factory=random.Random)
    asking: bool = False
    """It is for look-ups and searches, not for sends."""

    def meets(self, provider: str, recipient: str | None) -> bool:
        """Say whether a request meets the rule. `recipient` is None while the body is not read."""
        if self.provider not in {None, provider} or self.recipient not in {None, recipient}:
            return False
        return self.probability >= 1 or self.rng.random() < self.probability

    def as_json(self) -> dict[str, Any]:
        """Return the rule as the control endpoint shows it."""
        return {
            "behaviour": self.behaviour.name,
            "count": self.count,
            "recipient": self.recipient,
            "provider": self.provider,
            "probability": self.probability,
            "asking": self.asking,
        }


class Rules:
    """The rules in force; of those that fit a request, the oldest is met."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []

    def add(self, rule: Rule) -> None:
        """Put a rule in force."""
        self._rules.append(rule)

    def clear(self) -> None:
        """Drop all rules."""
        self._rules.clear()

    def early(self, provider: str) -> Behaviour | None:
        """Return the behaviour that a request meets before its body is read, if any, and count it."""
        for rule in self._rules:
            if _is_early(rule) and rule.meets(provider, None):
                return self._take(rule)
        return None

    def take(self, provider: str, recipient: str) -> Behaviour | None:
        """Return the behaviour that a request meets once it is read, if any, and count it."""
        for rule in self._rules:
            if not (rule.asking or _is_early(rule)) and rule.meets(provider, recipient):
                return self._take(rule)
        return None

    def take_asking(self, provider: str, recipient: str) -> Behaviour | None:
        """Return the behaviour that a look-up or a search meets, if any, and count it."""
        for rule in self._rules:
            if rule.asking and rule.meets(provider, recipient):
                return self._take(rule)
        return None

    def as_json(self) -> list[dict[str, Any]]:
        """Return the rules in force, oldest first."""
        return [rule.as_json() for rule in self._rules]

    def _take(self, rule: Rule) -> Behaviour:
        if rule.count is not None:
            rule.count -= 1
            if rule.count == 0:
                self._rules.remove(rule)
        return rule.behaviour


def _is_early(rule: Rule) -> bool:
    return rule.behaviour.act is Act.RESET_EARLY and rule.recipient is None and not rule.asking


def read_rule(data: Any) -> Rule:
    """Return the rule in a JSON object; raises ValueError with one clear line."""
    if not isinstance(data, dict) or data.get("behaviour") not in BY_NAME:
        raise ValueError(f"behaviour: one of {', '.join(BY_NAME)}")
    unknown = sorted(set(data) - set(_FIELDS))
    if unknown:
        raise ValueError(f"{unknown[0]}: no such field; there are {', '.join(_FIELDS)}")
    count, probability = data.get("count"), data.get("probability", 1.0)
    if count is not None and (type(count) is not int or count < 1):
        raise ValueError("count: a whole number above 0, or null for all until cleared")
    if type(probability) not in {int, float} or not 0 <= probability <= 1:
        raise ValueError("probability: a number from 0 to 1")
    for name in ("recipient", "provider"):
        if not isinstance(data.get(name, ""), str | None):
            raise ValueError(f"{name}: a string, or null for all")  # noqa: TRY004
    if not isinstance(data.get("seed"), int | None):
        raise ValueError("seed: a whole number, or null")  # noqa: TRY004
    if type(data.get("asking", False)) is not bool:
        raise ValueError("asking: true for look-ups and searches, false for sends")
    return Rule(
        _adjusted(BY_NAME[data["behaviour"]], data), count, data.get("recipient"), data.get("provider"),
        float(probability), random.Random(data.get("seed")), data.get("asking", False),
    )  # fmt: skip


def _adjusted(behaviour: Behaviour, data: dict[str, Any]) -> Behaviour:
    """Return the behaviour with the waits that the rule sets: `delay`, `retry_after`, `late`."""
    if data.get("delay") is not None:
        behaviour = replace(behaviour, delay=seconds_between("delay", data["delay"]))
    if data.get("retry_after") is not None:
        behaviour = replace(behaviour, retry_after=seconds_between("retry_after", data["retry_after"])[0])
    if data.get("late") is not None and behaviour.receipts:
        first = replace(behaviour.receipts[0], after=seconds_between("late", data["late"])[0])
        behaviour = replace(behaviour, receipts=(first, *behaviour.receipts[1:]))
    return behaviour
