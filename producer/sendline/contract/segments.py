"""How many SMS segments a text takes, by the rules of GSM 03.38 and 03.40 (3GPP TS 23.038, 23.040)."""

import re
from dataclasses import dataclass
from typing import Final, Literal

GSM_DEFAULT: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The GSM 7-bit default alphabet, in order, without the escape: one septet each."""
GSM_EXTENSION: Final = "\f^{}\\[~]|€"
"""The extension table: two septets each, the escape and the character's own."""

SINGLE_SEPTETS: Final = 160
PART_SEPTETS: Final = 153
"""Septets in each part of a longer text: seven go to the header that joins the parts."""
SINGLE_UNITS: Final = 70
PART_UNITS: Final = 67
"""The same for UCS-2, in UTF-16 code units of two bytes."""

OFFENDING_SHOWN: Final = 10

_PLAIN: Final = re.compile(f"[{re.escape(GSM_DEFAULT)}]*")
_GSM: Final = re.compile(f"[{re.escape(GSM_DEFAULT + GSM_EXTENSION)}]*")
_EXTENDED: Final = re.compile(f"[{re.escape(GSM_EXTENSION)}]")
_FOREIGN: Final = re.compile(f"[^{re.escape(GSM_DEFAULT + GSM_EXTENSION)}]")
_ASTRAL: Final = re.compile("[\U00010000-\U0010ffff]")
_ESCAPE: Final = "\x1b"
_LEAD: Final = "\ud800"


@dataclass(frozen=True, slots=True)
class Segments:
    """What a text takes on the air."""

    encoding: Literal["GSM-7", "UCS-2"]
    units: int
    """Septets (GSM-7) or UTF-16 code units (UCS-2) of the whole text, without headers."""
    count: int
    """Segments, which is what providers charge. An empty text is one."""
    offending: tuple[str, ...] = ()
    """The characters that force UCS-2, each once, in their order in the text; at most ten."""


def measure(text: str) -> Segments:
    """Return the encoding that `text` needs and the number of its segments."""
    if _PLAIN.fullmatch(text) is not None:
        return Segments("GSM-7", len(text), _parts(text, SINGLE_SEPTETS, PART_SEPTETS))
    if _GSM.fullmatch(text) is not None:
        septets = _EXTENDED.sub(_ESCAPE + "e", text)
        return Segments("GSM-7", len(septets), _parts(septets, SINGLE_SEPTETS, PART_SEPTETS, _ESCAPE))
    units = _ASTRAL.sub(_LEAD + "\udc00", text)
    return Segments("UCS-2", len(units), _parts(units, SINGLE_UNITS, PART_UNITS, _LEAD), _offending(text))


def segments_of(text: str) -> int:
    """Return the number of segments alone; of the usual short text, at once."""
    if len(text) <= SINGLE_SEPTETS and _PLAIN.fullmatch(text) is not None:
        return 1
    return measure(text).count


def _parts(units: str, single: int, part: int, lead: str | None = None) -> int:
    """Count the parts of `units`, one character a unit; `lead` and what follows it stay together."""
    if len(units) <= single:
        return 1
    if lead is None:
        return -(-len(units) // part)
    count, end = 1, part
    while end < len(units):
        if units[end - 1] == lead:
            end -= 1
        count, end = count + 1, end + part
    return count


def _offending(text: str) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for match in _FOREIGN.finditer(text):
        found[match.group()] = None
        if len(found) == OFFENDING_SHOWN:
            break
    return tuple(found)
