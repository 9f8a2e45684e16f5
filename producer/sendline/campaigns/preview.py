"""What a campaign will send, before it does: samples, segments, what forces UCS-2, and the cost."""

# ruff: noqa: RUF001 - look-alikes are told from what they look like

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from sendline.campaigns.templates import Template
from sendline.contract.errors import InvalidCampaign
from sendline.contract.numbers import mask
from sendline.contract.segments import GSM_DEFAULT, GSM_EXTENSION, OFFENDING_SHOWN, measure

SAMPLES: Final = 3
SHOWN: Final = 10
"""Characters told of those that force UCS-2: the ones that most recipients have."""
MAX_PRICE: Final = Decimal(1000)
"""For one segment, in whatever currency: more is a slip of the decimal point."""

LOOKALIKES: Final[Mapping[str, str]] = {
    **dict.fromkeys("‘’‚‛′`´ʼ", "'"),
    **dict.fromkeys("“”„‟″«»", '"'),
    **dict.fromkeys("‐\u2011‒–—―−", "-"),
    **dict.fromkeys("\t\u00a0\u2002\u2003\u2007\u2009\u200a\u202f", " "),
    **dict.fromkeys("\u00ad\u200b\u2060\ufeff", ""),
    "…": "...",
    "•": "*",
    "·": ".",
    "‹": "<",
    "›": ">",
    "×": "x",
    "ﬁ": "fi",
    "ﬂ": "fl",
}
"""Typographic characters that force UCS-2, and what GSM-7 has in their place (nothing, of invisible ones)."""

_GSM: Final = frozenset(GSM_DEFAULT + GSM_EXTENSION)
_CENT_OF_CENT: Final = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Sample:
    """One recipient's text."""

    to: str
    """The number, masked."""
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Forcing:
    """A character that forces UCS-2, which takes more than twice the segments."""

    character: str
    recipients: int
    """How many texts have it."""
    in_template: bool
    """Whether the template itself brings it; else only variables do."""


@dataclass(frozen=True, slots=True)
class SegmentCounts:
    """Segments of each text, and of all; zeros where there is none."""

    min: int
    mean: float
    max: int
    total: int


@dataclass(frozen=True, slots=True)
class Preview:
    """What the texts of a campaign come to."""

    recipients: int
    samples: tuple[Sample, ...]
    """The first few."""
    segments: SegmentCounts
    encodings: Mapping[str, int]
    """How many texts take "GSM-7" and "UCS-2"."""
    forcing: tuple[Forcing, ...]
    """The characters that force UCS-2, those of most recipients first; at most SHOWN."""
    replacements: Mapping[str, str]
    """For those of them with a look-alike in GSM-7: what could stand there instead. Nothing is replaced."""
    longest: int
    """Characters of the longest text."""
    cost: Decimal | None
    """All segments at the given price, to four places; None without a price."""


class Previewer:
    """Adds up the texts of a campaign, one at a time; holds no more of them than its samples.

    `price` is for one segment. Raises InvalidCampaign where it can't be one.
    """

    def __init__(self, template: Template, *, samples: int = SAMPLES, price: Decimal | None = None) -> None:
        if price is not None and not (price.is_finite() and 0 <= price <= MAX_PRICE):
            raise InvalidCampaign("price", f"must be 0 to {MAX_PRICE} for one segment")
        self._template = template
        self._wanted = samples
        self._price = price
        self._samples: list[Sample] = []
        self._recipients = self._wide = self._total = self._max = self._longest = 0
        self._min: int | None = None
        self._foreign: defaultdict[str, int] = defaultdict(int)

    def add(self, to: str, text: str) -> None:
        """Count the rendered `text` of the recipient `to`."""
        measured = measure(text)
        count = measured.count
        self._recipients += 1
        self._total += count
        self._max = max(self._max, count)
        self._min = count if self._min is None else min(self._min, count)
        self._longest = max(self._longest, len(text))
        if measured.encoding == "UCS-2":
            self._wide += 1
            found = measured.offending
            for character in found if len(found) < OFFENDING_SHOWN else frozenset(text) - _GSM:
                self._foreign[character] += 1
        if len(self._samples) < self._wanted:
            self._samples.append(Sample(mask(to), text))

    def result(self) -> Preview:
        """Return what has been added up so far."""
        most = sorted(self._foreign.items(), key=lambda item: (-item[1], item[0]))[:SHOWN]
        brought = self._template.brought
        cost = None if self._price is None else self._price * self._total
        return Preview(
            recipients=self._recipients,
            samples=tuple(self._samples),
            segments=SegmentCounts(
                min=self._min or 0,
                mean=self._total / self._recipients if self._recipients else 0.0,
                max=self._max,
                total=self._total,
            ),
            encodings={"GSM-7": self._recipients - self._wide, "UCS-2": self._wide},
            forcing=tuple(Forcing(character, count, character in brought) for character, count in most),
            replacements={
                character: LOOKALIKES[character] for character, _ in most if character in LOOKALIKES
            },
            longest=self._longest,
            cost=None if cost is None else cost.quantize(_CENT_OF_CENT, ROUND_HALF_UP),
        )
